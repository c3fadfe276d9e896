"""What passes between a step's process and the pipeline's: progress, and why it failed."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from callsmith.errors import CallsmithError
from callsmith.runs.store import cut_torn_line, lines_of
from callsmith.types import JsonValue

FAILURE = "failure.json"
DISK_FULL = 74
"""Exit code of a step's process that could not write even why it failed (`EX_IOERR`)."""
PARENT = "CALLSMITH_PIPELINE"
"""Environment variable that says that a pipeline started the process."""
LONGEST_LINE = 400
"""Characters of somebody else's error message."""


class Reporter:
    """Appends what a step reports to its `progress.jsonl`; any number of processes may read it.

    `attempt` counts the processes of this step, this one included. Use as a context manager.
    """

    def __init__(self, file: Path) -> None:
        cut_torn_line(file)
        self._before = 0.0
        self.attempt = 1
        for attempt, seconds in attempts_of(file).items():
            self.attempt = attempt + 1
            self._before += seconds
        self._began = time.monotonic()
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self({})

    @property
    def seconds(self) -> float:
        """Seconds of all attempts up to now."""
        return self._before + time.monotonic() - self._began

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def __call__(self, progress: Mapping[str, JsonValue]) -> None:
        """Appends one report. What is no JSON is written as text."""
        line = {
            "attempt": self.attempt,
            "seconds": round(time.monotonic() - self._began, 3),
            "progress": {str(key): _plain(value) for key, value in progress.items()},
        }
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"), default=_plain)
        os.write(self._file, text.encode("utf-8", "surrogatepass") + b"\n")


def _plain(value: Any) -> Any:
    """Numbers of other libraries as Python's, other values as text; NaN is no JSON either."""
    if hasattr(value, "item"):
        with contextlib.suppress(ValueError, RuntimeError):  # an array of several numbers
            value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str | list | dict):
        return value
    return str(value)


def attempts_of(file: Path) -> dict[int, float]:
    """The attempts in a `progress.jsonl`: number to seconds until the last report."""
    found: dict[int, float] = {}
    for _, line in lines_of(file):
        found[int(line["attempt"])] = float(line["seconds"])
    return found


class Tail:
    """Reads what is appended to a file from now on, one whole line of JSON at a time.

    It stands after a line break always, so a torn line that another process cuts off is nothing
    to it.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._at = 0
        self._whole()

    def _whole(self) -> bytes:
        """The whole lines that were appended since the last call."""
        try:
            with self._file.open("rb") as file:
                file.seek(self._at)
                data = file.read()
        except FileNotFoundError:
            return b""
        data = data[: data.rfind(b"\n") + 1]
        self._at += len(data)
        return data

    def read(self) -> list[dict[str, Any]]:
        """What was appended since the last call."""
        lines = self._whole().splitlines()
        return [json.loads(line.decode("utf-8", "surrogatepass")) for line in lines]


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or what it was raised from, says that there is no room on a disk."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        # Libraries in other languages bring the system's words and no number.
        if full or os.strerror(errno.ENOSPC) in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def line_of(error: BaseException) -> str:
    """An error as one line: its own if it is one of ours, else with its class."""
    text = " ".join(str(error).split())
    if isinstance(error, CallsmithError):
        return text
    if len(text) > LONGEST_LINE:
        text = text[:LONGEST_LINE].rstrip() + " ..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
