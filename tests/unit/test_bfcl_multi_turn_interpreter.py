"""What the interpreter understands, compared with Python itself, and what it refuses."""

from __future__ import annotations

import ast
from typing import Any

import mpmath  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith_bfcl.multi_turn.apis import Apis, InitialStates, Side
from callsmith_bfcl.multi_turn.loader import ApiSources
from fixtures.small_apis import SmallApis, SmallEntry

SOURCES = ApiSources(SmallApis())
CLASSES = ("TicketAPI", "MathAPI", "GorillaFileSystem")
ERROR = "Error during execution: "


def side(*, verbatim: bool = False) -> Side:
    initial = InitialStates(Apis(SOURCES.load()), SmallEntry([], CLASSES))
    return Side(initial, "model", verbatim=verbatim)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("1 + 2 * 3", "7"),
        ("2 ** 10 // 3 % 5", "1"),
        ("-5", "-5"),
        ("~5 + +5", "-1"),
        ("not True", "False"),
        ("'a' + 'b' * 2", "abb"),
        ("[1] * 2 + [3]", "[1, 1, 3]"),
        ("(1, 'x')", "(1, 'x')"),
        ("{'a': 1, **{'b': None}}", '{"a": 1, "b": null}'),
        ("{'a': {1}}", "{'a': {1}}"),
        ("[*range(3), *'ab']", "[0, 1, 2, 'a', 'b']"),
        ("1 < 2 < 3", "True"),
        ("1 == 1.0 == True", "True"),
        ("'a' in 'cat' and 2 not in [1]", "True"),
        ("0 or 'x'", "x"),
        ("[] and 1", "[]"),
        ("3 if 0 else 4", "4"),
        ("'abc'[1] + 'abc'[::-1] + [1, 'z'][-1]", "bcbaz"),
        ("{'a': 1}['a']", "1"),
        ("{'a': 1}.get('b')", "None"),
        ("len('abc') + int('4') + abs(-1)", "8"),
        ("str(1.0) + str(None)", "1.0None"),
        ("max(1, 2) + max([3, 4]) + sum([1, 2.5])", "9.5"),
        ("round(2.567, 1)", "2.6"),
        ("sorted([2, 1], reverse=True)", "[2, 1]"),
        ("', '.join(['a', 'b']).upper()", "A, B"),
        ("'a-b'.replace('-', '+').split('+')", "['a', 'b']"),
        ("str(" * 90 + "7" + ")" * 90, "7"),
        ("print('x')", "None"),
        ("...", "Ellipsis"),
        ("  titles()", "[]"),
        ("titles ()", "[]"),
        ("titles(\n)", "[]"),
        ("'\\d'", "\\d"),
    ],
)
def test_expressions(text: str, result: str) -> None:
    assert side().execute(text) == result


def test_calls_nest_and_results_are_read() -> None:
    apis = side()
    assert apis.execute("create_ticket(title=str(add(a=1, b=2)['result']))") == (
        '{"id": 0, "title": "3", "priority": 1}'
    )
    assert apis.execute("create_ticket(*['x'], **{'priority': 5})['priority']") == "5"
    assert apis.execute("create_ticket('y', get_ticket(0)['id'])['title']") == "y"
    assert apis.execute("titles()") == "['3', 'x', 'y']"


def test_numbers_of_libraries_print_as_they_do() -> None:
    apis = side()
    with mpmath.workdps(10):
        quotient = mpmath.log(8) / mpmath.log("2.5")
        expected, doubled = repr(quotient), str(quotient * 2)
    assert apis.execute("logarithm(value=8, base='2.5', precision=10)") == (
        f"{{'result': {expected}}}"
    )
    assert apis.execute("logarithm(8, 2.5, 10)['result'] * 2") == doubled
    assert apis.execute("square_root(2, 5)") == "{'result': Decimal('1.4142')}"


