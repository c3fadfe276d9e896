"""`arguments-match`: passes like `calls-match`, and says how near a failed episode came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from callsmith import JsonValue, Message, Reply, Task, ToolCall, Trace, Turn, Verdict, load

CATALOG = load({})


def call(name: str, arguments: JsonValue = None, **more: JsonValue) -> ToolCall:
    return ToolCall(name=name, arguments=more if arguments is None else arguments)


def judge(
    target: dict[str, JsonValue],
    *calls: ToolCall,
    verifier: str = "arguments-match",
    **options: JsonValue,
) -> Verdict:
    question = Message(role="user", content="?")
    task = Task(id="t", messages=(question,), target=target)
    turn = Turn(sent=(question,), reply=Reply(calls=calls))
    trace = Trace(arm="a", task="t", sample=0, turns=(turn,), halt="calls")
    verdict: Verdict = CATALOG.build("verifier", verifier, options).verify(task, trace)
    assert verdict.verifier == verifier
    return verdict


def score(gold: Sequence[JsonValue], *calls: ToolCall, **options: JsonValue) -> float:
    return judge({"calls": list(gold)}, *calls, **options).score


OSLO: dict[str, JsonValue] = {"name": "weather", "arguments": {"city": "Oslo", "days": 2}}
PING: dict[str, JsonValue] = {"name": "ping"}


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        # The gold call has 5 parts: a name, two argument names, two values.
        ((), 0.0),
        ((call("wether", city="Oslo", days=2),), 0.0),
        ((call("weather"),), 2 * 1 / (5 + 1)),
        ((call("weather", city="Oslo"),), 2 * 3 / (5 + 3)),
        ((call("weather", city="Rome"),), 2 * 2 / (5 + 3)),
        ((call("weather", city="Rome", days=3),), 2 * 3 / (5 + 5)),
        ((call("weather", city="Oslo", days="2"),), 2 * 4 / (5 + 5)),
        ((call("weather", city="Oslo", days=2, unit="C"),), 2 * 5 / (5 + 7)),
        ((call("weather", ["Oslo", 2]),), 2 * 1 / (5 + 3)),
        ((call("weather", city="Oslo", days=2),), 1.0),
        ((call("weather", city="Oslo", days=2), call("ping")), 2 * 5 / (5 + 6)),
        ((call("ping"), call("weather", city="Oslo", days=2.0)), 2 * 5 / (5 + 6)),
    ],
    ids=lambda value: "+".join(map(str, value))[:60] if isinstance(value, tuple) else None,
)
def test_every_part_of_a_call_counts(made: tuple[ToolCall, ...], expected: float) -> None:
    assert score([OSLO], *made) == pytest.approx(expected)


def test_a_group_of_wrong_calls_is_ranked() -> None:
    """Where `calls-match` gives all of them the same, they differ in how near they are."""
    wrong = [
        call("ping"),
        call("weather"),
        call("weather", city="Rome"),
        call("weather", city="Rome", days=2),
    ]
    target: dict[str, JsonValue] = {"calls": [OSLO]}
    assert {judge(target, one, verifier="calls-match").score for one in wrong} == {0.0}
    found = [judge(target, one).score for one in wrong]
    assert found == sorted(found)
    assert len(set(found)) == len(found)


def test_calls_are_paired_so_that_most_is_right() -> None:
    rome: dict[str, JsonValue] = {"name": "weather", "arguments": {"city": "Rome", "days": 3}}
    # Paired the other way round, only the names would be right.
    made = (call("weather", city="Rome", days=1), call("weather", city="Oslo", days=1))
    assert score([OSLO, rome], *made) == pytest.approx(2 * 8 / 20)
    assert score([rome, OSLO], *made) == pytest.approx(2 * 8 / 20)


def test_order_counts_where_it_is_asked_for() -> None:
    made = (call("ping"), call("weather", city="Oslo", days=2))
    assert score([OSLO, PING], *made) == 1.0
    # In the order of the gold calls only one of the two can have a partner: the larger one.
    assert score([OSLO, PING], *made, order="same") == pytest.approx(2 * 5 / 12)


def test_the_gold_calls_may_leave_room() -> None:
    anything: JsonValue = {"name": "weather", "arguments": {"city": {"anything": True}, "days": 2}}
    assert score([anything], call("weather", city="?", days=3)) == pytest.approx(2 * 4 / 10)
    several: JsonValue = {"name": "weather", "arguments": {"city": {"any_of": ["Oslo", "Bergen"]}}}
    assert score([several], call("weather", city="Bergen", days=1)) == pytest.approx(2 * 3 / 8)
    either: JsonValue = {"any_of": [OSLO, {"name": "forecast", "arguments": {"place": "Oslo"}}]}
    assert score([either], call("forecast", place="Oslo")) == 1.0
    assert score([either], call("forecast", place="Rome")) == pytest.approx(2 * 2 / 6)
    # A gold call that nothing stands for asks for as much as its smallest alternative.
    assert score([either, PING], call("ping")) == pytest.approx(2 * 1 / (1 + 3 + 1))


def test_what_may_be_left_out_is_not_missed() -> None:
    optional: JsonValue = {**OSLO, "optional": True}
    assert score([PING, optional], call("ping"), call("weather", city="Rome", days=2)) == (
        pytest.approx(2 * (1 + 4) / (1 + 1 + 5 + 5))
    )
    assert score([PING, optional]) == 0.0
    more: JsonValue = {"name": "ping", "optional_arguments": {"count": 1, "host": "a"}}
    assert score([more], call("ping")) == 1.0
    assert score([more], call("ping", count=2)) == pytest.approx(2 * 2 / (3 + 3))
    # The required call takes what there is, whichever stands first.
    for gold in (
        [{**PING, "optional": True}, PING, OSLO],
        [PING, {**PING, "optional": True}, OSLO],
    ):
        assert score(gold, call("ping")) == pytest.approx(2 * 1 / (1 + 1 + 5))


def test_what_does_not_matter_costs_nothing() -> None:
    made = call("weather", city="Rome", days=2, unit="C")
    assert score([OSLO], made, arguments="subset") == pytest.approx(2 * 4 / 10)
    assert score([OSLO], made) == pytest.approx(2 * 4 / 12)
    extra = (call("weather", city="Rome", days=2), call("ping"))
    assert score([OSLO], *extra, extra_calls="allow") == pytest.approx(2 * 4 / 10)
    assert judge({"calls": [OSLO], "extra_calls": True}, *extra).score == pytest.approx(2 * 4 / 10)
    assert score([OSLO], call("weather", city=" oslo", days=1), strings="casefold") == (
        pytest.approx(2 * 4 / 10)
    )


@pytest.mark.parametrize("target", [{"answer_only": True}, {"calls": []}], ids=str)
def test_where_no_call_is_due_there_is_nothing_in_between(target: dict[str, JsonValue]) -> None:
    assert judge(target).score == 1.0
    assert judge(target, call("ping")).score == 0.0


@pytest.mark.parametrize("target", [{}, {"calls": 7}, {"calls": [{"arguments": {}}]}], ids=str)
def test_the_reasons_are_those_of_calls_match(target: dict[str, Any]) -> None:
    made = call("weather", city="Rome")
    for wanted in (target, {"calls": [OSLO]}):
        exact = judge(wanted, made, verifier="calls-match")
        dense = judge(wanted, made)
        assert (dense.passed, dense.reasons) == (exact.passed, exact.reasons)


def test_many_calls_are_paired_in_time() -> None:
    """A model that repeats itself to the token limit is judged as well."""
    gold: list[JsonValue] = [{"name": "weather", "arguments": {"days": day}} for day in range(20)]
    made = [call("weather", days=day % 7) for day in range(400)]
    # Seven values have a partner, of thirteen more only name and argument name are right.
    assert score(gold, *made) == pytest.approx(2 * (7 * 3 + 13 * 2) / (20 * 3 + 400 * 3))
