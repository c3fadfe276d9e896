"""The one thread that owns the model: it loads it, and runs what waits, in batches."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

from callsmith import ArmError, CallsmithError, Completion, Sampling
from callsmith_hf.failures import one_line

log = logging.getLogger(__name__)

Item: TypeAlias = str | Completion | ArmError
Model = TypeVar("Model")


@dataclass(eq=False, slots=True, kw_only=True)
class Job:
    """One request. `emit` takes pieces of text and then the completion, or an error."""

    ids: Sequence[int]
    sampling: Sampling
    ends: frozenset[int]
    emit: Callable[[Item], None]
    began: float
    """When it was handed over, by `time.perf_counter`."""
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when nobody waits for it any more; it is given up between two tokens."""

    def send(self, item: Item) -> None:
        """Emits; a request whose reader is gone has ended."""
        try:
            self.emit(item)
        except RuntimeError:  # its event loop is closed
            self.ended.set()

    def fail(self, error: ArmError) -> None:
        """Ends the request with an error."""
        if not self.ended.is_set():
            self.send(error)
            self.ended.set()


class Worker(Generic[Model]):
    """Loads a model once, when it is first needed, and runs jobs on it in one thread.

    Whoever gives up waiting does not stop the loading. A model that could not be loaded is not
    tried again: every request gets the same error at once.
    """

    def __init__(
        self,
        load: Callable[[], Model],
        run: Callable[[Model, Sequence[Job]], None],
        *,
        batch_size: int,
        wait: float,
    ) -> None:
        """`load` and `run` are called in the thread; `run` leaves no job without an end.

        A batch has up to `batch_size` jobs and waits up to `wait` seconds to become full.
        """
        self._load = load
        self._run = run
        self._batch_size = batch_size
        self._wait = wait
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._running: list[Job] = []
        self._thread: threading.Thread | None = None
        self._model: Future[Model] = Future()
        self._model.set_running_or_notify_cancel()  # so that no reader can cancel it
        self._closed = False

    async def model(self) -> Model:
        """The loaded model. Raises `ArmError` or `ConfigError` if there will be none."""
        with self._changed:
            self._check_open()
            if self._thread is None:
                self._thread = threading.Thread(target=self._main, name="callsmith-hf", daemon=True)
                self._thread.start()
            future = self._model
        return await asyncio.shield(asyncio.wrap_future(future))

    def submit(self, job: Job) -> None:
        """Hands over a job. Raises `ArmError` when closed."""
        with self._changed:
            self._check_open()
            self._waiting.append(job)
            self._changed.notify_all()

    async def close(self) -> None:
        """Ends all requests and the thread, and gives the model back. May be called twice."""
        with self._changed:
            self._closed = True
            for job in (*self._waiting, *self._running):
                job.fail(ArmError("the arm was closed before the request was done"))
            self._waiting.clear()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            await asyncio.to_thread(thread.join)
        self._model = Future()
        gc.collect()

    def _check_open(self) -> None:
        if self._closed:
            raise ArmError("the arm is closed; build a new one")

    def _main(self) -> None:
        try:
            model = self._load()
        except CallsmithError as error:
            self._model.set_exception(error)
        except Exception as error:
            log.debug("the model could not be loaded", exc_info=True)
            self._model.set_exception(ArmError(f"the model could not be loaded: {one_line(error)}"))
        else:
            self._model.set_result(model)
            while batch := self._next():
                self._attempt(model, batch)

    def _next(self) -> list[Job]:
        """The next batch; an empty one when closed."""
        with self._changed:
            while True:
                self._running = []
                self._changed.wait_for(lambda: self._closed or self._waiting)
                self._changed.wait_for(
                    lambda: self._closed or len(self._waiting) >= self._batch_size, self._wait
                )
                if self._closed:
                    return []
                while self._waiting and len(self._running) < self._batch_size:
                    job = self._waiting.popleft()
                    if not job.ended.is_set():
                        self._running.append(job)
                if self._running:
                    return list(self._running)

    def _attempt(self, model: Model, batch: Sequence[Job]) -> None:
        failure: ArmError | None = None
        try:
            self._run(model, batch)
        except ArmError as error:
            failure = error
        except Exception as error:
            log.debug("a batch failed", exc_info=True)
            failure = ArmError(f"transformers failed: {one_line(error)}")
        if failure is not None:
            for job in batch:
                job.fail(failure)
