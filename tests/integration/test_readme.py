"""The README's promises: its examples run as they stand, and are as short as it says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LIBRARY, PLUGIN = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def lines(code: str) -> int:
    return sum(bool(line.strip()) for line in code.splitlines())


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 150
    assert lines(LIBRARY) <= 10
    assert lines(PLUGIN) <= 30


def test_the_library_example_calls_the_tool(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIBRARY], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "name='get_weather'" in done.stdout
    assert "'city': 'Paris'" in done.stdout


def test_the_plugin_example_judges_a_run(
    callsmith: Callable[..., CompletedProcess[str]],
    make_plugin: Callable[..., Path],
    tmp_path: Path,
) -> None:
    make_plugin("brief", PLUGIN, module="brief")
    (tmp_path / "r.yaml").write_text(
        "kind: bakeoff\nname: x\nlimit: 2\ntasks: tiny-tasks\n"
        "arms: {a: {use: tiny, template: gemma4}}\n"
        "verifiers: [brief, {use: brief, options: {at_most: 0}}]\n"
    )
    done = callsmith("run", "r.yaml", "--json", "--quiet")
    assert done.returncode == 0, done.stderr
    rates = json.loads(done.stdout)["arms"]["a"]["verifiers"]
    assert rates["brief"]["total"] == rates["brief#2"]["total"] == 2


def test_every_built_in_is_in_the_table(callsmith: Callable[..., CompletedProcess[str]]) -> None:
    listed = json.loads(callsmith("plugins", "--json").stdout)
    names = {
        component["name"]
        for plugin in listed
        if plugin["distribution"] == "callsmith"
        for component in plugin["components"]
        if component["kind"] != "verifier"
    }
    assert names
    assert [name for name in sorted(names) if f"`{name}`" not in README] == []
