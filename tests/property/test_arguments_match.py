"""`arguments-match` against `calls-match`, and its pairing against all pairings there are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from callsmith import JsonValue, Message, Reply, Task, ToolCall, Trace, Turn, Verdict, load
from callsmith.testing import VerifierContract
from callsmith_checks.arguments import ArgumentsMatch
from callsmith_checks.config import MatchConfig
from callsmith_checks.pairing import heaviest_in_any_order, heaviest_in_order

CATALOG = load({})
NAMES = ["city", "days", "unit"]
VALUES: SearchStrategy[JsonValue] = st.sampled_from([1, 1.0, True, "a", " A", "b", None, [1], {}])
GIVEN = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3)
TOOLS = st.sampled_from(["weather", "ping"])


@st.composite
def wanted_values(draw: st.DrawFn) -> JsonValue:
    value = draw(VALUES)
    form = draw(st.sampled_from(["plain", "plain", "any_of", "anything", "exactly"]))
    if form == "any_of":
        return {"any_of": [value, draw(VALUES)]}
    return {"plain": value, "anything": {"anything": True}, "exactly": {"exactly": value}}[form]


@st.composite
def gold_calls(draw: st.DrawFn) -> dict[str, JsonValue]:
    values = st.dictionaries(st.sampled_from(NAMES), wanted_values(), max_size=2)
    found: dict[str, JsonValue] = {"name": draw(TOOLS), "arguments": draw(values)}
    if draw(st.booleans()):
        found["optional_arguments"] = draw(values)
    return found


@st.composite
def golds(draw: st.DrawFn) -> dict[str, JsonValue]:
    item: dict[str, JsonValue] = draw(gold_calls())
    if draw(st.integers(0, 3)) == 0:
        item = {"any_of": [item, draw(gold_calls())]}
    if draw(st.integers(0, 3)) == 0:
        item["optional"] = True
    return item


@st.composite
def made_calls(draw: st.DrawFn) -> ToolCall:
    odd: SearchStrategy[JsonValue] = st.sampled_from([None, "text", [1]])
    return ToolCall(name=draw(TOOLS), arguments=draw(st.one_of(GIVEN, GIVEN, GIVEN, odd)))


def concrete(wanted: JsonValue) -> JsonValue:
    if isinstance(wanted, dict) and len(wanted) == 1:
        ((rule, operand),) = wanted.items()
        if rule == "any_of" and isinstance(operand, list):
            return operand[-1]
        if rule == "exactly":
            return operand
        if rule == "anything":
            return "whatever"
    return wanted


def as_wanted(item: dict[str, JsonValue]) -> ToolCall:
    """A call that the gold call accepts, but for two values that look like rules."""
    alternatives = item.get("any_of", [item])
    assert isinstance(alternatives, list)
    chosen = alternatives[-1]
    assert isinstance(chosen, dict)
    arguments = chosen["arguments"]
    assert isinstance(arguments, dict)
    given = {name: concrete(value) for name, value in arguments.items()}
    return ToolCall(name=str(chosen["name"]), arguments=given)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Task, Trace]:
    """Gold calls, and calls that are often near them."""
    gold = draw(st.lists(golds(), max_size=3))
    target: dict[str, JsonValue] = {"calls": list(gold)}
    if draw(st.integers(0, 4)) == 0:
        target["extra_calls"] = True
    calls = [as_wanted(item) for item in gold if draw(st.integers(0, 5))]
    calls += draw(st.lists(made_calls(), max_size=1 if draw(st.booleans()) else 3))
    return task(target), trace(draw(st.permutations(calls)))


def task(target: dict[str, JsonValue]) -> Task:
    return Task(id="t", messages=(Message(role="user", content="?"),), target=target)


def trace(calls: Sequence[ToolCall]) -> Trace:
    turn = Turn(sent=(), reply=Reply(calls=tuple(calls)))
    return Trace(arm="a", task="t", sample=0, turns=(turn,), halt="calls")


OPTIONS = st.fixed_dictionaries(
    {
        "order": st.sampled_from(["any", "same"]),
        "arguments": st.sampled_from(["exact", "subset"]),
        "extra_calls": st.sampled_from(["refuse", "allow"]),
        "strings": st.sampled_from(["exact", "trimmed", "casefold"]),
    }
)


@given(case=cases(), options=OPTIONS)
def test_it_passes_exactly_when_calls_match_passes(
    case: tuple[Task, Trace], options: dict[str, JsonValue]
) -> None:
    exact: Verdict = CATALOG.build("verifier", "calls-match", options).verify(*case)
    dense: Verdict = CATALOG.build("verifier", "arguments-match", options).verify(*case)
    assert (dense.passed, dense.reasons) == (exact.passed, exact.reasons)
    assert dense.passed == (dense.score == 1.0)
    # A call that is right as a whole is right in its parts.
    assert exact.score == 0.0 or dense.score > 0.0


@given(case=cases(), data=st.data())
def test_the_order_of_calls_does_not_matter_unless_asked_for(
    case: tuple[Task, Trace], data: st.DataObject
) -> None:
    given_task, happened = case
    other = trace(data.draw(st.permutations(happened.calls)))
    verifier = ArgumentsMatch()
    assert verifier.verify(given_task, happened).score == pytest.approx(
        verifier.verify(given_task, other).score
    )


@given(gold=gold_calls(), given_arguments=GIVEN, name=st.sampled_from(NAMES))
def test_mending_one_argument_never_lowers_the_score(
    gold: dict[str, JsonValue], given_arguments: dict[str, JsonValue], name: str
) -> None:
    """Adding or correcting a required argument, or removing one that nobody wants."""
    required, optional = gold["arguments"], gold.get("optional_arguments", {})
    assert isinstance(required, dict)
    assert isinstance(optional, dict)
    mended = dict(given_arguments)
    if name in required:
        mended[name] = concrete(required[name])
    elif name not in optional:
        mended.pop(name, None)
    verifier = ArgumentsMatch()
    before, after = (
        verifier.verify(
            task({"calls": [gold]}), trace([ToolCall(name=str(gold["name"]), arguments=arguments)])
        ).score
        for arguments in (given_arguments, mended)
    )
    assert after >= before


@st.composite
def tables(draw: st.DrawFn) -> list[list[int]]:
    rows, columns = draw(st.integers(0, 4)), draw(st.integers(0, 4))
    row = st.lists(st.integers(0, 5), min_size=columns, max_size=columns)
    return draw(st.lists(row, min_size=rows, max_size=rows))


def heaviest(weights: list[list[int]], *, ordered: bool) -> int:
    """By trying every pairing."""
    columns = range(len(weights[0]) if weights else 0)
    best = 0
    for chosen in itertools.product([None, *columns], repeat=len(weights)):
        taken = [column for column in chosen if column is not None]
        if len(set(taken)) == len(taken) and (not ordered or taken == sorted(taken)):
            total = sum(
                row[column]
                for row, column in zip(weights, chosen, strict=True)
                if column is not None
            )
            best = max(best, total)
    return best


@pytest.mark.parametrize("ordered", [False, True], ids=["any order", "same order"])
@given(weights=tables())
def test_the_pairing_is_the_heaviest_there_is(weights: list[list[int]], ordered: bool) -> None:
    pair = heaviest_in_order if ordered else heaviest_in_any_order
    found = pair(weights)
    assert len(set(found.values())) == len(found)
    assert all(weights[row][column] > 0 for row, column in found.items())
    if ordered:
        assert list(found.values()) == sorted(found[row] for row in sorted(found))
    assert sum(weights[row][column] for row, column in found.items()) == heaviest(
        weights, ordered=ordered
    )


class TestArgumentsMatch(VerifierContract):
    """The contract, with the options that are not the default."""

    @pytest.fixture
    def verifier(self) -> ArgumentsMatch:
        return ArgumentsMatch(
            MatchConfig(order="same", arguments="subset", extra_calls="allow", strings="casefold")
        )
