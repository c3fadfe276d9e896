"""How hard the examples are, and how that changes in the course of training.

A model of this size binds values to parameters only when the easy phrasings come first, so training
walks from one tool and names before values (:data:`FIRST`) to everything (:data:`FULL`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """How examples are drawn."""

    value_first: float = 0.3
    """Share of arguments said as "value as the name" when names are said at all."""
    bare: float = 0.25
    """Share of requests in which a value is said without its parameter's name."""
    loose_head: float = 0.3
    """Share of requests that name the tool by part of its words only, or through its own name."""
    tool_counts: Sequence[int] = (1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 6, 8)
    casual: float = 0.0
    """Share of requests with the turns of everyday speech: "right now", "tell me the …"."""
    brief: float = 0.0
    """Share of tools without a description; their conversations have no system prompt either."""
    simple: float = 0.0
    """Share of string values that are one word."""
    two_words: float = 0.2
    """Share of parameters whose names are two words."""
    akin: float = 0.0
    """Share of parameters that share a word with their tool: ``lock_door`` with ``door``."""
    known: float = 0.65
    """Share of tools whose verb is an everyday one; nouns follow at three quarters of it."""
    neighbours: float = 0.25
    """Share of further tools that share a word with one before them."""
    spelling: float = 0.14
    """Share of tools whose name is not its words in order with underscores between them."""
    described: float = 0.45
    """Share of tools whose parameters have descriptions."""
    documented: float = 0.0
    """Share of tools as libraries document them, with requests that say more than values."""
    kinds: Mapping[str, float] = field(
        default_factory=lambda: {
            "single": 0.58,
            "several": 0.12,
            "none": 0.10,
            "follow_up": 0.11,
            "chain": 0.05,
            "later_turn": 0.04,
        }
    )
    argument_counts: Mapping[int, float] = field(
        default_factory=lambda: {0: 0.08, 1: 0.25, 2: 0.30, 3: 0.30, 4: 0.07}
    )


FIRST = Mix(
    value_first=0.0,
    bare=0.0,
    loose_head=0.0,
    brief=0.8,
    simple=0.6,
    tool_counts=(1, 1, 1, 2),
    described=0.0,
    kinds={"single": 1.0},
    argument_counts={1: 0.4, 2: 0.35, 3: 0.25},
)
QUICK = replace(FIRST, tool_counts=(1, 1, 2), argument_counts={1: 0.5, 2: 0.5})
"""What a network of less than a million parameters learns within minutes on one core."""
EASY = Mix(
    value_first=0.0,
    bare=0.0,
    loose_head=0.1,
    brief=0.3,
    simple=0.3,
    tool_counts=(1, 1, 1, 2),
    described=0.3,
    kinds={"single": 0.9, "none": 0.05, "follow_up": 0.05},
    argument_counts={0: 0.04, 1: 0.30, 2: 0.36, 3: 0.30},
)
MIDDLE = replace(
    EASY,
    value_first=0.15,
    bare=0.1,
    loose_head=0.2,
    brief=0.1,
    simple=0.0,
    tool_counts=(1, 1, 2, 2, 3, 3, 4),
    described=0.5,
    kinds={"single": 0.72, "several": 0.1, "none": 0.08, "follow_up": 0.08, "chain": 0.02},
)
FULL = Mix()
NATURAL = replace(FULL, bare=0.42, loose_head=0.36, casual=0.3)
"""More of what people say without being told how."""
PLAIN = replace(FULL, bare=0.0, loose_head=0.0)
"""Every request has the words of the tool's name and a name for every value."""
HARD = replace(
    PLAIN,
    two_words=0.35,
    akin=0.12,
    known=0.4,
    neighbours=0.4,
    spelling=0.4,
    tool_counts=(1, 2, 2, 3, 3, 4, 4, 5, 6, 8),
)
"""Plain requests with more of what goes wrong: many tools, like names, odd spellings."""
EVERYDAY = replace(NATURAL, known=0.5, akin=0.1, two_words=0.28, spelling=0.2)
"""Everyday phrasings; parameters may be named like the thing that the tool is for."""

DOCUMENTED = replace(NATURAL, documented=1.0, tool_counts=(1, 1, 1, 1, 2, 2, 3, 4))
"""Tools with sentences for descriptions, optional parameters and lists; see `documented.py`."""

SECOND = ((EASY, 0.05), (FULL, 0.2), (HARD, 0.4), (EVERYDAY, 0.35))
"""What a network that was made larger goes on with."""


def mix_at(progress: float) -> tuple[tuple[Mix, float], ...]:
    """The mixture of mixes at a point of training in [0, 1]: (mix, share) pairs."""
    if progress < 0.05:
        return ((FIRST, 1.0),)
    if progress < 0.14:
        return ((FIRST, 0.3), (EASY, 0.7))
    if progress < 0.25:
        return ((EASY, 0.4), (MIDDLE, 0.6))
    if progress < 0.38:
        return ((EASY, 0.1), (MIDDLE, 0.45), (FULL, 0.45))
    if progress < 0.52:
        return ((EASY, 0.1), (FULL, 0.9))
    return ((EASY, 0.1), (FULL, 0.2), (NATURAL, 0.7))


def base_mix_at(progress: float) -> tuple[tuple[Mix, float], ...]:
    """The mixture for a base model that is made within minutes."""
    return ((QUICK, 1.0),)
