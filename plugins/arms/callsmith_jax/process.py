"""One worker process: started, asked one thing at a time, killed. Synchronous.

Plain threads and pipes rather than asyncio's subprocesses: a process then belongs to no event
loop, so arms in several loops, one after the other, can share a loaded model.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callsmith import ArmError, ArmTimeoutError, ConfigError, PromptTooLongError, RenderError

WORKER = Path(__file__).parent / "worker"
PROTOCOL = 1
"""The protocol that this side speaks; the worker's is in its hello."""

_STDERR_LINES = 5
_LAST_WORDS = 5.0
"""Seconds that are waited for the rest of its output once it ended."""

_OWN_VARIABLES = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


class SessionLostError(ArmError):
    """The worker has no such tool loop any more."""


_ERRORS: dict[str, type[Exception]] = {
    "too-long": PromptTooLongError,
    "conversation": RenderError,
    "configuration": ConfigError,
    "session": SessionLostError,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What a worker says first: its Python and the versions it has (None: missing)."""

    python: str
    versions: Mapping[str, str | None]

    @property
    def too_old(self) -> bool:
        """Whether the gemma library cannot even be parsed."""
        major, minor = (int(part) for part in self.python.split(".")[:2])
        return (major, minor) < (3, 12)


class WorkerProcess:
    """A running worker. `hello` is what it said; `alive` is false once it ended."""

    def __init__(self, python: Path, variables: Mapping[str, str], start_timeout: float) -> None:
        """Starts it and waits for its hello.

        Raises `ArmError` where it does not start, ends, or speaks another protocol, and
        `ArmTimeoutError` after `start_timeout` seconds.
        """
        environment = {k: v for k, v in os.environ.items() if k not in _OWN_VARIABLES}
        environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._errors: deque[str] = deque(maxlen=_STDERR_LINES)
        self._count = 0
        self._killing = threading.Lock()
        try:
            self._process = subprocess.Popen(
                [str(python), "-I", str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**environment, **variables},
                text=True,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            raise ArmError(
                f"the JAX worker's interpreter {python} does not start: {error}"
            ) from None
        self._threads = [
            threading.Thread(target=target, name=f"jax-worker-{name}", daemon=True)
            for name, target in (("stdout", self._read), ("stderr", self._read_errors))
        ]
        for thread in self._threads:
            thread.start()
        try:
            self.hello = self._greeted(start_timeout)
        except BaseException:
            self.kill()
            raise

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def ask(self, do: str, body: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        """Sends one request and waits for its answer.

        Raises what the worker's error stands for (`PromptTooLongError`, `RenderError`,
        `ConfigError`, `SessionLostError`, `ArmError`), `ArmError` with the last lines of its
        stderr when it died, and `ArmTimeoutError` after `timeout` seconds; it is killed then,
        since nothing else can stop it.
        """
        self._count += 1
        line = json.dumps({"id": self._count, "do": do, **body}, ensure_ascii=True)
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(line + "\n")
            stdin.flush()
        except (OSError, ValueError):
            raise self._died(f"during `{do}`") from None
        answer = self._line(timeout, f"`{do}`")
        if answer.get("id") != self._count:
            self.kill()
            raise ArmError(f"the JAX worker answered another request: {json.dumps(answer)[:120]}")
        error = answer.get("error")
        if error is not None:
            raise _ERRORS.get(error.get("kind"), ArmError)(str(error.get("message")))
        found = answer.get("ok")
        if not isinstance(found, dict):
            self.kill()
            raise ArmError(f"the JAX worker's answer has no result: {json.dumps(answer)[:120]}")
        return found

    def kill(self) -> None:
        """Ends it, whatever it does. May be called twice, and from another thread."""
        with self._killing:
            self._process.kill()
            self._process.wait()
            for thread in self._threads:
                if thread is not threading.current_thread():
                    thread.join(_LAST_WORDS)
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                if pipe is not None and not pipe.closed:
                    with contextlib.suppress(OSError):  # buffered for a process that is gone
                        pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if line.strip():
                self._errors.append(line.strip())

    def _greeted(self, timeout: float) -> Hello:
        said = self._line(timeout, "its hello")
        if said.get("hello") != "callsmith-jax":
            raise ArmError(f"the JAX worker said no hello: {json.dumps(said)[:120]}")
        if said.get("protocol") != PROTOCOL:
            raise ArmError(
                f"the JAX worker speaks protocol {said.get('protocol')} and callsmith {PROTOCOL}; "
                "reinstall callsmith"
            )
        return Hello(python=str(said["python"]), versions=said["versions"])

    def _line(self, timeout: float, during: str) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            self.kill()
            raise ArmTimeoutError(
                f"the JAX worker was not done with {during} within {timeout:g} s and was killed"
            ) from None
        if line is None:
            raise self._died(f"during {during}")
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            self.kill()
            raise ArmError(f"the JAX worker wrote what is no answer: {line.strip()[:120]!r}")
        return value

    def _died(self, when: str) -> ArmError:
        self.kill()  # also waits for the rest of stderr
        code = self._process.returncode
        last = " | ".join(self._errors) or "it wrote nothing to stderr"
        return ArmError(f"the JAX worker ended {when} (exit code {code}): {last[-800:]}")
