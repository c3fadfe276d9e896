"""Copies of the simulated APIs' instances: what is copied, what stays shared, and how often."""

from __future__ import annotations

from typing import Any

import pytest

from callsmith_bfcl.multi_turn import MultiTurnChecker
from callsmith_bfcl.multi_turn.apis import Apis
from callsmith_bfcl.multi_turn.clones import clone_instance
from fixtures.small_apis import SmallApis, SmallEntry


class TravelAPI:
    """With the one attribute that is always replaced whole."""

    def __init__(self) -> None:
        self._flight_cost_lookup = {"a|b": {"cost": 1.0}}
        self.cards = {"1": {"balance": 5}}


def test_what_is_replaced_whole_stays_shared() -> None:
    original = TravelAPI()
    twin = clone_instance(original, files=False)
    assert twin._flight_cost_lookup is original._flight_cost_lookup
    assert twin.cards == original.cards
    assert twin.cards["1"] is not original.cards["1"]
    twin._flight_cost_lookup = {}
    assert original._flight_cost_lookup == {"a|b": {"cost": 1.0}}


def test_parts_that_occur_twice_occur_twice_again() -> None:
    original = TravelAPI()
    flat: dict[str, Any] = {"x": 1}
    numbers = [1, 2]
    original.cards = {"one": flat, "two": flat, "three": {"in": [numbers, numbers]}}
    twin: Any = clone_instance(original, files=False)
    assert twin.cards["one"] is twin.cards["two"] is not flat
    inner = twin.cards["three"]["in"]
    assert inner[0] is inner[1] is not numbers


def test_what_is_kept_stays_shared_inside_containers() -> None:
    original = TravelAPI()
    kept = original.cards["1"]
    twin = clone_instance(original, {id(kept)}, files=False)
    assert twin.cards is not original.cards
    assert twin.cards["1"] is kept


def test_an_answer_copies_an_instance_once_for_each_turn_that_calls_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Copies are what long contexts cost most; the state after a turn is the instance itself.
    copies: list[str] = []
    clone = Apis.clone

    def counted(apis: Apis, instance: Any, *, files: bool = False) -> Any:
        copies.append(type(instance).__name__)
        return clone(apis, instance, files=files)

    monkeypatch.setattr(Apis, "clone", counted)
    draw, ticket = "draw()", "create_ticket(title='a')"
    entry = SmallEntry([[draw, draw], [ticket], [draw, "titles()"]], ("TravelAPI", "TicketAPI"))
    checker = MultiTurnChecker(SmallApis())
    results = checker.answer_results(entry)
    assert sorted(copies) == ["TicketAPI", "TicketAPI", "TravelAPI", "TravelAPI"]
    numbers = [results[0][0], results[0][1], results[2][0]]
    assert len(set(numbers)) == 3
    # What is remembered of a turn is not changed by the next turns, nor by a model's.
    late = [[[draw, draw]], [[ticket]], [["titles()", draw, ticket]]]
    for _ in range(2):
        assert checker.check(entry, [[calls] for calls in entry.ground_truth]).valid
        assert checker.check(entry, late).error_type == "multi_turn:instance_state_mismatch"
