"""What `strict: true` changes, one official behaviour at a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from callsmith_bfcl.checking import check_calls
from callsmith_bfcl.decoding import DecodeError, decode_execute, decode_text
from callsmith_bfcl.outcome import Outcome
from callsmith_bfcl.strict import (
    FIXES,
    STRICT_FIXES,
    deciding_fixes,
    is_attempt,
    relevance_verdict,
    unmatched_answer,
)

Check = Callable[[frozenset[str]], Outcome]
FAILED = Outcome(False, "ast_decoder:decoder_failed", ("unreadable",), "decode")


def values(declared: str, value: Any, alternatives: list[Any]) -> Check:
    """One call of a function with one argument that need not be given."""
    outer, _, inner = declared.partition(" of ")
    schema = {"type": outer, "items": {"type": inner}} if inner else {"type": outer}
    parameters = {"type": "dict", "properties": {"a": schema}, "required": []}
    return lambda fixes: check_calls(
        [{"name": "f", "parameters": parameters}],
        [{"f": {"a": value}}],
        [{"f": {"a": alternatives}}],
        fixes=fixes,
    )


def text(answer: str, declared: str, alternatives: list[Any], language: Any = "python") -> Check:
    """The same, from what a model wrote."""
    outer, _, inner = declared.partition(" of ")
    schema = {"type": outer, "items": {"type": inner}} if inner else {"type": outer}
    properties = {"a": schema, "b": {"type": "any"}}
    parameters = {"type": "dict", "properties": properties, "required": []}

    def check(fixes: frozenset[str]) -> Outcome:
        try:
            decoded = decode_text(answer, language, fixes=fixes)
        except DecodeError:
            return FAILED
        return check_calls(
            [{"name": "A.f", "parameters": parameters}],
            decoded,
            [{"A.f": {"a": alternatives, "b": ["é", ""]}}],
            language,
            fixes=fixes,
        )

    return check


def parallel(calls: list[int], answers: list[list[int]]) -> Check:
    parameters = {"type": "dict", "properties": {"a": {"type": "integer"}}, "required": []}
    return lambda fixes: check_calls(
        [{"name": "f", "parameters": parameters}],
        [{"f": {"a": call}} for call in calls],
        [{"f": {"a": answer}} for answer in answers],
        category="parallel",
        fixes=fixes,
    )


def relevance(result: Any, category: str) -> Check:
    def check(fixes: frozenset[str]) -> Outcome:
        try:
            decoded: object = decode_text(result)
        except DecodeError:
            decoded = None
        return relevance_verdict(result, decoded, [{"name": "a.f"}], category, fixes=fixes)

    return check


@pytest.mark.parametrize(
    ("fix", "check", "strict"),
    [
        ("D1", text("A.f(a=+5)", "integer", [5]), True),
        ("D1", text("A.f(a=~5)", "integer", [-6]), True),
        ("D1", text("A.f(a=+5)", "integer", [-5]), False),
        ("D4", text("A.f(7, a=5)", "integer", [5]), False),
        ("D4", text("x[0].A.f(a=5)", "integer", [5]), False),
        ("D6", text("```python\n[A.f(a=5)]\n```", "integer", [5]), True),
        ("D7", text('A.f(b="é", a=5)', "integer", [5], "java"), True),
        (
            "D8",
            text('A.f(a=new HashMap<>() {{ put("k", 1); }})', "HashMap", [{"k": [1]}], "java"),
            True,
        ),
        ("D9", text('A.f(a=new String[]{"x"})', "Array of String", [["x"]], "java"), True),
        ("D10", text("A.f(a=['x, y'])", "array of String", [["x, y"]], "javascript"), True),
        (
            "D10",
            text("A.f(a={k: 'x, l: y'})", "dict", [{"k": ["x, l: y"]}], "javascript"),
            True,
        ),
        (
            "D10",
            text(
                'A.f(a=new ArrayList<>(Arrays.asList("x, y")))',
                "ArrayList of String",
                [["x, y"]],
                "java",
            ),
            True,
        ),
        ("A1", values("array of string", [], [["x"], ""]), False),
        ("A1", values("array of dict", [], [[{"k": [1]}], ""]), False),
        ("A2", values("array of integer", [True], [[1], ""]), False),
        ("A2", values("array of float", [1, 2], [[1.0, 2.0]]), True),
        ("A3", values("string", "", ["x", ""]), False),
        ("A3", values("string", ".-/", ["x", ""]), False),
        ("A3", values("string", "-", ["*"]), False),
        ("A4", values("dict", {"k": True}, [{"k": [1]}]), False),
        ("A4", values("array of dict", [{"k": [True]}], [[{"k": [[1]]}]]), False),
        ("A5", values("string", None, ["x", None]), True),
        ("A5", values("string", "X", [None, "x"]), True),
        ("A6", values("integer", "n", [5, "n"]), True),
        ("A6", values("array of string", ["X"], ["n", ["x"]]), True),
        ("A7", values("dict", {"k": "epoch"}, [{"k": "epoch"}]), True),
        ("A7", values("dict", {"k": "e"}, [{"k": "epoch"}]), False),
        ("A8", parallel([1, 2], [[1, 2], [1]]), True),
        ("R1", relevance("[f(a=(z:=1))]", "irrelevance"), False),
        ("R1", relevance('{"name": "a.f"}', "live_irrelevance"), False),
        ("R2", relevance("[g(a=1)]", "live_relevance"), False),
    ],
)
def test_the_one_fix_that_decides(fix: str, check: Check, strict: bool) -> None:
    assert check(STRICT_FIXES).valid is strict
    assert check(frozenset()).valid is not strict
    assert deciding_fixes(check) == (fix,)


@pytest.mark.parametrize(
    "check",
    [
        text("A.f(a=1+2)", "integer", [3]),
        text("A.f(a='x')", "string", ["X"]),
        values("string", "", [""]),
        values("string", None, [None]),
        values("array of float", [1.0], [[1.0], ""]),
        values("array of string", ["A"], [["a"], ["b"], ""]),
        values("array of string", [], [[]]),
        values("array of dict", [{"k": True}], [[{"k": [True]}]]),
        values("dict", {"k": 1}, [{"k": [1.0]}]),
        values("dict", {}, [{"k": [1, ""]}, ""]),
        values("integer", "n", ["n"]),
        values("float", 5, [5.0, ""]),
        parallel([2, 1], [[1, 2], [1]]),
        relevance("I cannot help (sorry).", "irrelevance"),
        relevance("", "irrelevance"),
        relevance("[a.f(x=1)]", "live_relevance"),
    ],
)
def test_what_is_right_stays_right(check: Check) -> None:
    assert check(frozenset()).valid
    assert check(STRICT_FIXES).valid
    assert deciding_fixes(check) == ()


@pytest.mark.parametrize(
    "check",
    [
        values("integer", 6, [5, ""]),
        values("integer", "", [5, ""]),
        values("string", "y", ["x", None]),
        values("array of float", [True], [[1.0]]),
        values("array of float", [10**400], [[1.0]]),
        values("dict", {"k": 2}, [{"k": [1]}]),
        parallel([1, 1], [[1], [2]]),
        relevance("[a.f(x=1)]", "irrelevance"),
        relevance("No.", "live_relevance"),
    ],
)
def test_what_is_wrong_stays_wrong(check: Check) -> None:
    assert not check(frozenset()).valid
    assert not check(STRICT_FIXES).valid


def test_two_fixes_can_be_needed_together() -> None:
    answer = '```java\n[A.f(a=new HashMap<>() {{ put("k", 1); }})]\n```'
    assert deciding_fixes(text(answer, "HashMap", [{"k": [1]}], "java")) == ("D6", "D8")


def test_empty_text_is_no_list_of_calls() -> None:
    assert decode_text("") == []
    with pytest.raises(DecodeError):
        decode_text("", fixes=frozenset({"D3"}))


@pytest.mark.parametrize(
    ("source", "calls"),
    [
        ("[f(a={}), g()]", ["f(a={})", "g()"]),
        ("[f(a={'b': {'c': 1}})]", ["f(a={'b': {'c': 1}})"]),
        ("[f(a=g(b={'c': {}}))]", ["f(a=g(b={'c': {}}))"]),
        ("[f(a=[g(b=1), 'x'])]", ["f(a=[g(b=1), 'x'])"]),
    ],
)
def test_steps_of_a_conversation(source: str, calls: list[str]) -> None:
    assert decode_execute(source, fixes=frozenset({"D5"})) == calls


@pytest.mark.parametrize(
    ("fits", "unmatched"),
    [
        ([], None),
        ([[True, True], [True, False]], None),
        ([[True, False], [True, False]], 1),
        ([[False, False], [True, True]], 0),
        ([[True, True, False], [True, False, False], [False, True, True]], None),
    ],
)
def test_matching(fits: list[list[bool]], unmatched: int | None) -> None:
    assert unmatched_answer(fits) == unmatched


def test_attempts() -> None:
    functions = [{"name": "a.f"}]
    for attempt in ("[f(x=1", "```python\nf(x)", "Use a.f(x=1).", 'So {"a_f": {}}', [{"a.f": 5}]):
        assert is_attempt(attempt, functions)
    silence: list[Any] = ["", "Sorry, no.", "I would need f of x (or y).", None, []]
    for prose in silence:
        assert not is_attempt(prose, functions)


def test_every_fix_is_explained() -> None:
    assert set(FIXES) == STRICT_FIXES
    for name, explanation in FIXES.items():
        assert re.fullmatch(r"[DAMR]\d+", name)
        assert explanation.endswith(".")
