"""Verdict corpora replayed: rows that say what the official scorer decided, and what we decide.

A row's form says what it is about:

- `output` or `raw` with `kind` decoded, raw_prompt or raw_fc: a single-turn entry.
- `turns`: a multi-turn entry, its calls already decoded.
- `last_message`: the final answer of a memory or web search entry.
- `decode_failed`: text of one multi-turn step and the calls it was decoded to.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callsmith import ConfigError
from callsmith_bfcl.agentic import check_answer
from callsmith_bfcl.categories import CATEGORIES, category_named
from callsmith_bfcl.checking.calls import check_calls
from callsmith_bfcl.checking.relevance import check_relevance, has_calls
from callsmith_bfcl.data import Entry, load_entries
from callsmith_bfcl.decoding import (
    DecodeError,
    decode_execute,
    decode_function_calls,
    decode_text,
)
from callsmith_bfcl.multi_turn import MultiTurnChecker
from callsmith_bfcl.outcome import Outcome
from callsmith_bfcl.scoring import DECODER_FAILED, SCORER_ERROR
from callsmith_bfcl.wheel import Wheel

Row = Mapping[str, Any]

_AGENTIC = {"memory": "memory_kv", "web_search": "web_search_base"}
"""Questions and answers are those of any backend."""


@dataclass(frozen=True, slots=True)
class Replay:
    """One row: what the official scorer decided (`expected`), and what we did (`found`).

    `family` is the row's kind of mutation, without the parameter or the place that it was made at.
    """

    line: int
    category: str
    mutation: str
    family: str
    row: Row
    expected: Any
    found: Any

    @property
    def agrees(self) -> bool:
        """Whether verdict and error type, or the decoded value, are the same."""
        same: bool = self.expected == self.found
        return same


def read_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """The rows of a corpus (JSON lines, also gzipped) with their line numbers.

    Raises `ConfigError` naming file and line.
    """
    line = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for line, text in enumerate(file, 1):
                row = json.loads(text)
                if not isinstance(row, dict):
                    raise ValueError("not an object")
                yield line, row
    except FileNotFoundError:
        raise ConfigError("there is no such file", path=str(path)) from None
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"cannot be read after line {line}: {error}", path=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"line {line}: no row of a corpus: {error}", path=str(path)) from None


class Replayer:
    """Replays rows with the data of one wheel."""

    def __init__(self, wheel: Wheel) -> None:
        self._wheel = wheel
        self._entries: dict[str, dict[str, Entry]] = {}
        self._multi_turn = MultiTurnChecker(wheel, cached_entries=8)

    def replay(self, path: Path) -> Iterator[Replay]:
        """Every row of a corpus. Raises `ConfigError` for a row of no known form."""
        for line, row in read_rows(path):
            try:
                expected, found = self._decide(row)
            except (ConfigError, KeyError) as error:
                message = f"line {line}: no row about this data: {error}"
                raise ConfigError(message, path=str(path)) from None
            mutation = str(row.get("mutation", row.get("kind", "")))
            family = self._family(row, mutation)
            yield Replay(line, str(row["category"]), mutation, family, row, expected, found)

    def _family(self, row: Row, mutation: str) -> str:
        family = re.split(r"[@\[]", mutation)[0]
        if "output" in row:
            entry = self.entry(row["category"], row["id"])
            properties = (doc["parameters"]["properties"] for doc in entry.functions)
            names = sorted({name for known in properties for name in known}, key=len)
            # The longest first: one name may end like another.
            for name in reversed(names):
                if family.endswith(f"_{name}"):
                    family = family[: -len(name)]
                    break
        return re.sub(r"[\d_]+$", "", family) or mutation

    def entry(self, category: str, entry_id: str) -> Entry:
        """One entry. Raises `ConfigError`."""
        name = _AGENTIC.get(category, category)
        if name not in self._entries:
            entries = load_entries(self._wheel, category_named(name).name)
            self._entries[name] = {entry.id: entry for entry in entries}
        wanted = entry_id.replace(category, name, 1)
        if wanted not in self._entries[name]:
            raise ConfigError(f"{category} has no entry {entry_id!r}")
        return self._entries[name][wanted]

    def _decide(self, row: Row) -> tuple[Any, Any]:
        if "decode_failed" in row:
            return _decoded_step(row)
        entry = self.entry(row["category"], row["id"])
        if "last_message" in row:
            return row["valid"], check_answer(entry.ground_truth, row["last_message"]).valid
        if "turns" in row:
            outcome = self._multi_turn.check(entry, row["turns"])
            return _verdict(row["valid"], row["error_type"]), _verdict_of(outcome)
        return _single_turn(entry, row)


def _verdict(valid: bool, error_type: str | None) -> str:
    return "valid" if valid else str(error_type)


def _verdict_of(outcome: Outcome) -> str:
    return _verdict(outcome.valid, outcome.error_type)


def _decoded_step(row: Row) -> tuple[Any, Any]:
    try:
        found: Any = decode_execute(row["raw"])
    except DecodeError:
        found = None
    return (None if row["decode_failed"] else row["decoded"]), found


def _single_turn(entry: Entry, row: Row) -> tuple[Any, Any]:
    """Verdict and error type, and for raw rows what the output was decoded to."""
    category = CATEGORIES[entry.category]
    expected = [_verdict(row["valid"], row["error_type"])]
    decoded: object = row["output"]
    if row["kind"] != "decoded":
        expected.append(row.get("output_repr") or json.dumps(row["output"]))
        try:
            if row["kind"] == "raw_fc":
                decoded = decode_function_calls(row["raw"])
            else:
                decoded = decode_text(row["raw"], category.language)
        except DecodeError:
            if category.checker == "ast":
                return expected, [DECODER_FAILED, "null"]
            return expected, [_verdict_of(check_relevance(False, entry.category)), "null"]
    try:
        if category.checker == "ast":
            outcome = check_calls(
                entry.functions,
                decoded,
                entry.ground_truth,
                category.language,
                entry.category,
                row["underscore_to_dot"],
            )
        else:
            outcome = check_relevance(has_calls(decoded), entry.category, decoded)
    except Exception as error:
        outcome = Outcome(False, f"{SCORER_ERROR}: {error!r}")
    found = [_verdict_of(outcome)]
    if row["kind"] != "decoded":
        found.append(repr(decoded) if row.get("output_repr") else _as_json(decoded))
    return expected, found


def _as_json(decoded: object) -> str:
    try:
        return json.dumps(decoded)
    except (TypeError, ValueError):
        return repr(decoded)
