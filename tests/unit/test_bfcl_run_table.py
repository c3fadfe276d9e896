"""The table of a run: an interval on every number, and what `strict: true` lists."""

from __future__ import annotations

from typing import Any

import pytest

from callsmith import Message, Task, Verdict, wilson_interval
from callsmith_bfcl.run_table import NOT_ASKED, run_rows

Judged = list[tuple[Task, Verdict]]


def verdict(
    entry: str, passed: bool, *reasons: str, verifier: str = "bfcl"
) -> tuple[Task, Verdict]:
    task = Task(id=entry, messages=(Message(role="user", content="?"),))
    said = Verdict(verifier=verifier, passed=passed, score=float(passed), reasons=reasons)
    return task, said


def by_name(judged: Judged, *, strict: bool = False) -> dict[Any, Any]:
    return {row["category"]: row for row in run_rows(judged, strict=strict)}


def test_a_category_has_its_wilson_interval() -> None:
    judged = [verdict(f"simple_python_{n}", n == 0) for n in range(10)]
    (row,) = run_rows(judged, strict=False)
    assert (row["right"], row["total"], row["share"], row["complete"]) == (1, 10, 0.1, False)
    assert row["interval"] == pytest.approx(list(wilson_interval(1, 10)))


def test_a_group_has_an_interval_too() -> None:
    names = [f"simple_{language}_{n}" for language in ("python", "java") for n in range(8)]
    judged = [verdict(name, name.endswith(("1", "2"))) for name in names]
    assert "simple" not in by_name(judged)  # JavaScript is missing
    judged += [verdict(f"simple_javascript_{n}", n < 4) for n in range(8)]
    row = by_name(judged)["simple"]
    assert row["share"] == pytest.approx(1 / 3)
    low, high = row["interval"]
    assert 0.1 < low < 1 / 3 < high < 0.6


def test_samples_of_one_entry_are_not_counted_as_independent() -> None:
    once = [verdict(f"simple_python_{n}", n < 4) for n in range(8)]
    four_times = by_name(once * 4)["simple_python"]
    assert (four_times["right"], four_times["total"], four_times["share"]) == (16, 32, 0.5)
    low, high = four_times["interval"]
    narrow_low, narrow_high = wilson_interval(16, 32)
    assert high - low > 1.5 * (narrow_high - narrow_low)
    # An entry that is right in half of its samples stands in between.
    mixed = [*once, *(verdict(f"simple_python_{n}", n % 2 == 0) for n in range(8))]
    low, high = by_name(mixed)["simple_python"]["interval"]
    assert low < 0.5 < high


def test_a_metric_is_about_the_entries_that_it_can_be_asked_of() -> None:
    judged = []
    for n in range(4):
        name = f"simple_python_{n}"
        called = n < 3
        judged += [
            verdict(name, n == 0),
            verdict(name, called, verifier="bfcl-parseable"),
            verdict(name, True, *([] if called else [NOT_ASKED]), verifier="bfcl-known-tools"),
            verdict(name, n < 2, verifier="bfcl-right-names"),
        ]
    rows = by_name(judged)
    assert {name: (row["right"], row["total"]) for name, row in rows.items()} == {
        "simple_python": (1, 4),
        "calls: parseable": (3, 4),
        "calls: known tools": (3, 3),
        "calls: right names": (2, 4),
        "calls: right arguments": (1, 2),
    }
    assert all(row["interval"][0] < row["share"] or row["share"] == 0 for row in rows.values())


def test_a_metric_of_nothing_has_no_share() -> None:
    judged = [verdict("irrelevance_0", True, NOT_ASKED, verifier="bfcl-parseable")]
    assert run_rows(judged, strict=False) == []
    judged = [
        verdict("simple_python_0", False),
        verdict("simple_python_0", False, "no", verifier="bfcl-right-names"),
    ]
    assert by_name(judged)["calls: right arguments"] == {
        "category": "calls: right arguments",
        "right": 0,
        "total": 0,
    }


def test_strictly_the_entries_are_listed_on_which_the_official_verdict_differs() -> None:
    judged = [
        verdict("simple_python_0", True, "officially value_error:others (A5)"),
        verdict("simple_python_1", False, "value_error:string", "x", "officially right (A3)"),
        verdict("simple_python_1", False, "value_error:string", "x", "officially right (A3)"),
        verdict("simple_python_2", False, "value_error:string", "x"),
        verdict("simple_java_36", False, "value_error:others"),
    ]
    notes = [(row["category"], row["note"]) for row in run_rows(judged, strict=True)[2:]]
    assert notes == [
        ("simple_python_0", "strictly right, officially value_error:others (A5)"),
        ("simple_python_1", "strictly value_error:string, officially right (A3)"),
        (
            "simple_java_36",
            "no output can satisfy: parts is a list of any, which is text, and the accepted list "
            "has a number",
        ),
    ]
    assert not any("note" in row for row in run_rows(judged, strict=False))
