"""The tutorials, followed to the letter: files are written, commands run, outputs compared."""

from __future__ import annotations

import doctest
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.environment import COMMANDS, Environment
from fixtures.markdown import ROOT, Block, blocks, pages

TUTORIALS = [page for page in pages() if any("run" in block.options for block in blocks(page))]

PROFILE = "addopts= -p quick_profile"


@pytest.fixture
def reader(tmp_path: Path) -> Environment:
    """A newcomer's machine: an environment, and commands that use it."""
    environment = Environment(tmp_path)
    commands = {name: [environment.python, *words] for name, words in COMMANDS.items()}
    # The package's own tests, with few examples; packages are installed without the network.
    commands["pytest"] += shlex.split(f"-o {PROFILE}")
    commands["pip"] = [sys.executable, "-m", "pip", "--python", environment.python]
    folder = tmp_path / "commands"
    folder.mkdir()
    for name, words in commands.items():
        options = " --quiet --no-index --no-deps --no-build-isolation" if name == "pip" else ""
        script = f'#!/bin/sh\nfirst="$1"; shift\nexec {shlex.join(words)} "$first"{options} "$@"\n'
        (folder / name).write_text(script, encoding="utf-8")
        (folder / name).chmod(0o755)
    environment.variables["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
    environment.variables["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    environment.folder = tmp_path / "work"
    shutil.copytree(ROOT / "examples", environment.folder / "examples")
    return environment


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_it_goes_as_it_says(page: Path, reader: Environment) -> None:
    for block in blocks(page):
        if block.file:
            file = reader.folder / block.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        elif block.language == "console" and "run" in block.options:
            for command, expected in said(block):
                compare(page, command, expected, reader)


def test_every_file_that_a_page_has_its_reader_write_is_used() -> None:
    for page in pages():
        if any(block.file for block in blocks(page)):
            assert page in TUTORIALS or any(
                block.language == "python" and not block.file for block in blocks(page)
            ), f"{page.name} has files, and nothing that is run with them"


def said(block: Block) -> Iterator[tuple[str, str]]:
    """(command, what it is said to print) for every command of a block."""
    parts = f"\n{block.text}".split("\n$ ")
    assert parts[0].strip() == "", "a block that runs begins with a command"
    for part in parts[1:]:
        command, _, expected = part.partition("\n")
        yield command, expected


def compare(page: Path, command: str, expected: str, reader: Environment) -> None:
    """Runs a command; where the page shows what it prints, it must print that."""
    done = subprocess.run(
        command, shell=True, cwd=reader.folder, env=reader.variables, capture_output=True, text=True
    )
    refused = expected.startswith("error: ")
    code = 2 if refused else 0
    printed = done.stderr if refused else done.stdout
    assert done.returncode == code, f"{page.name}: {command}\n{done.stdout}\n{done.stderr}"
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    if expected.strip():
        agree = doctest.OutputChecker().check_output(expected, printed, flags)
        assert agree, f"{page.name}: {command} printed\n{printed}\nand not\n{expected}"
