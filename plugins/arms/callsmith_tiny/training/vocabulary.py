"""The words that tools, parameters and values are made of, in a training and a held-out pool.

A word belongs to the held-out pool when the CRC-32 of its spelling says so, so the split is the
same on every machine and a word can never be on both sides. The lists are in ``words/``: everyday
words for tools and parameters, and ``further.txt``, words that occur in Python's documentation.
Invented words are made of syllables: they keep the model from recognising words instead of copying
them.
"""

from __future__ import annotations

import random
import zlib
from pathlib import Path
from typing import Literal

Split = Literal["train", "heldout"]


def _read(name: str) -> list[str]:
    path = Path(__file__).parent / "words" / f"{name}.txt"
    return path.read_text(encoding="utf-8").split()


# Words that phrasings use; a value or a name made of them would make a request ambiguous.
RESERVED = frozenset(_read("reserved"))

_ONSETS = (
    "b", "bl", "br", "c", "ch", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kl", "l", "m", "n",
    "p", "pr", "qu", "r", "s", "sh", "st", "t", "tr", "v", "w", "z",
)  # fmt: skip
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ou", "io")
_CODAS = ("", "", "n", "r", "s", "l", "m", "t", "x", "ck", "nd")
_MARKS = (
    ("a", "ä"), ("a", "á"), ("e", "é"), ("o", "ö"), ("u", "ü"), ("i", "í"), ("n", "ñ"), ("s", "š"),
)  # fmt: skip

_UNWANTED = ("fuck", "dick", "cock", "tit", "shit", "piss")
"""Syllables meet to words that nobody wants to read in an example."""

HELD_OUT_SHARE = 0.2
BLENDED = 0.5
"""Share of the listed words that training replaces by a blend of two; the evaluation has none."""


def is_held_out(word: str) -> bool:
    """Whether a word belongs to the held-out pool: one word in five, by its CRC-32."""
    return zlib.crc32(word.lower().encode()) % 1000 < HELD_OUT_SHARE * 1000


def number_is_held_out(value: int) -> bool:
    """Whether a number's digits are kept for the evaluation: one in seven, from ten upwards."""
    return value >= 10 and value % 7 == 3


def _pool(words: list[str], held_out: bool) -> list[str]:
    return sorted({w for w in words if w not in RESERVED and is_held_out(w) == held_out})


class Pools:
    """The words of one side of the split, and the invented words of the same side."""

    def __init__(self, split: Split) -> None:
        self.held_out = split == "heldout"
        nouns, adjectives = _read("nouns"), _read("adjectives")
        self.verbs = _pool(_read("verbs"), self.held_out)
        self.nouns = _pool(nouns, self.held_out)
        self.adjectives = _pool(adjectives, self.held_out)
        self.parameters = _pool(_read("parameters"), self.held_out)
        self.words = _pool(nouns + adjectives + _read("further"), self.held_out)

    def invented(self, rng: random.Random) -> str:
        """A pronounceable word of one to three syllables that is in no dictionary list."""
        while True:
            syllables = rng.choice((1, 2, 2, 2, 3))
            word = "".join(
                rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS)
                for _ in range(syllables)
            )
            if any(part in word for part in _UNWANTED):
                continue
            if len(word) > 2 and word not in RESERVED and is_held_out(word) == self.held_out:
                return word

    def word(self, rng: random.Random, invented: float) -> str:
        """One word for a value; ``invented`` is the probability of a made-up one."""
        if rng.random() < invented:
            return self.invented(rng)
        if not self.held_out and rng.random() < BLENDED:
            return self.blended(rng)
        return rng.choice(self.words)

    def blended(self, rng: random.Random) -> str:
        """The beginning of one word and the end of another, as "brunch" is made.

        Real words that were never seen fall apart into such pieces, so these teach to copy them.
        """
        while True:
            left, right = rng.choice(self.words), rng.choice(self.words)
            word = left[: rng.randint(1, len(left))] + right[rng.randint(0, len(right) - 1) :]
            fits = 3 <= len(word) <= 14 and word not in RESERVED and not is_held_out(word)
            if fits and not any(part in word for part in _UNWANTED):
                return word

    def accented(self, rng: random.Random) -> str:
        """A word with one letter of another alphabet's habit."""
        word = self.word(rng, 0.5)
        for plain, marked in rng.sample(_MARKS, len(_MARKS)):
            if plain in word:
                return word.replace(plain, marked, 1)
        return word

    def integer(self, rng: random.Random) -> int:
        """A whole number of one to five digits from this side of the split."""
        while True:
            high = rng.choice((9, 99, 99, 999, 9999, 99999))
            value = rng.randint(0, high)
            if value < 10 or number_is_held_out(value) == self.held_out:
                return value
