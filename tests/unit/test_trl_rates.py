"""The rates of a probe, and which of two probes is better."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith import JsonValue, Message, Task, Template, Verifier, load
from callsmith_trl.rates import Judged, better, judge, rates, repeats
from callsmith_trl.reading import trace_of
from fixtures.tiny_gemma4_episodes import TOOLS

TEMPLATE: Template = load().build("template", "gemma4")
CALLS_MATCH: Verifier = load().build("verifier", "calls-match")
NAMES_MATCH: Verifier = load().build("verifier", "names-match")
RIGHT = "<|tool_call>call:add{a:2,b:3}<tool_call|>"
SWAPPED = "<|tool_call>call:add{a:3,b:2}<tool_call|>"
UNMARKED = "call:add{a:2,b:3}"
GOLD: dict[str, JsonValue] = {"calls": [{"name": "add", "arguments": {"a": 2, "b": 3}}]}


def judged(text: str, target: dict[str, JsonValue], *, cut: bool = False, **given: Any) -> Judged:
    task = Task(
        id="t", messages=(Message(role="user", content="Add."),), tools=TOOLS, target=target
    )
    trace = trace_of(task, TEMPLATE, text, cut=cut)
    verifiers = given.get("verifiers", {"calls-match": CALLS_MATCH, "names-match": NAMES_MATCH})
    return judge(task, trace, given.get("ids", [1, 2, 3]), verifiers, "calls-match")


def test_the_rates_of_a_sample() -> None:
    sample = [
        judged(RIGHT, GOLD),
        judged(SWAPPED, GOLD),
        judged(UNMARKED, GOLD),
        judged("Hello.", {"answer_only": True}),
        judged("Five", GOLD, cut=True, ids=[7] * 20),
    ]
    found = rates(sample, ["calls-match", "names-match"])
    assert found == {
        "samples": 5,
        "right": 0.6,
        "exact": 0.5,
        "wrapper": 0.5,
        "repetition": 0.2,
        "length_cap": 0.2,
        "verifier:calls-match": 0.6,
        "verifier:names-match": 0.8,
    }


def test_nobody_judges_without_verifiers() -> None:
    found = rates([judged(RIGHT, GOLD, verifiers={})], [])
    assert found["right"] is None
    assert found["wrapper"] == 1.0


def test_all_must_pass_where_the_decisive_one_is_not_there() -> None:
    only = {"names-match": NAMES_MATCH}
    assert judged(SWAPPED, GOLD, verifiers=only).right
    strict = {"names-match": NAMES_MATCH, "mine": CALLS_MATCH}
    assert not judged(SWAPPED, GOLD, verifiers=strict).right


@pytest.mark.parametrize(
    ("ids", "stuck"),
    [
        ([], False),
        (list(range(40)), False),
        ([5] * 11, False),
        ([1, 2, *[5] * 12], True),
        ([9, *[1, 2, 3] * 4], True),
        ([9, *[1, 2, 3] * 3], False),
        ([*range(20)] * 3, True),
        ([*range(20)] * 2, False),
    ],
)
def test_going_round_in_circles(ids: list[int], stuck: bool) -> None:
    assert repeats(ids) is stuck


@given(
    beginning=st.lists(st.integers(0, 9), max_size=20),
    piece=st.lists(st.integers(0, 9), min_size=1, max_size=8),
)
def test_a_piece_said_twelve_times_is_always_seen(beginning: list[int], piece: list[int]) -> None:
    assert repeats([*beginning, *piece * 12])


def test_right_calls_decide_and_loss_breaks_ties() -> None:
    few: dict[str, JsonValue] = {"right": 0.5, "loss": 0.1}
    many: dict[str, JsonValue] = {"right": 0.6, "loss": 0.9}
    cheaper: dict[str, JsonValue] = {"right": 0.6, "loss": 0.8}
    unknown: dict[str, JsonValue] = {"right": None, "loss": None}
    assert better(few, None)
    assert better(many, few)
    assert not better(few, many)
    assert better(cheaper, many)
    assert not better(many, many)
    assert better(few, unknown)
