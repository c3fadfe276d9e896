"""Where the wheel is looked for, that nothing else is opened, and what is read without running."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from callsmith_bfcl.literals import Literals
from callsmith_bfcl.registry import registry
from callsmith_bfcl.wheel import (
    FILE_NAME,
    MissingDataError,
    cache_folder,
    cached_wheel,
    open_wheel,
    wheel_path,
)
from fixtures.small_bfcl import MODELS, archive, find_wheel, small_wheel


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no wheel chosen."""
    monkeypatch.setenv("CALLSMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CALLSMITH_BFCL_WHEEL", raising=False)
    return tmp_path / "cache"


def test_the_cache_can_be_chosen(cache: Path) -> None:
    assert cache_folder() == cache
    assert wheel_path() == cached_wheel() == cache / "bfcl" / FILE_NAME


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the XDG specification")
def test_the_cache_follows_the_xdg_specification(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CALLSMITH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "callsmith"
    for ignored in ("", "relative/folder"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        monkeypatch.setenv("HOME", str(tmp_path))
        assert cache_folder() == tmp_path / ".cache" / "callsmith"


def test_a_missing_wheel_says_how_to_get_it(cache: Path) -> None:
    with pytest.raises(MissingDataError, match="run `callsmith bfcl fetch`") as caught:
        open_wheel()
    assert caught.value.path == str(cached_wheel())


def test_a_chosen_file_that_is_missing_is_not_blamed_on_the_cache(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLSMITH_BFCL_WHEEL", str(tmp_path / "gone.whl"))
    with pytest.raises(MissingDataError, match="CALLSMITH_BFCL_WHEEL names this file") as caught:
        open_wheel()
    assert caught.value.path == str(tmp_path / "gone.whl")


def test_another_archive_is_never_opened(cache: Path, tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(archive())
    with pytest.raises(MissingDataError, match=r"its sha256 is .* expected 8555bc94"):
        open_wheel(path)


def test_a_folder_is_no_wheel(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="cannot be read"):
        open_wheel(tmp_path)


def test_files_are_read_by_their_name_in_the_package() -> None:
    wheel = small_wheel()
    assert b"GORILLA_TO_OPENAPI" in wheel.read("constants/type_mappings.py")
    assert "constants/type_mappings.py" in wheel.names()
    with pytest.raises(MissingDataError, match=r"holds no file bfcl_eval/nothing\.py"):
        wheel.read("nothing.py")


def test_the_real_wheel_verifies_and_is_read() -> None:
    wheel = find_wheel()
    assert wheel.read("data/BFCL_v4_multiple.json").startswith(b'{"id": "multiple_0"')


def test_literals_are_read_and_nothing_runs(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    source = f"""
import os
open({str(witness)!r}, "w")
A = "a" + B
B = "b"
TABLE = {{"x": [1, 2.5, None, True], "y": {{**OTHER, "z": A}}}}
OTHER = {{"w": f"<{{B}}>"}}
CALL = open({str(witness)!r}, "w")
"""
    literals = Literals(source.encode(), place="file.py")
    assert literals.value("TABLE") == {"x": [1, 2.5, None, True], "y": {"w": "<b>", "z": "ab"}}
    with pytest.raises(MissingDataError, match="no constant in line 8"):
        literals.value("CALL")
    with pytest.raises(MissingDataError, match="assigns nothing to GONE"):
        literals.value("GONE")
    assert not witness.exists()


def test_texts_of_functions_become_format_templates() -> None:
    source = b"""
def outer():
    def inner():
        text += f"{a} and {b} in {{braces}}"
    text += "{as they are}"
    return "out"
"""
    literals = Literals(source, place="file.py")
    first, second = literals.added_texts("outer")
    assert first.format(1, 2) == "1 and 2 in {braces}"
    assert second.format() == "{as they are}"
    assert literals.added_texts("inner") == [first]
    assert literals.returned_texts("outer") == ["out"]
    with pytest.raises(MissingDataError, match="defines no function missing"):
        literals.added_texts("missing")


def test_what_is_no_python_is_said_so() -> None:
    with pytest.raises(MissingDataError, match="is not Python source"):
        Literals(b"def (", place="file.py")


def test_the_registry_is_read_with_its_settings() -> None:
    models = registry(small_wheel())
    assert list(models) == ["maker/alpha-FC", "beta"]
    alpha, beta = models.values()
    assert (alpha.model_name, alpha.display_name, alpha.org) == ("alpha", "Alpha (FC)", "Maker")
    assert (alpha.input_price, alpha.output_price, alpha.handler) == (0.5, 2, "HandlerA")
    assert alpha.is_fc_model
    assert alpha.underscore_to_dot
    assert alpha.folder == "maker_alpha-FC"
    assert (beta.input_price, beta.is_fc_model, beta.underscore_to_dot) == (None, False, False)


@pytest.mark.parametrize(
    "source",
    [
        MODELS.replace('"beta": ModelConfig(', '"beta": ModelConfig("beta", '),
        MODELS.replace('org="Else"', "org=compute()"),
        MODELS.replace('org="Else"', 'organisation="Else"'),
        MODELS.replace('org="Else", ', ""),
        MODELS.replace("second = {", "second = dict({").replace("}\nMODEL", "})\nMODEL"),
    ],
    ids=["positional", "computed", "unknown", "incomplete", "no table"],
)
def test_a_registry_of_another_form_is_refused(source: str) -> None:
    with pytest.raises(MissingDataError, match=r"in line \d+"):
        registry(small_wheel({"constants/model_config.py": source}))


def test_the_real_registry() -> None:
    models = registry(find_wheel())
    assert len(models) == 168
    dotted = [item for item in models.values() if item.underscore_to_dot]
    assert len(dotted) == 52
    assert all(item.is_fc_model for item in dotted)
    assert sum(item.is_fc_model for item in models.values()) == 98
    assert models["gpt-4o-2024-11-20-FC"].underscore_to_dot
    assert not models["gpt-4o-2024-11-20"].is_fc_model
