"""One engine: started when it is first needed, once, and ended once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from callsmith import ArmError
from callsmith_vllm.failures import death
from callsmith_vllm.interface import Engine

log = logging.getLogger(__name__)


class Lifetime:
    """Starts, keeps, replaces and ends the engine of one arm.

    Starting takes minutes. Whoever gives up waiting does not stop it, and everybody who asks
    meanwhile waits for the same engine. An engine that did not start is not tried again: every
    request gets the same error at once.
    """

    def __init__(
        self, start: Callable[[], Coroutine[Any, Any, Engine]], what: str, restarts: int
    ) -> None:
        """`start` makes an engine or raises `CallsmithError`; `what` names it in errors."""
        self._start = start
        self._what = what
        self._left = restarts
        self._starting: asyncio.Task[Engine] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._dead = False
        self._closed = False

    async def engine(self) -> Engine:
        """The running engine. Raises `ArmError` if there is none and will be none."""
        if self._closed:
            raise ArmError("the arm is closed; build a new one")
        if self._dead:
            raise death(self._what, again=False)
        loop = asyncio.get_running_loop()
        if self._starting is None:
            self._loop = loop
            self._starting = asyncio.create_task(self._start())
        elif self._loop is not loop:
            raise ArmError(
                "vLLM's engine was started in another event loop; use one asyncio.run for all "
                "requests of an arm"
            )
        return await asyncio.shield(self._starting)

    async def lost(self, engine: Engine) -> ArmError:
        """Says that `engine` died. Returns the error to raise; several requests may say so."""
        if engine is self._current():
            self._starting = None
            self._dead = self._left == 0
            self._left = max(0, self._left - 1)
            await _end(engine)
        return death(self._what, again=not self._dead)

    async def close(self) -> None:
        """Ends the engine, if there is one; waits for one that is being started."""
        self._closed = True
        starting, self._starting = self._starting, None
        if starting is None:
            return
        if self._loop is asyncio.get_running_loop():
            await asyncio.wait([starting])
        elif not starting.done():
            log.warning("an arm is closed in another event loop than its engine is started in")
        engine = _result(starting)
        if engine is not None:
            _silence(engine)
            await _end(engine)

    def _current(self) -> Engine | None:
        return None if self._starting is None else _result(self._starting)


def _result(task: asyncio.Task[Engine]) -> Engine | None:
    if not task.done() or task.cancelled() or task.exception() is not None:
        return None
    return task.result()


def _silence(engine: Engine) -> None:
    """Ends the task that reads the engine's output, which its shutdown would make log an error.

    Not for an engine that died: that task tells every waiting request.
    """
    handler = getattr(engine, "output_handler", None)
    if isinstance(handler, asyncio.Task) and handler.get_loop() is asyncio.get_running_loop():
        handler.cancel()


async def _end(engine: Engine) -> None:
    try:
        await asyncio.to_thread(engine.shutdown)
    except Exception:  # the processes may be gone already
        log.warning("vLLM's engine could not be shut down cleanly", exc_info=True)
