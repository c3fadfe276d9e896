"""Result texts of simulated calls: always what `json.dumps` gives, also where it is remembered."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from callsmith_bfcl.multi_turn.result_text import KEPT, LONG, result_text

ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
KEYS = ATOMS.filter(lambda key: key == key)


@given(st.dictionaries(KEYS, ATOMS | st.lists(ATOMS, max_size=3)), ATOMS, st.integers(0, 3))
def test_a_dict_is_json_however_long_its_lists_are(
    value: dict[Any, Any], item: object, extra: int
) -> None:
    value["long"] = [item] * (LONG + extra - 1)
    for _ in range(2):
        assert result_text(value) == json.dumps(value)


def test_a_list_that_was_changed_has_a_new_text() -> None:
    prices: list[Any] = [1.5] * LONG
    value = {"prices": prices}
    assert result_text(value) == json.dumps(value)
    for changed in (1, True, "1.5", 2.5, 1.5):
        prices[7] = changed
        assert result_text(value) == json.dumps(value)
    prices.append(0)
    assert result_text(value) == json.dumps(value)


def test_a_list_of_lists_is_never_remembered() -> None:
    inner = [1]
    value = {"rows": [inner] * LONG}
    before = result_text(value)
    inner.append(2)
    assert result_text(value) == json.dumps(value) != before


def test_many_lists_and_lists_that_are_gone_are_told_apart() -> None:
    for number in range(4 * KEPT):
        value = {"a": [number] * LONG, "b": [str(number)] * LONG}
        assert result_text(value) == json.dumps(value)


def test_what_is_no_dict_and_what_has_no_json() -> None:
    assert result_text("a") == "a"
    assert result_text(None) == "None"
    assert result_text([1, "a"]) == "[1, 'a']"
    without: dict[str, Any] = {"a": {1}, "b": [0] * LONG}
    assert result_text(without) == str(without)
    assert result_text({1: [0] * LONG}) == json.dumps({1: [0] * LONG})
