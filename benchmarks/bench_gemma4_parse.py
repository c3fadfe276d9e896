"""How long reading Gemma 4's native format takes, beside the best of eight other parsers.

    python benchmarks/bench_gemma4_parse.py [--repeat N] [--json]

Each number is the processor time of the best of N runs in one process, which a busy machine
disturbs less than the clock on the wall. `best other` is the fastest of eight existing parsers in
Python, measured once on a machine of this kind (two slow cores, CPython 3.11); where all of them
failed, the column says how. `growth` is the time of twice the input divided by the time of the
input: about 2 is linear.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

from callsmith import Reply, ToolSpec
from callsmith_gemma4.decoder import Gemma4Decoder

QUOTE = '<|"|>'
OPEN = "<|tool_call>"
CLOSE = "<tool_call|>"

SMALL = (
    '<|tool_call>call:search_homelab{query:<|"|>backup<|"|>,limit:5,source:<|"|>wiki<|"|>,'
    'recent:true,score:0.75,tags:[<|"|>disk<|"|>,<|"|>zfs<|"|>],'
    'filter:{host:<|"|>nas-01.home<|"|>,since:null,days:[1,2,3]}}<tool_call|>'
)
"""216 bytes, seven arguments, some of them nested."""

CODE = (
    'def f(x):\n    d = {"a": [1, 2], \'b\': x}\n    if x < 3 and d["a"]:\n'
    "        return {k: v for k, v in d.items()}\n"
)
PROSE = "The quick brown fox jumps over the lazy dog, and then it rests for a while. "
LENGTH = 100_000


@dataclass(frozen=True)
class Row:
    """One line of the table; times in milliseconds."""

    name: str
    ours: float
    other: float | None
    remark: str
    target: float | None
    growth: float | None


def string_call(text: str, length: int) -> tuple[str, str, str]:
    """Head, string and tail of a call with one string of that many characters."""
    string = (text * (length // len(text) + 1))[:length]
    return f"{OPEN}call:write{{content:{QUOTE}", string, f"{QUOTE}}}{CLOSE}"


def read(text: str, tools: tuple[ToolSpec, ...] = ()) -> Reply:
    """A whole text at once."""
    decoder = Gemma4Decoder(tools)
    decoder.feed(text)
    return decoder.close()


def read_pieces(pieces: list[str]) -> Reply:
    """A text in pieces."""
    decoder = Gemma4Decoder()
    feed = decoder.feed
    for piece in pieces:
        feed(piece)
    return decoder.close()


def in_pieces(head: str, string: str, tail: str) -> list[str]:
    """Four characters at a time, control tokens whole, as a tokenizer would give them."""
    middle = [string[at : at + 4] for at in range(0, len(string), 4)]
    return [OPEN, head[len(OPEN) : -len(QUOTE)], QUOTE, *middle, QUOTE, "}", tail[-len(CLOSE) :]]


def fastest(run: Callable[[], object], repeat: int) -> float:
    """Milliseconds of processor time of the best run; short ones are run in bundles."""
    begin = time.process_time()
    run()
    once = time.process_time() - begin
    bundle = max(1, int(0.002 / (once + 1e-7)))
    best = float("inf")
    for _ in range(repeat):
        begin = time.process_time()
        for _ in range(bundle):
            run()
        best = min(best, (time.process_time() - begin) / bundle)
    return best * 1000


def keys(count: int) -> str:
    return OPEN + "call:f{" + ",".join([f"k{n}:{n}" for n in range(count)]) + "}" + CLOSE


def loose_keys(count: int) -> str:
    return OPEN + "call:f{" + ", ".join([f'k{n}: "{n}"' for n in range(count)]) + "}" + CLOSE


SHAPES: list[tuple[str, Callable[[int], str], int, float | None, str]] = [
    ("20,000 keys", keys, 20_000, 36.0, ""),
    ("`{nested:` 128 deep", lambda n: f"{OPEN}call:f{{{'n:{' * n}{'}' * n}}}{CLOSE}", 128, 0.3, ""),
    ("2,000 `[`", lambda n: f"{OPEN}call:f{{a:{'[' * n}", 2000, None, "RecursionError, all"),
    ("10,000 unclosed `a:{`", lambda n: f"{OPEN}call:f{{{'a:{' * n}", 10_000, 40.0, ""),
    (
        "100,000 `{` in an unclosed string",
        lambda n: f"{OPEN}call:f{{a:{QUOTE}{'{' * n}",
        100_000,
        0.7,
        "",
    ),
    ("2,000 calls without end", lambda n: f"{OPEN}call:f{{a:1}}" * n, 2000, 60.0, "loses calls"),
    (
        "5,000 short strings in a list",
        lambda n: f"{OPEN}call:f{{a:[{','.join([f'{QUOTE}s{QUOTE}'] * n)}]}}{CLOSE}",
        5000,
        27.0,
        "",
    ),
    ("50,000 `<`", lambda n: f"{OPEN}call:f{{a:{QUOTE}{'<' * n}{QUOTE}}}{CLOSE}", 50_000, 44.0, ""),
    (
        '`[ k:<|"|>1]]`',
        lambda n: f"{OPEN}call:f{{q:[ k:{QUOTE}1]]}}{CLOSE}" * n,
        1,
        0.1,
        "one hangs",
    ),
    (
        "2,000 strings without end",
        lambda n: f"{OPEN}call:f{{a:{QUOTE}x}}{CLOSE}" * n,
        2000,
        None,
        "",
    ),
    ("20,000 keys, JSON quotes and spaces", loose_keys, 20_000, None, ""),
]
"""Name, text of a size, the size, the best other time in ms, and what became of the others."""


def measure(repeat: int) -> list[Row]:
    """All rows."""
    assert len(SMALL.encode()) == 216
    assert read(SMALL).repairs == ()
    rows = [Row("216-byte call", fastest(lambda: read(SMALL), 20 * repeat), 0.059, "", 0.040, None)]
    for name, text, whole, pieces in (("code", CODE, 0.9, 148.0), ("prose", PROSE, 0.7, 148.0)):
        parts, double = string_call(text, LENGTH), string_call(text, 2 * LENGTH)
        one, two = "".join(parts), "".join(double)
        ours = fastest(partial(read, one), 4 * repeat)
        growth = fastest(partial(read, two), 4 * repeat) / ours
        rows.append(Row(f"100 kB of {name}, whole", ours, whole, "", 1.0, growth))
        stream, longer = in_pieces(*parts), in_pieces(*double)
        assert read_pieces(stream).calls == read(one).calls
        ours = fastest(partial(read_pieces, stream), repeat)
        growth = fastest(partial(read_pieces, longer), repeat) / ours
        rows.append(Row(f"100 kB of {name}, 4 at a time", ours, pieces, "", 60.0, growth))
    for name, shape, size, other, remark in SHAPES:
        one, two = shape(size), shape(2 * size)
        ours = fastest(partial(read, one), repeat)
        growth = fastest(partial(read, two), repeat) / ours
        target = other if name == "20,000 keys" else None
        rows.append(Row(name, ours, other, remark, target, growth))
    plain = [PROSE[at : at + 4] for at in range(0, len(PROSE), 4)] * 1300
    rows.append(
        Row(
            "100 kB of answer, 4 at a time",
            fastest(lambda: read_pieces(plain), repeat),
            None,
            "",
            None,
            None,
        )
    )
    return rows


def shown(milliseconds: float | None) -> str:
    """A time for people."""
    if milliseconds is None:
        return ""
    return f"{milliseconds * 1000:.0f} µs" if milliseconds < 1 else f"{milliseconds:.1f} ms"


def missed(row: Row) -> bool:
    """Whether a row has a target and does not reach it."""
    return row.target is not None and row.ours >= row.target


def main() -> int:
    """Prints the table; returns 1 where a target is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = measure(given.repeat)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    if given.json:
        print(json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}))
        return int(any(missed(row) for row in rows))
    print(f"{machine}; best of {given.repeat}\n")
    print("| input | ours | best other | ratio | target | growth |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        other = " ".join([part for part in (shown(row.other), row.remark) if part])
        ratio = f"{row.other / row.ours:.1f}x" if row.other else ""
        met = "" if row.target is None else f"< {shown(row.target)}"
        if missed(row):
            met += " MISSED"
        growth = "" if row.growth is None else f"{row.growth:.1f}"
        name = row.name.replace("|", "\\|")
        print(f"| {name} | {shown(row.ours)} | {other} | {ratio} | {met} | {growth} |")

    return int(any(missed(row) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
