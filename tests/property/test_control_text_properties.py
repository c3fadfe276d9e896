"""Properties of the prompt builder, for any set of tokens and any pieces."""

from __future__ import annotations

import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from callsmith import ControlTextError, ControlTextPolicy, ControlTokens, Prompt, PromptBuilder

# Two alphabets: one in which tokens overlap all the time, and one as real formats have it.
TANGLED = st.sets(st.text("ab ", min_size=1, max_size=4), max_size=4)
BRACKETED = st.sets(st.sampled_from(["<a>", "<|a>", "<a|>", '<|"|>', "<ab>", "<|b|>"]), max_size=4)
ORIGINS = st.sampled_from(["control", "content"])
PIECES = st.lists(st.tuples(ORIGINS, st.text('ab <>|"', max_size=5)), max_size=8)

Pieces = list[tuple[str, str]]


def build(tokens: set[str], pieces: Pieces, policy: ControlTextPolicy) -> Prompt | None:
    """The prompt, None where it is refused."""
    builder = PromptBuilder(ControlTokens(tokens), policy)
    for origin, text in pieces:
        if origin == "control":
            builder.control(text)
        else:
            builder.content(text)
    try:
        return builder.build()
    except ControlTextError:
        return None


def touching(tokens: set[str], prompt: Prompt) -> bool:
    """Whether any token has a character of content: by trying every place."""
    foreign = [s.origin == "content" for s in prompt.segments for _ in s.text]
    return any(
        prompt.text.startswith(token, at) and any(foreign[at : at + len(token)])
        for token in tokens
        for at in range(len(prompt.text))
    )


@given(TANGLED | BRACKETED, PIECES)
@example({"[a]", "]["}, [("control", "[a]"), ("content", "[")])
@example({"a", "ab"}, [("control", "a"), ("content", "b")])
def test_refuse_and_neutralise_agree_with_brute_force(tokens: set[str], pieces: Pieces) -> None:
    allowed = build(tokens, pieces, "allow")
    refused = build(tokens, pieces, "refuse")
    mended = build(tokens, pieces, "neutralise")
    assert allowed is not None
    assert allowed.text == "".join(text for _, text in pieces)
    if not touching(tokens, allowed):
        assert refused == mended == allowed
        return
    assert refused is None
    if mended is None:
        assert any(len(token) == 1 or " " in token for token in tokens), "a space breaks the rest"
        return
    assert not touching(tokens, mended)
    assert mended.changes
    assert mended.text != allowed.text
    assert mended.text.replace(" ", "") == allowed.text.replace(" ", "")


@given(BRACKETED, PIECES)
def test_neutralise_never_fails_and_never_changes_control_text(
    tokens: set[str], pieces: Pieces
) -> None:
    allowed = build(tokens, pieces, "allow")
    mended = build(tokens, pieces, "neutralise")
    assert allowed is not None
    assert mended is not None
    assert [s.text for s in mended.segments if s.origin == "control"] == [
        s.text for s in allowed.segments if s.origin == "control"
    ]
    assert bool(mended.changes) == (mended.text != allowed.text)
    again = build(tokens, [(s.origin, s.text) for s in mended.segments], "neutralise")
    assert again is not None
    assert again.segments == mended.segments
    assert again.changes == ()


@given(TANGLED | BRACKETED, PIECES)
def test_segments_are_merged_and_in_order(tokens: set[str], pieces: Pieces) -> None:
    prompt = build(tokens, pieces, "allow")
    assert prompt is not None
    origins = [segment.origin for segment in prompt.segments]
    assert all(segment.text for segment in prompt.segments)
    assert all(left != right for left, right in itertools.pairwise(origins))
    written = [(origin, char) for origin, text in pieces for char in text]
    assert [(s.origin, char) for s in prompt.segments for char in s.text] == written
