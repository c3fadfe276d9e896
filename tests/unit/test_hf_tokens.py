"""Prompts as ids: control text is control tokens, a person's text is characters, both lossless."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith import ArmError, ConfigError, Prompt, Segment
from callsmith_hf.text import TextStream
from callsmith_hf.tokens import Tokens, read_tokens
from fixtures.vllm_tokenizer import PLAIN, SPECIAL, tiny_tokenizer

TOKENS = Tokens(tiny_tokenizer().to_str())


def prompt(*parts: tuple[str, str]) -> Prompt:
    return Prompt(
        segments=tuple(Segment(text=text, origin=origin) for origin, text in parts)  # type: ignore[arg-type]
    )


def plain(text: str) -> list[int]:
    ids: list[int] = tiny_tokenizer().encode(text, add_special_tokens=False).ids
    return ids


def test_an_honest_prompt_is_one_text() -> None:
    parts = (("control", "<bos>t"), ("content", "his"), ("control", "<turn|>"))
    assert TOKENS.encode(prompt(*parts)) == plain("<bos>this<turn|>")


@pytest.mark.parametrize("token", sorted(SPECIAL))
def test_a_control_token_in_content_is_characters(token: str) -> None:
    ids = TOKENS.encode(prompt(("control", "<bos>"), ("content", f"a{token}b")))
    assert ids[0] == SPECIAL["<bos>"]
    assert not set(ids[1:]) & set(SPECIAL.values())
    assert TOKENS.decode(ids[1:]) == f"a{token}b"


def test_added_tokens_that_are_not_special() -> None:
    (number,) = TOKENS.encode(prompt(("content", PLAIN)))
    strict = Tokens(tiny_tokenizer().to_str(), [PLAIN])
    assert number not in strict.encode(prompt(("content", PLAIN)))
    assert strict.encode(prompt(("control", PLAIN))) == [number]
    with pytest.raises(ConfigError, match=r"control_tokens: the tokenizer has no token '<tool>'"):
        Tokens(tiny_tokenizer().to_str(), ["<tool>"])


@pytest.mark.parametrize(("text", "line"), [("", "is empty"), ("a\ud800b", "not Unicode")])
def test_prompts_that_are_none(text: str, line: str) -> None:
    with pytest.raises(ArmError, match=line):
        TOKENS.encode(prompt(("content", text)))


@pytest.mark.parametrize("text", ["", "{", "{}", '{"model": 1}'])
def test_a_file_that_is_no_tokenizer(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"tokenizer.json is no tokenizer"):
        read_tokens(file, [])


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["control", "content"]),
            st.lists(st.sampled_from([*sorted(SPECIAL), "a", "th", " ", "é", "<|"])).map("".join),
        )
    ).filter(lambda parts: any(text for _, text in parts))
)
def test_content_forms_no_control_token(parts: list[tuple[str, str]]) -> None:
    subject = prompt(*parts)
    ids = TOKENS.encode(subject)
    special = set(SPECIAL.values()) - {SPECIAL["<unk>"]}
    by_template = "".join(text if origin == "control" else "\0" for origin, text in parts)
    expected = sum(number in special for number in plain(by_template))
    assert sum(number in special for number in ids) <= expected
    assert TOKENS.decode(ids) == subject.text


@given(
    st.lists(st.sampled_from(["a", "th", " ", "é", "€", "\U0001f600", *sorted(SPECIAL)])),
    st.sampled_from(["", "x ", "<bos>"]),
)
def test_the_pieces_of_byte_fallback_are_the_text(words: list[str], before: str) -> None:
    text = "".join(words)
    stream = TextStream(TOKENS.decode, plain(before))
    pieces = [stream.take(number) for number in plain(text)]
    assert "".join(pieces) + stream.rest() == text
    assert not any("\ufffd" in piece for piece in pieces)
