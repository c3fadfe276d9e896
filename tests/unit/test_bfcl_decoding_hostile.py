"""Answers made to hang, to crash, or to be executed: each is a decode error or a plain value.

A child process decodes them all under an audit hook, with a limit on its memory and its time. Of
what Python reports while text is decoded only `compile` may occur, which parsing raises.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CANARY = "canary_of_the_decoders"

ARGUMENTS = {
    "power": "9**9**9",
    "large power": "(9**30000)*(9**30000)",
    "many powers": "+".join(["9**30000"] * 2_000),
    "repetition": "'a'*10**10",
    "nested repetition": "[[[['a']*1000]*1000]*1000]*1000",
    "shift": "1<<10**10",
    "wide format": "'%1000000000d' % 1",
    "wide format of an f-string": "f'{1:1000000000}'+''",
    "long digits": "9" * 50_000,
    "long hexadecimal digits": "1+0x" + "f" * 50_000,
    "deep brackets": "(" * 40_000 + ")" * 40_000,
    "deep lists": "[" * 40_000 + "]" * 40_000,
    "deep signs": "-" * 90_000 + "1",
    "deep sum": "1" + "+1" * 40_000,
    "deep attributes": "a" + ".b" * 40_000,
    "deep subscripts": "x" + "[0]" * 30_000,
    "deep calls": "g(x=" * 20_000,
    "deep objects": "{1:" * 150 + "1" + "}" * 150,
    "many lambdas": "lambda:" * 12_000 + "1",
    "many conditions": "1 if 1 else " * 8_000 + "1",
    "ten megabytes": "'" + "x" * 10_000_000 + "'",
    "a null byte": "'\0'",
    "half a character": "'\ud800'",
    "import": "__import__('os').mkdir('CANARY')+''",
    "open": "open('CANARY', 'w')",
    "open in a sum": "open('CANARY', 'w')+1",
    "evaluation": "eval(\"open('CANARY', 'w')\")+1",
    "attribute walk": "().__class__.__base__.__subclasses__()[0]('CANARY')+1",
    "subclass in a subscript": "[].__class__[open('CANARY', 'w')]",
    "format attribute walk": "'{0.__class__}'.format(1)+''",
    "method of a text": "'a'.upper()+'b'",
    "lambda called": "(lambda: open('CANARY', 'w'))()+1",
    "walrus": "(x := open('CANARY', 'w'))",
    "f-string call": "f\"{open('CANARY', 'w')}\"+''",
    "ambiguous types": "A<" * 3_900,
    "many quotes": "'" * 7_900,
}
WHOLE = {
    "many brackets": "[" * 90_000,
    "many objects": "[{" + "},{" * 25_000 + "x]",
    "many sections": "<functions>" * 9_000,
    "many tags": "<TOOLCALL>" * 9_000,
    "deep elements": "<functions>" + "<a>" * 20_000 + "</functions>",
    "entities": '<!DOCTYPE x [<!ENTITY a "aaaa">]><functions>&a;</functions>',
    "many calls": "[" + "f(a=1)," * 10_000 + "]",
    "backticks": "`" * 90_000,
}

CHILD = """
import json, resource, sys

from callsmith_bfcl.decoding import DecodeError, decode_execute, decode_text

resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (240, 240))
FORMATS = ["python", "java", "javascript", "json", "verbose_xml", "concise_xml"]
texts = json.load(sys.stdin)
for name in FORMATS:  # whatever is loaded on first use
    try:
        decode_text("[f(a=1)]", name)
        decode_text("<functions><function name='f'/></functions>", name)
    except DecodeError:
        pass
decode_execute("[f(a='\\\\\\\\d')]")
seen = set()
sys.addaudithook(lambda event, arguments: seen.add(event))
found = {}
for key, text in texts.items():
    for name in FORMATS:
        try:
            decode_text(text, name)
            decode_text(text, name, tool_call_tag=True)
            outcome = "read"
        except DecodeError:
            outcome = "error"
        found[f"{key}: {name}"] = outcome
    try:
        decode_execute(text)
    except DecodeError:
        pass
print(json.dumps({"found": found, "seen": sorted(seen)}))
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    texts = {key: f"[f(a={source})]".replace("CANARY", CANARY) for key, source in ARGUMENTS.items()}
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=json.dumps(texts | WHOLE),
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert list(folder.iterdir()) == [], "a model's text wrote a file"
    found: dict[str, dict[str, str]] = json.loads(done.stdout)
    return found


def test_nothing_is_executed(report: dict[str, list[str]]) -> None:
    assert set(report["seen"]) <= {"compile"}


@pytest.mark.parametrize("key", ARGUMENTS)
def test_hostile_arguments_are_decode_errors(report: dict[str, dict[str, str]], key: str) -> None:
    # Only "open" may be read: a call without named arguments stands for its own source.
    assert report["found"][f"{key}: python"] == "error"
