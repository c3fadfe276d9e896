"""The reading of a call that is not well-formed: what has one reading is read, mends are noted.

Nothing is guessed. Where a text has two readings, or a corrupt span shows (text between the end of
a string and the next comma, keys that hold structure), `UnreadableError` says where and why. The
tool's schema, where one is given, is used only to decide between readings.

Every function moves forward over the text once; the work is linear in the text.
"""

from __future__ import annotations

import re
from typing import Final

from callsmith import JsonValue
from callsmith_gemma4.bare_reader import BareReader
from callsmith_gemma4.control_tokens import QUOTE
from callsmith_gemma4.quoted import JSON_STRING, unescape_json
from callsmith_gemma4.reader_state import CLOSERS, NEXT_MEMBER, Frame, UnreadableError
from callsmith_gemma4.schemas import item_schema, property_schema
from callsmith_gemma4.strict_reader import KEY

_BARE_KEY: Final = re.compile(KEY)
_WRAPPED_KEY: Final = re.compile(r'<\|"\|>([^{}\[\]:,<=\n]++)<\|"\|>')
_SINGLE_QUOTED_KEY: Final = re.compile(r"'([^{}\[\],'\n]++)'")
_END_OF_SINGLE: Final = re.compile(r"""'(?=\s*+(?:[,}\])]|<\|"\|>|\Z))""")


