"""Result files in the official layout, read and written.

Each is a file of JSON lines with at least `id` and `result`. Whatever cannot be used is a `Problem`
that names file and line; the other lines stand.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from callsmith_bfcl.categories import CATEGORIES

PREFIX = "BFCL_v4_"
RESULT_SUFFIX = "_result.json"
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a result folder that is not as it should be. `line` counts from 1.

    `is_missing`: entries are missing, which a partial run means to be so.
    """

    path: str
    line: int
    message: str
    is_missing: bool = False

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One readable line: the whole record, its id, and where it stands."""

    id: str
    record: Mapping[str, Any]
    path: str
    line: int

    @property
    def result(self) -> Any:
        """What the model gave: text, a list of calls, or a list of turns of steps."""
        return self.record["result"]


@dataclass(slots=True)
class ResultFile:
    """The usable lines of one category, by id, in the file's order, and the problems."""

    category: str
    rows: dict[str, ResultRow] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def read_results(paths: Iterable[Path], category: str, ids: Iterable[str]) -> ResultFile:
    """The usable lines of a category's files. `ids` are those of the data set, in its order."""
    found = ResultFile(category)
    order = list(ids)
    known = frozenset(order)
    last = ("", 0)
    for path in paths:
        place = str(path)
        try:
            data = path.read_bytes()
        except OSError as error:
            message = f"cannot be read: {error.strerror or error}"
            found.problems.append(Problem(place, 1, message))
            last = (place, 1)
            continue
        last = (place, parse_results(data, place, known, found))
    found.missing = [entry_id for entry_id in order if entry_id not in found.rows]
    if found.missing and found.rows:
        message = _missing(found.missing, len(order))
        found.problems.append(Problem(*last, message, is_missing=True))
    elif found.missing:
        message = f"no usable line; all {len(order)} entries of {category} are missing"
        found.problems.append(Problem(*last, message))
    return found


def _missing(ids: list[str], expected: int, shown: int = 5) -> str:
    names = ", ".join(ids[:shown]) + (f" and {len(ids) - shown} more" if len(ids) > shown else "")
    verb = "is" if len(ids) == 1 else "are"
    return f"the file ends here and {len(ids)} of {expected} entries {verb} missing: {names}"


def parse_results(data: bytes, place: str, known: frozenset[str], found: ResultFile) -> int:
    """Adds the usable lines of one file to `found`; returns the number of its last line.

    A line is usable when it is a JSON object with an `id` of `known` that has not been seen yet,
    and a `result`. Blank lines are skipped. Nothing is raised for what a file holds.
    """
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), "")
    problems = found.problems
    if encoding == "utf-16":
        problems.append(Problem(place, 1, "is UTF-16, expected UTF-8; it was read all the same"))
        # A unit that cannot be decoded (such as half a one at the end) spoils its own line only.
        data = data.decode(encoding, errors="replace").encode("utf-8")
    elif encoding:
        data = data[len(codecs.BOM_UTF8) :]
    lines = data.split(b"\n")
    cut_off = len(lines) if lines[-1].strip() else 0  # no line end: the write did not finish?
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        problem = _read_line(text, place, number, known, found)
        if problem and number == cut_off and problem.startswith("not JSON"):
            problem = f"the last line is cut off and is not scored ({problem})"
        if problem:
            problems.append(Problem(place, number, problem))
    return max(1, len(lines) - (not lines[-1].strip()))


def _read_line(
    line: bytes, place: str, number: int, known: frozenset[str], found: ResultFile
) -> str:
    """Adds one line to `found`; returns what is wrong with it, or nothing."""
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return f"not UTF-8 (byte {error.start + 1} of the line is 0x{line[error.start]:02x})"
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg} (column {error.colno})"
    except (ValueError, RecursionError) as error:  # an integer of 5,000 digits, 1,000 brackets
        return f"not JSON that can be read: {error}"
    if not isinstance(record, dict):
        return f"expected an object with `id` and `result`, got {type(record).__name__}"
    entry_id = record.get("id")
    if not isinstance(entry_id, str):
        return "the object has no `id`" if entry_id is None else f"the id {entry_id!r} is no text"
    if entry_id not in known:
        return f"{found.category} has no entry {entry_id!r}, the line is not scored"
    if entry_id in found.rows:
        first = found.rows[entry_id]
        where = f"line {first.line}" if first.path == place else f"{first.path}:{first.line}"
        same = "the same" if first.record == record else "another"
        return f"duplicate of {entry_id} ({where}) with {same} record; the first one is scored"
    if "result" not in record:
        return f"{entry_id} has no `result`, the line is not scored"
    found.rows[entry_id] = ResultRow(entry_id, record, place, number)
    return ""


def sample_results(path: Path, limit: int = 50) -> list[Any]:
    """The results of the first readable lines of a file, to see which form they have."""
    found: list[Any] = []
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return found
    for line in lines[:limit]:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and "result" in record:
            found.append(record["result"])
    return found


def result_path(root: Path, model: str, category: str) -> Path:
    """Where the official tool looks for a category's results. `model` is its registry name."""
    folder = CATEGORIES[category].folder
    return root / model.replace("/", "_") / folder / f"{PREFIX}{category}{RESULT_SUFFIX}"


def write_results(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Writes one category's results as the official tool does: one JSON object per line.

    The file appears whole or not at all.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        for record in records:
            file.write(json_line(record))
    partial.replace(path)


def json_line(record: Mapping[str, Any]) -> bytes:
    """One JSON line in UTF-8; half a surrogate pair, which UTF-8 cannot hold, is escaped.

    A field that JSON cannot hold (an object with a number as key, nesting without end) is written
    as text.
    """
    try:
        return json.dumps(record, ensure_ascii=False, default=str).encode("utf-8") + b"\n"
    except UnicodeEncodeError:
        return json.dumps(record, default=str).encode("ascii") + b"\n"
    except (TypeError, ValueError, RecursionError):
        safe = {key: _json_or_text(value) for key, value in record.items()}
        return json.dumps(safe, default=str).encode("ascii") + b"\n"


def _json_or_text(value: Any) -> Any:
    try:
        json.dumps(value, default=str)
    except (TypeError, ValueError, RecursionError):
        try:
            return str(value)
        except (ValueError, RecursionError) as error:
            return f"a {type(value).__name__} that cannot be written: {error}"
    return value
