"""Duplicates, splits by hash of content, and questions of benchmarks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith import Message, ToolCall
from callsmith_tasks.data.cleaning import seal, split_of, split_rows, without_duplicates
from callsmith_tasks.data.contamination import (
    ContaminationIndex,
    Question,
    decontaminate,
    question_of,
)
from callsmith_tasks.data.readers import READERS
from callsmith_tasks.data.row import Row, RowError
from fixtures.data_rows import RECORDS, trl, xlam


def ask(text: str, id: str = "a", **changes: Any) -> Row:
    (row,) = READERS["xlam"](xlam(query=text), id)
    return replace(row, **changes)


def test_exact_and_near_duplicates_are_told_apart() -> None:
    first = ask("Weather in Oslo?")
    call = replace(first.calls[0], id="other")
    rows = [
        first,
        ask("Weather in Oslo?", "b", calls=(call,), source="elsewhere"),
        ask("weather  in OSLO", "c", tools=first.tools[::-1]),
        ask("Weather in Rome?", "d"),
        ask("Weather in Oslo?", "e", calls=(replace(call, arguments={"city": "Rome"}),)),
    ]
    kept, removed = without_duplicates(rows)
    assert [row.id for row in kept] == ["a", "d", "e"]
    assert [(item.id, item.reason) for item in removed] == [
        ("b", "duplicate"),
        ("c", "near-duplicate"),
    ]
    assert all("the row a" in item.detail for item in removed)


def test_true_is_not_one_for_duplicates() -> None:
    calls = [(ToolCall(name="get_weather", arguments={"x": value}),) for value in (True, 1, 1.0)]
    rows = [ask("q", str(at), calls=call) for at, call in enumerate(calls)]
    assert len(without_duplicates(rows)[0]) == 3


TEXTS = st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=12)


@given(texts=TEXTS, salt=st.text(max_size=3), order=st.randoms())
def test_a_split_depends_on_content_alone(texts: list[str], salt: str, order: Any) -> None:
    rows = [ask(text, str(at)) for at, text in enumerate(texts)]
    shares = {"dev": 0.3, "test": 0.3}
    splits = split_rows(rows, shares, salt)
    assert sorted(row.id for rows in splits.values() for row in rows) == sorted(
        row.id for row in rows
    )
    mixed = list(rows)
    order.shuffle(mixed)
    again = split_rows(mixed, shares, salt)
    for name, items in splits.items():
        assert seal(items) == seal(again[name])
        assert {row.id for row in items} == {row.id for row in again[name]}


def test_shares_and_salt() -> None:
    rows = [ask(f"question {at}", str(at)) for at in range(2000)]
    splits = split_rows(rows, {"dev": 0.1, "test": 0.2})
    sizes = {name: len(items) for name, items in splits.items()}
    assert 330 < sizes["test"] < 470
    assert 140 < sizes["dev"] < 260
    other = split_rows(rows, {"dev": 0.1, "test": 0.2}, "salt")
    assert seal(other["test"]) != seal(splits["test"])
    # A larger test split keeps all rows that it had.
    wider = {row.id for row in split_rows(rows, {"dev": 0.1, "test": 0.3})["test"]}
    assert {row.id for row in splits["test"]} <= wider
    assert split_rows(rows, {})["train"] == tuple(rows)


@pytest.mark.parametrize("shares", [{"dev": 0.5, "test": 0.5}, {"dev": -0.1}])
def test_shares_must_leave_rows(shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="leave rows to train on"):
        split_of(ask("x"), shares)


def test_a_conversation_stays_together() -> None:
    for at in range(50):
        record = trl()
        record["messages"][1]["content"] = f"Set timer {at}."
        rows = READERS["trl"](record, str(at))
        assert len({split_of(row, {"dev": 0.4, "test": 0.4}) for row in rows}) == 1


LONG = "please find me the cheapest direct flight from Oslo to Rome on the first Friday of May"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (ask("anything", "bfcl_1#2"), "contaminated-id"),
        (ask("anything", "bfcl_1+mask-names"), "contaminated-id"),
        (ask(LONG.upper() + "!", "x"), "contaminated-text"),
        (ask(f"Hello, {LONG}, and a hotel", "x"), "contaminated-ngram"),
        (ask("What's the time?", "x"), "contaminated-text"),
        (ask("so turn the lamp in my kitchen on, please", "x"), "contaminated-ngram"),
    ],
)
def test_contaminated_rows_are_found(row: Row, reason: str) -> None:
    questions = [
        Question(id="bfcl_1", texts=(LONG,)),
        Question(id="bfcl_2", texts=("What's the time", "Turn the lamp in my kitchen on")),
    ]
    kept, removed = decontaminate([row, ask("a clean one", "clean")], ContaminationIndex(questions))
    assert [r.id for r in kept] == ["clean"]
    assert [item.reason for item in removed] == [reason]
    assert "bfcl_" in removed[0].detail


def test_clean_rows_stay() -> None:
    index = ContaminationIndex([Question(id="7", texts=(LONG, "the time please"))])
    twelve = " ".join(LONG.split()[:12])
    rows = [ask(twelve, "7"), ask("tell me the time please now", "b")]
    assert decontaminate(rows, index) == (tuple(rows), ())
    assert decontaminate(rows, ContaminationIndex([Question(id="7", texts=(LONG,))], 12))[0] == (
        rows[1],
    )


def test_only_what_users_say_counts() -> None:
    row = replace(
        ask("hello"), messages=(Message(role="system", content=LONG), *ask("hello").messages)
    )
    assert decontaminate([row], ContaminationIndex([Question(id="q", texts=(LONG,))]))[0] == (row,)


@pytest.mark.parametrize(
    ("record", "texts"),
    [
        (
            {
                "id": "multi_turn_0",
                "question": [
                    [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}],
                    [{"role": "user", "content": "b"}],
                ],
            },
            ("a", "b"),
        ),
        (RECORDS["xlam"], ("What is the weather in Oslo for 3 days?",)),
        (trl(), ("Set a timer of five minutes.",)),
    ],
)
def test_questions_are_read_from_several_shapes(
    record: dict[str, Any], texts: tuple[str, ...]
) -> None:
    assert question_of(record, "line-1").texts == texts


def test_a_line_without_a_question_is_an_error() -> None:
    with pytest.raises(RowError, match="a question needs"):
        question_of({"id": "x", "question": []}, "line-1")


def test_a_place_in_a_file_is_no_id() -> None:
    question = question_of({"text": "Something else entirely."}, "test-1")
    assert ContaminationIndex([question]).match(ask("Weather in Oslo?", "test-1")) is None
    marked = question_of({"id": "multi#1", "text": "Something else entirely."}, "test-1")
    found = ContaminationIndex([marked]).match(ask("Weather in Oslo?", "multi#1"))
    assert found == ("contaminated-id", "multi#1", "")
