"""The folder of a converted data set: `train.jsonl`, `dev.jsonl`, `test.jsonl`, what was left
out, and `data.json`, which seals the splits."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from callsmith import JsonValue, StoreError, dumps, to_json
from callsmith_tasks.data.row import Rejected

MANIFEST = "data.json"
FORMAT = 1


def check_seal(folder: Path, splits: Mapping[str, JsonValue]) -> None:
    """Raises `StoreError` if `folder` holds a `dev` or `test` split with another content.

    A changed test split makes every score that was measured on the old one incomparable.
    """
    file = folder / MANIFEST
    if not file.exists():
        return
    try:
        old = json.loads(file.read_text(encoding="utf-8"))["splits"]
        changed = [n for n in ("dev", "test") if old[n]["seal"] != _seal_of(splits, n)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{file} cannot be read: {error!r}; write into a new folder, or use --reseal"
        ) from None
    if changed:
        raise StoreError(
            f"{folder} is sealed: its {' and '.join(changed)} split would change, and scores on "
            "the old one could not be compared; write into a new folder, or use --reseal"
        )


def check_sources(folder: Path, names: Iterable[str], inputs: Iterable[str]) -> None:
    """Raises `StoreError` if one of `inputs` is a file of `folder` that would be written over."""
    written = {os.path.realpath(folder / name) for name in (*names, MANIFEST)}
    for path in inputs:
        if os.path.realpath(path) in written:
            raise StoreError(
                f"{path} is read and would be written over; write into another folder than {folder}"
            )


def _seal_of(splits: Mapping[str, JsonValue], name: str) -> JsonValue:
    found = splits[name]
    assert isinstance(found, dict)
    return found["seal"]


def write_folder(
    folder: Path, files: Mapping[str, Iterable[JsonValue]], manifest: Mapping[str, JsonValue]
) -> None:
    """Writes all files under other names, then moves them into place, the manifest last.

    A full disk leaves the old files as they were. A kill between two moves can leave new files
    beside old ones; running the conversion again mends that. Raises `StoreError`.
    """
    parts: list[tuple[Path, Path]] = []
    texts: dict[str, Iterable[str]] = {
        name: (_line(row) for row in rows) for name, rows in files.items()
    }
    whole = {"format": FORMAT, **manifest}
    texts[MANIFEST] = [json.dumps(whole, indent=2, ensure_ascii=False) + "\n"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, lines in texts.items():
            part = folder / f"{name}.part"
            with part.open("wb") as file:
                parts.append((part, folder / name))
                file.writelines(line.encode("utf-8") for line in lines)
                file.flush()
                os.fsync(file.fileno())
        for part, path in parts:
            part.replace(path)
    except OSError as error:
        for part, _ in parts:
            part.unlink(missing_ok=True)
        raise StoreError(
            f"{folder} cannot be written: {error.strerror or error}; make room, or name another "
            "folder with --out"
        ) from None


def _line(row: JsonValue) -> str:
    text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can say in UTF-8
        text = json.dumps(row, separators=(",", ":"))
    return text + "\n"


def rejected_lines(items: Iterable[Rejected]) -> list[JsonValue]:
    """The lines of a quarantine file."""
    return [to_json(item) for item in items]


def task_line(task: Any) -> JsonValue:
    """A task as a line of a `jsonl` task set."""
    found: JsonValue = json.loads(dumps(task))
    return found
