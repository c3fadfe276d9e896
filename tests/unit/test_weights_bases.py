"""An adapter knows its base by the base's files, and says so in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from callsmith import ConfigError, check_adapter_base, weights_fingerprint


def weights(folder: Path, content: bytes, name: str = "model.safetensors") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return folder


def adapter_of(base: Path, folder: Path) -> Path:
    folder.mkdir()
    said = {"base": "tiny/base", "base_fingerprint": weights_fingerprint(base), "recipe": {}}
    (folder / "callsmith.json").write_text(json.dumps(said), encoding="utf-8")
    return folder


def check(adapter: Path, base: Path) -> None:
    check_adapter_base(adapter, weights_fingerprint(base), str(base), path="adapter")


def refusal(adapter: Path, base: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        check(adapter, base)
    return str(caught.value)


@pytest.mark.parametrize(
    "other",
    [b"b" + b"a" * 299_999, b"a" * 150_000 + b"b" + b"a" * 149_999, b"a" * 299_999 + b"b", b"a"],
    ids=["beginning", "middle", "end", "size"],
)
def test_other_weights_have_another_fingerprint(tmp_path: Path, other: bytes) -> None:
    one = weights(tmp_path / "one", b"a" * 300_000)
    same = weights(tmp_path / "same", b"a" * 300_000)
    (same / "config.json").write_text("{}")
    assert weights_fingerprint(one) == weights_fingerprint(same)
    assert weights_fingerprint(one) != weights_fingerprint(weights(tmp_path / "other", other))


def test_old_files_of_weights_count_where_there_are_no_others(tmp_path: Path) -> None:
    old = weights(tmp_path / "old", b"a", "pytorch_model.bin")
    before = weights_fingerprint(old)
    assert before != weights_fingerprint(weights(tmp_path / "b", b"b", "pytorch_model.bin"))
    weights(old, b"a")
    assert weights_fingerprint(old) == weights_fingerprint(weights(tmp_path / "new", b"a"))


def test_an_adapter_of_another_base_is_refused_in_one_line(tmp_path: Path) -> None:
    one, other = weights(tmp_path / "one", b"a"), weights(tmp_path / "other", b"b")
    adapter = adapter_of(one, tmp_path / "adapter")
    check(adapter, one)
    said = refusal(adapter, other)
    assert said == (
        f"adapter: {adapter} was trained on other weights (tiny/base) than those of {other}; name "
        "the base that it belongs to, or an adapter of this one"
    )


@pytest.mark.parametrize("text", [None, "{}", '{"recipe": {}}', '{"base_fingerprint": ""}'])
def test_without_a_record_nothing_is_known(tmp_path: Path, text: str | None) -> None:
    base, adapter = weights(tmp_path / "base", b"a"), tmp_path / "adapter"
    adapter.mkdir()
    if text is not None:
        (adapter / "callsmith.json").write_text(text)
    check(adapter, base)


@pytest.mark.parametrize("text", ["{", "[]", "7"])
def test_a_damaged_record_is_refused(tmp_path: Path, text: str) -> None:
    base, adapter = weights(tmp_path / "base", b"a"), tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "callsmith.json").write_text(text)
    assert "callsmith.json is damaged; save the adapter again" in refusal(adapter, base)
