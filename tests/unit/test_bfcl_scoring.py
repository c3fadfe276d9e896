"""One entry and one result: the decoder and checker of its category, and never an exception."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith import Fault, Reply, ToolCall
from callsmith_bfcl.categories import CATEGORIES
from callsmith_bfcl.data import Entry, load_entries
from callsmith_bfcl.multi_turn import MultiTurnChecker
from callsmith_bfcl.outcome import Outcome
from callsmith_bfcl.scoring import Handler, decode_turns, official_result, score_entry
from callsmith_bfcl.strict import STRICT_FIXES, deciding_fixes
from fixtures.small_apis import SmallApis
from fixtures.small_bfcl import ADD, small_wheel

WHEEL = small_wheel()
FC = Handler(mode="fc", underscore_to_dot=True)
TEXT = Handler(mode="prompting")


def entry(category: str, number: int = 0) -> Entry:
    return load_entries(WHEEL, category)[number]


def fc(name: str, **arguments: Any) -> list[dict[str, str]]:
    return [{name: json.dumps(arguments)}]


@pytest.mark.parametrize(
    ("category", "result", "handler", "error_type"),
    [
        ("simple_python", fc("math_add", a=1), FC, None),
        ("simple_python", fc("math.add", a=1), FC, "simple_function_checker:wrong_func_name"),
        ("simple_python", fc("math.add", a=1), replace(FC, underscore_to_dot=False), None),
        ("simple_python", "math.add(a=1)", TEXT, None),
        ("simple_python", "[math.add(a=2)]", TEXT, "value_error:others"),
        ("simple_python", "One.", TEXT, "ast_decoder:decoder_failed"),
        ("simple_python", "One.", FC, "ast_decoder:decoder_failed"),
        ("simple_python", "", FC, "simple_function_checker:wrong_count"),
        ("simple_python", None, FC, "ast_decoder:decoder_failed"),
        ("irrelevance", "I cannot.", FC, None),
        ("irrelevance", "I cannot.", TEXT, None),
        ("irrelevance", fc("x"), FC, "irrelevance_error:decoder_success"),
        ("irrelevance", "[x()]", TEXT, "irrelevance_error:decoder_success"),
        ("memory_kv", [[fc("remember"), "Hello!"]], FC, None),
        ("memory_kv", [[fc("remember"), "Bye"]], FC, "agentic:answer_not_found"),
        ("memory_kv", [[fc("remember")]], FC, "agentic:no_last_message"),
        ("memory_kv", "Hello", FC, "agentic:inference_error"),
        ("web_search_base", [["[search()]", "It was me."]], TEXT, None),
    ],
)
def test_the_category_and_the_handler_decide_how_a_result_is_read(
    category: str, result: Any, handler: Handler, error_type: str | None
) -> None:
    outcome = score_entry(entry(category), result, handler)
    assert (outcome.valid, outcome.error_type) == (error_type is None, error_type)


def test_relevance_wants_a_call() -> None:
    asked = Entry(id="live_relevance_0-0-0", category="live_relevance", functions=[ADD])
    assert score_entry(asked, fc("anything"), FC).valid
    assert score_entry(asked, "No.", FC).error_type == "relevance_error:decoder_failed"


def test_strictly_an_attempt_that_cannot_be_read_is_no_abstention() -> None:
    strict = replace(TEXT, fixes=STRICT_FIXES)
    attempt = "[math.add(a=1"
    assert score_entry(entry("irrelevance"), attempt, TEXT).valid
    assert not score_entry(entry("irrelevance"), attempt, strict).valid
    assert score_entry(entry("irrelevance"), "I cannot.", strict).valid
    asked = Entry(id="live_relevance_0-0-0", category="live_relevance", functions=[ADD])
    assert score_entry(asked, "[sub()]", TEXT).valid
    assert not score_entry(asked, "[sub()]", strict).valid


def test_strictly_a_conversation_has_the_strings_that_the_model_wrote() -> None:
    # M3: the answer's own words, in which officially a method's name is rewritten.
    said = "see titles()"
    asked = Entry(
        id="multi_turn_base_0",
        category="multi_turn_base",
        functions=[],
        ground_truth=[[f"create_ticket(title={said!r})"]],
        involved_classes=("TicketAPI",),
    )
    checker = MultiTurnChecker(SmallApis())

    def check(fixes: frozenset[str]) -> Outcome:
        handler = replace(FC, multi_turn=checker, fixes=fixes)
        return score_entry(asked, [[fc("create_ticket", title=said)]], handler)

    assert check(frozenset()).error_type == "multi_turn:instance_state_mismatch"
    assert check(STRICT_FIXES).valid
    assert deciding_fixes(check) == ("M3",)


def test_java_and_javascript_texts_are_read_in_their_language() -> None:
    java = 'Box.fill(a=new ArrayList<String>(Arrays.asList("x")))'
    assert score_entry(entry("simple_java"), java, TEXT).valid
    assert score_entry(entry("simple_javascript"), "fill(a={})", TEXT).valid


@pytest.mark.parametrize(
    ("configuration", "result", "valid"),
    [
        ("ret_fmt=python&tool_call_tag=False", "[math.add(a=2)]", True),
        ("ret_fmt=python&tool_call_tag=True", "<TOOLCALL>[math.add(a=2)]</TOOLCALL>", True),
        ("ret_fmt=python&tool_call_tag=True", "[math.add(a=2)]", False),
        ("ret_fmt=json", '[{"function": "math.add", "parameters": {"a": 2}}]', True),
        ("ret_fmt=json", "[math.add(a=2)]", False),
    ],
)
def test_format_sensitivity_reads_what_its_configuration_asks_for(
    configuration: str, result: str, valid: bool
) -> None:
    entries = load_entries(WHEEL, "format_sensitivity")
    asked = [item for item in entries if item.prompt_format.startswith(configuration)]
    tag = "tool_call_tag=True" if "True" in configuration else "tool_call_tag=False"
    chosen = next(item for item in asked if tag in item.prompt_format)
    assert score_entry(chosen, result, TEXT).valid is valid


def test_whatever_goes_wrong_is_an_outcome() -> None:
    broken = Entry(id="simple_python_0", category="simple_python", functions=[{}], ground_truth=[1])
    outcome = score_entry(broken, fc("f"), FC)
    assert outcome.error_type == "scorer_error"
    assert outcome.messages[0].startswith("scoring stopped: ")
    # A conversation without the checker that carries out its calls.
    assert score_entry(entry("multi_turn_miss_func"), [[]], FC).error_type == "scorer_error"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(json_values, st.sampled_from(["simple_python", "irrelevance", "memory_kv"]))
def test_any_result_has_an_outcome(result: Any, category: str) -> None:
    for handler in (FC, TEXT):
        outcome = score_entry(entry(category), result, handler)
        assert outcome.error_type != "scorer_error"
        assert outcome.valid is (outcome.error_type is None)


def test_steps_of_a_conversation_without_calls_are_dropped() -> None:
    turns = [[fc("f", a=1), "Done."], ["Hello"], "no list", [[], [{"g": {"b": "c"}}]]]
    assert decode_turns(turns, FC) == [[["f(a=1)"]], [], [], [["g(b='c')"]]]
    assert decode_turns([["[f(a=1), g()]", "Done."]], TEXT) == [[["f(a=1)", "g()"]]]
    assert decode_turns("no turns", FC) == "no turns"


def test_a_reply_becomes_a_result_as_official_files_hold_it() -> None:
    calls = (ToolCall(name="f", arguments={"a": "é"}), ToolCall(name="g", arguments=[1]))
    assert official_result(Reply(calls=calls)) == [{"f": '{"a": "é"}'}, {"g": "[1]"}]
    assert official_result(Reply(content="Hello")) == "Hello"
    # What cannot be read is not scored by the part that can.
    fault = Fault(kind="call", raw="<call>f(")
    assert official_result(Reply(content="x", calls=calls, faults=(fault,))) == "x<call>f("


def test_every_category_has_a_checker() -> None:
    checkers = {category.checker for category in CATEGORIES.values()}
    assert checkers == {"ast", "irrelevance", "relevance", "multi_turn", "agentic"}
