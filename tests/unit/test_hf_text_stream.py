"""The text of a completion as its tokens come: whole characters, and all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callsmith import PromptTokens
from callsmith_hf.text import TextStream
from fixtures.vllm_tokenizer import SPECIAL, tiny_tokenizer

TOKENS = PromptTokens(tiny_tokenizer().to_str())


@given(
    st.lists(st.sampled_from(["a", "th", " ", "é", "€", "\U0001f600", *sorted(SPECIAL)])),
    st.sampled_from(["", "x ", "<bos>"]),
)
def test_the_pieces_of_byte_fallback_are_the_text(words: list[str], before: str) -> None:
    text = "".join(words)
    stream = TextStream(TOKENS.decode, TOKENS.encode_text(before))
    pieces = [stream.take(number) for number in TOKENS.encode_text(text)]
    assert "".join(pieces) + stream.rest() == text
    assert not any("\ufffd" in piece for piece in pieces)
