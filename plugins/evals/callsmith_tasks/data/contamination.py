"""Rows that a benchmark's questions stand in: found by id, by n-grams, or as a whole.

The rule is GPT-3's (arXiv 2005.14165, appendix C): a shared run of 13 words. Questions shorter
than the run, which BFCL has many of, are compared as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from callsmith import JsonValue
from callsmith_tasks.data.row import Rejected, Row, RowError, text_of, words

DEFAULT_NGRAM = 13
CONTAINED_FROM = 6
"""Words from which on a short question counts when it stands inside of a longer text; shorter
ones ("What's the weather in Paris?") must be the whole message, or half of a data set would go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A benchmark's question: its id, and what its users say, message by message.

    `has_id` is false where the file has none and `id` says only where the question stands: a row
    of the same place in another file is not that question.
    """

    id: str
    has_id: bool = True
    texts: tuple[str, ...]


def question_of(record: Mapping[str, Any], id: str) -> Question:
    """A question from a line of a BFCL file, a task, a row, or any record with text in it.

    Reads `question` (BFCL: turns of messages), `messages`, `query`, `prompt` or `text`. Raises
    `RowError`.
    """
    key = next((k for k in ("question", "messages", "query", "prompt", "text") if k in record), "")
    texts = tuple(text for text in _texts(record.get(key)) if text.strip())
    if not texts:
        raise RowError("malformed", "a question needs question, messages, query, prompt or text")
    found = record.get("id")
    has_id = isinstance(found, str | int) and bool(str(found))
    return Question(id=str(found) if has_id else id, has_id=has_id, texts=texts)


def _texts(data: JsonValue) -> Iterable[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, list):
        for item in data:
            yield from _texts(item)
    elif isinstance(data, dict) and data.get("role", "user") == "user":
        yield text_of(data.get("content"))


class ContaminationIndex:
    """An index of questions; asks of a row whether one of them stands in it."""

    def __init__(self, questions: Iterable[Question], ngram: int = DEFAULT_NGRAM) -> None:
        if ngram < 2:
            raise ValueError(f"an n-gram has at least 2 words, got {ngram}")
        self.ngram = ngram
        self._ids: set[str] = set()
        self._whole: dict[tuple[str, ...], str] = {}
        self._grams: dict[int, dict[tuple[str, ...], str]] = {}
        for question in questions:
            if question.has_id:
                self._ids.add(question.id)
            for text in question.texts:
                found = tuple(words(text))
                if found:
                    self._whole.setdefault(found, question.id)
                size = min(ngram, len(found))
                if size >= min(CONTAINED_FROM, ngram):
                    grams = self._grams.setdefault(size, {})
                    for gram in _grams(found, size):
                        grams.setdefault(gram, question.id)

    def match(self, row: Row) -> tuple[str, str, str] | None:
        """(reason, id of the question, words in common), or None for a clean row."""
        # Sources number their rows from 0 as well: only ids that say more than a number count.
        # Without the marks of turns and augmentations, and as it is: an id may hold a mark itself.
        for name in (row.id, re.split(r"[#+~]", row.id)[0]):
            if name in self._ids and not name.isdigit():
                return "contaminated-id", name, ""
        for message in row.messages:
            if message.role != "user":
                continue
            said = tuple(words(text_of(message.content)))
            if said in self._whole:
                return "contaminated-text", self._whole[said], " ".join(said)
            for size, grams in self._grams.items():
                for gram in _grams(said, size):
                    if gram in grams:
                        return "contaminated-ngram", grams[gram], " ".join(gram)
        return None


def _grams(said: Sequence[str], size: int) -> Iterable[tuple[str, ...]]:
    return (tuple(said[at : at + size]) for at in range(len(said) - size + 1))


def decontaminate(
    rows: Iterable[Row], index: ContaminationIndex
) -> tuple[tuple[Row, ...], tuple[Rejected, ...]]:
    """The clean rows, and the others with the question and the words that they share."""
    kept: list[Row] = []
    removed: list[Rejected] = []
    for row in rows:
        found = index.match(row)
        if found is None:
            kept.append(row)
            continue
        reason, question, shared = found
        detail = f"the question {question}" + (f" shares: {shared}" if shared else " has its id")
        removed.append(Rejected(id=row.id, source=row.source, reason=reason, detail=detail))
    return tuple(kept), tuple(removed)
