"""`DecodeError`, and the bounds within which text is read at all."""

from __future__ import annotations

from typing import Final

MAX_TEXT_LENGTH: Final = 100_000
"""Characters of one answer that are read; a longer text is a decode error.

Far above what any entry needs, and low enough that the slowest reader takes about a second and
100 MB for anything. A longer text is no serious answer, and reading it could exhaust the memory.
"""

MAX_GRAMMAR_LENGTH: Final = 8_000
"""The same for Java and JavaScript, whose grammars take quadratic time and memory on text that is
made to be ambiguous."""


class DecodeError(ValueError):
    """The output cannot be read as calls in the format that was asked for."""
