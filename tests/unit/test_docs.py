"""The documentation: generated pages are up to date, links lead somewhere, examples work."""

from __future__ import annotations

import importlib.util
import json
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
import yaml

from callsmith import load, plan_bakeoff
from callsmith.cli.main import cli
from callsmith.config import BakeoffFile
from callsmith.pipeline import plan_pipeline
from callsmith.pipeline.frames import parse_any_run_file
from fixtures.markdown import ROOT, Block, anchors, blocks, links, pages

PAGES = pages()
SHELLS = ("console", "sh", "bash", "shell")
GENERATED = ("cli", "errors", "hooks", "run-files", "values")

# A run file that a fragment is laid over.
BASE = """
kind: bakeoff
name: base
tasks: tiny-tasks
arms: {a: {use: tiny, template: gemma4}}
"""

# Runs blocks one after the other in one namespace, as a reader does who follows a page.
DRIVER = """
import json, sys
for name, source in json.load(sys.stdin):
    exec(compile(source, name, "exec"), globals())
"""


def name_of(item: object) -> str:
    return str(item.relative_to(ROOT)) if isinstance(item, Path) else ""


def having(*languages: str) -> list[Path]:
    """The pages with a block in one of these languages."""
    return [page for page in PAGES if any(b.language in languages for b in blocks(page))]


def where(page: Path, block: Block) -> str:
    return f"{name_of(page)}:{block.line}"


@cache
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", GENERATED)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    committed = (ROOT / "docs" / "reference" / f"{name}.md").read_text(encoding="utf-8")
    assert committed == generator().PAGES[f"reference/{name}.md"](), "run: make docs"


def test_every_generated_page_is_compared() -> None:
    assert set(generator().PAGES) == {f"reference/{name}.md" for name in GENERATED}


def test_pages_do_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = [page() for page in generator().PAGES.values()]
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("TERMINAL_WIDTH", "30")
    assert [page() for page in generator().PAGES.values()] == wide


def test_every_key_of_a_run_file_is_explained() -> None:
    page = (ROOT / "docs" / "reference" / "run-files.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert rows
    assert [row[0] for row in rows if row[-1].strip(" |") == ""] == []


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    assert set(generator().write(tmp_path)) == set(generator().PAGES)
    assert generator().write(tmp_path) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{name_of(page)} links to {target}, which does not exist"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{name_of(page)}: {target}: no such heading"


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / target.partition("#")[0]).resolve() for target in links(index)}
    inner = {p for p in PAGES if p.is_relative_to(ROOT / "docs") and p != index}
    decisions = {p for p in inner if p.parent.name == "decisions" and p.name != "README.md"}
    assert [name_of(p) for p in sorted(inner - decisions - listed)] == []


def test_every_decision_is_in_its_index() -> None:
    index = ROOT / "docs" / "decisions" / "README.md"
    listed = {(index.parent / target).resolve() for target in links(index)}
    assert {p for p in PAGES if p.parent == index.parent} == listed | {index}


def test_no_place_is_left_to_be_filled_in() -> None:
    marked = [name_of(page) for page in PAGES if "QUICKSTART_" in page.read_text("utf-8")]
    assert marked == []


@pytest.mark.parametrize("page", having("python"), ids=name_of)
def test_python_runs(page: Path, tmp_path: Path) -> None:
    found = [block for block in blocks(page) if block.language == "python"]
    for block in found:
        compile(block.text, where(page, block), "exec")
    sources = [(where(page, block), block.text) for block in found if not block.file]
    for block in blocks(page):  # what the page told its reader to write before
        if block.file and block.language in ("yaml", "json", "jsonl"):
            (tmp_path / block.file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps(sources),
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.parametrize("page", having("yaml"), ids=name_of)
def test_run_files_are_valid(page: Path) -> None:
    found = [block for block in blocks(page) if block.language == "yaml"]
    catalog = load(environment={})
    for block in found:
        data = yaml.safe_load(block.text)
        if "kind" not in data:
            data = laid_over(yaml.safe_load(BASE), data)
        frame = parse_any_run_file(yaml.safe_dump(data), source=where(page, block))
        if block.file:  # a tutorial's own plugins are not installed here; it runs elsewhere
            continue
        if isinstance(frame, BakeoffFile):
            plan_bakeoff(frame, catalog)
        else:
            plan_pipeline(frame, catalog)


def laid_over(base: dict[str, Any], fragment: dict[str, Any]) -> dict[str, Any]:
    """The base with the fragment's keys; a benchmark takes the place of the tasks.

    Steps are those of a pipeline without anything else.
    """
    if "steps" in fragment and isinstance(fragment["steps"], dict):
        return {"kind": "pipeline", "name": "base", **fragment}
    if "eval" in fragment:
        base.pop("tasks")
    return base | fragment


def test_json_is_json() -> None:
    for page in having("json", "jsonl"):
        for block in blocks(page):
            texts = [block.text] if block.language == "json" else block.text.splitlines()
            for text in texts if block.language in ("json", "jsonl") else ():
                json.loads(text)


@pytest.mark.parametrize("page", having(*SHELLS), ids=name_of)
def test_commands_exist(page: Path) -> None:
    for block in blocks(page):
        if block.language not in SHELLS:
            continue
        for line in commands(block):
            words = shlex.split(line, comments=True)
            while "callsmith" in words:
                words = words[words.index("callsmith") + 1 :]
                check_command(words, f"{where(page, block)}: {line}")
            if words[:1] == ["make"]:
                makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
                for target in (word for word in words[1:] if "=" not in word):
                    assert f"\n{target}:" in makefile, f"{where(page, block)}: no target {target}"


def commands(block: Block) -> list[str]:
    """The commands of a block: after `$ ` where there is one, or else every line."""
    lines = block.text.replace("\\\n", " ").splitlines()
    prompted = [line[2:] for line in lines if line.startswith("$ ")]
    return prompted or [line for line in lines if not line.startswith("#")]


def check_command(words: list[str], place: str) -> None:
    """Raises where the command, an option or the number of arguments is wrong."""
    for separator in ("|", "||", "&&", ";", ">", "<", "2>"):
        if separator in words:
            words = words[: words.index(separator)]
    context = click.Context(cli, info_name="callsmith")
    if not words or words[0] in ("--help", "-h", "--version"):
        return
    command = cli.get_command(context, words[0])
    assert command is not None, f"{place}: there is no such command"
    if "--help" in words or "-h" in words:
        return
    try:
        command.make_context(words[0], words[1:], parent=context)
    except click.ClickException as error:
        pytest.fail(f"{place}: {error.format_message()}")
