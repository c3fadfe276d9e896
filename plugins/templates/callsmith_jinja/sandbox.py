"""A template in a process of its own, bounded in time, memory and size."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping
from typing import Any

from callsmith import ConfigError, RenderError

START = 60.0
"""Seconds that the process may take to start: a busy machine is no fault of the template's."""
READ = 10.0
"""Seconds that reading a template may take at least: it is compiled, which can be made slow."""
LONGEST = 500
"""Characters of a message that a template can choose."""


class Sandbox:
    """Renders one template. The process is started by the first rendering.

    May be used from several threads: one rendering at a time. A rendering that takes too long, or
    too much, ends the process; the next one starts another.
    """

    def __init__(
        self,
        text: str,
        *,
        place: str,
        date: str = "",
        timeout: float = 10.0,
        max_characters: int = 8_000_000,
        memory_mib: int = 1024,
    ) -> None:
        self._first = {
            "template": text,
            "date": date,
            "max_characters": max_characters,
            "memory_mib": memory_mib,
        }
        self._place = place
        self._timeout = timeout
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize[[subprocess.Popen[bytes]], Sandbox] | None = None

    def render(self, variables: Mapping[str, Any]) -> str:
        """The template's text. Raises `RenderError`, or `ConfigError` for a template that is none.

        `variables` are JSON values.
        """
        try:
            line = json.dumps(dict(variables), allow_nan=False)
        except (ValueError, TypeError, RecursionError) as error:
            raise RenderError(f"the conversation cannot be written as JSON: {error}") from None
        with self._lock:
            if self._process is None:
                self._start()
            answer = self._ask(line, self._timeout)
        if "text" in answer:
            return str(answer["text"])
        raise RenderError(f"{self._place}: the template {_said(answer)}")

    def close(self) -> None:
        """Ends the process. May be called twice; another rendering starts it again."""
        with self._lock:
            self._stop()

    def _start(self) -> None:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "callsmith_jinja.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._process = process
        self._end = weakref.finalize(self, _end, process)
        answer = self._ask("{}", max(START, self._timeout))
        if "text" in answer:
            answer = self._ask(json.dumps(self._first), max(READ, self._timeout))
        if "text" not in answer:
            self._stop()
            detail = _one_line(str(answer["detail"]))
            if answer["problem"] != "syntax":
                raise RenderError(f"{self._place}: reading the template {detail}")
            raise ConfigError(f"{self._place} is no chat template: {detail}")

    def _ask(self, line: str, timeout: float) -> Mapping[str, Any]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Event()

        def kill() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(timeout, kill)
        timer.daemon = True
        timer.start()
        try:
            process.stdin.write(line.encode() + b"\n")
            process.stdin.flush()
            said = process.stdout.readline()
        except OSError:
            said = b""
        finally:
            timer.cancel()
        if said.endswith(b"\n"):
            answer: Mapping[str, Any] = json.loads(said)
            if answer.get("problem") == "memory":
                self._stop()
            return answer
        self._stop()
        if late.is_set():
            return {"problem": "late", "detail": f"takes longer than {timeout:g} s"}
        return {"problem": "died", "detail": "ended the process that renders"}

    def _stop(self) -> None:
        if self._end is not None:
            self._end()
        self._process = self._end = None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what was not written is lost with the process
                pipe.close()
    process.wait()


def _one_line(detail: str) -> str:
    """A stranger's words as one line that no terminal obeys and that does not fill the screen."""
    line = " ".join(detail[: 4 * LONGEST].split())
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _said(answer: Mapping[str, Any]) -> str:
    detail = _one_line(str(answer["detail"]))
    return {"refused": f"refuses: {detail}", "failed": f"fails: {detail}"}.get(
        str(answer["problem"]), detail
    )
