"""What a right call is, is decided in one place: by verifiers, which everybody else asks.

Data filters, pair mining, rewards, probes and evaluation must agree, or a model is trained on one
idea of "right" and measured on another. So no module outside of those named below may compare the
arguments of calls with each other. The search is by syntax tree, and it is tested on planted code.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("framework", "plugins")

JUDGES = {
    "plugins/evals/callsmith_checks": "the verifiers themselves",
    "plugins/evals/callsmith_bfcl": "BFCL's own rules, which its published scores are made by",
}
"""Packages whose task it is to say what a right call is."""

COMPARISONS = {
    "framework/callsmith/testing": "contracts: what was read against what was written, of one call",
    "plugins/evals/callsmith_tasks/data/rendering.py": "does a parser read back what a template "
    "wrote, character for character; nothing here is a model's",
    "plugins/trainers/callsmith_trl/rows.py": "the same, for the row that is learnt",
    "plugins/trainers/callsmith_trl/pair_judges.py": "the same, for an episode's text and reply",
    "plugins/trainers/callsmith_trl/pair_reasons.py": "gives a name to what is wrong with a call "
    "that a verifier has refused; it decides nothing",
    "plugins/arms/callsmith_tiny/training/evaluate.py": "a development script on generated "
    "examples that are no tasks; equality to the letter, in order, and no other rule",
}
"""Modules that compare calls and judge no model, or judge it where no task exists."""

ARGUMENTS = "arguments"
CALLS = ("call", "calls", "tool_call", "tool_calls")
GOLD = ("gold", "wanted", "expected", "target", "truth", "reference")
"""Words in the names of things that a call is compared with."""


@functools.cache
def speaking() -> Mapping[str, list[int]]:
    """The lines of everything that is shipped where calls are compared, by path."""
    found: dict[str, list[int]] = {}
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            source = file.read_text(encoding="utf-8")
            # Most files say nothing of the kind, and reading them takes time.
            if ARGUMENTS in source or "calls" in source:
                found[file.relative_to(ROOT).as_posix()] = comparisons(source)
    return {path: lines for path, lines in found.items() if lines}


def comparisons(source: str) -> list[int]:
    """The lines that compare arguments of calls with each other, or calls with gold ones.

    A comparison (`==`, `!=`, `in`) counts if both sides speak of arguments, or if one does and the
    other speaks of gold; for equality also if one speaks of calls and the other of gold. A side
    speaks of something directly, or by a variable that was made from it in the same function. How
    many there are is not compared here, and `assert` judges nothing.
    """
    found: set[int] = set()
    for scope in scopes(ast.parse(source)):
        if not any(isinstance(node, ast.Compare) for node in own_nodes(scope)):
            continue
        flavours = tainted(scope)
        for child in ast.iter_child_nodes(scope):
            search(child, flavours, found)
    return sorted(found)


def search(node: ast.AST, flavours: Mapping[str, set[str]], found: set[int]) -> None:
    """Adds the lines of a scope's comparisons; `flavours` as of `tainted`."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Assert):
        return
    if isinstance(node, ast.Compare) and compares_calls(node, flavours):
        found.add(node.lineno)
    flavours = bound(node, flavours)
    for child in ast.iter_child_nodes(node):
        search(child, flavours, found)


def compares_calls(node: ast.Compare, flavours: Mapping[str, set[str]]) -> bool:
    equal = all(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops)
    if not (equal or any(isinstance(op, ast.In | ast.NotIn) for op in node.ops)):
        return False
    sides = [flavour_of(side, flavours) for side in (node.left, *node.comparators)]
    spoken = [side for side in sides if ARGUMENTS in side]
    made = any("calls" in side and "gold" not in side for side in sides)
    gold = any("gold" in side for side in sides)
    return len(spoken) > 1 or (gold and bool(spoken or (equal and made)))


def bound(node: ast.AST, flavours: Mapping[str, set[str]]) -> Mapping[str, set[str]]:
    """The same with the variables of a comprehension."""
    if not isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
        return flavours
    inner = dict(flavours)
    for part in node.generators:
        flavour = flavour_of(part.iter, inner)
        inner |= {one.id: flavour for one in ast.walk(part.target) if isinstance(one, ast.Name)}
    return inner


def scopes(tree: ast.Module) -> Iterator[ast.AST]:
    """The module and every function in it."""
    yield tree
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """All nodes of a scope that are not in a function inside it, nor in an assertion."""
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Assert):
            continue
        yield node
        waiting.extend(ast.iter_child_nodes(node))


