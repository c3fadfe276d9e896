"""Finding an interpreter, and planning and checking the environment of the JAX worker."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from callsmith import ConfigError
from callsmith_jax import environment
from callsmith_jax.commands import jax
from callsmith_jax.interpreters import candidates, find_interpreter, version_of
from callsmith_jax.location import default_home, python_in, worker_python

STAND_IN = Path(__file__).parents[1] / "jax_suite" / "stand_in_worker.py"


def fake(path: Path, version: str) -> Path:
    """An interpreter that says it has a version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(jax, list(arguments), standalone_mode=False)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing on its PATH but a uv that writes down how it is called."""
    for name in ("PYENV_ROOT", "UV_PYTHON_INSTALL_DIR", "XDG_DATA_HOME", "CALLSMITH_JAX_PYTHON"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("CALLSMITH_JAX_HOME", str(tmp_path / "home"))
    uv = fake(tmp_path / "bin" / "uv", "")
    uv.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n[ ! -e {tmp_path}/broken ]\n')
    return tmp_path


def test_the_default_place_follows_the_platform() -> None:
    def place(platform: str, **variables: str) -> str:
        return default_home(variables, platform).as_posix()

    assert place("linux", CALLSMITH_JAX_HOME="/x/y") == "/x/y"
    assert place("linux", XDG_DATA_HOME="/data") == "/data/callsmith/jax"
    assert place("linux") == (Path.home() / ".local/share/callsmith/jax").as_posix()
    assert place("darwin").endswith("Library/Application Support/callsmith/jax")
    assert place("win32", LOCALAPPDATA="C:/Local") == "C:/Local/callsmith/jax"
    assert python_in(Path("e"), "win32").as_posix() == "e/Scripts/python.exe"


def test_the_workers_interpreter(tmp_path: Path) -> None:
    link = tmp_path / "python"
    link.symlink_to(sys.executable)
    assert worker_python(str(link), {"CALLSMITH_JAX_PYTHON": "/other"}) == link
    assert worker_python("", {"CALLSMITH_JAX_PYTHON": str(link)}) == link
    assert worker_python("", {"CALLSMITH_JAX_HOME": "/h"}) == Path("/h/bin/python")


def test_versions() -> None:
    assert version_of(sys.executable) == sys.version_info[:2]
    assert version_of("/no/such/python") is None


def test_the_tested_version_is_taken_before_newer_and_older_ones(home: Path) -> None:
    fake(home / "bin" / "python3.13", "3 13")
    fake(home / "bin" / "python3", "3 11")
    assert find_interpreter() == home / "bin" / "python3.13"
    wanted = fake(home / ".pyenv" / "versions" / "3.12.1" / "bin" / "python3", "3 12")
    fake(home / ".pyenv" / "versions" / "3.9.18" / "bin" / "python3", "3 9")
    assert find_interpreter() == wanted
    assert len(list(candidates())) == 4


def test_interpreters_that_uv_manages_are_found(home: Path) -> None:
    wanted = fake(home / ".local/share/uv/python/cpython-3.12.9/bin/python3", "3 12")
    assert find_interpreter() == wanted


def test_broken_interpreters_are_passed_over(home: Path) -> None:
    fake(home / "bin" / "python3.12", "none of your business")
    assert find_interpreter() is None


def test_the_pins_hold_back_what_breaks_the_tool_loop() -> None:
    pins = environment.pins()
    assert pins["gemma"] == "4.0.1"
    assert int(pins["mcp"].split(".")[0]) < 2
    assert int(pins["fastmcp"].split(".")[0]) < 4
    found: dict[str, str | None] = dict(pins)
    assert environment.differences(found) == []
    changed: dict[str, str | None] = {**found, "mcp": "2.3.0", "flax": None}
    assert environment.differences(changed) == [
        f"flax is missing (tested with {pins['flax']})",
        f"mcp is 2.3.0 (tested with {pins['mcp']})",
    ]


def test_a_dry_run_shows_the_commands_and_runs_none(home: Path) -> None:
    python = fake(home / "bin" / "python3.12", "3 12")
    done = run("setup", "--dry-run", "--cuda")
    assert (done.return_value, done.exception) == (0, None)
    make, install = done.output.splitlines()
    uv = home / "bin" / "uv"
    assert make == f"{uv} venv --allow-existing --python {python} {home / 'home'}"
    assert install.startswith(f"{uv} pip install --python {home / 'home' / 'bin' / 'python'} -r ")
    assert install.endswith(f"'jax[cuda12]=={environment.pins()['jax']}'")
    assert not (home / "calls").exists()


def test_without_any_interpreter_uv_is_left_to_find_one(home: Path) -> None:
    assert f"--python 3.12 {home / 'home'}" in run("setup", "--dry-run").output


def test_setup_runs_uv_and_checks_what_it_made(home: Path) -> None:
    fake(home / "bin" / "python3.12", "3 12")
    made = home / "there" / "bin" / "python"
    made.parent.mkdir(parents=True)
    (home / "there" / "pyvenv.cfg").touch()
    made.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STAND_IN}" "$@"\n')
    made.chmod(0o755)
    done = run("setup", "--dir", str(home / "there"))
    assert done.exception is None
    assert [line.split()[0] for line in (home / "calls").read_text().splitlines()] == [
        "venv",
        "pip",
    ]
    assert "gemma: 4.0.1" in done.output
    assert f"CALLSMITH_JAX_PYTHON={made}" in done.output
    # The stand-in runs on this interpreter, and says so.
    assert ("too old" in done.output) == (sys.version_info < (3, 12))
    assert done.return_value == int(sys.version_info < (3, 12))


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("no uv", "uv is not installed"),
        ("uv fails", "failed with exit code 1"),
        ("too old", "is Python 3.11; the gemma library with Gemma 4 needs 3.12 or newer"),
        ("not running", "--python /no/such: this interpreter does not run"),
        ("occupied", "is not empty and no virtual environment"),
        ("full disk", "GB free and the environment needs 4.3 GB"),
    ],
    ids=["no-uv", "uv-fails", "too-old", "not-running", "occupied", "full-disk"],
)
def test_what_is_missing_is_said_in_one_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, case: str, message: str
) -> None:
    fake(home / "bin" / "python3.12", "3 12")
    arguments = ["setup"]
    if case == "no uv":
        (home / "bin" / "uv").unlink()
        monkeypatch.setattr(sys, "path", [])
    if case == "uv fails":
        (home / "broken").touch()
    if case == "too old":
        arguments += ["--python", str(fake(home / "old", "3 11"))]
    if case == "not running":
        arguments += ["--python", "/no/such"]
    if case == "occupied":
        (home / "home").mkdir()
        (home / "home" / "letter").touch()
    if case == "full disk":
        usage = type("Usage", (), {"free": 1_000_000_000})
        monkeypatch.setattr(environment.shutil, "disk_usage", lambda path: usage)
    done = run(*arguments)
    assert isinstance(done.exception, ConfigError)
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)


def checked(python: Path, **variables: Any) -> Result:
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STAND_IN}" "$@"\n')
    python.chmod(0o755)
    return CliRunner(env=variables).invoke(
        jax, ["check", "--python", str(python)], standalone_mode=False
    )


def test_check_says_what_is_there_and_what_is_missing(tmp_path: Path) -> None:
    done = checked(tmp_path / "python", STAND_IN_LACKS="mcp fastmcp")
    assert done.exception is None
    assert done.return_value == 1
    assert "mcp: missing" in done.output
    assert "problem: fastmcp is missing (tested with" in done.output
    assert "run `callsmith jax setup`" in done.output


def test_check_finds_libraries_that_do_not_fit_together(tmp_path: Path) -> None:
    done = checked(tmp_path / "python", STAND_IN_CANNOT_IMPORT="1")
    assert done.return_value == 1
    assert "problem: the libraries cannot be used: ImportError: gencode 7.36.1" in done.output


def test_everything_that_is_required_is_constrained_alike() -> None:
    lines = environment.CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    held = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert len(held) > 200
    assert environment.pins().items() <= held.items()


def test_check_of_an_interpreter_that_is_not_there() -> None:
    done = run("check", "--python", "/no/such/python")
    assert isinstance(done.exception, ConfigError)
    assert "/no/such/python does not exist; run `callsmith jax setup`" in str(done.exception)


def test_check_of_what_is_no_interpreter(tmp_path: Path) -> None:
    done = run("check", "--python", str(fake(tmp_path / "python", "hello")))
    assert isinstance(done.exception, ConfigError)
    assert "wrote what is no answer: 'hello'" in str(done.exception)
