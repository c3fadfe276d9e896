"""Lines of JSON, however the network cuts them."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith_ollama import ndjson
from callsmith_ollama.ndjson import LineDecoder, MalformedLineError

LINES = [{"a": "ä€𝄞", "n": 1}, {}, {"content": "line\nbreak"}, {"done": True}]
WIRE = "\n".join(json.dumps(line, ensure_ascii=False) for line in LINES).encode() + b"\n"


def read(pieces: list[bytes]) -> list[object]:
    decoder = LineDecoder()
    found: list[object] = []
    for piece in pieces:
        found += decoder.feed(piece)
    return found + decoder.close()


@pytest.mark.parametrize("at", range(len(WIRE) + 1))
def test_a_cut_at_every_byte_changes_nothing(at: int) -> None:
    assert read([WIRE[:at], WIRE[at:]]) == LINES


@given(st.lists(st.integers(0, len(WIRE)), max_size=12))
def test_any_chunking_changes_nothing(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(WIRE)]
    assert read([WIRE[a:b] for a, b in itertools.pairwise(places)]) == LINES


def test_a_last_line_without_line_break_is_a_line() -> None:
    assert read([WIRE[:-1]]) == LINES


def test_empty_lines_and_carriage_returns_are_no_lines() -> None:
    assert read([b'\r\n{"a":1}\r\n\n  \n{"b":2}\n']) == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    ("wire", "says"),
    [
        (b'{"a":1}\n{"b":\n', "line 2 is not JSON"),
        (b'{"a":1}\n{"b', "line 2 is not JSON"),
        (b"[1]\n", "line 1 is not an object"),
        (b'{"a":"\xff"}\n', "line 1 is not JSON"),
        (b"<html>\n", "'<html>'"),
        (b"[" * 100_000 + b"\n", "line 1 is not JSON"),
    ],
)
def test_a_malformed_line_is_named(wire: bytes, says: str) -> None:
    with pytest.raises(MalformedLineError, match=says):
        read([wire])


def test_a_line_without_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson, "LINE_LIMIT", 100)
    with pytest.raises(MalformedLineError, match="longer than 100 bytes"):
        read([b'{"a":"', b"x" * 60, b"x" * 60])
