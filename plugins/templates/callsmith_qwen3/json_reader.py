"""Reading JSON that a model wrote: exactly where it is JSON, with noted mends where it is nearly.

Nothing is guessed. Where a text has two readings (a quote inside a string that nothing escapes, a
string that nothing closes), `UnreadableError` says where and why. Every function moves forward
over the text once; the work is linear in the text.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NamedTuple, cast

from callsmith import JsonValue

LONGEST_INTEGER: Final = 4000
"""Digits up to which a whole number is read as one: Python's own limit is 4,300."""

_SPACE: Final = re.compile(r"[ \t\r\n]*+")
_DOUBLE: Final = re.compile(r'"((?:[^"\\]++|\\[\s\S])*+)"')
_SINGLE: Final = re.compile(r"'((?:[^'\\]++|\\[\s\S])*+)'")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.+-])")
_HALF_NUMBER: Final = re.compile(r"-?[0-9]*\.?[0-9]*(?:[eE][+-]?)?\Z")
_WORD: Final = re.compile(r"[A-Za-z_$][\w$-]*+")
_ESCAPE: Final = re.compile(r'\\(?:(u[0-9a-fA-F]{4}|["\\/bfnrt])|([\s\S]))')
_ESCAPE_OR_QUOTE: Final = re.compile(r'\\(?:(u[0-9a-fA-F]{4}|["\\/bfnrt])|([\s\S]))|(")')
_CONTROL: Final = re.compile(r"[\x00-\x1f]")
_CLOSERS: Final = {"{": "}", "[": "]"}
_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}
_FOREIGN_WORDS: Final[dict[str, bool | None]] = {"True": True, "False": False, "None": None}


class Mend(NamedTuple):
    """A repair of the kind `kind` at `[start, end)` of the text that was read."""

    kind: str
    detail: str
    start: int
    end: int


