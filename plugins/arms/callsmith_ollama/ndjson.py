"""Newline-delimited JSON from pieces of bytes, however the network cut them."""

from __future__ import annotations

import json
from typing import Any

LINE_LIMIT = 64 * 1024 * 1024
"""Bytes in one line, at most: a server that never ends a line must not fill the memory."""


class MalformedLineError(ValueError):
    """A line is not a JSON object in UTF-8, or is too long. The message names it."""


class LineDecoder:
    """Takes bytes, gives the JSON objects of whole lines. Empty lines are skipped."""

    def __init__(self) -> None:
        self.lines = 0
        self._parts: list[bytes] = []
        self._held = 0

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The objects of the lines that end in `data`. Raises `MalformedLineError`."""
        *whole, rest = data.split(b"\n")
        found: list[dict[str, Any]] = []
        for piece in whole:
            self._parts.append(piece)
            found += self._take()
        if rest:
            self._parts.append(rest)
            self._held += len(rest)
            if self._held > LINE_LIMIT:
                raise MalformedLineError(f"line {self.lines + 1} is longer than {LINE_LIMIT} bytes")
        return found

    def close(self) -> list[dict[str, Any]]:
        """The last line, if it lacked its line break. Raises `MalformedLineError` if it is torn."""
        return self._take()

    def _take(self) -> list[dict[str, Any]]:
        line = b"".join(self._parts).strip()
        self._parts.clear()
        self._held = 0
        if not line:
            return []
        self.lines += 1
        try:
            value = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError):
            raise MalformedLineError(f"line {self.lines} is not JSON: {_excerpt(line)}") from None
        if not isinstance(value, dict):
            raise MalformedLineError(f"line {self.lines} is not an object: {_excerpt(line)}")
        return [value]


def _excerpt(line: bytes) -> str:
    text = line[:120].decode("utf-8", errors="replace")
    return repr(text + ("…" if len(line) > 120 else ""))
