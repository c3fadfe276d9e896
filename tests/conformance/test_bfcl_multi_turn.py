"""Verdict and error type equal to the official ones, on every row of the shared corpora."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from callsmith_bfcl.agentic import check_answer
from callsmith_bfcl.data import Entry, load_entries
from callsmith_bfcl.multi_turn import LiveApis, MultiTurnChecker
from callsmith_bfcl.multi_turn.apis import Apis, InitialStates, Side
from callsmith_bfcl.multi_turn.loader import ApiSources
from callsmith_bfcl.wheel import Wheel
from fixtures.small_apis import SmallEntry
from fixtures.small_bfcl import find_wheel

CATEGORIES = ("base", "miss_func", "miss_param", "long_context")


@pytest.fixture(scope="module")
def wheel() -> Wheel:
    return find_wheel()


@pytest.fixture(scope="module")
def entries(wheel: Wheel) -> dict[str, Entry]:
    return {
        entry.id: entry
        for category in CATEGORIES
        for entry in load_entries(wheel, f"multi_turn_{category}")
    }


def rows(shared: Path, name: str) -> Iterator[dict[str, Any]]:
    path = shared / "bfcl" / name
    if not path.is_file():
        pytest.skip(f"needs ../shared/bfcl/{name}")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def test_multi_turn_corpus(shared: Path, wheel: Wheel, entries: dict[str, Entry]) -> None:
    checker = MultiTurnChecker(wheel)
    counted: Counter[str] = Counter()
    differing: list[str] = []
    for row in rows(shared, "parity_multi_turn_public.jsonl.gz"):
        outcome = checker.check(entries[row["id"]], row["turns"])
        counted[row["category"]] += 1
        if (outcome.valid, outcome.error_type) != (row["valid"], row["error_type"]):
            differing.append(f"{row['id']} {row['mutation']}: {outcome}")
    assert differing == []
    assert counted.total() == 10_772
    assert set(counted) == {f"multi_turn_{category}" for category in CATEGORIES}


def test_the_order_of_rows_does_not_matter(
    shared: Path, wheel: Wheel, entries: dict[str, Entry]
) -> None:
    # Nothing is left over from one scoring to the next, also with hardly any remembered answers.
    some = [row for n, row in enumerate(rows(shared, "parity_multi_turn_public.jsonl.gz")) if n % 9]
    checker = MultiTurnChecker(wheel, cached_entries=2)
    differing = [
        row["id"]
        for row in reversed(some[:1500])
        if checker.check(entries[row["id"]], row["turns"]).error_type != row["error_type"]
    ]
    assert differing == []


def test_agentic_corpus(shared: Path, wheel: Wheel) -> None:
    answers = {
        entry.id.replace(category, name): entry.ground_truth
        for name, category in (("memory", "memory_kv"), ("web_search", "web_search_base"))
        for entry in load_entries(wheel, category)
    }
    differing: list[str] = []
    count = 0
    for row in rows(shared, "parity_agentic_public.jsonl.gz"):
        count += 1
        outcome = check_answer(answers[row["id"]], row["last_message"])
        expected = None if row["valid"] else "agentic:answer_not_found"
        if (outcome.valid, outcome.error_type) != (row["valid"], expected):
            differing.append(f"{row['id']} {row['kind']}: {outcome}")
    assert differing == []
    assert count == 1_840


def test_every_answer_is_right_and_raises_nothing(wheel: Wheel, entries: dict[str, Entry]) -> None:
    # The specification's count: 4,625 calls, none of which fails.
    checker = MultiTurnChecker(wheel)
    results: list[str] = []
    for entry in entries.values():
        turns = [[calls] for calls in entry.ground_truth]
        assert checker.check(entry, turns).valid, entry.id
        results += [text for turn in checker.answer_results(entry) for text in turn]
    assert len(results) == 4_625
    assert not [text for text in results if text.startswith("Error during execution")]


@pytest.mark.parametrize("long_context", [False, True])
def test_no_method_changes_the_looked_up_flight_costs_in_place(
    wheel: Wheel, entries: dict[str, Entry], long_context: bool
) -> None:
    # What `clones.REPLACED_WHOLE` relies on: copies of an instance share this attribute.
    apis = Apis(ApiSources(wheel).load())
    category = "long_context" if long_context else "base"
    calls = [
        call
        for entry in entries.values()
        if entry.id.startswith(f"multi_turn_{category}") and "TravelAPI" in entry.involved_classes
        for turn in entry.ground_truth
        for call in turn
    ]
    config = {"access_token": "t", "credit_card_list": {"c": {"balance": 10**9}}}
    entry = SmallEntry([], ("TravelAPI",), {"TravelAPI": config}, f"multi_turn_{category}_0")
    side = Side(InitialStates(apis, entry), "model")
    booking = "book_flight('t', 'c', '2024-01-01', 'SFO', 'LAX', 'economy')"
    called: set[str] = set()
    for call in [booking, "get_flight_cost('SFO', 'JFK', '2024-01-01', 'first')", *calls]:
        before = side.state("TravelAPI")._flight_cost_lookup
        copy = deepcopy(before)
        side.execute(call)
        assert before == copy, call
        called.add(call.partition("(")[0])
    assert len(side.state("TravelAPI")._flight_cost_lookup) >= 1
    assert {"book_flight", "cancel_booking", "get_flight_cost", "set_budget_limit"} <= called


async def test_live_sessions_give_the_results_of_scoring(
    wheel: Wheel, entries: dict[str, Entry]
) -> None:
    live = LiveApis(wheel)
    checker = MultiTurnChecker(wheel)
    for number in (0, 60, 120, 199):
        for category in CATEGORIES:
            entry = entries[f"multi_turn_{category}_{number}"]
            session = live.session(entry)
            assert [session.execute(calls) for calls in entry.ground_truth] == (
                checker.answer_results(entry)
            )


async def test_a_live_session_by_name(wheel: Wheel, entries: dict[str, Entry]) -> None:
    session = LiveApis(wheel).session(entries["multi_turn_base_0"])
    assert await session.call("cd", {"folder": "document"}) == (
        '{"current_working_directory": "document"}'
    )
    assert await session.call("cd", {"folder": "x/y"}) == (
        '{"error": "cd: x/y: Unsupported path. Only one folder level at a time is supported."}'
    )
    assert await session.call("mkdir", {"dir_name": "temp"}) == "None"
    assert await session.call("mkdir", {"name": "temp"}) == (
        "Error during execution: GorillaFileSystem.mkdir() got an unexpected keyword argument "
        "'name'"
    )