class UnreadableError(Exception):
    """The text at `at` has no reading, or more than one."""

    def __init__(self, kind: str, at: int, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.at = at


class _OddError(ValueError):
    """Valid JSON with something that needs a note; the slow reader makes it."""


def _exact_int(text: str) -> int:
    if len(text) > LONGEST_INTEGER:
        raise _OddError
    return int(text)


def _exact_float(text: str) -> float:
    value = float(text)
    if value - value != 0.0:
        raise _OddError
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        raise _OddError
    return out


def _no_constant(name: str) -> JsonValue:
    raise _OddError(name)


_STRICT: Final = json.JSONDecoder(
    parse_int=_exact_int,
    parse_float=_exact_float,
    parse_constant=_no_constant,
    object_pairs_hook=_unique,
)


def read_strict(text: str, max_depth: int) -> tuple[JsonValue, bool]:
    """The JSON value that `text` is as a whole, and true; `(None, False)` if anything is odd.

    A text with more brackets than `max_depth` is left to the slow reader, which counts nesting.
    """
    if text.count("{") + text.count("[") > max_depth:
        return None, False
    try:
        return cast(JsonValue, _STRICT.decode(text)), True
    except (ValueError, RecursionError):
        return None, False


class _Frame:
    """A container that is being read."""

    __slots__ = ("opener", "value")

    def __init__(self, opener: str) -> None:
        self.opener = opener
        self.value: dict[str, JsonValue] | list[JsonValue] = {} if opener == "{" else []


class JsonReader:
    """Reads objects and lists out of `text`; `closed` says that a closing tag followed it."""

    __slots__ = ("_stack", "closed", "max_depth", "mends", "text")

    def __init__(self, text: str, *, closed: bool, max_depth: int) -> None:
        self.text = text
        self.closed = closed
        self.max_depth = max_depth
        self.mends: list[Mend] = []
        self._stack: list[_Frame] = []

    def space(self, at: int) -> int:
        """The index behind the white space at `at`."""
        match = _SPACE.match(self.text, at)
        return match.end() if match else at

    def read(self, at: int) -> tuple[JsonValue, int]:
        """The object or list at `text[at]`, and the index behind it. Raises `UnreadableError`."""
        root = _Frame(self.text[at])
        self._stack = [root]
        at += 1
        first = True
        while self._stack:
            at = self.space(at)
            frame = self._stack[-1]
            if self.text[at : at + 1] == _CLOSERS[frame.opener]:
                if not first:
                    self._mend("trailing-comma", "a comma before the end", at, at)
                at = self._behind(at)
            else:
                opened = len(self._stack)
                at = self._element(frame, at)
                if len(self._stack) > opened:
                    first = True
                    continue
                at = self._behind(at)
            first = False
        return root.value, at

    def _mend(self, kind: str, detail: str, start: int, end: int) -> None:
        self.mends.append(Mend(kind, detail, start, end))

    def _end(self, at: int, detail: str) -> UnreadableError:
        return UnreadableError("malformed" if self.closed else "cut", at, detail)

    def _behind(self, at: int) -> int:
        """From behind a value over the closers and the comma, or to the end of the text."""
        while True:
            at = self.space(at)
            mark = self.text[at : at + 1]
            if mark == _CLOSERS[self._stack[-1].opener]:
                self._stack.pop()
                at += 1
                if not self._stack:
                    return at
            elif mark == ",":
                return at + 1
            elif mark:
                raise UnreadableError("malformed", at, f"{mark!r} after a value")
            elif not self.closed:
                raise UnreadableError("cut", at, "the text ends before the call does")
            else:
                closers = "".join(_CLOSERS[frame.opener] for frame in reversed(self._stack))
                self._mend("missing-close-brace", f"{closers} added", at, at)
                self._stack.clear()
                return at

    def _element(self, frame: _Frame, at: int) -> int:
        """A member of an object, or an item of a list."""
        if isinstance(frame.value, list):
            value, at = self._value(at)
            frame.value.append(value)
            return at
        start = at
        key, at = self._key(at)
        at = self.space(at)
        if self.text[at : at + 1] != ":":
            if at == len(self.text):
                raise self._end(at, f"the key {key!r:.80} has no value")
            raise UnreadableError("malformed", at, f"no colon after the key {key!r:.80}")
        if key in frame.value:
            self._mend("duplicate-key", f"{key!r:.80} again; the last one counts", start, at)
        value, at = self._value(self.space(at + 1))
        frame.value[key] = value
        return at

    def _key(self, at: int) -> tuple[str, int]:
        mark = self.text[at : at + 1]
        if mark in ('"', "'"):
            return self._string(at)
        word = _WORD.match(self.text, at)
        if word:
            self._mend("bare-key", f"the key {word.group():.80} without quotes", at, word.end())
            return word.group(), word.end()
        if not mark:
            raise self._end(at, "a key is missing at the end")
        raise UnreadableError("malformed", at, f"{self.text[at : at + 20]!r} is no key")

    def _value(self, at: int) -> tuple[JsonValue, int]:
        mark = self.text[at : at + 1]
        if mark in ('"', "'"):
            return self._string(at)
        if mark in _CLOSERS:
            if len(self._stack) >= self.max_depth:
                raise UnreadableError("depth", at, f"nested more than {self.max_depth} deep")
            frame = _Frame(mark)
            self._stack.append(frame)
            return frame.value, at + 1
        number = _NUMBER.match(self.text, at)
        if number:
            return self._number(number.group(), at), number.end()
        word = _WORD.match(self.text, at)
        if word and word.group() in _WORDS:
            return _WORDS[word.group()], word.end()
        if word and word.group() in _FOREIGN_WORDS:
            self._mend("python-literal", word.group(), at, word.end())
            return _FOREIGN_WORDS[word.group()], word.end()
        if word and word.end() < len(self.text):
            raise UnreadableError("malformed", at, f"{word.group()!r:.80} is no value")
        if not mark or word or _HALF_NUMBER.match(self.text, at):
            raise self._end(at, "the text ends inside a value")
        raise UnreadableError("malformed", at, f"{self.text[at : at + 20]!r} is no value")

    def _number(self, text: str, at: int) -> JsonValue:
        try:
            return _exact_float(text) if re.search("[.eE]", text) else _exact_int(text)
        except ValueError:
            detail = f"{text:.40} is kept as text"
            self._mend("number-range", detail, at, at + len(text))
            return text

    def _string(self, at: int) -> tuple[str, int]:
        single = self.text[at] == "'"
        match = (_SINGLE if single else _DOUBLE).match(self.text, at)
        if match is None:
            raise self._end(at, "a string is not closed")
        end = match.end()
        behind = self.space(end)
        if self.text[behind : behind + 1] not in ("", ",", ":", "}", "]"):
            raise UnreadableError("malformed", end, "text behind the end of a string")
        inner = match.group(1)
        if single:
            self._mend("single-quotes", "a string between single quotes", at, end)
        if _CONTROL.search(inner):
            self._mend("raw-control-character", "a control character in a string", at, end)
        return self._unescaped(inner, single, at, end), end

    def _unescaped(self, inner: str, single: bool, at: int, end: int) -> str:
        if "\\" not in inner:
            return inner
        bad = False

        def exact(match: re.Match[str]) -> str:
            nonlocal bad
            if match.group(1):
                return match.group()
            if match.group(2) is None:
                return '\\"'  # a double quote in a string between single ones
            if match.group(2) == "'":
                bad = bad or not single
                return "'"
            bad = True
            return "\\\\" + match.group(2)

        pattern = _ESCAPE_OR_QUOTE if single else _ESCAPE
        mended = pattern.sub(exact, inner)
        if bad:
            self._mend("bad-escape", "a backslash that escapes nothing", at, end)
        return cast(str, json.loads(f'"{mended}"', strict=False))
