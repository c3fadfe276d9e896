"""Why an entry is right or wrong: the nearest accepted calls, the difference, the rule."""

from __future__ import annotations

import re
from typing import Any

import pytest

from callsmith_bfcl.categories import CATEGORIES
from callsmith_bfcl.checking.calls import check_calls
from callsmith_bfcl.data import Entry, load_entries
from callsmith_bfcl.explanation import explain_result, line_diff, nearest_calls, rule_text
from callsmith_bfcl.scoring import Handler
from callsmith_bfcl.strict import UNSATISFIABLE
from fixtures.small_bfcl import ADD, find_wheel, function, small_wheel

FC = Handler(mode="fc")


@pytest.mark.parametrize(
    ("alternatives", "given", "nearest"),
    [
        (["New York", "NY"], "ny", "ny"),
        (["New York", "NY"], "Boston", "New York"),
        (["", "x"], "y", "x"),
        ([1, 2], 2, 2),
        ([1, 2], True, 1),
        ([{"a": [1], "b": ["", 2]}], {"a": 1}, {"a": 1}),
        ([{"a": [1], "b": ["", 2]}], {"a": 3}, {"a": 1}),
        ([["a", "b"]], ["A", "b"], ["A", "b"]),
        ([[{"a": [1]}]], [], [{"a": 1}]),
        # What stands among the choices of a key is a value, and no object of choices again.
        ([{"a": [{"b": 1}]}], {}, {"a": {"b": 1}}),
        ([None], 0, None),
    ],
)
def test_the_accepted_form_nearest_to_what_was_given(
    alternatives: list[Any], given: Any, nearest: Any
) -> None:
    (found,) = nearest_calls([{"f": {"x": alternatives}}], [{"f": {"x": given}}], [])
    assert found == {"f": {"x": nearest}}


def test_what_may_be_left_out_is_shown_only_if_it_was_given() -> None:
    answer = {"f": {"x": [1], "y": ["", 2]}}
    assert nearest_calls([answer], [{"f": {"x": 1}}], []) == [{"f": {"x": 1}}]
    assert nearest_calls([answer], [{"f": {"y": 3}}], []) == [{"f": {"y": 2, "x": 1}}]
    assert nearest_calls([answer], [{"g": {}}], []) == [{"f": {"x": 1}}]
    # Unless the function requires it.
    docs = [function("f", ["y"])]
    assert nearest_calls([answer], [{"g": {}}], docs) == [{"f": {"x": 1, "y": 2}}]


def test_calls_of_one_name_are_taken_in_order() -> None:
    answers = [{"f": {"x": [1, 2]}}, {"f": {"x": [1, 2]}}]
    given = [{"f": {"x": 2}}, {"f": {"x": 1}}]
    assert nearest_calls(answers, given, []) == [{"f": {"x": 2}}, {"f": {"x": 1}}]


def test_a_wrong_argument_stands_out() -> None:
    entry = load_entries(small_wheel(), "simple_python")[0]
    found = explain_result(entry, [{"math.add": '{"a": 2}'}], FC)
    assert found.diff == ("  math.add(", "-     a=1.0,", "+     a=2,", "  )")
    assert found.outcome.error_type == "value_error:others"
    assert rule_text(found.outcome.rule) == "The value must equal an accepted answer."


def test_a_right_call_has_no_difference() -> None:
    entry = load_entries(small_wheel(), "simple_python")[0]
    found = explain_result(entry, [{"math.add": '{"a": 1}'}], FC)
    assert (found.outcome.valid, found.diff) == (True, ())
    assert found.calls == ("math.add(", "    a=1,", ")")


def test_names_are_shown_as_the_model_was_shown_them() -> None:
    entry = load_entries(small_wheel(), "simple_python")[0]
    handler = Handler(mode="fc", underscore_to_dot=True)
    found = explain_result(entry, [{"math_add": '{"a": 2}'}], handler)
    assert found.accepted[0] == "math_add("


def test_output_that_cannot_be_read_is_all_difference() -> None:
    entry = load_entries(small_wheel(), "simple_python")[0]
    found = explain_result(entry, "I would add.", FC)
    assert found.calls == ()
    assert found.diff == ("- math.add(", "-     a=1.0,", "- )")


def test_a_call_where_none_is_due() -> None:
    entry = Entry(id="irrelevance_0", category="irrelevance", functions=[ADD, function("f")])
    found = explain_result(entry, [{"f": "{}"}], FC)
    assert (found.outcome.valid, found.diff) == (False, ("+ f()",))


def test_a_conversation_is_compared_turn_by_turn() -> None:
    entry = load_entries(small_wheel(), "multi_turn_miss_func")[0]
    # One turn too few, so that no call needs to be carried out; blanks and quotes do not matter.
    found = explain_result(entry, [[[{"now": "{}"}]], [[{"alarm": '{"at": "9"}'}]]], FC)
    assert found.calls == ("turn 0:", "    now()", "turn 1:", "    alarm(at='9')")
    assert found.accepted == (
        *("turn 0:", "    now()", "turn 1:", "    alarm()", "turn 2:", "    light()"),
    )


def test_a_final_answer_is_shown_with_the_steps_before_it() -> None:
    entry = load_entries(small_wheel(), "memory_kv")[0]
    found = explain_result(entry, [[[{"remember": "{}"}], "Bye"]], FC)
    assert found.calls == ("call: remember()", "message: Bye")
    assert found.accepted == ("answer: Hello",)


def test_the_first_accepted_form_of_every_python_answer_is_accepted() -> None:
    wheel = find_wheel()
    wrong = []
    for name, category in CATEGORIES.items():
        if category.checker != "ast" or category.kind != "single" or category.language != "python":
            continue
        for entry in load_entries(wheel, name):
            calls = nearest_calls(entry.ground_truth, [], entry.functions)
            if not check_calls(entry.functions, calls, entry.ground_truth, "python", name).valid:
                wrong.append(entry.id)
    # Four that no output can satisfy, and one that takes a parameter only when it is "".
    assert set(wrong) <= {*UNSATISFIABLE, "live_multiple_507-149-4"}


def test_lines_of_both_sides_in_order() -> None:
    assert line_diff("abd", "acd") == ("  a", "- b", "+ c", "  d")
    assert line_diff("", "") == ()


def test_every_rule_that_an_outcome_can_name_has_a_sentence() -> None:
    from callsmith_bfcl.agentic import RULES as ANSWERS
    from callsmith_bfcl.checking.rules import RULES
    from callsmith_bfcl.multi_turn.checker import RULES as CONVERSATIONS

    for rule in [*RULES, *ANSWERS, *CONVERSATIONS, "scorer_error", "missing_result"]:
        assert re.fullmatch(r"[A-Z].{20,}\.", rule_text(rule)), rule
