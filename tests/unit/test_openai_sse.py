"""Server-sent events, however they are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith_openai import sse
from callsmith_openai.sse import EventDecoder, MalformedEventError, ServerEvent

STREAM = (
    ": comment\n\n"
    'data: {"text": "é ☀ 𝄞"}\n\n'
    "event: error\nid: 7\ndata: one\ndata:two\nretry: 5\n\n"
    "data\n\n"
    "event: lonely\n\n"
    "data:  [DONE]\n\n"
)
EVENTS = [
    ServerEvent("message", '{"text": "é ☀ 𝄞"}'),
    ServerEvent("error", "one\ntwo"),
    ServerEvent("message", ""),
    ServerEvent("message", " [DONE]"),
]


def read(*pieces: bytes) -> list[ServerEvent]:
    decoder = EventDecoder()
    found = [event for piece in pieces for event in decoder.feed(piece)]
    return found + decoder.close()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_every_split_reads_the_same(end: str) -> None:
    data = STREAM.replace("\n", end).encode()
    assert read(data) == EVENTS
    assert read(*(data[at : at + 1] for at in range(len(data)))) == EVENTS
    for at in range(len(data)):
        assert read(data[:at], data[at:]) == EVENTS, at


@given(st.lists(st.sampled_from([b"data: a", b"data:", b"\n", b"\r", b"\r\n", b":", b"x: y"])))
def test_any_cutting_of_any_lines_reads_the_same(parts: list[bytes]) -> None:
    data = b"".join(parts)
    whole = read(data)
    assert read(*parts) == whole
    assert read(*(data[at : at + 1] for at in range(len(data)))) == whole


def test_events_come_as_soon_as_their_empty_line() -> None:
    decoder = EventDecoder()
    assert decoder.feed(b"data: a\n") == []
    assert decoder.feed(b"\n") == [ServerEvent("message", "a")]
    assert decoder.close() == []


def test_an_event_that_the_end_cuts_off_is_given() -> None:
    assert read(b"data: a\n\ndata: b") == [ServerEvent("message", "a"), ServerEvent("message", "b")]
    assert read(b"data: b\n") == [ServerEvent("message", "b")]


def test_a_field_named_error_is_an_error() -> None:
    assert read(b'error: {"message": "x"}\n\n') == [ServerEvent("error", '{"message": "x"}')]


def test_a_byte_order_mark_is_left_out_at_the_beginning_only() -> None:
    mark = b"\xef\xbb\xbf"
    assert read(mark + b"data: a\n\n") == [ServerEvent("message", "a")]
    assert read(b"data: " + mark + b"a\n\n") == [ServerEvent("message", "\ufeffa")]


def test_bytes_that_are_no_text_are_named() -> None:
    with pytest.raises(MalformedEventError, match="event 2 is not UTF-8"):
        read(b"data: a\n\ndata: \xff\n\n")


@pytest.mark.parametrize("line", [b"data: aaaaaaaaaa", b"data: aaaaaaaaaa\n"], ids=["one", "many"])
def test_an_event_without_end_is_refused(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "EVENT_LIMIT", 1000)
    with pytest.raises(MalformedEventError, match="longer than 1000 bytes"):
        read(*[line] * 1000)


def test_many_events_are_no_long_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "EVENT_LIMIT", 100)
    decoder = EventDecoder()
    for _ in range(100):
        decoder.feed(b": keep-alive\n\ndata: aaaaaaaaaa\n\n")
    assert decoder.events == 100
