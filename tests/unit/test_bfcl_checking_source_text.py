"""Java and JavaScript source text of arguments, and the values it stands for."""

from __future__ import annotations

from typing import Any

import pytest

from callsmith_bfcl.checking import check_calls
from callsmith_bfcl.checking.java_values import convert_java
from callsmith_bfcl.checking.javascript_values import convert_javascript
from callsmith_bfcl.checking.source_items import split_items

FIXES = frozenset({"D9", "D10"})


@pytest.mark.parametrize(
    ("text", "declared", "items", "value"),
    [
        ("-12", "integer", None, -12),
        ("12", "byte", None, 12),
        ("1.0", "integer", None, "1.0"),
        ("12L", "long", None, 12),
        ("12", "long", None, "12"),
        ("1.5f", "float", None, 1.5),
        ("1.5", "float", None, "1.5"),
        ("1.5e2", "double", None, 150.0),
        (".5", "double", None, ".5"),
        ("1.5d", "double", None, "1.5d"),
        ("true", "boolean", None, True),
        ("True", "boolean", None, "True"),
        ("5", "any", None, "5"),
        ('"x"', "String", None, '"x"'),
        ("'x'", "char", None, "'x'"),
        ('new ArrayList<>(Arrays.asList("a", "b"))', "ArrayList", "String", ["a", "b"]),
        ('new ArrayList<>(Arrays.asList("a, b"))', "ArrayList", "String", ["", ""]),
        ("new ArrayList<Integer>() {{ add(1); add(2); }}", "ArrayList", "integer", [1, 2]),
        ("new ArrayList<>(Arrays.asList(1L, 2))", "ArrayList", "long", [1, "2"]),
        ('new ArrayList<>(Arrays.asList(1, "a", true))', "ArrayList", None, [1, "a", True]),
        ("new ArrayList<>(Arrays.asList(1))", "ArrayList", "any", ["1"]),
        ("new ArrayList<>()", "ArrayList", "String", []),
        ("new ArrayList<>() {{}}", "ArrayList", "String", []),
        ("Arrays.asList(1)", "ArrayList", "integer", "Arrays.asList(1)"),
        ("List.of(1)", "ArrayList", "integer", "List.of(1)"),
        ("new int[]{1, 2}", "Array", "integer", [1, 2]),
        ("new int[] { }", "Array", "integer", []),
        ('new String[]{"a"}', "Array", "String", ['"a"']),
        ("new String[]{a}", "Array", "String", ["a"]),
        ("{1, 2}", "Array", "integer", "{1, 2}"),
        ('new HashMap<>() {{ put("a", 1); put("b", "x"); }}', "HashMap", None, {"a": 1, "b": "x"}),
        ('new HashMap<String, Long>() {{\n put("a",\n 2L);\n}}', "HashMap", None, {"a": 2}),
        ('new HashMap<>() {{ put("a", 1.5f); }}', "HashMap", None, {"a": 1.5}),
        ('new HashMap<>() {{ put("a", f(1)); }}', "HashMap", None, {"a": "f(1"}),
        ("new HashMap<>()", "HashMap", None, {}),
        ("new HashMap<>() {}", "HashMap", None, {}),
        ('Map.of("a", 1)', "HashMap", None, 'Map.of("a", 1)'),
    ],
)
def test_java(text: str, declared: str, items: str | None, value: Any) -> None:
    found = convert_java(text, declared, items)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "declared", "items", "value"),
    [
        ("'x'", "String", None, "x"),
        ("x", "String", None, "x"),
        ("5", "integer", None, 5),
        ("5.0", "integer", None, "5.0"),
        ("5", "float", None, 5.0),
        ("1e5", "float", None, "1e5"),
        ("5n", "Bigint", None, 5),
        ("true", "Boolean", None, True),
        ("5", "any", None, "5"),
        ("[1, 2]", "array", "integer", [1, 2]),
        ("['a', \"b\"]", "array", "String", ["a", "b"]),
        ("['a, b']", "array", "String", ["'a", "b'"]),
        ("[]", "array", "String", []),
        ("new Array(1, 'x', true)", "array", None, [1, "x", True]),
        ("[[1, 2], [3]]", "array", "array", [[1, 2], [3]]),
        ("[ [1],\n [2] ]", "array", "array", [[1], [2]]),
        ("new Array([1], [2])", "array", "array", [[1], [2]]),
        ("[[1], [2", "array", "array", ["[1"]),
        ("x", "array", "String", "x"),
        ("{}", "dict", None, {}),
        ("{a: 1, 'b': 'x', \"c\": [1, 2]}", "dict", None, {"a": 1, "b": "x", "c": [1, 2]}),
        ('{a: "x, b: y"}', "dict", None, {"a": "x", "b": "y"}),
        ("x", "dict", None, "x"),
    ],
)
def test_javascript(text: str, declared: str, items: str | None, value: Any) -> None:
    found = convert_javascript(text, declared, items)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("convert", [convert_java, convert_javascript])
