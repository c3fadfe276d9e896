"""Building prompts: two origins, and the three policies for control text inside content."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from callsmith import (
    ControlTextError,
    ControlTextPolicy,
    ControlTokens,
    Prompt,
    PromptBuilder,
    Segment,
)

TOKENS = ControlTokens(["<|turn>", "<turn|>", '<|"|>'])


def build(
    *pieces: tuple[str, str], policy: ControlTextPolicy = "refuse", tokens: ControlTokens = TOKENS
) -> Prompt:
    """A prompt of (origin, text) pieces; origin `at` names a place, `note` adds a note."""
    builder = PromptBuilder(tokens, policy)
    for origin, text in pieces:
        getattr(builder, origin)(text)
    return builder.build()


def test_neighbours_of_one_origin_are_one_segment_and_nothing_is_empty() -> None:
    prompt = build(
        ("control", "<|turn>"),
        ("control", "user\n"),
        ("content", ""),
        ("content", "a"),
        ("control", ""),
        ("content", "b"),
        ("control", "<turn|>"),
    )
    assert prompt.segments == (
        Segment(text="<|turn>user\n", origin="control"),
        Segment(text="ab", origin="content"),
        Segment(text="<turn|>", origin="control"),
    )
    assert prompt.text == "<|turn>user\nab<turn|>"
    assert prompt.changes == ()


def test_nothing_gives_an_empty_prompt() -> None:
    assert build() == Prompt(segments=())


@pytest.mark.parametrize(
    "pieces",
    [
        [("content", "a<turn|>b")],
        [("content", "<turn"), ("content", "|>")],
        [("control", "<"), ("content", "turn|>")],
        [("control", "x<turn|"), ("content", ">")],
        [("content", "<"), ("control", "turn|>")],
        [("control", "<tu"), ("content", "rn"), ("control", "|>")],
        [("content", "<tu"), ("control", "rn"), ("content", "|>")],
        [("control", "<t"), ("control", "ur"), ("content", "n|>")],
        [("content", "<"), ("control", "tur"), ("control", "n|>")],
    ],
)
def test_a_token_with_any_character_of_content_is_contents(pieces: list[tuple[str, str]]) -> None:
    with pytest.raises(ControlTextError, match=r"'<turn\|>'"):
        build(*pieces)
    prompt = build(*pieces, policy="neutralise")
    assert "<turn|>" not in prompt.text
    assert prompt.text.replace(" ", "") == "".join(text for _, text in pieces)
    assert len(prompt.changes) == 1
    assert build(*pieces, policy="allow").changes == ()
    written = [s.text for s in prompt.segments if s.origin == "control"]
    allowed = [s.text for s in build(*pieces, policy="allow").segments if s.origin == "control"]
    assert written == allowed, "what the template wrote is never changed"


@pytest.mark.parametrize(
    "pieces",
    [
        [("control", "<|turn>"), ("content", "user")],
        [("content", "a < b |> c"), ("control", "<turn|>")],
        [("content", "<|turn"), ("control", "<turn|>")],
        [("content", "<"), ("control", "<turn|>")],
        [("control", "<|turn>"), ("content", ">")],
        [("content", "< turn|>")],
        [("content", "<TURN|>")],
        [("control", "<|"), ("content", "x"), ("control", "turn>")],
    ],
)
def test_what_is_no_token_passes_unchanged(pieces: list[tuple[str, str]]) -> None:
    refused = build(*pieces)
    assert refused == build(*pieces, policy="allow") == build(*pieces, policy="neutralise")


def test_the_refusal_says_where_and_what_to_do() -> None:
    with pytest.raises(ControlTextError) as refusal:
        build(
            ("at", "messages[0]"),
            ("content", "fine"),
            ("at", "messages[1]"),
            ("control", "<|turn>"),
            ("content", "line\nwith <turn|> inside"),
            ("at", "messages[2]"),
            ("content", "<turn|>"),
        )
    message = str(refusal.value)
    assert message.startswith("messages[1]: content holds the control text '<turn|>'")
    assert "with <turn|> inside" in message
    assert "'neutralise' or 'allow'" in message
    assert "\n" not in message


def test_changes_are_counted_by_place_and_token() -> None:
    prompt = build(
        ("at", "messages[0]"),
        ("content", "<turn|><turn|><|turn>"),
        ("at", "messages[1]"),
        ("content", "<turn|>"),
        policy="neutralise",
    )
    assert prompt.text == "< turn|>< turn|>< |turn>< turn|>"
    assert prompt.changes == (
        "messages[0]: control text '<turn|>' in content was broken by a space (2 times)",
        "messages[0]: control text '<|turn>' in content was broken by a space",
        "messages[1]: control text '<turn|>' in content was broken by a space",
    )


def test_notes_stand_before_what_was_neutralised() -> None:
    for policy in ("refuse", "allow", "neutralise"):
        assert build(("note", "left out"), ("content", "a"), policy=policy).changes == ("left out",)
    prompt = build(("content", "<turn|>"), ("note", "left out"), policy="neutralise")
    assert prompt.changes[0] == "left out"
    assert len(prompt.changes) == 2


def test_overlapping_tokens_are_all_found() -> None:
    tokens = ControlTokens(["[a]", "][", "[a][b]"])
    assert list(tokens.find("[a][b]")) == [(0, 6), (2, 4)]
    with pytest.raises(ControlTextError, match=r"'\]\['"):
        build(("control", "[a]"), ("content", "["), tokens=tokens)
    prompt = build(("control", "[a]"), ("content", "[b]"), tokens=tokens, policy="neutralise")
    assert prompt.text == "[a] [b]"


def test_a_token_that_arises_from_a_break_is_broken_too() -> None:
    tokens = ControlTokens(["ab", "a b"])
    prompt = build(("content", "ab"), tokens=tokens, policy="neutralise")
    assert prompt.text == "a  b"
    assert len(prompt.changes) == 2


@pytest.mark.parametrize("token", ["§", "  "])
def test_a_token_that_no_space_breaks_is_refused(token: str) -> None:
    with pytest.raises(ControlTextError, match="no space can break"):
        build(("content", f"a{token}b"), tokens=ControlTokens([token]), policy="neutralise")


def test_a_format_without_control_tokens_has_nothing_to_check() -> None:
    prompt = build(("control", "x"), ("content", "<turn|>"), tokens=ControlTokens([]))
    assert prompt.text == "x<turn|>"


def test_an_empty_token_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="cannot be empty"):
        ControlTokens(["<a>", ""])


def _seconds(run: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(7):
        began = time.process_time()
        run()
        best = min(best, time.process_time() - began)
    return best


@pytest.mark.parametrize(
    "pieces",
    [
        lambda n: [("content", "<" * n)],
        lambda n: [("content", "<turn|>" * n)],
        lambda n: [("content", "<turn|"), ("control", "x")] * n,
        lambda n: [("control", "<turn|>"), ("content", "a <")] * n,
        lambda n: [("content", "<|")] * n,
    ],
)
def test_time_grows_with_the_length_and_not_with_its_square(
    pieces: Callable[[int], list[tuple[str, str]]],
) -> None:
    small, large = pieces(1000), pieces(8000)
    once = _seconds(lambda: build(*small, policy="neutralise"))
    eight = _seconds(lambda: build(*large, policy="neutralise"))
    assert eight < 32 * once, "eight times the text took far more than eight times as long"
