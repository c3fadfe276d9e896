"""What the readers of malformed calls share: the text, the open containers, the mends, the ends."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from callsmith import JsonValue
from callsmith_gemma4.schemas import property_names

Ended = Literal["close", "marker", "end"]
"""What ended the block: `<tool_call|>`, another control token, or the end of the text."""

SPACE: Final = re.compile(r"\s*+")
NEXT_MEMBER: Final = re.compile(r""",\s*+([^\s{}\[\]:,<="'()]++)\s*+[:=]""")
_ANOTHER_CALL: Final = re.compile(r"[})]\s*+,?\s*+call:")
CLOSERS: Final = {"{": "}", "[": "]", "(": ")"}


class UnreadableError(ValueError):
    """A text without exactly one reading; `at` is an index into the block."""

    def __init__(self, kind: str, at: int, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.at = at
        self.detail = detail


class Mend(NamedTuple):
    """A place of the block that was mended: `kind` is a repair's, `start` and `end` are indices."""

    kind: str
    detail: str
    start: int
    end: int


@dataclass(slots=True)
class Frame:
    """An open container.

    `before_bare`: its last item is a string without any delimiter. `names`: the members that the
    schema declares, once they were asked for.
    """

    opener: str
    value: dict[str, JsonValue] | list[JsonValue]
    schema: object
    before_bare: bool = False
    names: frozenset[str] | None = None


@dataclass(slots=True)
class ReaderState:
    """Where a reading of `text`, a block, stands; `ended` says what came after the block."""

    text: str
    ended: Ended
    max_depth: int
    mends: list[Mend] = field(default_factory=list)
    _root_schema: object = None
    _stack: list[Frame] = field(default_factory=list)
    _spaced: bool = False
    _no_single_end: bool = False

    def mend(self, kind: str, detail: str, start: int, end: int) -> None:
        """Notes a mend."""
        self.mends.append(Mend(kind, detail, start, end))

    def space(self, at: int) -> int:
        """The index of the next character that is not white space; noted once per block."""
        match = SPACE.match(self.text, at)
        end = match.end() if match else at
        if end > at and not self._spaced:
            self._spaced = True
            self.mend("whitespace", "white space between tokens", at, end)
        return end

    def _may_follow(self, at: int) -> bool:
        """Whether a value may end just before `text[at]`."""
        match = SPACE.match(self.text, at)
        mark = self.text[match.end() : match.end() + 1] if match else ""
        return mark in ("", ",", "}", "]", ")")

    def _names(self, frame: Frame) -> frozenset[str]:
        """The members that the schema declares for the object; none for an array."""
        if frame.names is None:
            frame.names = (
                frozenset()
                if frame.opener == "["
                else property_names(frame.schema, self._root_schema)
            )
        return frame.names

    def _closers_before_end(self, start: int) -> int:
        """Where the closers of all open containers begin that end the text; 0 if not all do."""
        at = len(self.text)
        for frame in self._stack:
            while at > start and self.text[at - 1].isspace():
                at -= 1
            if at <= start or self.text[at - 1] != CLOSERS[frame.opener]:
                return 0
            at -= 1
        return at

    def _end_of_raw(self, start: int) -> int:
        """Where a raw text that began at `start` and runs to the end of the call ends itself."""
        if _ANOTHER_CALL.search(self.text, start):
            raise UnreadableError("malformed", start, "a string runs into the next call")
        end = self._closers_before_end(start)
        if not end:
            return len(self.text)
        inner = self.text[start:end]
        whole = self.text[start:]
        if inner.count("{") != inner.count("}") and whole.count("{") == whole.count("}"):
            raise UnreadableError("malformed", end, "a brace may close the text or the call")
        return end
