"""The categories of BFCL V4: names, groups, sizes, and what ids say."""

from __future__ import annotations

import pytest

from callsmith import UnknownNameError
from callsmith_bfcl.categories import (
    CATEGORIES,
    COLLECTIONS,
    category_of,
    group_of,
    language_of,
    select_categories,
)


def test_the_scored_categories_hold_5106_entries() -> None:
    sizes = {
        name: sum(CATEGORIES[item].count for item in COLLECTIONS[name]) for name in COLLECTIONS
    }
    assert sizes["all_scoring"] == 5106
    assert sizes["all"] == 5106 + 5200
    assert sizes["non_live"] == 1390
    assert sizes["live"] == 2251
    assert sizes["single_turn"] == 3641
    assert sizes["multi_turn"] == 800
    assert sizes["agentic"] == 665
    assert sizes["python"] + sizes["non_python"] == sizes["single_turn"]


def test_checkers_share_the_entries_out() -> None:
    def count(*checkers: str) -> int:
        return sum(item.count for item in CATEGORIES.values() if item.checker in checkers)

    assert count("ast") == 2501 + 5200
    assert count("irrelevance", "relevance") == 1140


def test_languages_and_groups() -> None:
    assert language_of("simple_java") == "java"
    assert language_of("simple_javascript") == "javascript"
    assert {language_of(name) for name in COLLECTIONS["live"]} == {"python"}
    assert group_of("irrelevance") == "non_live"
    assert group_of("live_relevance") == "live"
    assert group_of("format_sensitivity") == "format_sensitivity"


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("multiple", "non_live"),
        ("live_multiple", "live"),
        ("multi_turn_base", "multi_turn"),
        ("web_search_base", "agentic"),
        ("memory_rec_sum", "agentic/memory/rec_sum"),
        ("format_sensitivity", "format_sensitivity"),
    ],
)
def test_result_folders(name: str, folder: str) -> None:
    assert CATEGORIES[name].folder == folder


@pytest.mark.parametrize(
    ("entry_id", "category"),
    [
        ("simple_python_17", "simple_python"),
        ("live_parallel_multiple_4-2-0", "live_parallel_multiple"),
        ("multi_turn_long_context_199", "multi_turn_long_context"),
        ("memory_rec_sum_0-customer-0", "memory_rec_sum"),
        ("memory_kv_prereq_15-finance-0", "memory_kv"),
        ("web_search_no_snippet_3", "web_search_no_snippet"),
        ("format_sensitivity_7:style=classic:live_simple_1-0-1", "format_sensitivity"),
    ],
)
def test_an_id_names_its_category(entry_id: str, category: str) -> None:
    assert category_of(entry_id) == category


@pytest.mark.parametrize("entry_id", ["", "simple_python", "exec_simple_3", "3", "_", ":"])
def test_an_id_of_no_category_is_refused(entry_id: str) -> None:
    with pytest.raises(UnknownNameError, match="begins with no category"):
        category_of(entry_id)


def test_collections_and_names_are_selected_once_in_official_order() -> None:
    assert select_categories(["memory", "multiple", "memory_kv"]) == (
        *("multiple", "memory_kv", "memory_vector", "memory_rec_sum"),
    )
    assert select_categories([]) == ()


def test_a_mistyped_category_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'live_multiple'"):
        select_categories(["live_multipel"])
    with pytest.raises(UnknownNameError, match="there are: simple_python, "):
        language_of("zzz")
