"""Text in pieces: the pieces are the text, and no part of a stop string is ever shown."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callsmith_hf.text import StopStrings, TextStream


def of_bytes(ids: Sequence[int]) -> str:
    """A decoder whose tokens are bytes, as byte-level tokenizers have them."""
    return bytes(ids).decode("utf-8", errors="replace")


def of_words(ids: Sequence[int]) -> str:
    """A decoder that strips the space in front of the first word, as SentencePiece's do."""
    return " ".join(f"w{number}" for number in ids)


def streamed(stream: TextStream, ids: Sequence[int]) -> list[str]:
    return [stream.take(number) for number in ids] + [stream.rest()]


@given(st.text(), st.text())
def test_the_pieces_are_the_text(before: str, text: str) -> None:
    stream = TextStream(of_bytes, list(before.encode()))
    assert "".join(streamed(stream, list(text.encode()))) == text


@given(st.text())
def test_no_piece_has_half_a_character(text: str) -> None:
    pieces = streamed(TextStream(of_bytes, []), list(text.replace("\ufffd", "").encode()))
    assert not any("\ufffd" in piece for piece in pieces)


@given(st.binary())
def test_bytes_that_are_no_text_lose_nothing_else(raw: bytes) -> None:
    said = "".join(streamed(TextStream(of_bytes, []), list(raw)))
    kept = raw.decode("utf-8", errors="ignore")
    assert said.replace("\ufffd", "") == kept.replace("\ufffd", "")


def test_a_cut_character_comes_at_the_end() -> None:
    assert streamed(TextStream(of_bytes, []), list("é".encode())[:1]) == ["", "\ufffd"]


def test_the_first_word_keeps_its_space() -> None:
    assert streamed(TextStream(of_words, [7]), [1, 2]) == [" w1", " w2", ""]
    assert streamed(TextStream(of_words, []), [1, 2]) == ["w1", " w2", ""]


@example(text="baa", stops=["a", "baa"], cuts=[2])
@given(
    st.text("ab", max_size=30),
    st.lists(st.text("ab", min_size=1, max_size=4), max_size=3),
    st.lists(st.integers(0, 30), max_size=8),
)
def test_stop_strings_at_every_border(text: str, stops: list[str], cuts: list[int]) -> None:
    places = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    wanted = text[: min(places)[1]] if places else text
    finder = StopStrings(stops)
    shown, found = "", None
    borders = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    for start, end in pairwise(borders):
        piece, found = finder.take(text[start:end])
        shown += piece
        assert wanted.startswith(shown)
        if found is not None:
            break
    if found is None:
        assert not places
        shown += finder.rest()
    else:
        assert found in stops
        assert text[len(shown) :].startswith(found)
    assert shown == wanted


@pytest.mark.parametrize(
    ("stops", "pieces", "shown"),
    [
        (["stop"], ["s", "t", "op"], ["", "", ""]),
        (["stop"], ["st", "st", "a"], ["", "st", "sta"]),
        ([], ["a", "b"], ["a", "b"]),
    ],
    ids=["whole", "again", "none"],
)
def test_what_is_held_back(stops: list[str], pieces: list[str], shown: list[str]) -> None:
    finder = StopStrings(stops)
    assert [finder.take(piece)[0] for piece in pieces] == shown


def test_of_two_at_one_place_the_one_that_ends_first() -> None:
    assert StopStrings(["ab", "a"]).take("xab") == ("x", "a")  # as after "xa" and before "b"


def test_of_two_that_end_together_the_longer_one() -> None:
    assert StopStrings(["b", "ab"]).take("xab") == ("x", "ab")
