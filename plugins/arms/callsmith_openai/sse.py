"""Server-sent events from pieces of bytes, however the network cut them.

The format is that of the HTML standard ("9.2 Server-sent events"): lines end in LF, CR or CRLF;
an empty line ends an event; `data` lines of one event are joined by LF; a line that begins with a
colon is a comment. Two things that servers do are allowed as well: an event that the end of the
stream cuts off before its empty line is given if it is whole lines, and a field named `error`
(older llama.cpp servers) counts as an event of that type.
"""

from __future__ import annotations

from dataclasses import dataclass

EVENT_LIMIT = 64 * 1024 * 1024
"""Bytes in one event, at most: a server that never ends one must not fill the memory."""


class MalformedEventError(ValueError):
    """An event is not UTF-8, or is too long. The message names it."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event: its type ("message" where the server names none) and its data."""

    type: str
    data: str


class EventDecoder:
    """Takes bytes, gives whole events. Events without data are skipped, as the standard says."""

    def __init__(self) -> None:
        self.events = 0
        self._line: list[bytes] = []  # the line that has begun
        self._size = 0  # bytes of the event that has begun
        self._after_cr = False
        self._started = False
        self._type = ""
        self._data: list[str] = []

    def feed(self, data: bytes) -> list[ServerEvent]:
        """The events that end in `data`. Raises `MalformedEventError`."""
        if self._after_cr and data:
            self._after_cr = False
            if data.startswith(b"\n"):
                data = data[1:]
        if data.endswith(b"\r"):
            self._after_cr = True
        *whole, rest = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        found: list[ServerEvent] = []
        for piece in whole:
            self._line.append(piece)
            found += self._end_line()
        if rest:
            self._line.append(rest)
            self._count(len(rest))
        return found

    def close(self) -> list[ServerEvent]:
        """The stream is over: the event that had begun, if there is one."""
        found = self._end_line() if self._line else []
        return found + self._end_event()

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > EVENT_LIMIT:
            raise MalformedEventError(f"event {self.events + 1} is longer than {EVENT_LIMIT} bytes")

    def _end_line(self) -> list[ServerEvent]:
        raw = b"".join(self._line)
        self._count(len(self._line[-1]))
        self._line.clear()
        if not self._started:
            self._started = True
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedEventError(
                f"event {self.events + 1} is not UTF-8: {raw[:80]!r}"
            ) from None
        if not line:
            return self._end_event()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._type = value
        elif field == "error":
            self._type = "error"
            self._data.append(value)
        return []

    def _end_event(self) -> list[ServerEvent]:
        data, kind = self._data, self._type or "message"
        self._data, self._type, self._size = [], "", 0
        if not data:
            return []
        self.events += 1
        return [ServerEvent(kind, "\n".join(data))]
