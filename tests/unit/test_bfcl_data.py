"""Loading entries: from a small archive of our own, and every category of the real wheel."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith import UnknownNameError
from callsmith_bfcl.categories import CATEGORIES, category_of
from callsmith_bfcl.data import (
    DEFAULT_FORMAT,
    Entry,
    format_configurations,
    function_docs,
    load_entries,
    load_memory_prerequisites,
)
from callsmith_bfcl.records import read_records
from callsmith_bfcl.wheel import MissingDataError, Wheel
from fixtures.small_bfcl import ADD, CLOCK, LAMP, find_wheel, small_wheel


def test_single_turn_entries_have_questions_functions_and_answers() -> None:
    first, second = load_entries(small_wheel(), "simple_python")
    assert first == Entry(
        id="simple_python_0",
        category="simple_python",
        question=[[{"role": "user", "content": "1 + 1?"}]],
        functions=[ADD],
        ground_truth=[{"math.add": {"a": [1.0], "b": [""]}}],
    )
    assert second.question[0][1]["content"] == '], "function": ['
    assert (first.original_id, first.checked_as, first.language) == (
        *("simple_python_0", "simple_python", "python"),
    )


def test_irrelevance_has_no_answers() -> None:
    (entry,) = load_entries(small_wheel(), "irrelevance")
    assert entry.ground_truth is None


def test_withheld_functions_are_taken_out_until_their_turn() -> None:
    (entry,) = load_entries(small_wheel(), "multi_turn_miss_func")
    assert [doc["name"] for doc in entry.functions] == ["now", "light"]
    assert entry.withheld == {1: [CLOCK[1]]}
    assert entry.initial_config == {"Clock": {"hour": 3}}
    assert entry.involved_classes == ("Clock", "Lamp")
    assert entry.path == ("Clock.now",)
    # Listed as excluded, and offered all the same.
    assert entry.excluded_function == ("light",)
    assert len(entry.question) == len(entry.ground_truth) == 3


def test_functions_of_the_apis_come_by_class() -> None:
    docs = function_docs(small_wheel())
    assert docs["Clock"] == tuple(CLOCK)
    assert docs["Lamp"] == tuple(LAMP)


@pytest.mark.parametrize(
    ("category", "snippets"), [("web_search_base", True), ("web_search_no_snippet", False)]
)
def test_web_search_entries_get_the_name_of_their_category(category: str, snippets: bool) -> None:
    (entry,) = load_entries(small_wheel(), category)
    assert entry.id == f"{category}_0"
    assert entry.ground_truth == ["Me"]
    assert entry.initial_config == {"WebSearchAPI": {"show_snippet": snippets}}
    assert [doc["name"] for doc in entry.functions] == ["search"]


def test_memory_entries_wait_for_the_conversations_before_them() -> None:
    (entry,) = load_entries(small_wheel(), "memory_rec_sum")
    before = load_memory_prerequisites(small_wheel(), "memory_rec_sum")
    assert entry.id == "memory_rec_sum_0-student-0"
    assert entry.involved_classes == ("MemoryAPI_rec_sum",)
    assert entry.depends_on == tuple(item.id for item in before)
    assert [item.id for item in before] == [
        "memory_rec_sum_prereq_0-student-0",
        "memory_rec_sum_prereq_1-student-1",
    ]
    assert [item.depends_on for item in before] == [(), (before[0].id,)]
    assert all(item.prerequisite and item.category == "memory_rec_sum" for item in before)
    assert not entry.prerequisite


def test_format_sensitivity_asks_again_in_every_configuration() -> None:
    entries = load_entries(small_wheel(), "format_sensitivity")
    (original,) = load_entries(small_wheel(), "simple_python")[1:]
    assert [item.prompt_format for item in entries] == format_configurations()
    assert len(set(format_configurations())) == 26
    assert DEFAULT_FORMAT in format_configurations()
    for number, item in enumerate(entries):
        assert item.id == f"format_sensitivity_{number}:{item.prompt_format}:simple_python_1"
        assert item.original_id == original.id
        assert item.checked_as == "simple_python"
        assert item.ground_truth == original.ground_truth
        assert category_of(item.id) == item.category == "format_sensitivity"


def test_answers_that_do_not_pair_up_are_refused() -> None:
    wheel = small_wheel({"data/possible_answer/BFCL_v4_simple_python.json": "\n"})
    with pytest.raises(MissingDataError, match="has 0 answers for 2 questions"):
        load_entries(wheel, "simple_python")


def test_a_category_that_does_not_exist() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'simple_python'"):
        load_entries(small_wheel(), "simple_pythn")


def test_a_category_that_the_archive_lacks() -> None:
    with pytest.raises(MissingDataError, match=r"BFCL_v4_parallel\.json"):
        load_entries(small_wheel(), "parallel")


_TEXT = st.text() | st.sampled_from(
    ['], "function": [', '"], "function": ["', "\\", '\\"', "\u2028", "]}", "\x85"]
)
_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXT, inner, max_size=2),
    max_leaves=3,
)
_LIST = st.lists(_VALUE, max_size=2)
_RECORD = st.one_of(
    st.fixed_dictionaries(
        {
            "id": _TEXT,
            "question": _LIST,
            "function": _LIST,
        }
    ),
    # Other orders, nested keys of the same name, more keys: cut or not, the objects are the same.
    st.dictionaries(
        st.sampled_from(["id", "question", "function", "more"]),
        _VALUE | st.fixed_dictionaries({"a": _LIST, "function": _LIST}),
    ),
)


@given(st.lists(_RECORD, max_size=3), st.booleans())
def test_sharing_function_documents_changes_no_object(records: list[Any], ascii_only: bool) -> None:
    lines = [json.dumps(record, ensure_ascii=ascii_only) for record in records]
    assert read_records("\n".join([*lines, ""]).encode("utf-8", "surrogatepass")) == records


def test_equal_function_documents_are_held_once() -> None:
    first, second = load_entries(small_wheel(), "simple_python")
    assert first.functions is second.functions


@pytest.fixture(scope="module")
def wheel() -> Wheel:
    return find_wheel()


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_of_the_wheel_loads_whole(wheel: Wheel, category: str) -> None:
    known = CATEGORIES[category]
    entries = load_entries(wheel, category)
    assert len(entries) == known.count
    assert len({entry.id for entry in entries}) == known.count
    numbers = []
    for entry in entries:
        assert category_of(entry.id) == entry.category == category
        number = entry.id.partition(":")[0].rpartition("_")[2]
        numbers.append(int(number.partition("-")[0]))
        assert entry.question[0]
        assert (entry.ground_truth is None) == (known.checker in ("irrelevance", "relevance"))
    assert numbers == list(range(known.count))


@pytest.mark.parametrize(
    "category", [name for name, item in CATEGORIES.items() if item.kind == "single"]
)
def test_entries_are_those_of_the_files(wheel: Wheel, category: str) -> None:
    text = wheel.read(f"data/BFCL_v4_{category}.json").decode()
    records = [json.loads(line) for line in text.split("\n") if line]
    assert [
        {"id": entry.id, "question": entry.question, "function": entry.functions}
        for entry in load_entries(wheel, category)
    ] == records


def test_format_sensitivity_has_the_known_mixture(wheel: Wheel) -> None:
    found = Counter(entry.checked_as for entry in load_entries(wheel, "format_sensitivity"))
    counts = [30, 15, 15, 15, 24, 86, 6, 9]
    names = "simple_python multiple parallel parallel_multiple live_simple live_multiple"
    names += " live_parallel live_parallel_multiple"
    expected = dict(zip(names.split(), counts, strict=True))
    assert {name: count / 26 for name, count in found.items()} == expected


def test_the_answers_of_the_wheel_have_the_known_calls(wheel: Wheel) -> None:
    calls = {
        name: sum(len(turn) for entry in load_entries(wheel, name) for turn in entry.ground_truth)
        for name, item in CATEGORIES.items()
        if item.kind == "multi_turn"
    }
    assert calls == {
        "multi_turn_base": 1142,
        "multi_turn_miss_func": 1140,
        "multi_turn_miss_param": 1140,
        "multi_turn_long_context": 1203,
    }


def test_withheld_functions_of_the_wheel_are_all_found(wheel: Wheel) -> None:
    entries = load_entries(wheel, "multi_turn_miss_func")
    for entry in entries:
        offered = {doc["name"] for doc in entry.functions}
        for turn, held in entry.withheld.items():
            assert entry.question[turn] == []
            assert held
            assert offered.isdisjoint(doc["name"] for doc in held)
    assert all(entry.withheld for entry in entries)
