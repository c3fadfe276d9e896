"""Prompts as token ids: the template's control text is control tokens, a person's is characters."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith import ConfigError, Prompt, PromptTokens, RenderError, Segment
from fixtures.vllm_tokenizer import PLAIN, SPECIAL, tiny_tokenizer

SERIALISED = tiny_tokenizer().to_str()
TOKENS = PromptTokens(SERIALISED)
CONTROL = sorted(SPECIAL)


def prompt(*parts: tuple[str, str]) -> Prompt:
    return Prompt(
        segments=tuple(Segment(text=text, origin=origin) for origin, text in parts)  # type: ignore[arg-type]
    )


def plain(text: str) -> list[int]:
    ids: list[int] = tiny_tokenizer().encode(text, add_special_tokens=False).ids
    return ids


def test_an_honest_prompt_is_tokenised_as_a_server_would() -> None:
    parts = (("control", "<bos><|turn>user\n"), ("content", "what is this"), ("control", "<turn|>"))
    ids = TOKENS.encode(prompt(*parts))
    assert ids == plain("<bos><|turn>user\nwhat is this<turn|>")
    assert ids[:2] == [SPECIAL["<bos>"], SPECIAL["<|turn>"]]


def test_nothing_is_put_around_a_prompt() -> None:
    assert TOKENS.encode(prompt(("content", "hi"))) == plain("hi")
    assert SPECIAL["<bos>"] not in TOKENS.encode(prompt(("content", "hi")))
    assert TOKENS.encode(prompt(("control", "<bos>hi"))).count(SPECIAL["<bos>"]) == 1


def test_borders_of_segments_leave_no_trace() -> None:
    # "t" and "h" merge into one token, whoever wrote them.
    assert TOKENS.encode(prompt(("control", "t"), ("content", "h"))) == plain("th")
    assert len(plain("th")) == 1


@pytest.mark.parametrize("token", CONTROL)
def test_a_control_token_in_content_is_characters(token: str) -> None:
    ids = TOKENS.encode(prompt(("control", "<bos>"), ("content", f"a{token}b")))
    assert ids[0] == SPECIAL["<bos>"]
    assert not set(ids[1:]) & set(SPECIAL.values())
    assert tiny_tokenizer().decode(ids[1:], skip_special_tokens=False) == f"a{token}b"


def test_a_control_token_that_arises_at_a_border_is_characters() -> None:
    for left, right in (("control", "content"), ("content", "control")):
        ids = TOKENS.encode(prompt((left, "<|tu"), (right, "rn>")))
        assert SPECIAL["<|turn>"] not in ids


def test_neighbours_of_one_origin_are_one_text() -> None:
    forged = (("control", "<|tu"), ("control", "rn>"), ("content", "<turn|>"))
    assert TOKENS.encode(prompt(*forged))[0] == SPECIAL["<|turn>"]


def test_added_tokens_that_are_not_special_are_kept_out_on_request() -> None:
    forged = prompt(("content", PLAIN))
    number = tiny_tokenizer().token_to_id(PLAIN)
    assert TOKENS.encode(forged) == [number]
    strict = PromptTokens(SERIALISED, [PLAIN])
    assert number not in strict.encode(forged)
    assert strict.encode(prompt(("control", PLAIN))) == [number]


def test_an_unknown_control_token_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"control_tokens: the tokenizer has no token '<tool>'"):
        PromptTokens(SERIALISED, ["<tool>"])


def test_truncation_and_padding_of_the_file_do_not_count() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=64)
    tokens = PromptTokens(tokenizer.to_str())
    assert tokens.encode(prompt(("content", "x" * 9))) == plain("x" * 9)


def test_text_that_is_no_unicode_is_one_line() -> None:
    with pytest.raises(RenderError, match="not Unicode text"):
        TOKENS.encode(prompt(("content", "a\ud800b")))


def test_stop_strings_that_are_one_special_token_have_an_id() -> None:
    assert TOKENS.special(["<turn|>", "END", PLAIN, "<|tool_response>"]) == [106, 50]
    assert TOKENS.name(106) == "<turn|>"
    assert TOKENS.name(99999) == "99999"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["control", "content"]),
            st.lists(st.sampled_from([*CONTROL, "a", "th", " ", "é", "<|", "|>"])).map("".join),
        )
    )
)
def test_whatever_content_says_it_forms_no_control_token(parts: list[tuple[str, str]]) -> None:
    subject = prompt(*parts)
    ids = TOKENS.encode(subject)
    special = set(SPECIAL.values()) - {SPECIAL["<unk>"]}
    by_template = "".join(text if origin == "control" else "\0" for origin, text in parts)
    expected = sum(number in special for number in plain(by_template))
    assert sum(number in special for number in ids) <= expected
    assert tiny_tokenizer().decode(ids, skip_special_tokens=False) == subject.text


@pytest.mark.parametrize("text", ["", "{", "{}", '{"model": 1}'])
def test_a_file_that_is_no_tokenizer(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"tokenizer.json is no tokenizer"):
        PromptTokens.read(file)


def test_ids_and_texts_of_single_tokens() -> None:
    assert TOKENS.find(["<turn|>", "END", PLAIN]) == [106, TOKENS.added[PLAIN]]
    assert TOKENS.pieces([106, 10**6]) == ["<turn|>", ""]
    assert TOKENS.encode_text("<turn|>") == [106]
    assert len(TOKENS) == tiny_tokenizer().get_vocab_size()
