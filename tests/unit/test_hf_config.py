"""Options, folders, adapters, sizes, and a machine without PyTorch. Imports nothing heavy."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import callsmith_hf
from callsmith import Catalog, ConfigError, MissingExtraError
from callsmith.registry import Plugin
from callsmith_hf.checkpoint import (
    check_adapter,
    check_folder,
    digest,
    local_folder,
    tensors,
    weight_bytes,
)
from callsmith_hf.config import HfConfig


@pytest.fixture
def catalog() -> Catalog:
    components = tuple(("arm", component) for component in callsmith_hf.callsmith_arms())
    return Catalog([Plugin(name="hf", module="callsmith_hf", components=components)])  # type: ignore[arg-type]


def write_weights(file: Path, shapes: dict[str, tuple[str, list[int]]]) -> None:
    """A safetensors file of zeros."""
    size = {"F32": 4, "BF16": 2, "I64": 8, "U8": 1}
    header, offset = {}, 0
    for name, (kind, shape) in shapes.items():
        count = size[kind]
        for side in shape:
            count *= side
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [offset, offset + count]}
        offset += count
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + bytes(offset))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    write_weights(
        folder / "model.safetensors",
        {
            "model.embed_tokens.weight": ("BF16", [64, 16]),
            "model.layers.0.mlp.up_proj.weight": ("BF16", [256, 64]),
            "model.norm.weight": ("F32", [16]),
        },
    )
    return folder


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}', encoding="utf-8")
    (folder / "adapter_model.safetensors").write_bytes(b"lora")
    return folder


def test_declaring_imports_nothing_heavy() -> None:
    """Neither the hook nor the options, in a fresh process."""
    code = (
        "import sys, callsmith_hf, callsmith_hf.config\n"
        "list(callsmith_hf.callsmith_arms())\n"
        "heavy = {'torch', 'transformers', 'peft', 'bitsandbytes', 'tokenizers'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_machine_without_transformers_is_told_the_extra(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("callsmith_hf.arm", "callsmith_hf.library", "callsmith_hf.generation"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in ("torch", "transformers"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'callsmith\[train\]'"):
        catalog.build("arm", "hf", {"model": "google/gemma-4-E2B-it"})


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"quantisation": "nf4"}, "did you mean 'quantization'"),
        ({"quantization": "int4"}, "quantization"),
        ({"device": "gpu"}, "device"),
        ({"device": "cuda:"}, "device"),
        ({"memory_gib": 0}, "memory_gib"),
        ({"batch_size": 0}, "batch_size"),
        ({"dtype": "fp16"}, "dtype"),
    ],
    ids=["typo", "quantization", "device", "number", "memory", "batch", "dtype"],
)
def test_wrong_options(catalog: Catalog, options: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        catalog.resolve("arm", "hf", {"model": "m", **options})


def test_where_a_model_is(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert local_folder(HfConfig(model="google/x", path=str(model))) == model
    assert local_folder(HfConfig(model=str(model))) == model
    assert local_folder(HfConfig(model="./there")) == Path("there")
    assert local_folder(HfConfig(model="google/x")) is None
    monkeypatch.chdir(model.parent)
    assert local_folder(HfConfig(model="model")) == Path("model")


@pytest.mark.parametrize(
    ("lacks", "line"),
    [
        ("config.json", "path: .* has no config.json"),
        ("tokenizer.json", "path: .* has no tokenizer.json"),
        ("model.safetensors", "path: .* has no weights"),
    ],
)
def test_a_checkpoint_without_its_files(model: Path, lacks: str, line: str) -> None:
    check_folder(model, "path")
    (model / lacks).unlink()
    with pytest.raises(ConfigError, match=line):
        check_folder(model, "path")


def test_folders_that_are_something_else(adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="model: there is no folder"):
        check_folder(tmp_path / "nowhere", "model")
    with pytest.raises(ConfigError, match="is an adapter; name it in `adapter`"):
        check_folder(adapter, "path")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (None, "has no adapter_config.json"),
        ("{", "is not JSON"),
        ("[]", "names no peft_type"),
        ("{}", "names no peft_type"),
    ],
    ids=["missing", "torn", "list", "kind"],
)
def test_a_folder_that_is_no_adapter(adapter: Path, text: str | None, line: str) -> None:
    assert check_adapter(adapter) == {"peft_type": "LORA"}
    file = adapter / "adapter_config.json"
    file.unlink() if text is None else file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"^adapter: .*{line}"):
        check_adapter(adapter)


def test_an_adapter_without_weights(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(ConfigError, match="has no weights"):
        check_adapter(adapter)


def test_the_header_of_a_file(model: Path) -> None:
    found = tensors(model / "model.safetensors")
    assert found["model.norm.weight"] == ("F32", [16])
    assert len(found) == 3


@pytest.mark.parametrize("raw", [b"", b"\xff" * 16, struct.pack("<Q", 2) + b"[]", b"\5" + bytes(9)])
def test_a_file_that_is_torn(model: Path, raw: bytes) -> None:
    file = model / "model.safetensors"
    file.write_bytes(raw)
    with pytest.raises(ConfigError, match="is no safetensors file, or was cut"):
        tensors(file)


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, 64 * 16 * 2 + 256 * 64 * 2 + 16 * 4),
        ({"dtype": "float32"}, (64 * 16 + 256 * 64 + 16) * 4),
        # Per 64 weights 32 bytes and one, and 4 bytes for each 256 of those ones.
        ({"quantization": "nf4"}, 64 * 16 * 2 + 256 * 32 + 256 + 4 + 16 * 4),
        ({"quantization": "nf4", "double_quant": False}, 2048 + 256 * 32 + 256 * 4 + 16 * 4),
    ],
    ids=["stored", "float32", "nf4", "single"],
)
def test_how_much_the_weights_take(model: Path, options: dict[str, Any], size: int) -> None:
    assert weight_bytes(model, HfConfig(model="m", **options)) == size


def test_the_size_of_other_files_is_unknown(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    assert weight_bytes(model, HfConfig(model="m")) is None


def test_a_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    one, two = tmp_path / "a", tmp_path / "b"
    one.write_bytes(b"xy")
    two.write_bytes(b"z")
    first = digest([one, two])
    one.write_bytes(b"x")
    two.write_bytes(b"yz")
    assert digest([one, two]) != first