def tainted(scope: ast.AST) -> dict[str, set[str]]:
    """What the variables of a scope speak of, by following assignments and loops."""
    flavours: dict[str, set[str]] = {}
    bindings: list[tuple[ast.AST, ast.AST]] = []
    for node in own_nodes(scope):
        if isinstance(node, ast.Assign):
            bindings += [(target, node.value) for target in node.targets]
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            bindings.append((node.target, node.value))
        elif isinstance(node, ast.For | ast.AsyncFor):
            bindings.append((node.target, node.iter))
    for _ in range(3):  # assignments may build on each other
        for target, value in bindings:
            flavour = flavour_of(value, flavours)
            for name in ast.walk(target):
                if isinstance(name, ast.Name):
                    flavours.setdefault(name.id, set()).update(flavour)
    return flavours


def flavour_of(node: ast.AST, flavours: Mapping[str, set[str]]) -> set[str]:
    """Whether an expression speaks of the arguments of calls, of calls, and of gold."""
    word, found = "", set()
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len":
        return set()
    flavours = bound(node, flavours)
    if isinstance(node, ast.Attribute):
        word = node.attr
    elif isinstance(node, ast.Name):
        word = node.id
        found |= flavours.get(word, set())
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        word = node.value if node.value.isidentifier() else ""
    if word == ARGUMENTS and not isinstance(node, ast.Name):
        found.add(ARGUMENTS)
    if word in CALLS:
        found.add("calls")
    if any(gold in word.lower() for gold in GOLD):
        found.add("gold")
    for child in ast.iter_child_nodes(node):
        found |= flavour_of(child, flavours)
    return found


def allowed(path: str, places: dict[str, str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def test_nobody_but_the_verifiers_compares_calls() -> None:
    found = {
        path: lines
        for path, lines in speaking().items()
        if not allowed(path, JUDGES) and not allowed(path, COMPARISONS)
    }
    assert not found, (
        f"{found} compare the arguments of calls: ask a verifier (`verifier.verify(task, trace)`), "
        "or, where no model's answer is judged, name the module in this test with the reason"
    )


def test_the_exceptions_are_needed() -> None:
    """An entry whose module compares nothing any more has to go."""
    for place in (*JUDGES, *COMPARISONS):
        assert any(allowed(path, {place: ""}) for path in speaking()), f"{place} compares nothing"


PLANTED = {
    "attribute": "def reward(task, call):\n"
    "    gold = task.target['calls'][0]\n"
    "    return call.arguments == gold['arguments']\n",
    "gold": "def reward(call, wanted):\n    return float(call.arguments == wanted)\n",
    "through variables": "def is_right(task, trace):\n"
    "    wanted = task.target['calls']\n"
    "    made = [(call.name, call.arguments) for call in trace.calls]\n"
    "    return made == wanted\n",
    "one by one": "def right(call, row):\n"
    "    for key, value in row['arguments'].items():\n"
    "        if call.arguments.get(key) != value:\n"
    "            return False\n"
    "    return True\n",
    "membership": "def right(call, golds):\n"
    "    return (call.name, call.arguments) in [(g['name'], g['arguments']) for g in golds]\n",
    "whole calls": "def right(trace, task):\n"
    "    return list(trace.calls) == task.target['calls']\n",
    "names": "def right(calls, wanted):\n"
    "    return [name for name, _ in calls] == [name for name, _ in wanted]\n",
    "in a comprehension": "def right(call, row):\n"
    "    return all(call.arguments[k] == v for k, v in row['arguments'].items())\n",
    "filter": "kept = [t for t in rows if t.calls[0].arguments != t.target['calls'][0]]\n",
}


@pytest.mark.parametrize("name", PLANTED)
@pytest.mark.parametrize(
    "package", ["plugins/trainers/callsmith_trl", "plugins/evals/callsmith_tasks"]
)
def test_a_second_judge_would_be_found(name: str, package: str) -> None:
    assert comparisons(PLANTED[name])
    planted = f"{package}/planted.py"
    assert not allowed(planted, JUDGES)
    assert not allowed(planted, COMPARISONS)


@pytest.mark.parametrize(
    "source",
    [
        "def score(verifier, task, trace):\n    return verifier.verify(task, trace).score\n",
        "def check(call):\n    return call.arguments == {}\n",
        "def check(calls, wanted):\n    return len(calls) == len(wanted)\n",
        "def check(call, tools):\n    return call.name in tools\n",
        "def check(row):\n    return row.get('arguments') is None\n",
    ],
    ids=["asks a verifier", "no arguments", "how many", "known tool", "missing"],
)
def test_what_judges_nothing_is_left_alone(source: str) -> None:
    assert not comparisons(source)


ASKING = (
    "plugins/trainers/callsmith_trl/rewards.py",
    "plugins/trainers/callsmith_trl/rates.py",
    "plugins/trainers/callsmith_trl/pair_judges.py",
)
"""Rewards, probes, pair mining."""


@pytest.mark.parametrize("path", ASKING)
def test_who_has_to_judge_asks_a_verifier(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "verify"
    ]
    assert calls, f"{path} judges by itself"
