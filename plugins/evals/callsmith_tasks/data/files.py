"""Records from files and from the hub: the edge of this package, with its I/O.

A record is an object and the place where it stands. A line of a JSONL file that cannot be read
is a `Rejected` among the records; a file that cannot be read at all is an error.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from callsmith import ConfigError, JsonValue, MissingExtraError
from callsmith_tasks.data.readers import READERS, recognise
from callsmith_tasks.data.row import Rejected, Row, RowError, require_json

Record = tuple[str, Mapping[str, Any]]
"""(default id of the record's rows, the record)."""


def records(source: str, *, split: str = "train", config: str | None = None) -> Iterator[Any]:
    """`Record`s and `Rejected`s of a local file, or of a hub data set `owner/name`.

    What exists as a local path is a local path. Raises `ConfigError` for a file that is missing or
    unreadable and `MissingExtraError` without the libraries for Parquet or the hub.
    """
    path = Path(source)
    if os.path.isdir(source):  # unlike Path.is_dir, false for a name that the system refuses
        raise ConfigError("is a folder; name a .json, .jsonl or .parquet file", path=source)
    if os.path.exists(source) or path.suffix in (".json", ".jsonl", ".ndjson", ".parquet"):
        return _file(path)
    if source.count("/") == 1 and not source.startswith((".", "/")):
        return _hub(source, split, config)
    raise ConfigError(
        "there is no such file, and a data set on the hub is named owner/name", path=source
    )


def _file(path: Path) -> Iterator[Any]:
    try:
        if path.suffix == ".parquet":
            return _parquet(path)
        data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror or error}; name an existing file", path=str(path)
        ) from None
    return _json(path, data) if path.suffix == ".json" else _lines(path, data)


def _json(path: Path, data: bytes) -> Iterator[Any]:
    try:
        found = _loads(data)
    except ValueError as error:
        if data.lstrip().startswith(b"{") and b"\n{" in data:  # many .json files are JSON lines
            return _lines(path, data)
        raise ConfigError(f"is not JSON: {error}", path=str(path)) from None
    if isinstance(found, Mapping) and isinstance(found.get("data"), list):
        found = found["data"]
    if isinstance(found, Mapping):
        found = [found]
    if not isinstance(found, list):
        raise ConfigError("holds no list of records", path=str(path))
    return (_record(item, f"{path.stem}-{number}") for number, item in enumerate(found))


def _lines(path: Path, data: bytes) -> Iterator[Any]:
    # Split at line feeds alone: JSON text may hold the other characters that end lines.
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        name = f"{path.stem}-{number}"
        try:
            yield _record(_loads(line), name)
        except ValueError as error:
            yield Rejected(
                id=name,
                source=path.stem,
                reason="not-json",
                detail=f"{path.name}:{number}: {error}",
                record=line.decode("utf-8", "replace"),
            )


def _loads(data: bytes) -> Any:
    """JSON. Raises `ValueError` saying what is wrong, also for what is nested too deeply."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON value")

    try:
        return json.loads(data.decode("utf-8"), parse_constant=refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte {error.start})") from None


def _record(item: Any, name: str) -> Record | Rejected:
    if not isinstance(item, Mapping):
        detail = f"a record is an object, got {item!r:.60}"
        return Rejected(id=name, source="", reason="malformed", detail=detail, record=item)
    own = item.get("id")
    return (str(own) if isinstance(own, str | int) and str(own) else name), item


def _parquet(path: Path) -> Iterator[Any]:
    path.open("rb").close()  # an OSError says what is wrong with the file, not with its content
    parquet = _library("pyarrow.parquet", f"{path.name} is a Parquet file")
    try:
        table = parquet.ParquetFile(path)
    except Exception as error:  # pyarrow has errors of its own for each way of being no Parquet
        raise ConfigError(f"is no Parquet file: {_first(error)}", path=str(path)) from None
    return _rows(path.stem, _parquet_rows(table, path))


def _parquet_rows(table: Any, path: Path) -> Iterator[Any]:
    try:
        for batch in table.iter_batches():
            yield from batch.to_pylist()
    except Exception as error:  # a damaged page is found only when its turn comes
        raise ConfigError(
            f"is damaged: {_first(error)}; get the file again", path=str(path)
        ) from None


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _hub(name: str, split: str, config: str | None) -> Iterator[Any]:
    datasets = _library("datasets", f"{name} is a data set on the hub")
    try:
        found = datasets.load_dataset(name, config, split=split)
    except Exception as error:  # no network, no such set, gated, a wrong split: all are the user's
        raise ConfigError(
            f"cannot be loaded from the hub: {type(error).__name__}: {_first(error)}; "
            "download its file and name that instead, if there is no network",
            path=name,
        ) from None
    return _rows(name.rpartition("/")[2], iter(found))


def _rows(stem: str, rows: Iterator[Any]) -> Iterator[Any]:
    return (_record(row, f"{stem}-{number}") for number, row in enumerate(rows))


def _library(name: str, why: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        library = name.partition(".")[0]
        raise MissingExtraError(
            f"{why}, which needs {library!r}: pip install 'callsmith[train]', "
            "or convert it to JSONL"
        ) from None


def read_rows(
    found: Iterable[Any], format: str, *, source: str | None = None
) -> tuple[list[Row], list[Rejected], str]:
    """Rows of all records, what was rejected, and the format (recognised where it is `auto`).

    Raises `ConfigError` when the format of the first readable record cannot be recognised.
    """
    rows: list[Row] = []
    rejected: list[Rejected] = []
    for item in found:
        if isinstance(item, Rejected):
            rejected.append(item)
            continue
        name, record = item
        if format == "auto":
            format = _format_of(record)
        try:
            made = READERS[format](record, f"{format}-{name}" if name.isdigit() else name)
            for row in made:
                require_json(row)
            rows += made
        except RowError as error:
            rejected.append(
                Rejected(
                    id=name,
                    source=format,
                    reason=error.reason,
                    detail=error.detail,
                    record=_plain(record),
                )
            )
    named = source or format
    return rows, [replace(item, source=named) for item in rejected], format


def _format_of(record: Mapping[str, Any]) -> str:
    if {"messages", "target"} <= set(record):
        raise ConfigError(
            "the records are tasks, as `data convert --as tasks` writes them; "
            "name what they were made from"
        )
    found = recognise(record)
    if found is None:
        keys = ", ".join(list(map(str, record))[:8])
        raise ConfigError(
            f"the keys {keys} belong to no known format; say --format: {', '.join(READERS)}"
        )
    return found


def _plain(value: Any) -> JsonValue:
    """A record for the quarantine file: what JSON cannot say (Parquet has dates, NaN) as text."""
    found: JsonValue = json.loads(json.dumps(value, default=str), parse_constant=str)
    return found
