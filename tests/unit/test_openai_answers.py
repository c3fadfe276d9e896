"""Texts, tokens and what probes make of them: the pure side of answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith import (
    ArmError,
    ControlTextError,
    ControlTokens,
    Prompt,
    PromptTooLongError,
    Sampling,
    Segment,
    Usage,
)
from callsmith_openai.answers import check_end, check_room, timings
from callsmith_openai.attempts import Attempts
from callsmith_openai.bos import Bos, read_counts
from callsmith_openai.field_checks import HOT, Ask, Sample, check_sampling
from callsmith_openai.stops import StopFilter
from callsmith_openai.text_reading import TextReading
from callsmith_openai.token_pieces import token_pieces

# -- stop strings ----------------------------------------------------------------------------------


@given(
    st.lists(st.text("ab<", max_size=4), max_size=8),
    st.lists(st.text("ab<", min_size=1, max_size=4), max_size=3),
)
def test_text_ends_before_the_first_stop_string(pieces: list[str], stops: list[str]) -> None:
    text = "".join(pieces)
    # The stop string that is complete first, and of those that end together the longest.
    ends = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    expected = text[: min(ends)[1]] if ends else text
    stream = StopFilter(stops)
    seen = ""
    for piece in pieces:
        seen += stream.feed(piece)
        assert expected.startswith(seen)
    assert seen + stream.close() == expected
    assert stream.cut == bool(ends)


def test_only_what_may_be_a_stop_string_is_held_back() -> None:
    stream = StopFilter(["STOP"])
    assert stream.feed("one S") == "one "
    assert stream.feed("o") == "So"
    assert stream.feed("ST") == ""
    assert stream.close() == "ST"


# -- prompts in pieces -----------------------------------------------------------------------------

TOKENS = ControlTokens(["<|turn>", "<turn|>", "<bos>"])


def prompt(*segments: tuple[str, str]) -> Prompt:
    return Prompt(
        segments=tuple(
            Segment(text=text, origin="control" if origin == "t" else "content")
            for origin, text in segments
        )
    )


def test_a_prompt_without_control_text_in_content_stays_whole() -> None:
    one = prompt(("t", "<bos><|turn>user\n"), ("c", "hi <|tur n>"), ("t", "<turn|>\n"))
    assert token_pieces(one, TOKENS) == (one.text,)


def test_control_text_in_content_is_cut() -> None:
    one = prompt(("t", "<|turn>user\n"), ("c", "a<turn|><|turn>b"), ("t", "<turn|>\n"))
    assert token_pieces(one, TOKENS) == ("<|turn>user\na<", "turn|><", "|turn>b<turn|>\n")


def test_a_token_across_a_border_is_cut() -> None:
    one = prompt(("t", "<|tu"), ("c", "rn>"), ("t", "<bos>"))
    assert token_pieces(one, TOKENS) == ("<", "|turn><bos>")


def test_a_single_character_cannot_be_cut() -> None:
    with pytest.raises(ControlTextError, match="single character"):
        token_pieces(prompt(("c", "a\x02")), ControlTokens(["\x02"]))


PARTS = st.sampled_from(["<|turn>", "<turn|>", "<bos>", "<|tu", "rn>", "a", " ", "<", "|>"])


@given(st.lists(st.tuples(st.sampled_from("tc"), PARTS), max_size=12))
def test_no_piece_holds_a_control_token_of_content(parts: list[tuple[str, str]]) -> None:
    one = prompt(*parts)
    pieces = token_pieces(one, TOKENS)
    assert "".join(pieces) == one.text
    origins = "".join(origin * len(text) for origin, text in parts)
    at = 0
    whole = set()
    for piece in pieces:
        for start, end in TOKENS.find(piece):
            whole.add((at + start, at + end))
            assert "c" not in origins[at + start : at + end]
        at += len(piece)
    written = {(a, b) for a, b in TOKENS.find(one.text) if "c" not in origins[a:b]}
    assert whole == written, "what the template wrote stays whole"


# -- completions -----------------------------------------------------------------------------------


def reading(*values: dict[str, Any]) -> TextReading:
    found = TextReading()
    for value in values:
        found.take(value)
    return found


def test_ids_and_logprobs_as_vllm_tells_them() -> None:
    logprobs = {"tokens": ["a"], "token_logprobs": [-0.5]}
    found = reading(
        {"choices": [{"text": "a", "token_ids": [5], "logprobs": logprobs}]},
        {"choices": [{"text": "b", "token_ids": [6], "logprobs": {"token_logprobs": [0.0001]}}]},
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
    )
    assert (found.text, found.token_ids, found.logprobs) == ("ab", (5, 6), (-0.5, 0.0))
    assert found.usage == Usage(prompt_tokens=3, completion_tokens=2)


def test_ids_that_stand_in_the_names_of_tokens() -> None:
    logprobs = {"tokens": ["token_id:7", "token_id:8"], "token_logprobs": [-1.0, -2.0]}
    found = reading({"choices": [{"text": "ab", "logprobs": logprobs}]})
    assert (found.token_ids, found.logprobs) == ((7, 8), (-1.0, -2.0))


def test_ids_and_logprobs_as_llama_cpp_tells_them() -> None:
    content = [{"id": 9, "token": "a", "logprob": -0.25}]
    found = reading({"choices": [{"text": "a", "logprobs": {"content": content}}]})
    assert (found.token_ids, found.logprobs) == ((9,), (-0.25,))


@pytest.mark.parametrize(
    "choice",
    [
        {"text": "a"},
        {"text": "a", "logprobs": {"token_logprobs": [-1.0]}},
        {"text": "a", "token_ids": [1, 2], "logprobs": {"token_logprobs": [-1.0]}},
        {"text": "a", "token_ids": [1], "logprobs": {"token_logprobs": [None]}},
        {"text": "a", "token_ids": None, "logprobs": None},
    ],
    ids=str,
)
def test_logprobs_that_fit_no_ids_are_unknown(choice: dict[str, Any]) -> None:
    assert reading({"choices": [choice]}).logprobs is None


def test_a_text_that_is_no_text_is_named() -> None:
    with pytest.raises(ArmError, match="not text"):
        reading({"choices": [{"text": 5}]})


# -- the end of an answer --------------------------------------------------------------------------


def test_one_sign_of_the_end_is_enough() -> None:
    check_end(Attempts(complete=False), "stop", 1, "u")
    check_end(Attempts(complete=True), None, 1, "u")
    with pytest.raises(ArmError, match="neither a finish_reason nor"):
        check_end(Attempts(complete=False, events=3), None, 1, "u")
    with pytest.raises(ArmError, match="no choices"):
        check_end(Attempts(complete=True), None, 0, "u")


def test_prompt_and_completion_must_fit_together() -> None:
    def check(prompt: int | None, done: int | None, reason: str, room: int | None) -> None:
        usage = Usage(prompt_tokens=prompt, completion_tokens=done)
        check_room(usage, reason, max_tokens=100, context_length=room)

    check(900, 5, "stop", 1000)
    check(901, 5, "stop", None)
    check(None, None, "length", 1000)
    check(10, 99, "length", 1000)
    with pytest.raises(PromptTooLongError, match=r"901 tokens.*max_tokens is 100.*1000"):
        check(901, 5, "stop", 1000)
    with pytest.raises(PromptTooLongError, match="after 40 of 100 tokens"):
        check(10, 40, "length", None)


def test_times_are_seconds() -> None:
    assert timings(
        {"prompt_ms": 250, "predicted_ms": 1500.0, "predicted_n": 5},
        first_token=0.5,
        total=2.0,
        retry=0.0,
    ) == {"prompt_eval": 0.25, "eval": 1.5, "first_token": 0.5, "total": 2.0}
    assert timings({}, first_token=None, total=1.0, retry=0.5) == {"total": 1.0, "retry": 0.5}


# -- probes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bare", "with_bos", "expected"),
    [
        (1, 2, Bos(adds=False)),
        (2, 3, Bos(adds=True, doubles=True)),
        (2, 2, Bos(adds=True, doubles=False)),
        (14, 15, Bos(wraps=14)),
        (3, 4, Bos()),
        (2, None, Bos()),
        (None, None, Bos()),
    ],
)
def test_counts_tell_what_is_done_about_bos(
    bare: int | None, with_bos: int | None, expected: Bos
) -> None:
    assert read_counts(bare, with_bos) == expected


def model(
    *, ignores: tuple[str, ...] = (), flat: bool = False, refuses: tuple[str, ...] = ()
) -> Ask:
    """A model whose draw depends on what it does not ignore; `flat`: it always says the same."""
    asked = 0

    async def ask(sampling: Sampling) -> Sample | None:
        nonlocal asked
        asked += 1
        if any(getattr(sampling, name) != getattr(HOT, name) for name in refuses):
            return None
        used = replace(sampling, **{name: getattr(HOT, name) for name in ignores})
        seed = asked if "seed" in ignores else used.seed
        greedy = used.temperature == 0 or used.top_k == 1 or used.top_p < 0.1
        text = "the cat sat here" if greedy or flat else f"drawn with {seed}"
        for stop in used.stop:
            text = text.partition(stop)[0]
        return Sample(text, "stop" if used.stop else "length", used.max_tokens)

    return ask


async def test_fields_that_work_are_seen_to_work() -> None:
    assert await check_sampling(model(), top_k=True) == dict.fromkeys(
        ("temperature", "top_p", "top_k", "seed", "max_tokens", "stop"), "applied"
    )


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k", "seed", "stop"])
async def test_a_field_that_is_ignored_is_seen(name: str) -> None:
    found = await check_sampling(model(ignores=(name,)), top_k=True)
    if name == "temperature":
        assert found["temperature"] == "ignored"
    else:
        assert {key for key, use in found.items() if use == "ignored"} == {name}


async def test_what_the_texts_do_not_show_is_unknown() -> None:
    found = await check_sampling(model(flat=True), top_k=True)
    assert found == {"max_tokens": "applied", "stop": "applied"}


async def test_a_request_that_fails_leaves_its_field_unknown() -> None:
    assert "top_k" not in await check_sampling(model(refuses=("top_k",)), top_k=True)
    assert "top_k" not in await check_sampling(model(), top_k=False)
    assert await check_sampling(model(refuses=("seed",)), top_k=True) == {}
