"""Scores the shipped model, on NumPy, on conversations whose words it has never seen.

    python -m callsmith_tiny.training.evaluate --out results.json

Every answer is decoded greedily, as a user gets it. A call counts as exact when it is readable in
the strict form and its name and all its arguments, with their types, are the wanted ones; several
calls must come in the order of the request. A text counts when it is the wanted one to the letter.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from callsmith import Completion, Prompt, Sampling, Segment
from callsmith_tiny.constraint import Constraint
from callsmith_tiny.generation import generate
from callsmith_tiny.model import TinyModel
from callsmith_tiny.tokens import Tokens

from .gemma_format import read_calls
from .generator import Example, Generator
from .mixes import DOCUMENTED, FULL, NATURAL, PLAIN

Calls = Sequence[tuple[str, Mapping[str, object]]]

SEED = 4242
CELLS: Mapping[str, int] = {
    "plain/1": 400, "plain/2": 400, "plain/3": 400,
    "single/1": 300, "single/2": 300, "single/3": 300, "single/0": 150, "single/4": 150,
    "natural": 300, "several": 250, "none": 250, "follow_up": 250, "chain": 250, "later_turn": 250,
    "documented": 400,
}  # fmt: skip
"""How many examples of which kind. `plain` are single calls whose request has the words of the
tool's name and a name for every value; `single` are drawn from all phrasings; both by their number
of arguments. `natural` are single calls with 0 to 4 arguments in everyday phrasings, `documented`
single calls of tools as libraries document them."""

MIXES = {"plain": PLAIN, "natural": NATURAL, "documented": DOCUMENTED}


def wilson(right: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927)."""
    if not total:
        return 0.0, 1.0
    share = right / total
    middle = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def answer(model: TinyModel, tokens: Tokens, text: str, constrain: bool = False) -> str:
    """The greedy completion of a prompt that the generator wrote."""
    constraint = Constraint(text) if constrain else None
    prompt = Prompt(segments=(Segment(text=text, origin="control"),))
    pieces = generate(
        model, tokens, tokens.encode(prompt), Sampling(max_tokens=160), lambda: False, constraint
    )
    return next(piece.text for piece in pieces if isinstance(piece, Completion))


def is_right(example: Example, text: str) -> bool:
    """Whether a completion is what the example wants."""
    if not example.calls:
        return text == example.answer
    calls = read_calls(text)
    return calls is not None and same(calls, example.calls)


def same(calls: Calls, wanted: Calls) -> bool:
    """Equal names and arguments; true is not 1, but 7 is 7.0 as in JSON."""
    if [name for name, _ in calls] != [name for name, _ in wanted]:
        return False
    for (_, ours), (_, theirs) in zip(calls, wanted, strict=True):
        if ours.keys() != theirs.keys():
            return False
        for key, value in ours.items():
            if value != theirs[key] or isinstance(value, bool) != isinstance(theirs[key], bool):
                return False
    return True


def examples(cell: str, count: int) -> list[Example]:
    """The held-out examples of a cell; the same ones every time."""
    generator = Generator("heldout", SEED + list(CELLS).index(cell))
    kind, _, count_of = cell.partition("/")
    mix = MIXES.get(kind, FULL)
    if kind in MIXES:
        kind = "single"
    if count_of:
        mix = replace(mix, argument_counts={int(count_of): 1.0})
    return [generator.example(index, mix, kind) for index in range(count)]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=Path(__file__).resolve().parent.parent)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--cells", nargs="*", default=list(CELLS))
    parser.add_argument("--scale", type=float, default=1.0, help="share of the examples")
    parser.add_argument("--constrain", action="store_true", help="allow valid calls only")
    parser.add_argument("--failures", type=int, default=0, help="how many to show per cell")
    arguments = parser.parse_args()
    model = TinyModel(arguments.model / "model.safetensors")
    tokens = Tokens(arguments.model / "tokenizer.json")
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    begin = time.time()
    for cell in arguments.cells:
        shown = 0
        for example in examples(cell, max(1, int(CELLS[cell] * arguments.scale))):
            text = answer(model, tokens, example.prompt, arguments.constrain)
            right = is_right(example, text)
            names = [cell]
            kind, _, count_of = cell.partition("/")
            if count_of in ("1", "2", "3"):
                size = len(example.tools)
                names += [
                    f"{kind}/1-3",
                    f"{kind}/1-3 {example.phrase}",
                    f"{kind}/1-3 with {size if size < 5 else '5 or more'} tools",
                ]
            for name in names:
                counts[name][0] += right
                counts[name][1] += 1
            if not right and shown < arguments.failures:
                shown += 1
                asked = example.messages[-1] if example.messages else {}
                print(f"--- {cell}: {asked}\n  wanted {example.completion}\n  got    {text}")
        print(cell, counts[cell], f"{time.time() - begin:.0f} s", flush=True)
    rows = {}
    for name, (hits, total) in sorted(counts.items()):
        low, high = wilson(hits, total)
        rows[name] = {
            "right": hits,
            "total": total,
            "share": hits / total,
            "interval": [low, high],
        }
        print(f"{name:40} {hits:4}/{total:<4} {hits / total:6.1%}  [{low:.1%}, {high:.1%}]")
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
