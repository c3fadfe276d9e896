"""Guards against growth that is worse than linear: each shape at two sizes in one run.

No absolute times. Eight times the text may take 24 times as long, which leaves room for caches,
the garbage collector and a busy machine; quadratic growth would take 64 times as long.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from callsmith_qwen3.decoder import Qwen3Decoder

OPEN = "<tool_call>"
END = "</tool_call>"
HEAD = OPEN + '\n{"name": "f", "arguments": '
TAIL = "}\n" + END
CALL = HEAD + '{"a": 1}' + TAIL

SHAPES: dict[str, Callable[[int], str]] = {
    "text": lambda n: "word " * n,
    "lines": lambda n: "call me\n" * n,
    "line breaks": lambda n: "\n" * n,
    "thought": lambda n: "<think>\n" + "hm\n" * n,
    "thoughts": lambda n: "<think>\nhm\n</think>\n\n" * n,
    "thought openers": lambda n: "<think>" * n,
    "doubted thoughts": lambda n: "<think>" + OPEN * n,
    "doubted thoughts, again": lambda n: ("<think>" + OPEN) * n,
    "doubted thoughts with calls": lambda n: ("<think>hm\n" + CALL) * n,
    "doubted thoughts, closed": lambda n: ("<think>hm\n" + CALL + "</think>") * n,
    "doubted thoughts, ended": lambda n: ("<think>" + OPEN) * n + "<|im_end|>",
    "ends in strings of doubted thoughts": lambda n: "<think>" + (OPEN + '{"a": "<|im_end|>') * n,
    "less-than signs": lambda n: "<" * n,
    "half tokens": lambda n: "<tool_" * n,
    "stray tokens": lambda n: "</tool_call></think></tool_response><|box_end|>" * n,
    "ends": lambda n: CALL + "<|im_end|>" * n,
    "padding": lambda n: "<|im_end|>" + "<|endoftext|> \n" * n,
    "made-up results": lambda n: "<tool_response>x</tool_response>" * n,
    "open results": lambda n: "<tool_response>" * n,
    "calls": lambda n: CALL * n,
    "calls without end": lambda n: (HEAD + '{"a": 1}}') * n,
    "calls in one block": lambda n: OPEN + '{"name": "f", "arguments": {}}\n' * n + END,
    "a list of calls": lambda n: f"{OPEN}[" + '{"name": "f", "arguments": {}},' * n + f"]{END}",
    "openers": lambda n: OPEN * n,
    "one string": lambda n: HEAD + '{"a": "' + "word " * n + '"}' + TAIL,
    "one string, cut": lambda n: HEAD + '{"a": "' + "word " * n,
    "one string of ends": lambda n: HEAD + '{"a": "' + END * n + '"}' + TAIL,
    "one string of ends, cut": lambda n: HEAD + '{"a": "' + END * n,
    "open strings": lambda n: (OPEN + '{"a": "x}' + END) * n,
    "open strings, apart": lambda n: (OPEN + '{"a": "x}' + END + ' say "y" ') * n,
    "escaped quotes behind ends": lambda n: OPEN + '"' + (END + OPEN + '\\"') * n + '"x',
    "strings with ends and space": lambda n: OPEN + '"</tool_call>"' + " " * n + "x",
    "strings with ends, again": lambda n: OPEN + '"</tool_call>" ' * n,
    "open strings of both kinds": lambda n: (OPEN + "{'a': 'x}" + END + OPEN + '{"a": "x}') * n,
    "open single quotes, apart": lambda n: (OPEN + "['x" + END + " it's ") * n,
    "single quotes with ends": lambda n: OPEN + "['" + END * n + "'" + " " * n + "x",
    "spaces before a quote": lambda n: OPEN + "{" + " " * n + "'" + END * n,
    "colons and quotes": lambda n: OPEN + ":'</tool_call>,\"" * n,
    "escapes": lambda n: HEAD + '{"a": "' + '\\n\\"' * n + '"}' + TAIL,
    "backslashes": lambda n: HEAD + '{"a": "' + "\\" * n,
    "bad escapes": lambda n: HEAD + '{"a": "' + "\\d" * n + '"}' + TAIL,
    "surrogates": lambda n: HEAD + '{"a": "' + "\\ud800" * n + '"}' + TAIL,
    "keys": lambda n: HEAD + "{" + "".join([f'"k{i}": {i}, ' for i in range(n)]) + '"z": 1}' + TAIL,
    "equal keys": lambda n: HEAD + "{" + '"k": 1, ' * n + '"k": 1}' + TAIL,
    "bare keys": lambda n: HEAD + "{" + "k: 1, " * n + "k: 1}" + TAIL,
    "single quotes": lambda n: HEAD + "[" + "'it', " * n + "1]" + TAIL,
    "open single quotes": lambda n: HEAD + "[" + "'it, " * n + TAIL,
    "trailing commas": lambda n: HEAD + "[" + "[1,]," * n + "1]" + TAIL,
    "spaces": lambda n: HEAD + " " * n + "{}" + TAIL,
    "spaces in a list": lambda n: HEAD + "[" + "1 , " * n + "1,]" + TAIL,
    "spaces behind a call": lambda n: HEAD + "{}}" + " " * n + "x" + END,
    "brackets": lambda n: HEAD + "[" * n + "]" * n + TAIL,
    "open brackets": lambda n: HEAD + "[" * n,
    "open objects": lambda n: HEAD + '{"a": ' * n + END,
    "empty lists": lambda n: HEAD + "[" + "[]," * n + "1]" + TAIL,
    "extra braces": lambda n: HEAD + "{}" + "}" * n + END,
    "extra braces, spaced": lambda n: HEAD + "{}" + "} " * n + "x" + END,
    "a long number": lambda n: HEAD + "9" * n + TAIL,
    "many numbers": lambda n: HEAD + "[" + "1.5e3, " * n + "1,]" + TAIL,
    "a long word": lambda n: HEAD + "x" * n + TAIL,
    "arguments as text": lambda n: HEAD + '"' + '[1, \\"x\\"], ' * n + '"' + TAIL,
    "nested arguments as text": lambda n: HEAD + '"' + "[" * n + "]" * n + '"' + TAIL,
    "a list in arguments as text": lambda n: HEAD + '"[' + "[], " * n + '1]"' + TAIL,
    "fences": lambda n: OPEN + "```json\n{}" + "```" * n + END,
}


def read(text: str, size: int) -> None:
    decoder = Qwen3Decoder()
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
