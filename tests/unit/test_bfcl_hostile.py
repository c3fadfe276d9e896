"""Text that tries to get out, hang or fill the memory: nothing of it is ever executed.

A child process scores a hostile corpus under `sys.addaudithook`, with a limit on its memory and on
its processor time. `ast.parse` is the builtin `compile` with a flag, and so raises the audit event
`compile`; ours are known by the file name `<model call>`. A syntax tree alone runs nothing: what
runs a text, a code object or an import raises `exec`, `import` or another event, and of those there
must be none, nor of any other kind (`open`, `subprocess.Popen`, `socket.connect`, …). What is let
through: `exec` of the benchmark's own modules, known by their file, our look at the defaults of
their functions, and `builtins.id`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from callsmith_bfcl.multi_turn.apis import Apis, InitialStates, Side
from callsmith_bfcl.multi_turn.loader import FOLDER, LONG_CONTEXT, MODULES, ApiSources
from callsmith_bfcl.multi_turn.parsing import PARSED_AS
from fixtures.small_apis import SmallApis, SmallEntry

CANARY = "canary_of_the_hostile_corpus"

REACHING_OUT = [
    f"open('{CANARY}', 'w')",
    f"__import__('os').mkdir('{CANARY}')",
    f"__import__('os').system('touch {CANARY}')",
    "__import__('socket').create_connection(('127.0.0.1', 9))",
    "importlib.import_module('os').getcwd()",
    "subprocess.run(['true'])",
    "eval('1')",
    "exec('x = 1')",
    "compile('1', 'x', 'eval')",
    "eval(compile('1', 'x', 'eval'))",
    "globals()",
    "locals()",
    "vars()",
    "getattr(titles(), 'append')(1)",
    "setattr(str, 'x', 1)",
    "().__class__.__bases__[0].__subclasses__()",
    "''.__class__.__mro__[1].__subclasses__()[0]",
    "titles().__class__.__init__.__globals__",
    "titles.__globals__['__builtins__']",
    "create_ticket.__func__.__globals__",
    "titles().__reduce_ex__(2)",
    "'{0.__class__.__mro__}'.format(1)",
    "'{0.__class__}'.format_map({})",
    "'%s' % titles()",
    "f'{open}'",
    "f'{().__class__}'",
    "str.format('{0.__class__}', 1)",
    "type('X', (), {})()",
    "(lambda: open('x'))()",
    "[c for c in ().__class__.__mro__]",
    "{x: 1 for x in [1]}",
    "next(x for x in [1])",
    "(x := open)",
    "(yield 1)",
    "(await titles())",
    "breakpoint()",
    "input()",
    "help()",
    "exit()",
    "quit()",
    "object.__subclasses__()",
    "__builtins__['open']('x')",
    "__builtins__.open('x')",
    "__loader__.load_module('os')",
    "json.codecs.open('x')",
    "copy.os.system('true')",
    "inspect.os.system('true')",
    "type(titles())",
    "print(titles(), file=open('x', 'w'))",
    "sorted([1], key=__import__)",
    "max([1, 2], key=eval)",
    "dict(**__builtins__)",
    "str(b'x', encoding='utf-8')",
    "create_ticket(title=open)",
    "create_ticket(title=().__class__)",
    "\\x6fpen('x')",
    "ｏｐｅｎ('x')",
    "titles(\x00)",
    "titles()\n__import__('os')",
    "titles();import os",
    "#\nopen('x')",
]
"""Attribute walks, imports, builtins, format strings: most of them run under `eval`."""

TOO_LARGE = [
    "9**9**9",
    "9**9**9**9",
    "2**10**10",
    "power(9, 9**9)",
    "power(base=9, exponent=387420489)",
    "1 << 10**12",
    "'a' * 10**10",
    "10**9 * [0]",
    "[[[0] * 1000] * 1000] * 1000",
    "('a' * 10**6) * 10**6",
    "str([['a' * 1000] * 1000])",
    "',' .join(['a' * 1000] * 10**6)",
    "('a' * 1000).replace('a', 'b' * 10**6)",
    "list(range(10**12))",
    "sum(range(10**12))",
    "1.5 in range(10**12)",
    "[*range(10**12)]",
    "titles(*range(10**12))",
    "max(range(10**12))",
    "'x' in range(10**12)",
    "round(1, -10**10)",
    "round_number(1, -10**10)",
    "logarithm(2, 3, 10**9)",
    "logarithm('1e999999999', 2, 5)",
    "logarithm('1e1_000_000_000', 2, 5)",
    "logarithm('1e 999999999', 2, 5)",
    "square_root(2, 10**9)",
    "'%1000000000d' % 1",
    "'{:1000000000}'.format(1)",
    "'a'.ljust(10**10)",
    "'a'.center(10**10)",
    "'\\t'.expandtabs(10**10)",
    "b'a' * 10**10",
    "(9**9999) ** 99999",
    "-" * 100_000 + "1",
    "(" * 100_000 + ")" * 100_000,
    "[" * 5_000 + "]" * 5_000,
    "+".join(["1"] * 100_000),
    "a" + ".b" * 100_000,
    "titles" + "()" * 100_000,
    "not " * 50_000 + "1",
    "str(" * 250 + ")" * 250,
    "9" * 100_000,
    "0x" + "f" * 100_000 + " ** 10000",
    "create_ticket(title='" + "a" * 10_000_000 + "')",
    "x" * 10_000_000,
    "[" + "1," * 5_000_000 + "]",
    "titles(" * 1_000_000,
    "titles " * 1_000_000,
    "a" + " " * 5_000_000 + "(",
]
"""What would run for hours or fill the memory, were it computed."""

ADDING_UP: list[list[str]] = [
    # Every call is small; together they double what is stored, or what is printed.
    ["post_tweet('x')", *["mention(0, mention(0, [1])['mentions'])"] * 60],
    ["create_ticket('a' * 100)", *["create_ticket(titles() + titles())"] * 60],
    [
        *[f"create_ticket({n})" for n in range(60)],
        *[
            f"edit_ticket({n}, {{'title': [get_ticket({n + 1}), get_ticket({n + 1})]}})"
            for n in range(59)
        ],
        "titles()",
        "str(titles())",
    ],
    [
        *[f"create_ticket({n})" for n in range(14)],
        *[f"edit_ticket({n}, {{'title': titles()}})" for n in range(14)] * 4,
    ],
    [
        "mkdir('a')",
        *[call for n in range(60) for call in ("cp('a', 'b')", "cp('b', 'a')", "cp('a', 'a')")],
        "count()",
    ],
    ["mkdir('d')", "cp('d', 'd')", "cp('d', 'e')", "count()"],
    ["create_ticket('a' * 500000)"] * 200,
    ["titles()"] * 50_000,
]
"""Calls of one episode."""

CHILD = """
import json, os, resource, sys

resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (240, 240))
sys.path.insert(0, {tests!r})
from fixtures.small_apis import SmallApis, SmallEntry
from callsmith_bfcl.multi_turn import MultiTurnChecker
from test_hostile_corpus import EPISODES
from callsmith_bfcl.multi_turn.apis import Apis, InitialStates, Side
from callsmith_bfcl.multi_turn.loader import ApiSources

ALL = ("TicketAPI", "MathAPI", "GorillaFileSystem", "TwitterAPI", "TravelAPI")
checker = MultiTurnChecker(SmallApis())
entry = SmallEntry([["titles()"]], ALL)
warm = [[["titles()", "logarithm(2, 3, 4)", "draw()", "'\\\\d'", "count()", "x("]]]
assert checker.check(entry, warm).valid, checker.check(entry, warm)

events = []
recording = True

def hook(name, arguments):
    if recording:
        if name == "builtins.id":
            return
        detail = arguments[1] if name == "compile" else arguments
        if name == "exec":
            detail = arguments[0].co_filename
        if name == "object.__getattr__":
            detail = arguments[1]
        events.append((name, str(detail)[:200]))

sys.addaudithook(hook)
verdicts = [checker.check(entry, [[calls]]).error_type for calls in EPISODES]
scored = list(events)
events.clear()
eval("1")
open(os.devnull).close()
import hostile_probe
seen = sorted({{name for name, _ in events}})
recording = False
print(json.dumps({{"events": scored, "verdicts": verdicts, "seen": seen}}))
"""


def episodes() -> list[list[str]]:
    return [*[[text] for text in (*REACHING_OUT, *TOO_LARGE)], *ADDING_UP]


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[object]]:
    pytest.importorskip(
        "resource", reason="limits of memory and processor time need a POSIX system"
    )
    folder = tmp_path_factory.mktemp("hostile")
    corpus = f"EPISODES = {episodes()!r}\n"
    (folder / "test_hostile_corpus.py").write_text(corpus, encoding="utf-8")
    (folder / "hostile_probe.py").touch()
    code = CHILD.format(tests=str(Path(__file__).resolve().parents[1]))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert {path.name for path in folder.iterdir()} - {"__pycache__"} == {
        "hostile_probe.py",
        "test_hostile_corpus.py",
    }
    found: dict[str, list[object]] = json.loads(done.stdout)
    return found


def test_nothing_is_executed_opened_or_imported(child: dict[str, list[object]]) -> None:
    parsed = ["compile", PARSED_AS]
    # Some episodes are scored on fresh modules: the simulated APIs themselves, compiled before.
    apis = [["exec", f"{FOLDER}/{stem}.py"] for stem in (*MODULES.values(), LONG_CONTEXT)]
    defaults = ["object.__getattr__", "__defaults__"]
    allowed = [parsed, defaults, *apis]
    assert [event for event in child["events"] if event not in allowed] == []
    assert parsed in child["events"]


def test_the_hook_sees_what_it_should(child: dict[str, list[object]]) -> None:
    assert {"compile", "exec", "import", "open"} <= set(child["seen"])


def test_every_hostile_episode_gets_a_verdict(child: dict[str, list[object]]) -> None:
    # No call of theirs gives the answer's result, an empty list, but those that call `titles()`.
    calling = [any(call == "titles()" for call in calls) for calls in episodes()]
    verdicts = child["verdicts"]
    assert len(verdicts) == len(calling)
    for calls, verdict, calls_titles in zip(episodes(), verdicts, calling, strict=True):
        if not calls_titles:
            assert verdict is not None, calls[0][:80]


@pytest.mark.parametrize("text", REACHING_OUT + TOO_LARGE, ids=lambda text: repr(text[:30]))
def test_every_hostile_call_is_an_error(text: str) -> None:
    entry = SmallEntry([], ("TicketAPI", "MathAPI", "GorillaFileSystem", "TwitterAPI"))
    side = Side(InitialStates(Apis(ApiSources(SmallApis()).load()), entry), "model")
    result = side.execute(text)
    assert result.startswith("Error during execution: "), result[:200]
    assert side.execute("titles()") == "[]"
