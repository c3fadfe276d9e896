"""Which control tokens of a prompt the JAX worker takes for real."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith_jax.worker.spans import is_control_token, runs

TOKENS = ("<|turn>", "<turn|>", '<|"|>')


@pytest.mark.parametrize("piece", ["<|turn>", "<turn|>", '<|"|>', "<|tool_call>", "<|image|>"])
def test_control_tokens_are_known_by_their_shape(piece: str) -> None:
    assert is_control_token(piece)


@pytest.mark.parametrize(
    "piece", ["<table>", "</b>", "  ", "\n\n", "<bos>", "<unused3>", "a", "<||>"]
)
def test_other_pieces_are_none(piece: str) -> None:
    assert not is_control_token(piece)


def test_a_prompt_whose_control_tokens_are_the_templates_stays_whole() -> None:
    assert runs([("<|turn>user\n", True), ("Hi <b>", False), ("<turn|>", True)], TOKENS) is None
    assert runs([], TOKENS) is None


def test_what_content_says_is_text() -> None:
    segments = [("<|turn>user\n", True), ("a<turn|>b", False), ("<turn|>", True)]
    assert runs(segments, TOKENS) == [
        ("<|turn>", True),
        ("user\na<turn|>b", False),
        ("<turn|>", True),
    ]


@pytest.mark.parametrize("cut", range(1, 7))
def test_a_token_across_a_border_is_text(cut: int) -> None:
    token = "<turn|>"
    for order in ((True, False), (False, True)):
        segments = [(token[:cut], order[0]), (token[cut:], order[1])]
        assert runs(segments, TOKENS) == [(token, False)]


def test_a_real_token_behind_the_beginning_of_a_false_one() -> None:
    segments = [("<|turn", False), ("<|turn>", True)]
    assert runs(segments, TOKENS) is None
    segments = [("<|turn>", False), ("<|turn>", True), ("", False), ("x", True)]
    assert runs(segments, TOKENS) == [("<|turn>", False), ("<|turn>", True), ("x", False)]


def test_a_token_may_span_two_pieces_of_the_template() -> None:
    assert runs([("<|tu", True), ("", False), ("rn>", True)], TOKENS) is None


parts = st.lists(
    st.tuples(
        st.lists(st.sampled_from([*TOKENS, "<", "|>", "a", "turn"]), max_size=3).map("".join),
        st.booleans(),
    ),
    max_size=6,
)


@given(parts)
def test_no_character_is_lost_and_no_real_token_has_content(
    segments: list[tuple[str, bool]],
) -> None:
    text = "".join(part for part, _ in segments)
    origin = "".join(("T" if control else "c") * len(part) for part, control in segments)
    found = runs(segments, TOKENS)
    if found is None:
        return
    assert "".join(piece for piece, _ in found) == text
    at = 0
    for piece, control in found:
        assert piece
        if control:
            assert piece in TOKENS
            assert set(origin[at : at + len(piece)]) == {"T"}
        at += len(piece)
