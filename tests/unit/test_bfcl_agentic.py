"""The final-answer check: word boundaries, what is ignored, and which message is the answer."""

from __future__ import annotations

import pytest

from callsmith_bfcl.agentic import RULES, check_agentic, check_answer, normalized


@pytest.mark.parametrize(
    ("message", "valid"),
    [
        ("Michael", True),
        ("{'answer': 'MICHAEL', 'context': 'c'}", True),
        ("It is (michael).", True),
        ("m.i-c_h*a^e/l", True),
        ("Michaels", False),
        ("fooMichaelbar", False),
        ("M i c h a e l", False),
        (["Michael", "x"], True),
        (["x", "Michael"], False),
        ({"answer": "Michael"}, True),
        (35, True),
        (None, False),
        ([], False),
        ("thirty  five", False),
        ("thirty five!", True),
        ("3.5", True),
        ("1,350", False),
    ],
)
def test_the_final_answer(message: object, valid: bool) -> None:
    outcome = check_answer(["Michael", "35", "thirty five"], message)
    assert outcome.valid is valid
    assert outcome.error_type == (None if valid else "agentic:answer_not_found")
    assert bool(outcome.messages) is not valid
    assert outcome.rule in RULES


def test_what_is_ignored() -> None:
    assert normalized("A, B. c/d-e_f*g^h(i) 'j'") == 'a b cdefghi "j"'


def test_answers_are_no_patterns() -> None:
    assert check_answer(["C[ab]"], "C[ab] is it").valid is False  # "]" ends no word
    assert check_answer(["a[b]c"], "it is a[b]c").valid is True
    assert check_answer(["a[b]c"], "abc").valid is False


def decode(step: object) -> list[str]:
    """Steps that begin with `call` are calls."""
    if not isinstance(step, str) or not step.startswith("call"):
        raise ValueError("no call")
    return step.split()[1:]


@pytest.mark.parametrize(
    ("result", "error_type"),
    [
        (None, "agentic:inference_error"),
        ("Error during inference: x", "agentic:inference_error"),
        ([], "agentic:inference_error"),
        ([["35"], ["35"]], "agentic:inference_error"),
        ([[]], "agentic:no_last_message"),
        ([["call f()"]], "agentic:no_last_message"),
        ([["call f()", ""]], "agentic:no_last_message"),
        ([["35", ""]], "agentic:no_last_message"),
        ([["no idea"]], "agentic:answer_not_found"),
        ([["35", "no idea"]], "agentic:answer_not_found"),
        ([["35"]], None),
        ([["no idea", "call f()", "35"]], None),
        ([["35", "call f()"]], None),
        ([["call"]], "agentic:answer_not_found"),
    ],
)
def test_the_last_step_without_a_call_is_the_answer(result: object, error_type: str | None) -> None:
    assert check_agentic(["35"], result, decode).error_type == error_type
