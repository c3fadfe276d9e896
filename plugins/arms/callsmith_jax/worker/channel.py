"""JSON lines on the process's own stdin and stdout, which nobody else may then use."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from io import TextIOWrapper
from typing import Any


class Channel:
    """Reads and writes one JSON object per line."""

    def __init__(self, source: TextIOWrapper, target: TextIOWrapper) -> None:
        self._source = source
        self._target = target

    @classmethod
    def of_this_process(cls) -> Channel:
        """Takes stdin and stdout for itself.

        What libraries print, in Python or in C, goes to stderr from here on, and what they read
        is empty: the descriptors 0 and 1 themselves are replaced.
        """
        source = os.fdopen(os.dup(0), "r", encoding="utf-8", newline="\n")
        target = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        sys.stdout.flush()
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        return cls(source, target)

    def write(self, value: dict[str, Any]) -> None:
        """Writes one line. NaN and infinity are refused: they are not JSON."""
        self._target.write(json.dumps(value, ensure_ascii=True, allow_nan=False) + "\n")
        self._target.flush()

    def lines(self) -> Iterator[dict[str, Any]]:
        """The requests, until the other side closes. Raises `ValueError` for a broken line."""
        for line in self._source:
            if line.strip():
                value = json.loads(line)
                if not isinstance(value, dict):
                    raise ValueError(f"a request must be an object, got {line[:80]!r}")
                yield value
