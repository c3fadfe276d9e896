"""`callsmith new-plugin`: every kind is written, installed, tested by its own tests, and run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from callsmith.cli.main import main
from fixtures.environment import Environment

KINDS = {
    "scaffold-arm": ["--kind", "arm"],
    "scaffold-chat": ["--kind", "arm", "--chat"],
    "scaffold-template": ["--kind", "template"],
    "scaffold-verifier": ["--kind", "verifier"],
    "scaffold-taskset": ["--kind", "taskset"],
    "scaffold-toolbox": ["--kind", "toolbox"],
    "scaffold-eval": ["--kind", "eval"],
    "scaffold-trainer": ["--kind", "trainer"],
    "scaffold-command": ["--kind", "command"],
}

RUN_FILE = """
kind: bakeoff
name: scaffolds
tasks: {use: scaffold-taskset, options: {count: 3}}
arms:
  engine: {use: scaffold-arm, template: scaffold-template}
  chat: {use: scaffold-chat}
verifiers: [scaffold-verifier]
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """One package of every kind, all installed in one environment."""
    folder = tmp_path_factory.mktemp("plugins")
    for name, options in KINDS.items():
        new_plugin(name, *options, "--dir", str(folder))
    found = Environment(folder)
    found.install(*(item for name in KINDS for item in ("-e", f"./callsmith-{name}")))
    return found


def new_plugin(*arguments: str) -> None:
    """Runs `callsmith new-plugin`, which must succeed."""
    with pytest.raises(SystemExit) as end:
        main(["new-plugin", *arguments])
    assert end.value.code == 0


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Runs `callsmith new-plugin`, which must refuse, and returns its one line."""
    with pytest.raises(SystemExit) as end:
        main(["new-plugin", *arguments])
    captured = capsys.readouterr()
    assert end.value.code == 2
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line


@pytest.mark.parametrize("name", KINDS)
def test_the_package_passes_its_own_tests(installed: Environment, name: str) -> None:
    assert " passed" in installed.test(installed.folder / f"callsmith-{name}")


def test_every_plugin_is_listed_and_sound(installed: Environment) -> None:
    found = {item["name"]: item for item in json.loads(installed.callsmith("plugins", "--json"))}
    for name, options in KINDS.items():
        assert (found[name]["status"], found[name]["cause"]) == ("ok", "")
        assert found[name]["distribution"] == f"callsmith-{name}"
        (component,) = found[name]["components"]
        assert (component["kind"], component["name"]) == (options[1], name)
        assert component["summary"]


def test_they_make_a_bake_off_together(installed: Environment) -> None:
    (installed.folder / "run.yaml").write_text(RUN_FILE, encoding="utf-8")
    said = installed.callsmith("run", "run.yaml", "--out", "run", "--json", "--quiet")
    arms: Mapping[str, Any] = json.loads(said)["arms"]
    assert arms["engine"]["halts"] == {"answered": 3}
    assert arms["chat"]["halts"] == {"calls": 3}
    for arm in arms.values():
        assert arm["verifiers"]["scaffold-verifier"]["passed"] == 3


def test_the_code_is_typed_and_tidy(installed: Environment) -> None:
    packages = [str(installed.folder / f"callsmith-{name}") for name in KINDS]
    installed.check([sys.executable, "-m", "ruff", "check", "--no-cache", *packages])
    installed.check([sys.executable, "-m", "ruff", "format", "--no-cache", "--check", *packages])
    sources = [str(source) for package in packages for source in Path(package).glob("src/*")]
    installed.check(
        [installed.python, "-m", "mypy", "--strict", "--cache-dir", os.devnull, *sources]
    )


def test_a_package_has_what_a_package_needs(installed: Environment) -> None:
    folder = installed.folder / "callsmith-scaffold-verifier"
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written >= {
        "README.md",
        "pyproject.toml",
        "src/callsmith_scaffold_verifier/__init__.py",
        "src/callsmith_scaffold_verifier/config.py",
        "src/callsmith_scaffold_verifier/py.typed",
        "src/callsmith_scaffold_verifier/verifier.py",
        "tests/test_verifier.py",
    }


def test_the_next_three_commands_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new_plugin("weather", "--kind", "toolbox", "--dir", str(tmp_path))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[-3:]] == [
        ["pip", "install"],
        ["pytest", str(tmp_path / "callsmith-weather")],
        ["callsmith", "plugins"],
    ]


@pytest.mark.parametrize(
    "name",
    ["", "Weather", "weather_report", "3d", "-a", "a-", "a--b", "a b", "../a", "é", "a" * 31],
)
def test_a_bad_name_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    line = refused(capsys, "--kind", "arm", "--dir", str(tmp_path), "--", name)
    assert line.startswith(f"error: {name!r} is no name for a plugin")
    assert list(tmp_path.iterdir()) == []


def test_the_prefix_is_not_doubled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "callsmith-weather", "--kind", "arm", "--dir", str(tmp_path))
    assert "leave it out" in line


def test_the_name_of_an_installed_plugin_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, "gemma4", "--kind", "template", "--dir", str(tmp_path))
    assert "'gemma4' is taken by the plugin 'gemma4' of callsmith" in line


@pytest.mark.parametrize(
    ("kind", "hint"),
    [("verifyer", "did you mean 'verifier'?"), ("x", "there are: arm, template, trainer")],
)
def test_an_unknown_kind_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, hint: str
) -> None:
    line = refused(capsys, "weather", "--kind", kind, "--dir", str(tmp_path))
    assert f"there is no kind {kind!r}" in line
    assert hint in line


def test_chat_is_for_arms_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "weather", "--kind", "eval", "--chat", "--dir", str(tmp_path))
    assert "--chat is for --kind arm" in line


def test_an_existing_folder_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "callsmith-weather" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine", encoding="utf-8")
    line = refused(capsys, "weather", "--kind", "arm", "--dir", str(tmp_path))
    assert "callsmith-weather: exists already; nothing was written" in line
    assert [path.name for path in mine.parent.iterdir()] == ["mine.txt"]
    assert mine.read_text(encoding="utf-8") == "mine"


def test_a_file_in_the_way_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    line = refused(capsys, "weather", "--kind", "arm", "--dir", str(tmp_path / "file" / "below"))
    assert "cannot be written" in line
