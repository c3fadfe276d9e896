"""Collecting the text of a call until its end is certain: the part of the decoder that reads calls.

The end of a block is a control token outside strings, so strings have to be followed while the
text arrives. A delimiter opens a string only where a value or a key may stand, and a string has
ended only if something may follow there: where that fails, the delimiter is missing somewhere,
and the block's end is looked for inside what was taken for a string. A span is looked at twice at
most, so the work stays linear.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from callsmith import JsonValue, ToolSpec
from callsmith_gemma4.blocks import RepairPolicy, read_block
from callsmith_gemma4.control_tokens import (
    CALL_CLOSE,
    CALL_OPEN,
    CHANNEL_CLOSE,
    CHANNEL_OPEN,
    EOS,
    QUOTE,
    RESPONSE_CLOSE,
    RESPONSE_OPEN,
    TURN_CLOSE,
    TURN_OPEN,
)
from callsmith_gemma4.markers import (
    LOST_END,
    MARKER,
    MARKER_OR_BRACE,
    STRUCTURE,
    WHOLE_BLOCK,
    held_from,
)
from callsmith_gemma4.reader_state import Ended
from callsmith_gemma4.transcript import Transcript

# What is being read. From STRING on, a piece without `<` is only stored.
CLOSED: Final = -1
CONTENT: Final = 0
THOUGHT: Final = 1
HEADER: Final = 2  # behind `<|channel>`, before its name is known
AFTER: Final = 3  # inside a call, just behind a string
UNMARKED: Final = 4  # a call without control tokens
STRING: Final = 5  # inside a call, inside a string
CALL: Final = 6  # inside a call, outside strings
RESPONSE: Final = 7  # behind `<|tool_response>`
BARE_THOUGHT: Final = 8  # behind `thought` and a line break that no `<|channel>` opened
ENDED: Final = 9  # behind the end of the turn


END_A_THOUGHT: Final = frozenset(
    (CHANNEL_CLOSE, CHANNEL_OPEN, CALL_OPEN, RESPONSE_OPEN, TURN_OPEN, TURN_CLOSE, EOS)
)
"""Control tokens that cannot stand in a thought."""

_END_A_CALL: Final = END_A_THOUGHT | {RESPONSE_CLOSE}
_OPENS_STRING: Final = frozenset("[{(,:=")
_FOLLOWS_STRING: Final = frozenset(",}])=:")
_SPACE: Final = re.compile(r"\s*+")


class CallCollector(Transcript):
    """The buffer of the decoder, and its handlers for what is inside a call."""

    __slots__ = (
        "_bol",
        "_depth",
        "_hold",
        "_in_string",
        "_longest_name",
        "_max_depth",
        "_offset",
        "_parts",
        "_rest",
        "_schemas",
        "_start",
        "_state",
        "_string_from",
    )

    def __init__(
        self, tools: Sequence[ToolSpec], state: int, policy: RepairPolicy, max_depth: int
    ) -> None:
        super().__init__(policy)
        self._schemas: Mapping[str, Mapping[str, JsonValue] | None] = {}
        self._longest_name = 0
        if tools:
            self._schemas = {tool.name: tool.parameters for tool in tools}
            self._longest_name = max(map(len, self._schemas))
        self._max_depth = max_depth
        self._state = state
        self._hold = ""  # the end of what was fed, where it may be the start of a token
        self._offset = 0  # of the first character that was not handled yet
        self._rest: str | None = None  # what a handler wants to be read again
        self._bol = True  # at the start of a line of content
        self._parts: list[str] = []  # of the construct that is being collected
        self._start = 0  # offset of its first character, its control token included
        self._string_from = 0  # index into _parts where the open string starts
        self._depth = 0  # of braces in an unmarked call
        self._in_string = False  # in an unmarked call

    def _keep(self, buffer: str, at: int) -> int:
        """Holds `buffer[at:]` back until more has come."""
        self._hold = buffer[at:]
        return len(buffer)

    def _collect(self, state: int, at: int) -> None:
        self._state = state
        self._start = self._offset + at
        self._parts = []

    def _store(self, buffer: str, at: int) -> int:
        """Stores `buffer[at:]` but for what may be the start of a control token."""
        end = held_from(buffer, at)
        self._parts.append(buffer[at:end])
        return self._keep(buffer, end)

    def _skip(self, kind: str, marker: str, at: int) -> None:
        """Leaves out a control token that has no business at `at`."""
        self._note(kind, f"{marker} ignored", self._offset + at, marker)

    def _give_up(self) -> None:
        """What was collected is content after all."""
        text = "".join(self._parts)
        self._state = CONTENT
        self._say(text)
        self._bol = text.endswith("\n")

    def _on_call(self, buffer: str, at: int) -> int:
        if not self._parts:
            whole = WHOLE_BLOCK.match(buffer, at)
            if whole is not None:
                end = whole.end()
                self._finish(buffer[at : end - len(CALL_CLOSE)], "close", CALL_CLOSE)
                return end
        match = MARKER.search(buffer, at)
        if match is None:
            return self._store(buffer, at)
        start = match.start()
        marker = match.group()
        self._parts.append(buffer[at:start])
        if marker == QUOTE:
            opens = self._last() in _OPENS_STRING
            self._parts.append(marker)
            if opens:
                self._string_from = len(self._parts)
                self._state = STRING
            return match.end()
        if marker == CALL_CLOSE:
            self._finish("".join(self._parts), "close", CALL_CLOSE)
            return match.end()
        if marker == CALL_OPEN and not self._last():
            self._skip("stray-call-open", CALL_OPEN, start)
            self._collect(CALL, start)
            return match.end()
        if marker in _END_A_CALL:
            self._finish("".join(self._parts), "marker")
            return start
        self._parts.append(marker)  # belongs to no call: the reader is to judge
        return match.end()

    def _last(self) -> str:
        """The last character of the call so far that is not white space; "" if there is none."""
        for part in reversed(self._parts):
            stripped = part.rstrip()
            if stripped:
                return stripped[-1]
        return ""

    def _on_string(self, buffer: str, at: int) -> int:
        end = buffer.find(QUOTE, at)
        if end >= 0:
            end += len(QUOTE)
            self._parts.append(buffer[at:end])
            self._state = AFTER
            return end
        start = buffer.rfind("<", max(at, len(buffer) - len(QUOTE) + 1))
        if start >= 0 and QUOTE.startswith(buffer[start:]):
            self._parts.append(buffer[at:start])
            return self._keep(buffer, start)
        self._parts.append(buffer[at:])
        return len(buffer)

    def _on_after(self, buffer: str, at: int) -> int:
        """Behind a string: what follows shows whether it really ended."""
        mark = buffer[at]
        if mark.isspace():
            space = _SPACE.match(buffer, at)
            end = max(at + 1, space.end() if space else 0)
            self._parts.append(buffer[at:end])
            return end
        if mark == "<":
            match = MARKER.match(buffer, at)
            if match is None and held_from(buffer, at) == at:
                return self._keep(buffer, at)
            good = match is not None and match.group() != QUOTE
        else:
            good = mark in _FOLLOWS_STRING
        self._state = CALL
        return at if good else self._reopen(LOST_END, buffer, at)

    def _reopen(self, pattern: re.Pattern[str], buffer: str, at: int) -> int:
        """Back to the end of the call, where it stands inside what was taken for a string.

        Only the first token of structure in the string can be that end: behind another one the
        string is a text about calls, and what looks like calls in it must never become one.

        Returns the index to go on at: in `buffer`, or in `_rest` if that is set.
        """
        string = "".join(self._parts[self._string_from :])
        first = STRUCTURE.search(string)
        match = pattern.match(string, first.start()) if first else None
        if match is None:
            return at
        self._state = CALL
        self._parts[self._string_from :] = [string[: match.start()]]
        back = len(string) - match.start()
        if back <= at:
            return at - back
        self._offset += at - back
        self._rest = string[match.start() :] + buffer[at:]
        return 0

    def _finish(self, text: str, ended: Ended, closer: str = "") -> None:
        """The end of a block was reached: `text` is what stands between its tokens."""
        self._read(text, ended, CALL_OPEN, closer, "" if ended == "close" else "missing-call-close")

    def _read(self, text: str, ended: Ended, opener: str, closer: str, kind: str) -> None:
        """Reads a block; `kind` is the repair that already its frame takes, if any."""
        self._state = CONTENT
        self._bol = True
        offset = self._start + len(opener)
        calls, refused = read_block(text, ended, self._schemas, self._policy, self._max_depth)
        whole = opener + text + closer
        if kind and calls and self._policy == "off":
            self._fault(kind, whole, self._start, f"needs repair: {kind}")
        else:
            for call in calls:
                self._call(call, text[call.start : call.end], offset)
            if kind and calls:
                at = offset + len(text) if opener else offset
                self._repair(kind, "read as a call", at, at)
            if refused is not None:
                start = refused.start + len(opener) if calls else 0
                self._fault(refused.kind, whole[start:], self._start + start, refused.detail)
        self._was_call = True

    def _on_unmarked(self, buffer: str, at: int) -> int:
        position = at
        while True:
            match = MARKER_OR_BRACE.search(buffer, position)
            if match is None:
                return self._store(buffer, at)
            token = match.group()
            position = match.end()
            if token == QUOTE:
                self._in_string = not self._in_string
            elif len(token) > 1:
                self._parts.append(buffer[at : match.start()])
                self._give_up()
                return match.start()
            elif not self._in_string:
                self._depth += 1 if token == "{" else -1
                if self._depth == 0:
                    self._parts.append(buffer[at:position])
                    self._read("".join(self._parts), "close", "", "", "unmarked-call")
                    return position
