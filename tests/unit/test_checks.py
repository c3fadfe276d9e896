"""The verifiers: what passes, what fails, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from callsmith import (
    Fault,
    JsonValue,
    Message,
    Repair,
    Reply,
    Task,
    ToolCall,
    ToolSpec,
    Trace,
    Turn,
    Verdict,
    load,
)

CITY = ToolSpec(
    name="weather",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
        "required": ["city"],
        "additionalProperties": False,
    },
)
PING = ToolSpec(name="ping")
ANY = ToolSpec(name="any", parameters={"type": "object"})


def call(name: str, arguments: JsonValue = None, **more: JsonValue) -> ToolCall:
    return ToolCall(name=name, arguments=more if arguments is None else arguments)


def task(tools: Sequence[ToolSpec] = (CITY, PING, ANY), **target: JsonValue) -> Task:
    question = Message(role="user", content="?")
    return Task(id="t", messages=(question,), tools=tuple(tools), target=target)


def trace(*calls: ToolCall, answer: str = "fine", halt: Any = "answered", **reply: Any) -> Trace:
    turns = [Turn(sent=(), reply=Reply(calls=calls, **reply))] if calls or reply else []
    if answer is not None:
        turns.append(Turn(sent=(), reply=Reply(content=answer)))
    return Trace(arm="a", task="t", sample=0, turns=tuple(turns), halt=halt)


def judge(name: str, given: Task, happened: Trace, **options: JsonValue) -> Verdict:
    verdict: Verdict = load({}).build("verifier", name, options).verify(given, happened)
    assert verdict.verifier == name
    assert verdict.passed == (verdict.score == 1.0)
    return verdict


GOLD: list[JsonValue] = [
    {"name": "weather", "arguments": {"city": "Oslo", "days": 2}},
    {"name": "ping"},
]
OSLO, PINGED = call("weather", city="Oslo", days=2), call("ping")


@pytest.mark.parametrize(
    ("calls", "options", "passed", "score"),
    [
        ((OSLO, PINGED), {}, True, 1.0),
        ((PINGED, OSLO), {}, True, 1.0),
        ((PINGED, OSLO), {"order": "same"}, False, 0.5),
        ((OSLO, PINGED), {"order": "same"}, True, 1.0),
        ((OSLO,), {}, False, 2 / 3),
        ((OSLO, PINGED, PINGED), {}, False, 0.8),
        ((OSLO, PINGED, PINGED), {"extra_calls": "allow"}, True, 1.0),
        ((call("weather", city="Oslo", days=2.0), PINGED), {}, True, 1.0),
        ((call("weather", city="Oslo", days=True), PINGED), {}, False, 0.5),
        ((call("weather", city="Oslo", days="2"), PINGED), {}, False, 0.5),
        ((call("weather", city="oslo ", days=2), PINGED), {}, False, 0.5),
        ((call("weather", city="oslo ", days=2), PINGED), {"strings": "casefold"}, True, 1.0),
        ((call("weather", city="Oslo ", days=2), PINGED), {"strings": "trimmed"}, True, 1.0),
        ((call("weather", city="Oslo", days=2, x=1), PINGED), {}, False, 0.5),
        ((call("weather", city="Oslo", days=2, x=1), PINGED), {"arguments": "subset"}, True, 1.0),
        ((call("weather", [1]), PINGED), {}, False, 0.5),
        ((), {}, False, 0.0),
    ],
)
def test_calls_match(
    calls: tuple[ToolCall, ...], options: dict[str, JsonValue], passed: bool, score: float
) -> None:
    verdict = judge("calls-match", task(calls=GOLD), trace(*calls), **options)
    assert (verdict.passed, verdict.score) == (passed, pytest.approx(score))
    assert passed or verdict.reasons


def test_a_failed_match_says_what_is_missing_and_what_came_instead() -> None:
    verdict = judge("calls-match", task(calls=GOLD), trace(call("weather", city="Rome")))
    assert verdict.reasons[0] == (
        "missing call weather('city': 'Oslo', 'days': 2); the nearest is weather({'city': 'Rome'})"
    )
    assert verdict.reasons[1] == "missing call ping()"


@pytest.mark.parametrize(
    ("wanted", "given", "passed"),
    [
        ({"any_of": ["a", "b"]}, "b", True),
        ({"any_of": ["a", "b"]}, "c", False),
        ({"any_of": [{"any_of": [1]}, None]}, None, True),
        ({"anything": True}, [1, {"x": None}], True),
        ({"exactly": {"any_of": [1]}}, {"any_of": [1]}, True),
        ({"exactly": {"any_of": [1]}}, 1, False),
        ({"anything": False}, {"anything": False}, True),
        ([1, {"any_of": [2, 3]}], [1, 3], True),
        ([1, 2], [2, 1], False),
        ({"x": {"anything": True}, "y": 1}, {"y": 1.0, "x": "?"}, True),
        (None, False, False),
        (0, False, False),
        (10**400, 10**400, True),
        (0.1, 0.1, True),
    ],
)
def test_gold_values_may_leave_room(wanted: JsonValue, given: JsonValue, passed: bool) -> None:
    gold: list[JsonValue] = [{"name": "any", "arguments": {"v": wanted}}]
    verdict = judge("calls-match", task(calls=gold), trace(call("any", v=given)))
    assert verdict.passed is passed


def test_gold_calls_may_be_optional_or_one_of_several() -> None:
    gold: list[JsonValue] = [
        {"any_of": [{"name": "ping"}, {"name": "any", "arguments": {"v": 1}}]},
        {"name": "weather", "arguments": {"city": {"anything": True}}, "optional": True},
    ]
    for calls, passed in (
        ((PINGED,), True),
        ((call("any", v=1),), True),
        ((call("any", v=1), call("weather", city="x")), True),
        ((PINGED, call("any", v=1)), False),
        ((call("weather", city="x"),), False),
    ):
        assert judge("calls-match", task(calls=gold), trace(*calls)).passed is passed, calls


@pytest.mark.parametrize("order", ["any", "same"])
def test_a_required_call_takes_its_partner_before_an_optional_one(order: str) -> None:
    gold: list[JsonValue] = [
        {"name": "any", "arguments": {"v": {"anything": True}}, "optional": True},
        {"name": "any", "arguments": {"v": 1}},
    ]
    assert judge("calls-match", task(calls=gold), trace(call("any", v=1)), order=order).passed


def test_optional_arguments_are_checked_where_they_stand() -> None:
    gold: list[JsonValue] = [
        {"name": "any", "arguments": {"a": 1}, "optional_arguments": {"b": {"any_of": [2, 3]}}}
    ]
    for arguments, passed in (
        ({"a": 1}, True),
        ({"a": 1, "b": 3}, True),
        ({"a": 1, "b": 4}, False),
    ):
        happened = trace(ToolCall(name="any", arguments=arguments))  # type: ignore[arg-type]
        assert judge("calls-match", task(calls=gold), happened).passed is passed


@pytest.mark.parametrize("target", [{"answer_only": True}, {"calls": []}])
def test_where_no_call_is_due_any_call_fails(target: dict[str, JsonValue]) -> None:
    for name in ("calls-match", "names-match", "emits-call"):
        assert judge(name, task(**target), trace()).passed
        assert not judge(name, task(**target), trace(PINGED)).passed


@pytest.mark.parametrize(
    "calls", [7, [7], [{"name": 3}], [{"any_of": []}], [{"name": "x", "arguments": []}]]
)
def test_an_unusable_target_is_a_reason(calls: JsonValue) -> None:
    for name in ("calls-match", "names-match"):
        verdict = judge(name, task(calls=calls), trace(PINGED))
        assert not verdict.passed
        assert verdict.reasons[0].startswith("the task is unusable")


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (call("weather", city="Oslo"), ""),
        (call("weather", city="Oslo", days=0), "weather: days: 0 is less than the minimum"),
        (call("weather", days=1), "weather: 'city' is a required property"),
        (call("weather", city="Oslo", x=1), "weather: Additional properties are not allowed"),
        (call("weather", "Oslo"), "weather: the arguments are no object but 'Oslo'"),
        (call("nope"), "nope: there is no such tool"),
        (call("ping"), ""),
        (call("ping", x=1), "ping: takes no arguments, got x"),
    ],
)
def test_schema_valid(made: ToolCall, reason: str) -> None:
    verdict = judge("schema-valid", task(), trace(made, call("ping")))
    assert verdict.passed == (not reason)
    assert not reason or (verdict.reasons[0].startswith(reason) and verdict.score == 0.5)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "nothing"}, "the tool's own schema is invalid"),
        ({"$ref": "http://localhost:9/x.json"}, "the tool's own schema cannot be used"),
        ({"$ref": "#/nowhere"}, "the tool's own schema cannot be used"),
        ({"properties": {"a": {"pattern": "("}}}, "the tool's own schema"),
    ],
)
def test_an_invalid_schema_is_a_reason_and_nothing_is_fetched(
    schema: dict[str, JsonValue], reason: str
) -> None:
    tool = ToolSpec(name="f", parameters=schema)
    verdict = judge("schema-valid", task([tool]), trace(call("f", a="x")))
    assert reason in verdict.reasons[0]


def test_an_older_dialect_is_validated_as_such() -> None:
    schema: dict[str, JsonValue] = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "properties": {"n": {"minimum": 0, "exclusiveMinimum": True}},
    }
    given = task([ToolSpec(name="f", parameters=schema)])
    assert not judge("schema-valid", given, trace(call("f", n=0))).passed
    assert judge("schema-valid", given, trace(call("f", n=1))).passed


LADDER = ("emits-call", "tool-known", "schema-valid", "names-match", "calls-match")


@pytest.mark.parametrize(
    ("calls", "height"),
    [
        ((), 0),
        ((call("nope"), PINGED), 1),
        ((call("weather"), call("any")), 2),
        ((PINGED, PINGED), 3),
        ((call("weather", city="Rome"), PINGED), 4),
        ((OSLO, PINGED), 5),
    ],
)
def test_the_ladder_is_climbed_rung_by_rung(calls: tuple[ToolCall, ...], height: int) -> None:
    passed = [judge(name, task(calls=GOLD), trace(*calls)).passed for name in LADDER]
    assert passed == [True] * height + [False] * (len(LADDER) - height)


def test_hallucinated_tools_are_named() -> None:
    verdict = judge("hallucinated-tool", task(), trace(call("nope"), call("nope"), PINGED))
    assert verdict.reasons == ("there is no tool 'nope'",)
    assert verdict.score == pytest.approx(1 / 3)
    assert judge("hallucinated-tool", task(calls=GOLD), trace()).passed


def test_faults_and_repairs() -> None:
    mended = trace(PINGED, repairs=(Repair(kind="json-quotes"),))
    unmarked = trace(PINGED, repairs=(Repair(kind="unmarked-call", detail="no control tokens"),))
    broken = trace(PINGED, faults=(Fault(kind="cut", raw="call:x{", detail="cut off"),))
    assert judge("no-faults", task(), mended).passed
    assert not judge("no-faults", task(), mended, repairs="refuse").passed
    assert judge("no-faults", task(), broken).reasons == ("fault cut: cut off",)
    assert [judge("strict", task(), t).passed for t in (trace(PINGED), mended, broken)] == [
        True,
        False,
        False,
    ]
    assert judge("native-wrapper", task(), mended).passed
    assert not judge("native-wrapper", task(), unmarked).passed
    assert judge("native-wrapper", task(), unmarked, kinds=["other"]).passed


@pytest.mark.parametrize(
    ("wanted", "answer", "score"),
    [
        (["42"], "It is 42.", 1.0),
        (["Blue  whale"], "the BLUE\nwhale swims", 1.0),
        ([{"any_of": ["twelve", "12"]}], "12 of them", 1.0),
        (["a fact", "another"], "only a fact", 0.5),
        (["14"], "in 2014, 14.5 or 3.14", 0.0),
        (["14"], "there are 14.", 1.0),
        ([7], "7", 0.0),
        ("text", "text", 0.0),
    ],
)
def test_answer_contains(wanted: JsonValue, answer: str, score: float) -> None:
    verdict = judge("answer-contains", task(answer_contains=wanted), trace(answer=answer))
    assert verdict.score == score


def test_an_episode_that_did_not_end_with_an_answer_has_none() -> None:
    cut = trace(answer="42", halt="cut")
    assert not judge("answer-contains", task(answer_contains=["42"]), cut).passed
    assert judge("completed", task(), cut).reasons == ("it ended with cut",)
    assert not judge("completed", task(), trace(answer="  ")).passed
    assert judge("completed", task(), trace(answer="yes")).passed
