"""Workers by what they have loaded: arms with the same settings share one.

A loaded model may fill a GPU, so two arms of one run must not load it twice.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callsmith import ArmError
from callsmith_jax.config import SamplerConfig
from callsmith_jax.location import worker_python
from callsmith_jax.process import Hello, WorkerProcess


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that decides what a worker is. `load` are the fields of its first request."""

    python: Path
    variables: tuple[tuple[str, str], ...]
    load: tuple[tuple[str, Any], ...]
    start_timeout: float
    load_timeout: float

    @classmethod
    def of(cls, config: SamplerConfig) -> Settings:
        """The settings that an arm's options mean."""
        variables: dict[str, str] = {}
        if config.platform != "auto":
            names = {"cpu": "cpu", "gpu": "cuda", "tpu": "tpu"}
            variables["JAX_PLATFORMS"] = names[config.platform]
        if config.memory_fraction is not None:
            variables["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{config.memory_fraction:g}"
        if config.preallocate is not None:
            variables["XLA_PYTHON_CLIENT_PREALLOCATE"] = str(config.preallocate).lower()
        load = {
            "checkpoint": _absolute(config.checkpoint),
            "tokenizer": _absolute(config.tokenizer),
            "model": _absolute(config.model) if config.model.endswith(".json") else config.model,
            "cache_length": config.cache_length,
            "max_out_length": config.max_out_length,
            "pad_lengths": config.pad_lengths,
            "logprobs": config.logprobs,
        }
        return cls(
            python=worker_python(config.python),
            variables=tuple(sorted(variables.items())),
            load=tuple(load.items()),
            start_timeout=config.start_timeout,
            load_timeout=config.load_timeout,
        )


def _absolute(path: str) -> str:
    """A local path from where the host runs; a name or an address as it is."""
    return str(Path(path).absolute()) if path and Path(path).exists() else path


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A result, and the hello of the process that gave it."""

    body: Mapping[str, Any]
    hello: Hello


class _Job:
    def __init__(self, do: str, body: Mapping[str, Any], timeout: float) -> None:
        self.do = do
        self.body = body
        self.timeout = timeout
        self.future: Future[Answer] = Future()


class Worker:
    """Keeps a process running while it is needed, and gives it one request at a time.

    A process that died is replaced at the next request. An abandoned request that is under way is
    finished first; its result is dropped.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="jax-worker", daemon=True)
        self._process: WorkerProcess | None = None
        self._loaded = False
        self._closed = False
        self._thread.start()

    async def ask(self, do: str, body: Mapping[str, Any], timeout: float) -> Answer:
        """The answer to a request; see `WorkerProcess.ask` for what it raises.

        `timeout` counts from the moment that the worker is asked, so neither loading nor the
        requests before this one are in it.
        """
        job = _Job(do, body, timeout)
        self._jobs.put(job)
        return await asyncio.wrap_future(job.future)

    def close(self) -> None:
        """Kills the process and ends the thread; requests that wait get an `ArmError`."""
        self._closed = True
        process = self._process
        if process is not None:
            process.kill()
        self._jobs.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                break
            if not job.future.set_running_or_notify_cancel():
                continue
            try:
                if self._closed:
                    raise ArmError("the arm was closed")
                process = self._ready()
                body = process.ask(job.do, job.body, job.timeout)
                job.future.set_result(Answer(body=body, hello=process.hello))
            except BaseException as error:  # carried to the one who waits, whatever it is
                job.future.set_exception(error)
        if self._process is not None:
            self._process.kill()

    def _ready(self) -> WorkerProcess:
        """A process with the model loaded."""
        if self._process is None or not self._process.alive:
            if self._process is not None:
                self._process.kill()
            self._loaded = False
            self._process = WorkerProcess(
                self.settings.python, dict(self.settings.variables), self.settings.start_timeout
            )
            if self._closed:  # `close` came while it started
                self._process.kill()
                raise ArmError("the arm was closed")
        if not self._loaded:
            self._process.ask("load", dict(self.settings.load), self.settings.load_timeout)
            self._loaded = True
        return self._process


class _Shared:
    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.leases = 0


_LOCK = threading.Lock()
_SHARED: dict[Settings, _Shared] = {}


class Lease:
    """The right to use a worker, until `release`. The last one to release ends the worker."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._shared: _Shared | None = None

    @property
    def worker(self) -> Worker:
        """The worker, started on first use."""
        with _LOCK:
            if self._shared is None:
                shared = _SHARED.get(self.settings)
                if shared is None:
                    shared = _SHARED[self.settings] = _Shared(Worker(self.settings))
                shared.leases += 1
                self._shared = shared
            return self._shared.worker

    async def release(self) -> None:
        """Gives the right back. May be called twice."""
        with _LOCK:
            shared, self._shared = self._shared, None
            if shared is None:
                return
            shared.leases -= 1
            last = shared.leases == 0
            if last:
                del _SHARED[self.settings]
        if last:
            await asyncio.to_thread(shared.worker.close)