def test_where_the_official_scorer_stops(convert: Any) -> None:
    with pytest.raises(ValueError, match="'Queue' is no type"):
        convert("x", "Queue")
    # An integer that Python refuses to read is text, as any source text of that length is.
    assert convert("9" * 5_000, "integer") == "9" * 5_000


@pytest.mark.parametrize(
    ("language", "error_type"), [("java", "type_error:java"), ("javascript", "type_error:js")]
)
def test_arguments_are_source_text(language: Any, error_type: str) -> None:
    parameters = {"type": "dict", "properties": {"a": {"type": "integer"}}, "required": []}
    document = {"name": "f", "parameters": parameters}
    answer = [{"f": {"a": [5]}}]
    assert check_calls([document], [{"f": {"a": "5"}}], answer, language).valid
    wrong = check_calls([document], [{"f": {"a": 5}}], answer, language)
    assert (wrong.error_type, wrong.rule) == (error_type, "source-text")
    text = check_calls([document], [{"f": {"a": "five"}}], answer, language)
    assert text.error_type == "type_error:simple"


def test_fixed_source_text() -> None:
    assert convert_java('new String[]{"a, b", "c"}', "Array", "String", FIXES) == ["a, b", "c"]
    quoted = 'new ArrayList<>(Arrays.asList("a, b", "c"))'
    assert convert_java(quoted, "ArrayList", "String", FIXES) == ["a, b", "c"]
    assert convert_javascript("['a, b', 'c']", "array", "String", FIXES) == ["a, b", "c"]
    assert convert_javascript("[[1, 2], ['x, y']]", "array", "array", FIXES) == [[1, 2], ["x, y"]]
    code = '{a: "x, b: y", "c": {d: [1, {e: 2}]}, f: true}'
    assert convert_javascript(code, "dict", None, FIXES) == {
        "a": "x, b: y",
        "c": {"d": [1, {"e": 2}]},
        "f": True,
    }
    assert convert_javascript("{a}", "dict", None, FIXES) == "{a}"
    assert convert_javascript("{}", "dict", None, FIXES) == {}
    assert split_items(' "a\\",b" , (1,2), [3] ') == ['"a\\",b"', "(1,2)", "[3]"]
    assert split_items("  ") == []


SLOW = {
    "maps": "new HashMap<>() {" * 230,
    "open maps": "new HashMap<" * 330,
    "puts": "new HashMap<>() {{" + 'put("",' * 560 + "}}",
    "puts before a line": "new HashMap<>() {{" + 'put("a",' * 450 + "\n)}}",
    "lists": "new ArrayList<>(Arrays.asList(" * 130,
    "adds": "new ArrayList<>() {{" + "add(" * 950 + "}}",
    "rows": "[[1]," * 790,
    "rows on lines": "[[" + "],\n[" * 950,
    "letters": "{" + "a" * 3_900 + "}",
    "keys": "{" + "a:," * 1_300 + "\n}",
}


@pytest.mark.parametrize("key", SLOW)
def test_source_text_made_to_be_slow(key: str) -> None:
    # With patterns that backtrack as the official scorer's do, some of these take hours.
    text = SLOW[key]
    for declared in ("HashMap", "ArrayList", "Array"):
        assert isinstance(convert_java(text, declared), str | list | dict)
    for declared in ("array", "dict"):
        assert isinstance(convert_javascript(text, declared), str | list | dict)
    # Longer text is not looked at.
    assert convert_java(text * 20, "HashMap") == text * 20
