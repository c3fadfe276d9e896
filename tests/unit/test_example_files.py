"""Every run file in examples/ is one that `callsmith check` accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsmith.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "examples").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_is_accepted(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as ended:
        main(["check", str(file)])
    said = capsys.readouterr()
    assert ended.value.code == 0, said.err
    assert said.out.startswith(f"{file}: ok")


def test_there_is_a_recipe_for_each_of_the_two_models() -> None:
    assert {"qwen3-4b-4070", "gemma4-e4b-4070"} <= {file.stem for file in FILES}
