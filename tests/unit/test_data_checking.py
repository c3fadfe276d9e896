"""Checking rows: bad calls and bad tools are left out, each with its reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from callsmith import Message, ToolCall, ToolSpec, load
from callsmith_tasks.data.checking import VERIFIERS, RowChecker
from callsmith_tasks.data.files import read_rows
from callsmith_tasks.data.readers import READERS
from callsmith_tasks.data.row import Row, RowError, row_to_task
from callsmith_tasks.data.schema import unified_argument
from fixtures.data_rows import RECORDS, trl, xlam


@pytest.fixture(scope="module")
def checker() -> RowChecker:
    catalog = load(environment={})
    return RowChecker({name: catalog.build("verifier", name) for name in VERIFIERS})


def row(format: str = "xlam", **changes: Any) -> Row:
    return replace(READERS[format](RECORDS[format], "7")[0], **changes)


@pytest.mark.parametrize("format", sorted(RECORDS))
def test_good_rows_pass(format: str, checker: RowChecker) -> None:
    rows = READERS[format](RECORDS[format], "7")
    assert checker.check(rows).rows == tuple(rows)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"calls": (ToolCall(name="get_wether", arguments={}),)}, "tool-known"),
        ({"calls": (ToolCall(name="get_weather", arguments={"city": 3}),)}, "schema-valid"),
        ({"calls": (ToolCall(name="set_timer", arguments={}),)}, "schema-valid"),
        ({"calls": (ToolCall(name="set_timer", arguments="x"),)}, "schema-valid"),
        ({"calls": ()}, "no-answer"),
        ({"messages": ()}, "no-answer"),
        ({"messages": (Message(role="user", content=" "),)}, "no-question"),
        (
            {"calls": (ToolCall(name="get_weather", arguments={"city": "O", "minutes": None}),)},
            "unified-schema",
        ),
        (
            {"tools": (ToolSpec(name="get_weather", parameters={"type": "objct"}),)},
            "invalid-tool",
        ),
    ],
)
def test_bad_rows_are_rejected(changes: dict[str, Any], reason: str, checker: RowChecker) -> None:
    bad = row(**changes)
    checked = checker.check([bad, row(id="good")])
    assert [r.id for r in checked.rows] == ["good"]
    (rejected,) = checked.rejected
    assert (rejected.reason, rejected.id, rejected.source) == (reason, "7", "xlam")
    assert rejected.detail.startswith("row 7: ")
    assert READERS["rows"](rejected.record, "") == [bad]  # type: ignore[arg-type]
    assert checked.counts() == {("xlam", ""): 1, ("xlam", reason): 1}


def test_an_invalid_tool_is_an_error_that_names_row_and_tool(checker: RowChecker) -> None:
    tool = ToolSpec(
        name="lamp", parameters={"type": "object", "properties": {"on": {"type": "Callable"}}}
    )
    with pytest.raises(RowError, match=r"invalid-tool: row 7: the tool 'lamp': .*Callable"):
        checker.require(row(tools=(*row().tools, tool)))
    checker.require(row())


def test_a_bad_call_of_the_history_counts_too(checker: RowChecker) -> None:
    record = trl()
    record["messages"][2]["tool_calls"][0]["function"]["name"] = "set_tmer"
    checked = checker.check(READERS["trl"](record, "7"))
    assert checked.rows == ()
    assert [item.reason for item in checked.rejected] == ["tool-known", "tool-known"]


def test_ids_become_unique(checker: RowChecker) -> None:
    assert [r.id for r in checker.check([row(), row(), row()]).rows] == ["7", "7~2", "7~3"]


def test_the_judge_is_the_one_it_is_given() -> None:
    """The same verifiers as everywhere else: none of its own stands behind them."""
    assert RowChecker({}).problem(row(calls=(ToolCall(name="nope"),))) is None


def test_a_row_is_a_task_for_the_verifiers() -> None:
    task = row_to_task(row())
    assert task.target == {
        "calls": [{"name": "get_weather", "arguments": {"city": "Oslo", "days": 3}}]
    }
    answer = row_to_task(row(calls=(), answer="No."))
    assert answer.target == {"answer_only": True, "answer": "No."}
    both = row_to_task(row(answer="One moment."))
    assert both.target == {**task.target, "answer": "One moment."}


def test_unreadable_records_are_rejected_with_what_they_were() -> None:
    rows, rejected, format = read_rows(
        iter([("1", xlam()), ("2", {**xlam(), "answers": "[{"})]), "auto"
    )
    assert (len(rows), format) == (1, "xlam")
    assert [(item.id, item.reason, item.source) for item in rejected] == [
        ("2", "malformed", "xlam")
    ]
    assert rejected[0].record == {**xlam(), "answers": "[{"}


@pytest.mark.parametrize(
    ("schema", "arguments", "place"),
    [
        ({"properties": {"a": {"type": ["string", "null"]}}}, {"a": None}, ""),
        ({"properties": {}}, {"b": None}, "b"),
        (None, {"b": None}, "b"),
        ({"properties": {}, "additionalProperties": True}, {"b": None}, ""),
        ({"properties": {"a": {"properties": {"x": {}}}}}, {"a": {"x": None, "y": None}}, "a.y"),
        ({"properties": {"a": {"items": {"properties": {}}}}}, {"a": [{}, {"y": None}]}, "a.y"),
        ({"properties": {"a": {"type": "object"}}}, {"a": {"y": None}}, ""),
        ({"properties": {}}, [None], ""),
    ],
)
def test_arguments_of_other_calls_are_recognised(schema: Any, arguments: Any, place: str) -> None:
    assert unified_argument(arguments, schema) == place
