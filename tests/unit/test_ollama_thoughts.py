"""A stray thought channel at the beginning of visible text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith_ollama.thoughts import ThoughtFilter, split_thought

CASES = [
    ("", "", ""),
    ("Hello.", "", "Hello."),
    ("  Hello.", "", "  Hello."),
    ("<|channel>thought\nI add.<channel|>5", "I add.", "5"),
    ("\n<|channel>thought\nI add.\n<channel|>\n5", "I add.", "\n5"),
    ("<|channel>thought\n<channel|>5", "", "5"),
    ("<|channel>thought<channel|>5", "", "5"),
    ("<|channel>I add.<channel|>5", "I add.", "5"),
    ("<|channel><|channel>thought\nI add.<channel|>5", "I add.", "5"),
    ("<|channel>thought\na<channel|><|channel>thought\nb<channel|>c", "a\nb", "c"),
    ("<|channel>thought\nnever closed", "never closed", ""),
    ("<|channel>thought\na<channel|><|channel>thought\nopen", "a\nopen", ""),
    ("thought\nI add.<channel|>5", "I add.", "5"),
    ("thought\nis a noun", "", "thought\nis a noun"),
    ("thoughts", "", "thoughts"),
    ("<channel|>5", "", "5"),
    ("<channel|> <channel|>5", "", "5"),
    ("<|channel>thoughtful<channel|>5", "thoughtful", "5"),
    ("I write <|channel>thought\nx<channel|>", "", "I write <|channel>thought\nx<channel|>"),
    ("<|chan", "", "<|chan"),
    ("<|tool_call>call:f{}", "", "<|tool_call>call:f{}"),
]


@pytest.mark.parametrize(("text", "thought", "visible"), CASES)
def test_only_what_stands_at_the_beginning_is_moved(text: str, thought: str, visible: str) -> None:
    assert split_thought(text) == (thought, visible)


def stream(pieces: list[str]) -> tuple[str, str, int]:
    stray = ThoughtFilter()
    visible = "".join([stray.feed(piece) for piece in pieces]) + stray.close()
    return stray.reasoning, visible, stray.removed


@pytest.mark.parametrize(("text", "thought", "visible"), CASES)
def test_one_character_at_a_time_reads_the_same(text: str, thought: str, visible: str) -> None:
    assert stream(list(text)) == (thought, visible, len(text) - len(visible))


PARTS = ["<|channel>", "<channel|>", "thought", "\n", " ", "a", "<|", "channel", "|>"]


@given(st.lists(st.sampled_from(PARTS), max_size=12), st.randoms(use_true_random=False))
def test_any_chunking_reads_the_same(parts: list[str], random: object) -> None:
    text = "".join(parts)
    whole = stream([text])
    assert stream(parts) == whole
    assert stream(list(text)) == whole
    assert text.endswith(whole[1])
    assert whole[2] == len(text) - len(whole[1])


def test_visible_text_is_not_held_back() -> None:
    stray = ThoughtFilter()
    assert stray.feed("<") == ""
    assert stray.feed("b") == "<b"
    assert stray.feed("<|channel>") == "<|channel>"
