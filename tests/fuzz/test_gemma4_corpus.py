"""The kept corpus of the Gemma 4 fuzzer, and a short run from it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from fuzz.gemma4_fuzz import LONGEST_KEPT, TOOLS, check, load_corpus, mutate, options_of


@pytest.mark.parametrize("repair", ["off", "unambiguous", "schema"])
@pytest.mark.parametrize("start", ["content", "thought"])
def test_every_kept_text_is_read_as_any_text_must_be(repair: str, start: str) -> None:
    corpus = load_corpus()
    assert corpus
    for text in corpus:
        assert len(text) <= LONGEST_KEPT
        for tools in (TOOLS, ()):
            options: dict[str, Any] = {
                "tools": tools,
                "start": start,
                "repair": repair,
                "max_depth": 128,
            }
            check(text, options, (len(text) // 3, len(text) // 2))


def test_a_short_run() -> None:
    rnd = random.Random(20)
    pool = load_corpus()
    for _ in range(1500):
        text = mutate(rnd.choice(pool), pool, rnd)
        check(text, options_of(rnd), [rnd.randint(0, len(text)) for _ in range(2)])
