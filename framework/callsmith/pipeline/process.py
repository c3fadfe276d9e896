"""The process of a step, from outside: started, listened to, and ended with all of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from callsmith.errors import StepError
from callsmith.pipeline.folder import LOG, PROGRESS
from callsmith.pipeline.reports import DISK_FULL, FAILURE, PARENT, Tail

SECONDS_TO_END = 15.0
"""How long a step may take to end in good order before it is killed."""
SECONDS_BETWEEN_LOOKS = 0.1


def run_process(
    job: Path, launch: Sequence[str] = (), heard: Callable[[dict[str, Any]], None] | None = None
) -> None:
    """Runs the process of a job file to its end; `heard` is given every report, as it comes.

    Whatever ends this function, an exception or a signal's included, ends the process too, and
    the processes that it started. Raises `StepError` with one line when the step failed.
    """
    folder = job.parent
    (folder / FAILURE).unlink(missing_ok=True)
    tail = Tail(folder / PROGRESS)
    command = [*launch] or [sys.executable, "-P"]
    with (folder / LOG).open("ab") as log:
        try:
            process = subprocess.Popen(
                [*command, "-m", "callsmith.pipeline.child", str(job)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, PARENT: str(os.getpid()), "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )
        except OSError as error:
            name = launch[0] if launch else sys.executable
            raise StepError(f"{name!r} cannot be started: {error.strerror or error}") from None
    try:
        while True:
            ended = _ended(process, SECONDS_BETWEEN_LOOKS)
            for report in tail.read():
                if heard is not None:
                    heard(report)
            if ended:
                break
    finally:
        _end(process)
    if process.returncode != 0:
        raise StepError(_why(process.returncode, folder))


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the process if it still runs, first in good order, then what is left of its group."""
    try:
        if process.poll() is None:
            process.terminate()
            _ended(process, SECONDS_TO_END)
    finally:  # also when somebody will not wait and interrupts a second time
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


def _why(code: int, folder: Path) -> str:
    """Why a process failed, as one line."""
    log = folder / LOG
    again = "the same command goes on with it"
    if code == DISK_FULL:
        return f"no space left on a disk that it writes to ({folder}?); make room, {again}"
    if code < 0:
        name = signal.Signals(-code).name
        often = " (often the memory ran out)" if -code == signal.SIGKILL else ""
        return f"was killed by {name}{often}; its log is {log}; {again}"
    try:
        found = json.loads((folder / FAILURE).read_text(encoding="utf-8"))
        message, known = str(found["message"]), bool(found["known"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"ended with exit code {code} and without a word; its log is {log}"
    return message if known else f"failed: {message}; its log is {log}"
