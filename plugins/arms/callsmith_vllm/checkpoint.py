"""A checkpoint on disk: whether it is one, and digests of what it is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from callsmith import ConfigError
from callsmith_vllm.config import VllmConfig

WEIGHTS = ("*.safetensors", "*.bin", "*.gguf", "*.pt")
CONFIGS = ("config.json", "params.json")
TOKENIZER = "tokenizer.json"
_PIECE = 1 << 22


def check_folder(config: VllmConfig) -> None:
    """Raises `ConfigError` when the checkpoint is a folder and lacks files that vLLM needs."""
    folder = local_folder(config)
    if folder is None:
        return
    path = "path" if config.path else "model"
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}; name one with a checkpoint", path=path)
    if not any((folder / name).is_file() for name in CONFIGS):
        raise ConfigError(
            f"{folder} has no config.json; name a folder that save_pretrained wrote", path=path
        )
    if not weight_files(folder):
        raise ConfigError(
            f"{folder} has no weights (*.safetensors); save the model again", path=path
        )


def local_folder(config: VllmConfig) -> Path | None:
    """The checkpoint's folder; None if it is to be found by its name."""
    if config.path:
        return Path(config.path).expanduser()
    given = Path(config.model).expanduser()
    if config.model.startswith(("/", "./", "../", "~")) or given.is_dir():
        return given
    return None


def weight_files(folder: Path) -> list[Path]:
    """The files that hold weights, sorted by name; safetensors alone where there are any."""
    for pattern in WEIGHTS:
        found = sorted(folder.glob(pattern))
        if found:
            return found
    return []


def digest(files: Iterable[Path]) -> str:
    """`sha256:` of the names and contents of files, in this order."""
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


def tokenizer_file(place: str, revision: str) -> Path | None:
    """The tokenizer.json in a folder, or of a model in the hub's local cache; None if unknown."""
    file = Path(place) / TOKENIZER
    if file.is_file():
        return file
    try:
        cached = try_to_load_from_cache(place, TOKENIZER, revision=revision or None)
    except ValueError:  # it is no name of a model
        return None
    return Path(cached) if isinstance(cached, str) else None


def _feed(whole: hashlib._Hash, file: Path) -> None:
    with file.open("rb") as source:
        while piece := source.read(_PIECE):
            whole.update(piece)
