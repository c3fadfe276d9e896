"""Reading thoughts, and what any control token outside of a call does: a part of the decoder."""

from __future__ import annotations

from typing import Final

from callsmith_gemma4.call_collector import (
    CALL,
    CONTENT,
    END_A_THOUGHT,
    ENDED,
    HEADER,
    RESPONSE,
    THOUGHT,
    CallCollector,
)
from callsmith_gemma4.control_tokens import (
    CALL_CLOSE,
    CALL_OPEN,
    CHANNEL_CLOSE,
    CHANNEL_OPEN,
    EOS,
    RESPONSE_CLOSE,
    RESPONSE_OPEN,
    TURN_CLOSE,
    TURN_OPEN,
)
from callsmith_gemma4.markers import MARKER, held_from

_STRAY: Final = {
    CHANNEL_CLOSE: "stray-channel-close",
    CALL_CLOSE: "stray-call-close",
    RESPONSE_CLOSE: "stray-response-close",
}

THOUGHT_LINE: Final = "thought\n"
"""What stands behind `<|channel>`."""

CHANNELS: Final = ("thought", "response")
"""The names of channels that models write."""


class ThoughtCollector(CallCollector):
    """The decoder's handlers for channels and for control tokens in text."""

    __slots__ = ("_fresh",)

    _fresh: bool
    """Nothing was read yet since the start, or since a thought ended."""

    def _on_marker(self, marker: str, at: int) -> int:
        """A control token in content, at `at`."""
        self._fresh = False
        if marker == CALL_OPEN:
            self._collect(CALL, at)
        elif marker == CHANNEL_OPEN:
            self._state = HEADER
            self._start = self._offset + at
        elif marker == RESPONSE_OPEN:
            self._collect(RESPONSE, at)
        elif marker in (TURN_CLOSE, EOS):
            self._collect(ENDED, at)
        elif marker == TURN_OPEN:
            self._collect(ENDED, at)
            self._parts.append(marker)
        else:
            self._skip(_STRAY.get(marker, "stray-token"), marker, at)
            if marker == CHANNEL_CLOSE:
                self._fresh = self._bol = True
        return at + len(marker)

    def _on_header(self, buffer: str, at: int) -> int:
        for name in CHANNELS:
            if buffer.startswith(name, at):
                behind = at + len(name)
                if buffer.startswith("\n", behind):
                    self._open_channel(name)
                    return behind + 1
                if behind == len(buffer):
                    return self._keep(buffer, at)
                if buffer[behind] == "<":
                    if MARKER.match(buffer, behind):
                        self._open_channel(name, "channel-header", name)
                        return behind
                    if held_from(buffer, behind) == behind:
                        return self._keep(buffer, at)
            elif len(buffer) - at < len(name) and name.startswith(buffer[at:]):
                return self._keep(buffer, at)
        if buffer.startswith(CHANNEL_OPEN, at):
            self._note("stray-channel-open", "opened twice", self._start, CHANNEL_OPEN)
            self._start = self._offset + at
            return at + len(CHANNEL_OPEN)
        if held_from(buffer, at) == at:
            return self._keep(buffer, at)
        self._open_channel("thought", "channel-without-name")
        return at

    def _open_channel(self, name: str, kind: str = "", written: str = "") -> None:
        if kind:
            detail = f"{CHANNEL_OPEN} read as the start of a {name}"
            self._note(kind, detail, self._start, CHANNEL_OPEN + written)
        if name == "response":
            if not kind:
                detail = "a channel of the answer, read as content"
                self._note("response-channel", detail, self._start, CHANNEL_OPEN + name)
            self._state = CONTENT
            self._bol = True
        else:
            self._state = THOUGHT
            self._join = bool(self._reasoning)

    def _on_thought(self, buffer: str, at: int) -> int:
        match = MARKER.search(buffer, at)
        if match is None:
            end = held_from(buffer, at)
            if end > at and buffer[end - 1] == "\n":
                end -= 1
            self._think(buffer[at:end])
            return self._keep(buffer, end)
        marker = match.group()
        start = match.start()
        ends = marker in END_A_THOUGHT
        self._think(buffer[at:start].removesuffix("\n") if ends else buffer[at:start])
        if not ends:
            self._skip(_STRAY.get(marker, "stray-token"), marker, start)
            return match.end()
        self._state = CONTENT
        if marker == CHANNEL_CLOSE:
            self._fresh = self._bol = True
            return match.end()
        self._note("unclosed-channel", f"a thought ends at {marker}", self._offset + start)
        return self._on_marker(marker, start)

    def _on_bare_thought(self, buffer: str, at: int) -> int:
        match = MARKER.search(buffer, at)
        if match is None:
            return self._store(buffer, at)
        self._parts.append(buffer[at : match.start()])
        if match.group() != CHANNEL_CLOSE:
            self._give_up()
            return match.start()
        self._state = CONTENT
        self._fresh = self._bol = True
        self._join = bool(self._reasoning)
        self._note("missing-channel-open", "a thought without its first token", self._start)
        self._think("".join(self._parts)[len(THOUGHT_LINE) :].removesuffix("\n"))
        return match.end()