class TolerantReader(BareReader):
    """Reads objects of a block."""

    __slots__ = ()

    def read(self, at: int, schema: object) -> tuple[dict[str, JsonValue], int]:
        """The object at `text[at]`, and the index behind it. Raises `UnreadableError`."""
        root: dict[str, JsonValue] = {}
        self._root_schema = schema
        self._stack = [Frame(self.text[at], root, schema)]
        if self.text[at] == "(":
            self.mend("parenthesised-call", "arguments in parentheses", at, at + 1)
        at += 1
        first = True
        while self._stack:
            at = self.space(at)
            frame = self._stack[-1]
            if self.text[at : at + 1] == CLOSERS[frame.opener]:
                if not first:
                    self.mend("trailing-comma", "a comma before the end", at, at)
                at = self._after_value(at)
            else:
                opened = len(self._stack)
                at = self._member(frame, at) if frame.opener != "[" else self._item(frame, at)
                if len(self._stack) > opened:
                    first = True
                    continue
                at = self._after_value(at)
            first = False
        return root, at

    def _after_value(self, at: int) -> int:
        """From behind a value over the closers and to behind the comma, or to the end."""
        while True:
            at = self.space(at)
            mark = self.text[at : at + 1]
            frame = self._stack[-1]
            if mark == CLOSERS[frame.opener]:
                self._stack.pop()
                at += 1
                if not self._stack:
                    return at
            elif mark == ",":
                return at + 1
            elif not mark:
                self._unfinished(at)
                self._stack.clear()
                return at
            elif self.text.startswith(QUOTE, at) and self._may_follow(at + len(QUOTE)):
                self.mend("dangling-delimiter", "a string delimiter after a value", at, at + 5)
                at += len(QUOTE)
            else:
                raise UnreadableError("malformed", at, f"{mark!r} after a value")

    def _unfinished(self, at: int) -> None:
        if self.ended == "end":
            raise UnreadableError("cut", at, "the text ends before the call does")
        closers = "".join(CLOSERS[frame.opener] for frame in reversed(self._stack))
        self.mend("missing-close-brace", f"{closers} added", at, at)

    # -- members and items -------------------------------------------------------------------

    def _member(self, frame: Frame, at: int) -> int:
        start = at
        key, at = self._key(at)
        at = self.space(at)
        mark = self.text[at : at + 1]
        if mark == "=":
            if frame.opener != "(":
                self.mend("equals-sign", "`=` for `:`", at, at + 1)
        elif not mark:
            kind = "cut" if self.ended == "end" else "malformed"
            raise UnreadableError(kind, at, f"the key {key!r:.80} has no value")
        elif mark != ":":
            raise UnreadableError("malformed", at, f"no colon after the key {key!r:.80}")
        assert isinstance(frame.value, dict)
        if key in frame.value:
            self.mend("duplicate-key", f"{key!r:.80} again; the last one counts", start, at)
        schema = property_schema(frame.schema, key, self._root_schema)
        value, at = self._value(frame, at + 1, schema)
        frame.value[key] = value
        return at

    def _item(self, frame: Frame, at: int) -> int:
        assert isinstance(frame.value, list)
        value, at = self._value(frame, at, item_schema(frame.schema, self._root_schema))
        frame.value.append(value)
        return at

    def _key(self, at: int) -> tuple[str, int]:
        text = self.text
        match = _BARE_KEY.match(text, at)
        if match:
            return match.group(), match.end()
        match = _WRAPPED_KEY.match(text, at)
        if match:
            self.mend("wrapped-key", "a key between string delimiters", at, match.end())
            return match.group(1), match.end()
        match = JSON_STRING.match(text, at)
        if match:
            key = unescape_json(match.group()[1:-1])
            if key and not any(mark in key for mark in "{}\n"):
                self.mend("quoted-key", "a key between double quotes", at, match.end())
                return key, match.end()
        match = _SINGLE_QUOTED_KEY.match(text, at)
        if match:
            self.mend("quoted-key", "a key between single quotes", at, match.end())
            return match.group(1), match.end()
        if at >= len(text):
            kind = "cut" if self.ended == "end" else "malformed"
            raise UnreadableError(kind, at, "a key is missing at the end")
        raise UnreadableError("malformed", at, f"{text[at : at + 20]!r} is no key")

    # -- values ------------------------------------------------------------------------------

    def _value(self, frame: Frame, at: int, schema: object) -> tuple[JsonValue, int]:
        before = at
        at = self.space(at)
        text = self.text
        was_bare = frame.before_bare
        frame.before_bare = False
        mark = text[at : at + 1]
        if text.startswith(QUOTE, at):
            return self._delimited(frame, at)
        if mark in ("{", "["):
            if len(self._stack) > self.max_depth:
                raise UnreadableError(
                    "depth", at, f"containers are nested more than {self.max_depth} deep"
                )
            value: dict[str, JsonValue] | list[JsonValue] = {} if mark == "{" else []
            self._stack.append(Frame(mark, value, schema))
            return value, at + 1
        if mark == '"':
            quoted = self._json_quoted(at)
            if quoted is not None:
                return quoted
        elif mark == "'" and not self._no_single_end:
            end = _END_OF_SINGLE.search(text, at + 1)
            if end is not None:
                self.mend("single-quotes", "a string between single quotes", at, end.end())
                return text[at + 1 : end.start()].replace("\\'", "'"), end.end()
            self._no_single_end = True
        return self._bare(frame, before, at, schema, was_bare)

    def _delimited(self, frame: Frame, at: int) -> tuple[str, int]:
        start = at + len(QUOTE)
        end = self.text.find(QUOTE, start)
        if end < 0:
            return self._open_string(frame, at, start)
        behind = end + len(QUOTE)
        if not self._may_follow(behind) and not (
            self.text.startswith(QUOTE, behind) and self._may_follow(behind + len(QUOTE))
        ):
            raise UnreadableError("malformed", behind, "text after the end of a string")
        return self.text[start:end], behind

    def _open_string(self, frame: Frame, at: int, start: int) -> tuple[str, int]:
        """A string whose closing delimiter is missing; nothing but closers may come after it."""
        if self.ended == "end":
            raise UnreadableError("cut", at, "the text ends inside a string")
        names = self._names(frame)
        for match in NEXT_MEMBER.finditer(self.text, start):
            # Without a schema only `,name:` in the format's own, unspaced form counts as a member.
            known = match.group(1) in names if names else match.start(1) == match.start() + 1
            if known:
                raise UnreadableError("malformed", at, "a string is not closed")
        end = self._end_of_raw(start)
        self.mend("missing-close-delimiter", "the string ends with the call", end, end)
        return self.text[start:end], end

    def _json_quoted(self, at: int) -> tuple[str, int] | None:
        match = JSON_STRING.match(self.text, at)
        if match is None:
            return None
        end = match.end()
        if not self._may_follow(end) and not (
            self.text.startswith(QUOTE, end) and self._may_follow(end + len(QUOTE))
        ):
            return None
        self.mend("json-quotes", "a string between double quotes", at, end)
        return unescape_json(match.group()[1:-1]), end