def test_precision_does_not_leave_the_apis() -> None:
    import decimal

    before = decimal.getcontext().prec
    assert side().execute("square_root(2, 7)") == "{'result': Decimal('1.414214')}"
    assert decimal.getcontext().prec == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("titles", "name 'titles' is not defined"),
        ("no_such(1)", "name 'no_such' is not defined"),
        ("api.titles()", "name 'api' is not defined"),
        ("titles().x", "'list' object has no attribute 'x'"),
        ("titles().append(1)", "'list' object has no attribute 'append'"),
        ("titles()()", "'list' object is not callable"),
        ("'a'()", "'str' object is not callable"),
        ("1 / 0", "division by zero"),
        ("[][0]", "list index out of range"),
        ("'a' + 1", 'can only concatenate str (not "int") to str'),
        ("get_ticket(7)", "no ticket 7"),
        ("get_ticket()", "TicketAPI.get_ticket() missing 1 required positional argument"),
        ("titles(x=1)", "TicketAPI.titles() got an unexpected keyword argument 'x'"),
        ("titles(x=1, x=2)", "keyword argument repeated: x (<string>, line 1)"),
        ("", "invalid syntax (<string>, line 0)"),
        ("titles(", "'(' was never closed (<string>, line 1)"),
        ("x = 1", "invalid syntax"),
        ("titles(); titles()", "invalid syntax"),
        ("remove(0)", "Function call remove is not allowed."),
        ("exit", "Function call exit is not allowed."),
        ("os.kill(1)", "Function call kill is not allowed."),
        ("lambda: 1", "a lambda is not evaluated"),
        ("f'{1}'", "an f-string is not evaluated"),
        ("[x for x in [1]]", "a comprehension is not evaluated"),
        ("(x := 1)", "an assignment is not evaluated"),
        ("'%d' % 5", "string formatting is not evaluated"),
        ("str(int='1')", "unexpected keyword"),
        ("dict([1])", "cannot convert dictionary update sequence"),
        ("_load_scenario({})", "name '_load_scenario' is not defined"),
        ("(yield)", "'yield' outside function"),
    ],
)
def test_errors_are_results(text: str, said: str) -> None:
    result = side().execute(text)
    assert result.startswith(ERROR)
    assert said in result


def test_what_was_called_before_an_error_has_happened() -> None:
    apis = side()
    for text in (
        "[create_ticket('a'), undefined]",
        "create_ticket('b').title",
        "create_ticket('c') and (lambda: 1)",
        "titles(create_ticket('d'))",
    ):
        assert apis.execute(text).startswith(ERROR)
    assert apis.execute("titles()") == "['a', 'b', 'c', 'd']"
    # A name is looked up before the arguments, and a repeated keyword is seen before everything.
    for text in ("undefined(create_ticket('e'))", "titles(x=create_ticket('f'), x=1)"):
        assert apis.execute(text).startswith(ERROR)
    assert apis.execute("titles()") == "['a', 'b', 'c', 'd']"


def test_what_an_api_stores_is_its_own() -> None:
    # Officially both tickets would hold the same list; then a few calls can build a value that
    # takes longer to print than anybody waits.
    apis = side()
    apis.execute("create_ticket(title=['x'])")
    apis.execute("create_ticket(title=get_ticket(0)['title'])")
    apis.execute("edit_ticket(0, {'title': [get_ticket(0), get_ticket(1)]})")
    assert apis.execute("titles()[1]") == "['x']"
    assert "..." not in apis.execute("titles()")


def test_private_methods_are_out_of_reach() -> None:
    apis = side()
    for name in ("_load_scenario", "__init__", "__class__", "tickets"):
        # As the rewriting has them, from one call on also under their official names.
        apis.execute("print('titles()')")
        for instance in ("m_TicketAPI", apis.instance_names()["TicketAPI"]):
            said = apis.execute(f"{instance}.{name}({{}})")
            assert said == f"{ERROR}'TicketAPI' object has no attribute '{name}'"


def test_verbatim_calls_are_found_by_their_names() -> None:
    apis = side(verbatim=True)
    assert apis.execute("create_ticket(title='titles ()')['title']") == "titles ()"
    assert apis.execute("len(titles())") == "1"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # No bracket: in front of one the official rewriting removes blanks.
    | st.text(st.characters(codec="utf-8", exclude_characters="(")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner) | st.tuples(inner),
    max_leaves=12,
)


@given(VALUES)
def test_every_literal_arrives_as_python_reads_it(value: Any) -> None:
    apis = side()
    text = repr(value)
    assert apis.execute(f"print(create_ticket(title={text}))") == "None"
    assert apis.state("TicketAPI").tickets[0]["title"] == ast.literal_eval(text)
    assert repr(apis.state("TicketAPI").tickets[0]["title"]) == text


@given(st.text(max_size=60))
def test_no_text_raises(text: str) -> None:
    assert isinstance(side().execute(text), str)


CALLS = st.text(st.sampled_from("titles()create_ticket(1)'\"[]{}.,=+-*/ <>:~not or if \\0aéλ\n"))


@given(CALLS)
def test_no_likely_text_raises(text: str) -> None:
    assert isinstance(side().execute(text), str)
