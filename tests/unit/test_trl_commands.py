"""`callsmith parity` and `merge`: wrong names are said before anything is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from callsmith import CallsmithError
from callsmith_trl.commands import parity


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """An adapter's folder that says how it was trained, without weights."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}", encoding="utf-8")
    recipe = {"quantization": "nf4", "template": "gemma4:0", "control_tokens": []}
    (folder / "callsmith.json").write_text(json.dumps({"recipe": recipe}), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("option", "value", "line"),
    [
        ("--base", "gone", "--base: there is no folder gone"),
        ("--base", "adapter", "--base: adapter is an adapter; name its base's folder"),
        ("--merged", "gone", "--merged: there is no folder gone"),
        ("--arms", "gone.yaml", "gone.yaml: cannot be read"),
    ],
)
def test_a_wrong_name_is_one_line(
    checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    option: str,
    value: str,
    line: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(
        parity, [str(checkpoint), "--tasks", "none.jsonl", option, value], standalone_mode=False
    )
    assert isinstance(done.exception, CallsmithError)
    assert str(done.exception).startswith(line)


def test_a_checkpoint_that_does_not_say_how_it_was_trained(checkpoint: Path) -> None:
    (checkpoint / "callsmith.json").unlink()
    base = checkpoint.parent / "base"
    base.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (base / name).write_text("{}", encoding="utf-8")
    given = [str(checkpoint), "--tasks", "none.jsonl", "--base", str(base)]
    done = CliRunner().invoke(parity, given, standalone_mode=False)
    assert "--quantization nf4 or none" in str(done.exception)
    assert str(checkpoint) in str(done.exception)
    done = CliRunner().invoke(parity, [*given, "--quantization", "nf4"], standalone_mode=False)
    assert "--template" in str(done.exception)
