"""`hf`: a model of transformers as a text engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from callsmith import (
    ArmError,
    CallsmithError,
    Completion,
    Fidelity,
    Prompt,
    PromptTooLongError,
    RenderError,
    Sampling,
)
from callsmith_hf import generation, library
from callsmith_hf.checkpoint import check_adapter, check_base, check_folder, local_folder
from callsmith_hf.config import HfConfig
from callsmith_hf.fidelity import describe
from callsmith_hf.library import Loaded
from callsmith_hf.worker import Item, Job, Worker


class HfArm:
    """A `TextArm`: requests go to one thread, which owns the model and decodes in batches.

    The model is loaded by the first request or probe. Requests that wait are decoded together,
    each by its own sampling. A request that is cancelled, or whose reader walks away, is
    given up before the next token.

    `Completion.token_ids` have the end token, which is not in the text. `logprobs` are the
    model's own, before temperature, top_k and top_p. `timings` are `queued`, `first_token` and
    `total`, from handing the request over. Raises `ConfigError` for a folder without a model or
    without an adapter, and for an adapter of another base.
    """

    def __init__(self, config: HfConfig) -> None:
        self.config = config
        folder = local_folder(config)
        if folder is not None:
            check_folder(folder, "path" if config.path else "model")
        self._adapter = check_adapter(Path(config.adapter).expanduser()) if config.adapter else None
        if folder is not None:
            check_base(folder, config)
        self._worker: Worker[Loaded] = Worker(
            lambda: library.load(config),
            lambda loaded, jobs: generation.run(loaded.network, jobs),
            batch_size=config.batch_size,
            wait=config.batch_wait if config.batch_size > 1 else 0.0,
        )

    async def complete(self, prompt: Prompt, sampling: Sampling) -> Completion:
        """One completion. Raises `ArmError`, `PromptTooLongError`, `ConfigError`."""
        async with aclosing(self.stream(prompt, sampling)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Completion):
                    return piece
        raise AssertionError("a stream ends with its completion or raises")

    async def stream(
        self, prompt: Prompt, sampling: Sampling
    ) -> AsyncGenerator[str | Completion, None]:
        """Pieces of text as they come, then the whole completion."""
        _check_sampling(sampling)
        loaded = await self._worker.model()
        ids = await asyncio.to_thread(_encode, loaded, prompt)
        if len(ids) + sampling.max_tokens > loaded.context:
            raise PromptTooLongError(
                f"the prompt has {len(ids)} tokens and max_tokens is {sampling.max_tokens}, "
                f"together more than the context of {loaded.context}; shorten the conversation, "
                "declare fewer tools or lower max_tokens"
            )
        loop = asyncio.get_running_loop()
        items: asyncio.Queue[Item] = asyncio.Queue()

        def emit(item: Item) -> None:
            loop.call_soon_threadsafe(items.put_nowait, item)

        job = Job(
            ids=ids,
            sampling=sampling,
            # A stop string that is one token stops by its id, whatever the text around it.
            ends=loaded.ends | frozenset(loaded.tokens.special(sampling.stop)),
            emit=emit,
            began=time.perf_counter(),
        )
        self._worker.submit(job)
        try:
            while not isinstance(item := await items.get(), Completion):
                if isinstance(item, ArmError):
                    raise item
                yield item
        finally:
            job.ended.set()
        yield item

    async def probe(self) -> Fidelity:
        """What is loaded; loads it. A model that cannot be loaded is a warning."""
        loaded: Loaded | None = None
        problem = ""
        try:
            loaded = await self._worker.model()
        except CallsmithError as error:
            problem = str(error)
        versions = (library.version(), library.versions())
        return await asyncio.to_thread(
            describe, self.config, self._adapter, loaded, versions, problem
        )

    async def aclose(self) -> None:
        """Gives the model back; requests that are under way fail."""
        await self._worker.close()
        library.release()


def _encode(loaded: Loaded, prompt: Prompt) -> list[int]:
    if not prompt.text:
        raise ArmError("the prompt is empty; there is nothing to go on from")
    try:
        return loaded.tokens.encode(prompt)
    except RenderError as error:
        raise ArmError(str(error)) from None


def _check_sampling(sampling: Sampling) -> None:
    """Raises `ArmError` for what cannot be sampled."""
    for wrong, line in (
        (sampling.max_tokens < 1, f"max_tokens is {sampling.max_tokens}; allow at least one"),
        (sampling.temperature < 0, f"temperature is {sampling.temperature}; use 0 or more"),
        (not 0 < sampling.top_p <= 1, f"top_p is {sampling.top_p}; use above 0, up to 1"),
        (sampling.top_k < 0, f"top_k is {sampling.top_k}; use 0 (off) or more"),
        ("" in sampling.stop, "a stop string is empty; leave it out"),
    ):
        if wrong:
            raise ArmError(line)
