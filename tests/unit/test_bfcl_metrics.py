"""Metrics beside the verdict: which entries they are about, and what they say."""

from __future__ import annotations

from typing import Any

import pytest

from callsmith_bfcl.metrics import CallMetrics, Share, fits_schema, measure, summarize_metrics
from fixtures.small_bfcl import ADD, function

GOLD = [{"math.add": {"a": [1.0], "b": [""]}}]
EMPTY = function("now")


def test_a_right_call_has_everything() -> None:
    found = measure([ADD], [{"math.add": {"a": 1}}], valid=True, ground_truth=GOLD)
    assert found == CallMetrics(True, True, True, True, True)


def test_output_that_cannot_be_read_is_about_parsing_and_names_only() -> None:
    found = measure([ADD], None, valid=False, ground_truth=GOLD)
    assert found == CallMetrics(parseable=False, right_names=False)
    assert measure([ADD], [], valid=False, ground_truth=GOLD) == found


def test_an_invented_tool_is_neither_known_nor_valid() -> None:
    found = measure([ADD], [{"sum": {"a": 1}}], valid=False, ground_truth=GOLD)
    assert found == CallMetrics(True, False, False, False, None)


def test_a_wrong_argument_of_the_right_tool() -> None:
    found = measure([ADD], [{"math.add": {"a": 2}}], valid=False, ground_truth=GOLD)
    assert found == CallMetrics(True, True, True, True, False)


def test_names_count_each_as_often_and_in_any_order() -> None:
    gold = [{"now": {}}, {"math.add": {"a": [1]}}]
    calls: list[dict[str, Any]] = [{"math.add": {"a": 1}}, {"now": {}}]
    assert measure([ADD, EMPTY], calls, valid=True, ground_truth=gold).right_names
    twice = [*calls, {"now": {}}]
    assert measure([ADD, EMPTY], twice, valid=False, ground_truth=gold).right_names is False


def test_where_no_call_is_due_parsing_is_no_question() -> None:
    assert measure([ADD], None, valid=True, call_due=False) == CallMetrics()
    found = measure([ADD], [{"x": {}}], valid=False, call_due=False)
    assert found == CallMetrics(known_tools=False, schema_valid=False)


def test_names_with_underscores_where_the_model_was_shown_them() -> None:
    calls = [{"math_add": {"a": 1.0}}]
    shown = measure([ADD], calls, valid=True, ground_truth=GOLD, underscore_to_dot=True)
    assert shown == CallMetrics(True, True, True, True, True)
    assert measure([ADD], calls, valid=False, ground_truth=GOLD).known_tools is False


SCHEMA = {
    "type": "dict",
    "properties": {
        "text": {"type": "string", "enum": ["a", "b"]},
        "count": {"type": "integer"},
        "share": {"type": "float"},
        "flag": {"type": "boolean"},
        "many": {"type": "array", "items": {"type": "integer"}},
        "pair": {"type": "tuple", "items": {"type": "float"}},
        "inner": {"type": "dict", "properties": {"x": {"type": "string"}}, "required": ["x"]},
        "free": {"type": "dict"},
        "whatever": {"type": "any"},
    },
    "required": ["text"],
}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"count": 3, "share": 2, "flag": False},
        {"share": 0.5, "many": [1, 2], "pair": (1, 2.5)},
        {"inner": {"x": "y"}, "free": {"z": [None]}, "whatever": object},
        {"many": []},
    ],
    ids=["little", "plain", "lists", "nested", "empty"],
)
def test_arguments_that_fit(given: dict[str, Any]) -> None:
    assert fits_schema({"text": "a", **given}, SCHEMA)


@pytest.mark.parametrize(
    "given",
    [
        {"text": "c"},
        {"text": None},
        {"count": 3.0},
        {"count": True},
        {"share": "1"},
        {"share": True},
        {"flag": 1},
        {"many": ["1"]},
        {"many": "12"},
        {"inner": {}},
        {"inner": {"x": "y", "z": 1}},
        {"inner": []},
        {"unknown": 1},
    ],
    ids=str,
)
def test_arguments_that_do_not_fit(given: dict[str, Any]) -> None:
    assert not fits_schema({"text": "a", **given}, SCHEMA)


def test_what_is_no_object_or_lacks_a_required_one_does_not_fit() -> None:
    assert not fits_schema([], SCHEMA)
    assert not fits_schema({}, SCHEMA)


def test_source_text_is_text_whatever_is_declared() -> None:
    given = {"text": "x", "count": "3"}
    assert fits_schema(given, SCHEMA, source_text=True)
    assert not fits_schema({"text": "x", "count": 3}, SCHEMA, source_text=True)


def test_arguments_nested_without_end_do_not_fit() -> None:
    schema: dict[str, Any] = {"type": "array"}
    schema["items"] = schema
    value: list[Any] = []
    value.append(value)
    assert not fits_schema({"x": value}, {"properties": {"x": schema}})


def test_shares_are_of_the_entries_that_a_metric_is_about() -> None:
    found = summarize_metrics(
        [CallMetrics(True, True, False, True, True), CallMetrics(False), CallMetrics()]
    )
    assert found["parseable"] == Share(1, 2)
    assert found["schema_valid"] == Share(0, 1)
    assert found["right_arguments"].rate == 1.0
    assert summarize_metrics([])["parseable"].rate is None
