"""Folders of checkpoints and adapters: whether they are any, how large, and their digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from callsmith import ConfigError, check_adapter_base, weights_fingerprint
from callsmith_hf.config import HfConfig

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
ADAPTER = "adapter_config.json"
WEIGHTS = ("*.safetensors", "*.bin")
BYTES = {
    "F64": 8,
    "I64": 8,
    "U64": 8,
    "F32": 4,
    "I32": 4,
    "U32": 4,
    "F16": 2,
    "BF16": 2,
    "I16": 2,
    "U16": 2,
}
"""Bytes per element by the names of the safetensors format; all others take one."""
FLOATS = {"F64", "F32", "F16", "BF16"}
SIZES = {"float32": 4, "bfloat16": 2, "float16": 2}
NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
"""Bytes per weight: 4 bits, one byte per block of 64, 4 bytes per 256 blocks (double quant)."""
NF4_SINGLE = 0.5 + 4 / 64
_PIECE = 1 << 22


def local_folder(config: HfConfig) -> Path | None:
    """The checkpoint's folder; None if it is to be found by its name."""
    if config.path:
        return Path(config.path).expanduser()
    given = Path(config.model).expanduser()
    if config.model.startswith(("/", "./", "../", "~")) or given.is_dir():
        return given
    return None


def check_folder(folder: Path, place: str) -> None:
    """Raises `ConfigError` when a folder lacks files that are needed; `place` is the option."""
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}; name one with a checkpoint", path=place)
    if (folder / ADAPTER).is_file() and not (folder / CONFIG).is_file():
        raise ConfigError(
            f"{folder} is an adapter; name it in `adapter`, and its base model here", path=place
        )
    for name in (CONFIG, TOKENIZER):
        if not (folder / name).is_file():
            raise ConfigError(
                f"{folder} has no {name}; name a folder that save_pretrained of model and "
                "tokenizer wrote",
                path=place,
            )
    if not weight_files(folder):
        raise ConfigError(
            f"{folder} has no weights (*.safetensors); save the model again", path=place
        )


def check_adapter(folder: Path) -> Mapping[str, Any]:
    """The adapter's config. Raises `ConfigError` when the folder holds no adapter."""
    file = folder / ADAPTER
    if not file.is_file():
        raise ConfigError(
            f"{folder} has no {ADAPTER}; name the folder that PEFT's save_pretrained wrote",
            path="adapter",
        )
    if not weight_files(folder):
        raise ConfigError(
            f"{folder} has no weights (adapter_model.safetensors); save the adapter again",
            path="adapter",
        )
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{file} is not JSON: {error}", path="adapter") from None
    if not isinstance(data, dict) or "peft_type" not in data:
        raise ConfigError(f"{file} names no peft_type; save the adapter again", path="adapter")
    return data


def check_base(folder: Path, config: HfConfig) -> None:
    """Raises `ConfigError` when the adapter says that it was trained on other weights."""
    if config.adapter:
        adapter = Path(config.adapter).expanduser()
        check_adapter_base(adapter, weights_fingerprint(folder), str(folder), path="adapter")


def weight_files(folder: Path) -> list[Path]:
    """The files that hold weights, sorted by name; safetensors alone where there are any."""
    for pattern in WEIGHTS:
        found = sorted(folder.glob(pattern))
        if found:
            return found
    return []


def tensors(file: Path) -> Mapping[str, tuple[str, list[int]]]:
    """The type and shape of every tensor of a safetensors file, read from its header alone.

    Raises `ConfigError` for a file that is torn.
    """
    try:
        with file.open("rb") as source:
            length = int.from_bytes(source.read(8), "little")
            if length > file.stat().st_size:
                raise ValueError("its header is longer than the file")
            header = json.loads(source.read(length))
        return {
            name: (str(item["dtype"]), [int(size) for size in item["shape"]])
            for name, item in header.items()
            if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{file} is no safetensors file, or was cut: {error}") from None


def weight_bytes(folder: Path, config: HfConfig) -> int | None:
    """About how many bytes the weights take once loaded; None if they are not safetensors.

    Under nf4 every matrix counts as quantised unless its name says that it is an embedding or the
    head, which bitsandbytes leaves as they are.
    """
    files = weight_files(folder)
    if any(file.suffix != ".safetensors" for file in files):
        return None
    total = 0.0
    for file in files:
        for name, (kind, shape) in tensors(file).items():
            count = 1
            for size in shape:
                count *= size
            each: float = BYTES.get(kind, 1)
            if kind in FLOATS:
                each = SIZES.get(config.dtype, each)
                linear = len(shape) == 2 and "embed" not in name and "lm_head" not in name
                if config.quantization and linear:
                    each = NF4 if config.double_quant else NF4_SINGLE
            total += count * each
    return round(total)


def digest(files: Iterable[Path]) -> str:
    """`sha256:` of the names, sizes and contents of files, in this order."""
    whole = hashlib.sha256()
    for file in files:
        whole.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        _feed(whole, file)
    return f"sha256:{whole.hexdigest()}"


def file_digest(file: Path) -> str:
    """`sha256:` of a file."""
    whole = hashlib.sha256()
    _feed(whole, file)
    return f"sha256:{whole.hexdigest()}"


def _feed(whole: hashlib._Hash, file: Path) -> None:
    with file.open("rb") as source:
        while piece := source.read(_PIECE):
            whole.update(piece)
