"""Single-turn verdicts, error types and decoded calls, on every row of the shared corpora."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callsmith_bfcl.categories import CATEGORIES
from callsmith_bfcl.checking import check_calls, relevance_of
from callsmith_bfcl.checking.satisfiable import impossibilities
from callsmith_bfcl.data import Entry, load_entries
from callsmith_bfcl.decoding import (
    DecodeError,
    decode_execute,
    decode_function_calls,
    decode_text,
)
from callsmith_bfcl.outcome import Outcome
from callsmith_bfcl.strict import STRICT_FIXES, UNSATISFIABLE
from fixtures.small_bfcl import find_wheel

Row = dict[str, Any]
SINGLE_TURN = [name for name, category in CATEGORIES.items() if category.kind == "single"]


@pytest.fixture(scope="module")
def entries() -> dict[str, Entry]:
    wheel = find_wheel()
    return {entry.id: entry for name in SINGLE_TURN for entry in load_entries(wheel, name)}


def rows(shared: Path, name: str) -> Iterator[Row]:
    path = shared / "bfcl" / name
    if not path.is_file():
        pytest.skip(f"needs ../shared/bfcl/{name}")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def decoded(row: Row) -> object:
    if row["kind"] == "decoded":
        return row["output"]
    if row["kind"] == "raw_fc":
        return decode_function_calls(row["raw"])
    return decode_text(row["raw"], CATEGORIES[row["category"]].language)


def verdict(row: Row, entry: Entry, fixes: frozenset[str] = frozenset()) -> Outcome:
    category = CATEGORIES[row["category"]]
    if category.checker != "ast":
        return relevance_of(lambda: decoded(row), category.name)
    try:
        calls = decoded(row)
    except DecodeError as error:
        return Outcome(False, "ast_decoder:decoder_failed", (str(error),), "decode")
    return check_calls(
        entry.functions,
        calls,
        entry.ground_truth,
        category.language,
        category.name,
        row["underscore_to_dot"],
        fixes=fixes,
    )


def kind_of(mutation: str) -> str:
    """The family of a mutation: its name without parameters and numbers."""
    return mutation.partition("@")[0].partition("[")[0].rstrip("0123456789_")


def test_verdict_and_error_type_of_every_row(shared: Path, entries: dict[str, Entry]) -> None:
    counted: Counter[str] = Counter()
    agreeing: Counter[tuple[str, str]] = Counter()
    total: Counter[tuple[str, str]] = Counter()
    differing = []
    for row in rows(shared, "parity_public.jsonl.gz"):
        outcome = verdict(row, entries[row["id"]])
        group = (row["category"], kind_of(row["mutation"]))
        counted[row["kind"]] += 1
        total[group] += 1
        if (outcome.valid, outcome.error_type) == (row["valid"], row["error_type"]):
            agreeing[group] += 1
        else:
            differing.append(f"{row['id']} {row['mutation']}: {row['error_type']}, not {outcome}")
        assert bool(outcome.messages) is not outcome.valid
        assert outcome.rule
    assert total - agreeing == Counter()
    assert differing == []
    assert counted == {"decoded": 50_568, "raw_prompt": 11_927, "raw_fc": 3_642}


def test_what_every_text_is_decoded_to(shared: Path) -> None:
    differing = []
    for row in rows(shared, "parity_public.jsonl.gz"):
        if row["kind"] == "decoded":
            continue
        try:
            found = decoded(row)
        except DecodeError:
            # The corpus has null both for what could not be read and for what is no JSON.
            if row["output"] is not None or row.get("output_repr"):
                differing.append(f"{row['id']} {row['mutation']}: not read")
            continue
        if row.get("output_repr"):
            same = repr(found) == row["output_repr"]
        else:
            same = found == row["output"]
        if not same:
            differing.append(f"{row['id']} {row['mutation']}: {found!r}")
    assert differing == []


def test_what_every_step_is_decoded_to(shared: Path) -> None:
    differing = []
    count = 0
    for row in rows(shared, "parity_decode_execute_public.jsonl.gz"):
        count += 1
        try:
            found: list[str] | None = decode_execute(row["raw"])
        except DecodeError:
            found = None
        if found != (None if row["decode_failed"] else row["decoded"]):
            differing.append(f"{row['id']} {row['raw']!r}: {found}, not {row['decoded']}")
    assert differing == []
    assert count == 4_620


def test_the_entries_that_no_output_can_satisfy(entries: dict[str, Entry]) -> None:
    found = {}
    for entry in entries.values():
        category = CATEGORIES[entry.category]
        if category.checker == "ast":
            simple = "multiple" not in category.name and "parallel" not in category.name
            reasons = impossibilities(
                entry.functions, entry.ground_truth, category.language, first_function=simple
            )
            if reasons:
                found[entry.id] = reasons
    assert found.keys() == UNSATISFIABLE.keys()
    for name, reason in UNSATISFIABLE.items():
        parameter = reason.partition(" ")[0]
        assert any(line.startswith(parameter + " ") for line in found[name])


def test_no_row_satisfies_an_unsatisfiable_entry(shared: Path, entries: dict[str, Entry]) -> None:
    tried = Counter(
        row["id"]
        for row in rows(shared, "parity_public.jsonl.gz")
        if row["id"] in UNSATISFIABLE
        # Neither the official verdict nor ours, nor ours without the official behaviours.
        and not row["valid"]
        and not verdict(row, entries[row["id"]]).valid
        and not verdict(row, entries[row["id"]], STRICT_FIXES).valid
    )
    total = Counter(
        row["id"] for row in rows(shared, "parity_public.jsonl.gz") if row["id"] in UNSATISFIABLE
    )
    assert tried == total
    assert tried
