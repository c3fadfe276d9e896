"""Prints generated conversations.

python -m callsmith_tiny.training.show --count 5 --split heldout --kind chain
"""

from __future__ import annotations

import argparse

from .generator import Generator
from .mixes import EASY, FIRST, FULL, MIDDLE

MIXES = {"first": FIRST, "easy": EASY, "middle": MIDDLE, "full": FULL}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", choices=("train", "heldout"), default="train")
    parser.add_argument("--mix", choices=MIXES, default="full")
    parser.add_argument("--kind", choices=tuple(FULL.kinds))
    arguments = parser.parse_args()
    generator = Generator(arguments.split, arguments.seed)
    for index in range(arguments.count):
        example = generator.example(index, MIXES[arguments.mix], arguments.kind)
        print(f"--- {index}: {example.kind} {example.phrase}")
        print(f"{example.prompt}[[{example.completion}]]\n")


if __name__ == "__main__":
    main()
