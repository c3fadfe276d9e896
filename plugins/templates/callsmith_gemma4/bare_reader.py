"""Values without delimiters: numbers and words, one-line text, raw text by the schema."""

from __future__ import annotations

import re
from typing import Final

from callsmith import JsonValue
from callsmith_gemma4.control_tokens import QUOTE
from callsmith_gemma4.markers import MARKER, STRUCTURE
from callsmith_gemma4.reader_state import (
    CLOSERS,
    NEXT_MEMBER,
    SPACE,
    Frame,
    ReaderState,
    UnreadableError,
)
from callsmith_gemma4.scalars import (
    FOREIGN_WORDS,
    LOOSE_NUMBER,
    NUMBER,
    WORDS,
    OutOfRangeError,
    read_number,
)
from callsmith_gemma4.schemas import wants_text
from callsmith_gemma4.strict_reader import KEY

# What may follow a comma that separates members: a key and its colon.
_NEXT_KEY: Final = re.compile(
    r"""\s*+(?:<\|"\|>)?("[^"{}\n]*+"|'[^'{}\n]*+'|[^\s{}\[\]:,<="'()]++)(?:<\|"\|>)?\s*+[:=]"""
)
_EXACT_KEY: Final = re.compile(rf"{KEY}:(?!\s)")
# A piece of a value without delimiters: a colon only as in `http://`, `12:30` and `C:\`.
_BARE_PIECE: Final = re.compile(
    r"(?:[^,{}\[\]<:\n]++|:(?=//|\\)|(?<=[0-9]):(?=[0-9])|<(?!\|\"\|>))*+"
)
_BARE_PIECE_IN_PARENTHESES: Final = re.compile(
    r"(?:[^,{}\[\]()<:\n]++|:(?=//|\\)|(?<=[0-9]):(?=[0-9])|<(?!\|\"\|>))*+"
)
_PLAIN: Final = re.compile(rf"(?:{NUMBER.pattern}|true|false|null)(?=\s*+(?:[,}}\])]|\Z))")


class BareReader(ReaderState):
    """Reads values that no delimiter opens."""

    __slots__ = ()

    def _bare(
        self, frame: Frame, before: int, at: int, schema: object, was_bare: bool
    ) -> tuple[JsonValue, int]:
        """A value without an opening delimiter, from `at`; white space from `before`."""
        text = self.text
        wants = wants_text(schema, self._root_schema)
        end = self._end_of_bare(frame, at, wants)
        if end is None:
            if wants and len(self._stack) == 1 and frame.opener == "{":
                return self._raw(frame, before if "\n" in text[before:at] else at)
            raise UnreadableError("malformed", at, "a value without delimiters has no clear end")
        if text.startswith(QUOTE, end):
            if was_bare or not self._may_follow(end + len(QUOTE)):
                raise UnreadableError("malformed", at, "a delimiter closes what none has opened")
            self.mend("missing-open-delimiter", "a string without its first delimiter", at, at)
            return text[at:end], end + len(QUOTE)
        if end == len(text) and self.ended == "end":
            raise UnreadableError("cut", at, "the text ends inside a value")
        value = text[at:end].rstrip()
        if not value:
            raise UnreadableError("malformed", at, "a value is missing")
        if "<" in value and MARKER.search(value):
            raise UnreadableError("malformed", at, "a control token inside a value")
        stop = at + len(value)
        scalar = self._scalar(value)
        if scalar is None:
            self.mend("bare-string", "a string without delimiters", at, stop)
            frame.before_bare = True
            return value, end
        kind, read = scalar
        if wants and read is not None:
            self.mend("schema-string", f"{value:.40} read as text, as the schema says", at, stop)
            return value, end
        if kind:
            self.mend(kind, f"{value:.40} read as {type(read).__name__}", at, stop)
        return read, end

    def _scalar(self, value: str) -> tuple[str, JsonValue] | None:
        """The number or word that `value` is, and the repair that this takes ("" for none)."""
        if value in WORDS:
            return "", WORDS[value]
        if value in FOREIGN_WORDS:
            return "foreign-word", FOREIGN_WORDS[value]
        exact = NUMBER.fullmatch(value) is not None
        if not exact and LOOSE_NUMBER.fullmatch(value) is None:
            return None
        try:
            return "" if exact else "loose-number", read_number(value)
        except OutOfRangeError:
            return "number-range", value

    def _end_of_bare(self, frame: Frame, at: int, wants: bool) -> int | None:
        """Where a one-line value without delimiters ends; None if that is not clear."""
        text = self.text
        if text[at : at + 1] in ('"', "'"):
            return None
        plain = None if wants else _PLAIN.match(text, at)
        if plain is not None:
            return plain.end()
        piece = _BARE_PIECE_IN_PARENTHESES if frame.opener == "(" else _BARE_PIECE
        names = self._names(frame) if wants else frozenset()
        while True:
            match = piece.match(text, at)
            at = match.end() if match else at
            mark = text[at : at + 1]
            if mark == "\n":
                space = SPACE.match(text, at)
                at = space.end() if space else at
                mark = text[at : at + 1]
                if mark not in ("", ",", CLOSERS[frame.opener]):
                    return None
            if mark in ("", CLOSERS[frame.opener]) or text.startswith(QUOTE, at):
                return at
            if mark != ",":
                return None
            if frame.opener == "[" or self._separates(at, frame, names):
                return at
            at += 1

    def _separates(self, at: int, frame: Frame, names: frozenset[str]) -> bool:
        """Whether the comma at `at` ends a member: a key follows it, or the end of the object."""
        if _EXACT_KEY.match(self.text, at + 1):
            return True
        match = _NEXT_KEY.match(self.text, at + 1)
        if match is None:
            space = SPACE.match(self.text, at + 1)
            behind = space.end() if space else at + 1
            return self.text[behind : behind + 1] in ("", CLOSERS[frame.opener])
        if not names or match.group(1).strip("\"'") in names:
            return True
        # For a member that the schema says is text, `, note: …` is more text where the schema does
        # not know `note`; `, note:5` may be either.
        ahead = self.text[match.end() : match.end() + 2]
        if ahead[:1].strip() and ahead != "//":
            raise UnreadableError("malformed", at, "an unknown member, or more text")
        return False

    def _raw(self, frame: Frame, start: int) -> tuple[str, int]:
        """Raw text of any form where the schema says text: up to a member that it knows."""
        names = self._names(frame)
        for match in NEXT_MEMBER.finditer(self.text, start):
            if match.group(1) in names:
                end = match.start()
                break
        else:
            if self.ended == "end":
                raise UnreadableError("cut", start, "the text ends inside a value")
            end = self._end_of_raw(start)
        value = self.text[start:end]
        if STRUCTURE.search(value):
            raise UnreadableError("malformed", start, "a control token inside a value")
        if QUOTE in value:
            value = value.rstrip().removesuffix(QUOTE)
            if QUOTE in value:
                raise UnreadableError("malformed", start, "delimiters inside a raw text")
        if value[:1] in ('"', "'"):
            # Quotes around the whole text are no part of it; JSON would have escaped inner ones.
            if len(value) < 2 or value[-1] != value[0]:
                raise UnreadableError("malformed", start, "a quote that is not closed")
            value = value[1:-1]
        self.mend("raw-string", "text without delimiters, as the schema says", start, end)
        return value, end
