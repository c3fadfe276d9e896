"""Decoders of the return formats: what is read, and what is a decode error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith_bfcl.decoding import (
    DecodeError,
    ReturnFormat,
    decode_execute,
    decode_function_calls,
    decode_text,
    render_function_calls,
)

FAILS = object()


def read(text: object, return_format: ReturnFormat = "python", **options: object) -> object:
    try:
        return decode_text(text, return_format, **options)  # type: ignore[arg-type]
    except DecodeError as error:
        return FAILS if str(error) else error


def value(source: str) -> object:
    """What one argument is decoded to."""
    found = read(f"[f(a={source})]")
    if found is FAILS:
        return FAILS
    assert isinstance(found, list)
    return found[0]["f"]["a"]


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("[f(a=1), g.h(b='x')]", [{"f": {"a": 1}}, {"g.h": {"b": "x"}}]),
        ("f(a=1)", [{"f": {"a": 1}}]),
        ("f(a=1), g()", [{"f": {"a": 1}}, {"g": {}}]),
        ("```\n[f()]\n```", [{"f": {}}]),
        ("```python\n[f()]\n```", FAILS),
        ("'[f()]'", FAILS),
        ("", []),
        ("[]", []),
        ("I cannot help with that.", FAILS),
        ("[[f()]]", FAILS),
        ("(f(),)", FAILS),
        ("[f(), 5]", FAILS),
        ("[f(5, a=1)]", [{"f": {"a": 1}}]),
        ("[f(**{'a': 1})]", [{"f": {None: {"a": 1}}}]),
        ("[f()(a=1)]", [{"": {"a": 1}}]),
        ("[x[0].f(a=1)]", [{"f": {"a": 1}}]),
        ("[f(a=1, a=2)]", [{"f": {"a": 2}}]),
    ],
)
def test_python_text(text: str, decoded: object) -> None:
    assert read(text) == decoded


@pytest.mark.parametrize(
    ("source", "decoded"),
    [
        ("1", 1),
        ("true", "true"),
        ("None", None),
        ("...", "..."),
        ("[1, [x, 'y']]", [1, ["x", "y"]]),
        ("(1, 2)", (1, 2)),
        ("{'a': [1]}", {"a": [1]}),
        ("b'x'", b"x"),
        ("2j", 2j),
        ("g()", "g()"),
        ("g(1)", "g(1)"),
        ("g(b=1)", {"g": {"b": 1}}),
        ("x[1:2]", "x[1:2]"),
        # Every unary operator negates.
        ("-5", -5),
        ("+5", -5),
        ("~5", -5),
        ("not True", -1),
        ("--5", FAILS),
        ("-x", FAILS),
        # Arithmetic is computed, names in it are not looked up.
        ("1+2", 3),
        ("'a'*3", "aaa"),
        ("[1]*2", [1, 1]),
        ("'%s-%d' % ('x', 2)", "x-2"),
        ("(1, 2)[0] + 1", 2),
        ("[1, 2, 3][::-1] + []", [3, 2, 1]),
        ("max(1, 2) * len('abc')", 6),
        ("f'{1}{2!r}' + ''", "12"),
        ("(1 if 2 > 1 else 0) + 0", 1),
        ("(0 or 5) + (1 and 2)", 7),
        ("{'a': 1}['a'] + (2 in {1, 2})", 2),
        ("1/0", FAILS),
        ("x+1", FAILS),
        ("1+'a'", FAILS),
        ("1 @ 2", FAILS),
        ("abs(x=1)+1", FAILS),
        ("open('x')+1", FAILS),
        ("{*[1]}", FAILS),
        ("f'{1}'", FAILS),
        ("x.y", FAILS),
        ("1 < 2", FAILS),
        ("[*[1]]", FAILS),
        ("{**{}}", FAILS),
        ("lambda: 1", FAILS),
        ("[x for x in y]", FAILS),
        ("{[]: 1}", FAILS),
        ("01", FAILS),
        ("'\\d'", "\\d"),
    ],
)
def test_python_values(source: str, decoded: object) -> None:
    found = value(source)
    assert found == decoded
    assert type(found) is type(decoded)


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("A.f(a=1, b=\"x\", c='y')", [{"A.f": {"a": "1", "b": "x", "c": "y"}}]),
        ("[f(a=1); g(b=2);]", [{"f": {"a": "1"}}]),
        ("[A.f(x, A.class)]", FAILS),
        ("[A.f(x);]", [{"A.f": {None: "x"}}]),
        ('[A.f(5, "s")]', [{"A.f": {}}]),
        ("[A.f(a=new int[]{1, 2})]", [{"A.f": {"a": "new int[]{1,2}"}}]),
        ('[A.f(a=new B<C, D>(1, "x"))]', [{"A.f": {"a": 'new B<C,D>(1, "x")'}}]),
        # The body is dropped, and with it what the map holds.
        (
            '[A.f(a=new HashMap<String, Object>() {{ put("k", 1); }})]',
            [{"A.f": {"a": "new HashMap<String,Object>()"}}],
        ),
        ("[A.f(a=-5, b='c', d=(int) 2)]", [{"A.f": {"a": "-5", "b": "c", "d": "(int)2"}}]),
        # Positions in bytes cut the characters of the text.
        ('[A.f(a="é", b="xyz")]', [{"A.f": {"a": 'é"', "=": 'yz"'}}]),
        # A missing bracket is mended by the grammar, a stray word or a bare statement is not.
        ("[f(a=1;]", [{"f": {"a": "1"}}]),
        ("[f(a=1)]", FAILS),
        ("[Sure! A.f(a=1)]", FAILS),
        ("[A.f(a=1, a=2)]", FAILS),
        ("[A.f(a=new int[5])]", FAILS),
        ("[]", {}),
        ("", {}),
    ],
)
def test_java_text(text: str, decoded: object) -> None:
    assert read(text, "java") == decoded


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("[a.f(x=1, y='z', w=\"v\")]", [{"a.f": {"x": "1", "y": "z", "w": "v"}}]),
        ("[f(a=[1, 2], b={c: 'd'})]", [{"f": {"a": "[1, 2]", "b": "{c: 'd'}"}}]),
        ("[f(a=1); g()]", [{"f": {"a": "1"}}]),
        ("[f(a=1), g(b=2)]", None),
        ("[f(x, true, 5)]", FAILS),
        ("[f(x)]", [{"f": {None: "x"}}]),
        ('[f(a="é", b=2)]', [{"f": {"a": "é", "b": "2"}}]),
        ("[new F(a=1)]", None),
        ("[f(a=1, a=2)]", FAILS),
        ("[f(a=)]", FAILS),
        ("[]", None),
    ],
)
def test_javascript_text(text: str, decoded: object) -> None:
    assert read(text, "javascript") == decoded


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ('[{"function": "f", "parameters": {"a": [1]}}]', [{"f": {"a": [1]}}]),
        ('```json\n[{"function": "f", "parameters": {}}]\n```', [{"f": {}}]),
        ('{"function": "f", "parameters": {}}', [{"f": {}}]),
        ('[{"function": "f", "parameters": {}}, 5]', [{"f": {}}]),
        ('[{"function": "f"}]', FAILS),
        ("no JSON", []),
        ("[1, 2]", []),
        ('[{"function": ["f"], "parameters": {}}]', FAILS),
        pytest.param("[" * 50_000, FAILS, id="deep"),
    ],
)
def test_json_text(text: str, decoded: object) -> None:
    assert read(text, "json") == decoded


VERBOSE = (
    '<functions><function name="f"><params>'
    '<param name="a" value="1" type="integer"/><param name="b" value="[1, 2]" type="array"/>'
    '<param name="c" value="TRUE" type="boolean"/><param name="d" value="x" type="color"/>'
    '<param name="e" value="1.5" type="float"/><param name="n" value="x" type="null"/>'
    "</params></function></functions>"
)
CONCISE = (
    '<functions><function name="f"><param name="a" type="integer"> 1 </param>'
    '<param name="b">x &amp; y</param><param name="c"/></function><function name="g"/></functions>'
)


def test_xml_text() -> None:
    assert read(f"Here: {VERBOSE} so.", "verbose_xml") == [
        {"f": {"a": 1, "b": [1, 2], "c": True, "d": "x", "e": 1.5, "n": None}}
    ]
    assert read(CONCISE, "concise_xml") == [{"f": {"a": 1, "b": "x & y", "c": ""}}, {"g": {}}]


@pytest.mark.parametrize(
    "text",
    [
        "no functions",
        "<functions><function/></functions>",
        '<functions><function name="f"></functions>',
        '<functions><function name="f"><param name="a" type="integer">x</param></function>'
        "</functions>",
        '<functions><function name="f"><param name="a" type="dict">{x}</param></function>'
        "</functions>",
        '<!DOCTYPE a [<!ENTITY b "c">]><functions><function name="f">'
        '<param name="a">&b;</param></function></functions>',
    ],
)
def test_unreadable_xml_text(text: str) -> None:
    assert read(text, "concise_xml") is FAILS


def test_tool_call_tag() -> None:
    assert read("Well. <TOOLCALL>[f(a=1)]</TOOLCALL>", tool_call_tag=True) == [{"f": {"a": 1}}]
    assert read("<TOOLCALL> f(a=1), g() </TOOLCALL>", tool_call_tag=True) == [
        {"f": {"a": 1}},
        {"g": {}},
    ]
    assert read("[f(a=1)]", tool_call_tag=True) is FAILS
    assert read("</TOOLCALL>[f()]<TOOLCALL>", tool_call_tag=True) is FAILS


@pytest.mark.parametrize("text", [None, 5, ["f()"], {"f": {}}, "x" * 100_001])
def test_what_is_no_answer_at_all(text: object) -> None:
    assert read(text) is FAILS


@pytest.mark.parametrize(
    ("result", "decoded"),
    [
        ([{"f": '{"a": 1, "a": 2}'}], [{"f": {"a": 2}}]),
        ([{"f": "{}", "g": "{}"}], [{"f": {}}]),
        ([{"f": "5"}], [{"f": 5}]),
        ([], []),
        ("", []),
        ("text", FAILS),
        (None, FAILS),
        ([{}], FAILS),
        (["f"], FAILS),
        ([{"f": {"a": 1}}], FAILS),
        ([{"f": "{"}], FAILS),
        pytest.param([{"f": "[" * 50_000}], FAILS, id="deep"),
        pytest.param([{"f": "1" * 5_000}], FAILS, id="long"),
    ],
)
def test_function_calls(result: object, decoded: object) -> None:
    try:
        assert decode_function_calls(result) == decoded
    except DecodeError:
        assert decoded is FAILS


def test_function_calls_written_as_source() -> None:
    assert render_function_calls([{"f": '{"a": "x", "b": [1]}'}, {"g": {"c": None}}]) == [
        "f(a='x',b=[1])",
        "g(c=None)",
    ]
    assert render_function_calls({"f": "{}"}) == ["f()"]
    assert render_function_calls("") == []
    for result in ("text", None, [{"f": "5"}], [5], [{"f": "{"}]):
        with pytest.raises(DecodeError):
            render_function_calls(result)


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("[f(a='x', b=[1]), g()]", ["f(a='x', b=[1])", "g()"]),
        ("[f(a=g(b=1))]", ["f(a=g(b=1))"]),
        ("[f(a={'b': 1})]", ["f(a={'b': 1})"]),
        # Objects of objects become calls, and an empty one spoils the step.
        ("[f(a={'b': {'c': 1}})]", ["f(a=b(c=1))"]),
        ("[f(a={}), g()]", FAILS),
        pytest.param("[f(a=0x" + "f" * 4_000 + ")]", FAILS, id="long"),
        ("", []),
        ("Done.", FAILS),
    ],
)
def test_steps_of_a_conversation(text: str, calls: object) -> None:
    try:
        assert decode_execute(text) == calls
    except DecodeError:
        assert calls is FAILS


@given(
    st.text(st.sampled_from("[](){}<>=,.:'\"`\\ \nfgax01-+*/%é"), max_size=40),
    st.sampled_from(["python", "java", "javascript", "json", "verbose_xml", "concise_xml"]),
    st.booleans(),
)
def test_any_text_is_read_or_a_decode_error(
    text: str, return_format: ReturnFormat, tagged: bool
) -> None:
    read(text, return_format, tool_call_tag=tagged)
    read(f"<functions>{text}</functions>", return_format)


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c"]),
        st.recursive(
            st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.text(max_size=3), inner, max_size=3)
            ),
            max_leaves=5,
        ),
    )
)
def test_what_python_writes_is_read_back(arguments: dict[str, object]) -> None:
    inside = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    assert read(f"[f({inside})]") == [{"f": arguments}]
