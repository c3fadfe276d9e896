"""The checker of decoded calls, on small functions of our own: verdict, error type and rule."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from callsmith_bfcl.checking import RULES, check_calls, check_relevance, relevance_of
from callsmith_bfcl.checking.satisfiable import impossibilities
from callsmith_bfcl.decoding import DecodeError
from callsmith_bfcl.outcome import Outcome, shown

Schema = dict[str, Any]


def function(
    properties: dict[str, Schema], required: tuple[str, ...] = (), name: str = "find"
) -> dict[str, Any]:
    parameters = {"type": "dict", "properties": properties, "required": list(required)}
    return {"name": name, "description": "", "parameters": parameters}


def schema(declared: str) -> Schema:
    """`integer`, or `array of float`."""
    outer, _, inner = declared.partition(" of ")
    return {"type": outer, "items": {"type": inner}} if inner else {"type": outer}


def verdict(
    declared: str, value: Any, alternatives: list[Any], language: Any = "python"
) -> Outcome:
    """The verdict on one call with one argument of that type."""
    return check_calls(
        [function({"a": schema(declared)})],
        [{"find": {"a": value}}],
        [{"find": {"a": alternatives}}],
        language,
        f"simple_{language}",
    )


def short(outcome: Outcome) -> str:
    assert outcome.rule in RULES
    assert bool(outcome.messages) is not outcome.valid
    assert (outcome.error_type is None) is outcome.valid
    return "right" if outcome.error_type is None else outcome.error_type


@pytest.mark.parametrize(
    ("declared", "value", "alternatives", "expected"),
    [
        ("integer", 5, [5], "right"),
        ("integer", 5, [4, 5], "right"),
        ("integer", 6, [5], "value_error:others"),
        ("integer", 5.0, [5], "type_error:simple"),
        ("integer", True, [1], "type_error:simple"),
        ("integer", "5", [5], "type_error:simple"),
        ("float", 5, [5.0], "right"),
        ("float", True, [1.0], "type_error:simple"),
        ("boolean", True, [True], "right"),
        ("boolean", 1, [True], "type_error:simple"),
        ("any", "x", ["x"], "right"),
        ("any", 5, ["5"], "type_error:simple"),
        # Strings: case, blanks and some punctuation do not matter, other characters do.
        ("string", "new york, NY", ["New York NY"], "right"),
        ("string", "a-b_c*d^e/f.g", ["ABCDEFG"], "right"),
        ("string", "it's", ['it"s'], "right"),
        ("string", "a\tb", ["ab"], "value_error:string"),
        ("string", "a(b)", ["ab"], "value_error:string"),
        # What is lowered depends on what follows, and the blanks are gone by then.
        ("string", "ΟΔΟΣ ΑΒ", ["οδοσαβ"], "right"),
        # "" marks what may be left out, and passes itself.
        ("string", "", ["x", ""], "right"),
        ("string", ".-/", ["x", ""], "right"),
        ("integer", "", [5, ""], "type_error:simple"),
        # A first answer of another type than declared: exactly equal, nothing else.
        ("string", None, [None], "right"),
        ("string", None, ["x", None], "type_error:simple"),
        ("string", "X", [None, "x"], "value_error:others"),
        ("string", "x", [None, "x"], "right"),
        ("integer", "n", ["n"], "right"),
        ("integer", "N", ["n"], "value_error:others"),
        # Lists: items in order, strings normalised at the top level only.
        ("array of string", ["A b"], [["ab"]], "right"),
        ("array of string", ["a", "b"], [["b", "a"]], "value_error:list/tuple"),
        ("array of string", [1], [["a"]], "type_error:nested"),
        ("array of string", [1], [], "type_error:simple"),
        ("array of float", [1, 2], [[1.0, 2.0]], "type_error:nested"),
        ("array of float", [1, 2], [[1.0, 2.0], ""], "right"),
        ("array of string", [], [["a"], ""], "right"),
        ("array of string", [], [["a"]], "value_error:list/tuple"),
        ("array of array", [["A"]], [[["a"]]], "value_error:list/tuple"),
        ("array of array", [[1]], [[[True]]], "right"),
        ("array of integer", [True], [[1]], "type_error:nested"),
        ("array of string", [1, 2], [[1, 2]], "right"),
        ("array of string", (), [[]], "type_error:simple"),
        ("tuple of float", (1.5, 2.5), [[1.5, 2.5]], "right"),
        ("tuple of float", [1.5, 2.5], [[1.5, 2.5]], "right"),
        ("array of string", "x", ["x"], "right"),
        ("array of string", ["x"], ["x"], "value_error:others"),
        # Objects: no type test inside.
        ("dict", {"k": "X y"}, [{"k": ["xy"]}], "right"),
        ("dict", {"k": True}, [{"k": [1]}], "right"),
        ("dict", {"k": 2}, [{"k": [1]}], "value_error:dict_value"),
        ("dict", {"K": 1}, [{"k": [1]}], "value_error:dict_key"),
        ("dict", {}, [{"k": [1]}], "value_error:dict_key"),
        ("dict", {}, [{"k": [1, ""]}], "right"),
        ("dict", {"k": ["A"]}, [{"k": [["a"]]}], "value_error:dict_value"),
        # A missing key is told rather than the wrong value.
        ("dict", {"k": 2}, [{"k": [1], "l": [1]}], "value_error:dict_key"),
        ("dict", {"k": 1}, [{"k": [1]}, {"l": [1]}], "right"),
        ("dict", {"k": 2}, [{"k": [1]}, {"l": [1]}], "value_error:dict_key"),
        ("dict", {"k": "e"}, [{"k": "epoch"}], "right"),
        ("dict", {"k": "epoch"}, [{"k": "epoch"}], "value_error:dict_value"),
        ("dict", {}, [""], "dict_checker:unclear"),
        ("array of dict", [{"k": 1}], [[{"k": [1]}]], "right"),
        ("array of dict", [{"k": 1}, {"k": 1}], [[{"k": [1]}]], "value_error:list_dict_count"),
        ("array of dict", [{"k": 2}], [[{"k": [1]}]], "value_error:dict_value"),
        ("array of dict", [{"k": 1}], [[], [{"k": [1]}]], "right"),
        ("array of dict", [], [[{"k": [1]}], ""], "right"),
        ("array of dict", [], [], "type_error:simple"),
    ],
)
def test_values(declared: str, value: Any, alternatives: list[Any], expected: str) -> None:
    assert short(verdict(declared, value, alternatives)) == expected


@pytest.mark.parametrize(
    ("declared", "value", "alternatives"),
    [
        ("float", 10**400, [1.0]),
        ("array of dict", [1], [[{"k": [1]}], ""]),
        ("dict", {"k": 2}, [{"k": [1]}, 5]),
        ("dict", {"k": 1}, [{"k": 5}]),
    ],
)
def test_where_the_official_scorer_stops(
    declared: str, value: Any, alternatives: list[Any]
) -> None:
    outcome = verdict(declared, value, alternatives)
    assert not outcome.valid
    assert outcome.rule == "official-stops"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([{"find": {"a": 1}}], "right"),
        ([{"find": {"a": 1, "b": 2}}], "right"),
        ([{"find": {"b": 2}}], "simple_function_checker:missing_required"),
        # Missing, before unexpected, before the value.
        ([{"find": {"b": 3, "z": 1}}], "simple_function_checker:missing_required"),
        ([{"find": {"z": 1, "a": 9}}], "simple_function_checker:unexpected_param"),
        ([{"find": {"a": 9, "z": 1}}], "value_error:others"),
        ([{"find": {"a": 1, "c": 2}}], "simple_function_checker:unexpected_param"),
        ([{"find": {"a": 1, "d": 2}}], "simple_function_checker:unexpected_param"),
        ([{"find": {"a": 1, None: 2}}], "simple_function_checker:unexpected_param"),
        ([{"Find": {"a": 1}}], "simple_function_checker:wrong_func_name"),
        ([], "simple_function_checker:wrong_count"),
        ([{"find": {"a": 1}}] * 2, "simple_function_checker:wrong_count"),
        (None, "ast_decoder:decoder_wrong_output_format"),
        ({}, "ast_decoder:decoder_wrong_output_format"),
        ([{}], "ast_decoder:decoder_wrong_output_format"),
        (["find"], "ast_decoder:decoder_wrong_output_format"),
        ([{"find": [1]}], "ast_decoder:decoder_wrong_output_format"),
        ([{"find": {}, "other": {}}], "ast_decoder:decoder_wrong_output_format"),
    ],
)
def test_one_call(given: Any, expected: str) -> None:
    # `c` is in the schema only, `d` in the answer only.
    document = function({name: schema("integer") for name in "abc"}, ("a",))
    answer = {"find": {"a": [1], "b": [2, ""], "d": [2, ""]}}
    assert short(check_calls([document], given, [answer])) == expected


def test_a_parameter_that_may_not_be_left_out() -> None:
    document = function({"a": schema("integer")})
    outcome = check_calls([document], [{"find": {}}], [{"find": {"a": [1]}}])
    assert short(outcome) == "simple_function_checker:missing_optional"


@pytest.mark.parametrize(
    ("underscores", "called", "expected"),
    [
        (False, "a.b", "right"),
        (False, "a_b", "simple_function_checker:wrong_func_name"),
        (True, "a_b", "right"),
        (True, "a.b", "simple_function_checker:wrong_func_name"),
    ],
)
def test_dots_of_names(underscores: bool, called: str, expected: str) -> None:
    document = function({}, name="a.b")
    outcome = check_calls([document], [{called: {}}], [{"a.b": {}}], underscore_to_dot=underscores)
    assert short(outcome) == expected


def test_the_function_of_the_answer_among_several() -> None:
    documents = [function({"x": schema("integer")}, ("x",), "other"), function({})]
    answer: list[dict[str, dict[str, Any]]] = [{"find": {}}]
    assert check_calls(documents, [{"find": {}}], answer, category="multiple").valid
    wrong = check_calls(documents, [{"other": {"x": 1}}], answer, category="live_multiple")
    assert short(wrong) == "simple_function_checker:wrong_func_name"
    none = check_calls(documents, [], answer, category="multiple")
    assert short(none) == "multiple_function_checker:wrong_count"
    # In the simple categories it is the first function, whatever the answer is called.
    first = check_calls(documents[1:], [{"find": {}}], [{"renamed": {}}])
    assert first.valid
    with pytest.raises(ValueError, match="'missing'"):
        check_calls(documents, [{"find": {}}], [{"missing": {}}], category="multiple")


def test_parallel_calls() -> None:
    document = [function({"a": schema("integer")})]
    answers = [{"find": {"a": [1]}}, {"find": {"a": [2]}}]
    calls = [{"find": {"a": 2}}, {"find": {"a": 1}}]
    for category in ("parallel", "live_parallel_multiple", "format_sensitivity_0:x:parallel_1"):
        assert check_calls(document, calls, answers, category=category).valid
    wrong = check_calls(document, [calls[0], calls[0]], answers, category="parallel")
    assert short(wrong) == "parallel_function_checker_no_order:cannot_find_match"
    assert [line.partition(":")[0] for line in wrong.messages[1:]] == ["call 0", "call 1"]
    fewer = check_calls(document, calls[:1], answers, category="parallel")
    assert short(fewer) == "parallel_function_checker_no_order:wrong_count"


def test_parallel_calls_are_matched_greedily() -> None:
    document = [function({"a": schema("integer")})]
    answers = [{"find": {"a": [1, 2]}}, {"find": {"a": [1]}}]
    calls = [{"find": {"a": 1}}, {"find": {"a": 2}}]
    assert not check_calls(document, calls, answers, category="parallel").valid
    assert check_calls(document, calls[::-1], answers, category="parallel").valid


def test_relevance() -> None:
    def failing() -> object:
        raise DecodeError("no calls")

    for category, error_type in (
        ("irrelevance", "irrelevance_error:decoder_success"),
        ("live_irrelevance", "irrelevance_error:decoder_success"),
        ("live_relevance", "relevance_error:decoder_failed"),
    ):
        due = "irrelevance" not in category
        for decode, called in (
            (lambda: [{"f": {}}], True),
            (list, False),
            (lambda: [{}], False),
            (lambda: None, False),
            (failing, False),
        ):
            outcome = relevance_of(decode, category)
            assert outcome.valid is (called is due)
            assert short(outcome) in ("right", error_type)
        assert check_relevance(due, category).valid


def test_messages_show_values_but_never_long_ones() -> None:
    (message,) = verdict("string", "x" * 10_000, ["wanted"]).messages
    assert "wanted" in message
    assert len(message) < 500
    for value in (10**5_000, [10**5_000], "x" * 10**6, [[[[[[1]]]]]] * 100, {"k": "x" * 10**6}):
        assert len(shown(value)) < 700
    assert shown("a\nb") == "'a\\nb'"


def test_outcomes_are_values() -> None:
    outcome = verdict("integer", 6, [5])
    again = pickle.loads(pickle.dumps(outcome))
    assert again == outcome
    assert hash(again) == hash(outcome)
    assert again.messages == outcome.messages
    assert again != verdict("integer", 7, [5])
    assert repr(again).startswith("Outcome(False, 'value_error:others', (")


@pytest.mark.parametrize(
    ("properties", "required", "answer", "language", "impossible"),
    [
        ({"a": "integer"}, ("a",), {"a": [1]}, "python", []),
        ({"a": "integer"}, (), {"b": [1]}, "python", ["b"]),
        ({"a": "integer"}, (), {"b": [1, ""]}, "python", []),
        ({"a": "integer"}, ("a",), {}, "python", ["a"]),
        ({"a": "array of string"}, ("a",), {"a": []}, "python", ["a"]),
        ({"a": "array of dict"}, ("a",), {"a": [[{"k": [1]}]]}, "python", []),
        ({"a": "array of any"}, ("a",), {"a": [["x", 1]]}, "python", ["a"]),
        ({"a": "ArrayList of any"}, ("a",), {"a": [["x", 1]]}, "java", ["a"]),
        ({"a": "ArrayList of String"}, ("a",), {"a": [["x", "y"]]}, "java", []),
        ({"a": "Array of String"}, ("a",), {"a": [["x", "y"]]}, "java", []),
        ({"a": "HashMap"}, ("a",), {"a": [{"k": ["v"], "n": [1]}]}, "java", []),
        ({"a": "long"}, ("a",), {"a": [5]}, "java", []),
        ({"a": "array of float"}, ("a",), {"a": [[1.5]]}, "javascript", []),
        ({"a": "dict"}, ("a",), {"a": [{"k": ["v"]}]}, "javascript", []),
        ({"a": "Boolean"}, ("a",), {"a": [True]}, "javascript", []),
    ],
)
def test_what_no_output_can_satisfy(
    properties: dict[str, str],
    required: tuple[str, ...],
    answer: dict[str, list[Any]],
    language: Any,
    impossible: list[str],
) -> None:
    document = function({name: schema(text) for name, text in properties.items()}, required)
    reasons = impossibilities([document], [{"find": answer}], language)
    assert [reason.partition(" ")[0] for reason in reasons] == impossible
