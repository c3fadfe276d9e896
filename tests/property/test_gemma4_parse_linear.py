"""Guards against growth that is worse than linear: each shape at two sizes in one run.

No absolute times. Eight times the text may take 24 times as long, which leaves room for caches,
the garbage collector and a busy machine; quadratic growth would take 64 times as long.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from callsmith import ToolSpec
from callsmith_gemma4.decoder import Gemma4Decoder

TOOLS = (
    ToolSpec(
        name="f",
        parameters={
            "type": "object",
            "properties": {"a": {"type": "string"}, "k": {"type": "string"}},
        },
    ),
)
CALL = "<|tool_call>"
END = "<tool_call|>"
QUOTE = '<|"|>'
CODE = 'def g(x):\n    return {"a": [x, 1], "b": x < 2}  # and, so: on\n'

SHAPES: dict[str, Callable[[int], str]] = {
    "text": lambda n: "word " * n,
    "lines": lambda n: "call me\n" * n,
    "unmarked prefixes": lambda n: "call:\n" * n,
    "unmarked openers": lambda n: "call:f{\n" * n,
    "unmarked calls": lambda n: "call:f{a:x}\n" * n,
    "unmarked strings": lambda n: f"call:f{{a:{QUOTE}" + "}" * n,
    "thought": lambda n: "<|channel>thought\n" + "hm\n" * n,
    "thoughts": lambda n: "<|channel>thought\nhm\n<channel|>" * n,
    "channel openers": lambda n: "<|channel>" * n,
    "bare thoughts": lambda n: "thought\nhm<channel|>" * n,
    "less-than signs": lambda n: "<" * n,
    "half tokens": lambda n: "<|tool_" * n,
    "stray tokens": lambda n: f"{QUOTE}<tool_call|><channel|>" * n,
    "stops": lambda n: f"{CALL}call:f{{}}{END}" + "<|tool_response>" * n,
    "made-up results": lambda n: "<|tool_response>response:f{}<tool_response|>" * n,
    "padding": lambda n: "<eos>" + "<pad> \n" * n,
    "one string of code": lambda n: f"{CALL}call:f{{a:{QUOTE}{CODE * n}{QUOTE}}}{END}",
    "one string, cut": lambda n: f"{CALL}call:f{{a:{QUOTE}{'{' * n}",
    "one string of ends": lambda n: f"{CALL}call:f{{a:{QUOTE}{('}' + END + ' ') * n}",
    "calls": lambda n: f"{CALL}call:f{{b:1}}{END}" * n,
    "calls without end": lambda n: f"{CALL}call:f{{b:1}}" * n,
    "calls in one block": lambda n: CALL + "call:f{b:1}" * n + END,
    "parenthesised calls": lambda n: CALL + "call:f()" * n + END,
    "openers": lambda n: CALL * n,
    "open strings": lambda n: f"{CALL}call:f{{b:{QUOTE}x}}{END}" * n,
    "open strings, text": lambda n: f"{CALL}call:f{{b:{QUOTE}x}}{END}text" * n,
    "strings without start": lambda n: f"{CALL}call:f{{b:x{QUOTE}}}{END}" * n,
    "keys": lambda n: CALL + "call:f{" + "".join([f"k{i}:{i}," for i in range(n)]) + f"z:1}}{END}",
    "equal keys": lambda n: CALL + "call:f{" + "k:1," * n + f"k:1}}{END}",
    "loose keys": lambda n: CALL + "call:f{" + "k: 'v', " * n + f"k:1}}{END}",
    "list of strings": lambda n: f"{CALL}call:f{{b:[{(QUOTE + 'x' + QUOTE + ',') * n}1]}}{END}",
    "list of loose strings": lambda n: f"{CALL}call:f{{b:[{(QUOTE + 'x' + QUOTE + ' , ') * n}1]}}",
    "list of quotes": lambda n: CALL + "call:f{b:[" + "\"x\",'y'," * n + f"1]}}{END}",
    "half quotes": lambda n: CALL + "call:f{" + "a:'x y,a:\"x," * n + f"}}{END}",
    "raw text": lambda n: CALL + "call:f{a:" + "so, then: {x} " * n + f"}}{END}",
    "raw members": lambda n: CALL + "call:f{" + "a:{ x: y,k:z: z," * n + f"}}{END}",
    "commas": lambda n: CALL + "call:f{a:x" + ", " * n + f"}}{END}",
    "quoted commas": lambda n: CALL + "call:f{a:x" + ",'\"" * n + f"}}{END}",
    "spaces": lambda n: CALL + "call:f{a:" + " " * n + f"1}}{END}",
    "spaces around strings": lambda n: (
        CALL + "call:f{a:[" + f"{' ' * 50}{QUOTE}x{QUOTE}{' ' * 50}," * (n // 50) + f"1]}}{END}"
    ),
    "brackets": lambda n: f"{CALL}call:f{{b:" + "[" * n + "]" * n + f"}}{END}",
    "open brackets": lambda n: CALL + "call:f{b:" + "[" * n,
    "open objects": lambda n: CALL + "call:f{" + "b:{" * n,
    "empty lists": lambda n: CALL + "call:f{b:[" + "[]," * n + f"1]}}{END}",
    "extra braces": lambda n: CALL + "call:f{b:1" + "}" * n + END,
    "a long number": lambda n: CALL + "call:f{b:" + "9" * n + f"}}{END}",
    "many numbers": lambda n: CALL + "call:f{b:[" + "1.5e3," * n + f"1]}}{END}",
    "a long bare text": lambda n: CALL + "call:f{b:" + "k " * n + f"}}{END}",
    "a long bare item": lambda n: CALL + "call:f{b:[" + "k " * n + f"]}}{END}",
    "a long name": lambda n: CALL + "call:" + "f" * n + "{}" + END,
    "a long key": lambda n: CALL + "call:f{" + "k " * n + f":1}}{END}",
}


def read(text: str, size: int) -> None:
    decoder = Gemma4Decoder(TOOLS)
    for at in range(0, len(text), size):
        decoder.feed(text[at : at + size])
    decoder.close()


def fastest(text: str, size: int, times: int) -> float:
    best = float("inf")
    for _ in range(times):
        start = time.process_time()
        read(text, size)
        best = min(best, time.process_time() - start)
    return best


@pytest.mark.parametrize("pieces", ["whole", "pieces"])
@pytest.mark.parametrize("shape", SHAPES)
def test_time_grows_in_proportion(shape: str, pieces: str) -> None:
    small = 600 if pieces == "whole" else 200
    one, eight = SHAPES[shape](small), SHAPES[shape](8 * small)
    size = len(eight) if pieces == "whole" else 3
    ratio = fastest(eight, size, 2) / (fastest(one, size, 4) + 1e-5)
    if ratio > 24:  # once more, in case that the machine was busy with something else
        ratio = fastest(eight, size, 4) / (fastest(one, size, 8) + 1e-5)
    assert ratio < 24, f"eight times the text took {ratio:.0f} times as long"
