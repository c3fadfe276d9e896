"""Folders of bases and adapters are told apart without loading anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from callsmith import ConfigError
from callsmith_trl.folders import (
    WHOLE,
    check_base,
    last_whole,
    read_adapter_config,
)


def fill(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


def refuse(call: Callable[[], object]) -> str:
    with pytest.raises(ConfigError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_each_missing_part_of_a_base_is_named(tmp_path: Path) -> None:
    assert "there is no folder" in refuse(lambda: check_base(tmp_path / "none"))
    folder = fill(tmp_path / "base")
    for name, text in (("config.json", "{}"), ("tokenizer.json", "{}")):
        assert name in refuse(lambda: check_base(folder))
        (folder / name).write_text(text)
    assert "no weights" in refuse(lambda: check_base(folder))
    (folder / "model.safetensors").write_bytes(b"x")
    check_base(folder)


def test_an_adapter_is_no_base_and_a_base_no_adapter(tmp_path: Path) -> None:
    adapter = fill(tmp_path / "a", adapter_config__json='{"peft_type": "LORA"}', x__safetensors="x")
    base = fill(tmp_path / "b", config__json="{}", tokenizer__json="{}", x__safetensors="x")
    assert "is an adapter" in refuse(lambda: check_base(adapter))
    assert "holds no adapter" in refuse(lambda: read_adapter_config(base))
    assert read_adapter_config(adapter)["peft_type"] == "LORA"


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_damaged_adapter_is_one_line(tmp_path: Path, text: str) -> None:
    adapter = fill(tmp_path / "a", adapter_config__json=text, x__safetensors="x")
    assert "adapter_config.json" in refuse(lambda: read_adapter_config(adapter))


def test_only_whole_checkpoints_are_resumed_from(tmp_path: Path) -> None:
    assert last_whole(tmp_path) is None
    for number in (5, 9, 10):
        (tmp_path / f"checkpoint-{number}").mkdir()
    assert last_whole(tmp_path) is None
    (tmp_path / "checkpoint-5" / WHOLE).touch()
    (tmp_path / "checkpoint-9" / WHOLE).touch()
    found = last_whole(tmp_path)
    assert found is not None
    assert found.name == "checkpoint-9"
