"""`tiny`: the embedded model as a text engine."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path

import numpy as np

from callsmith import (
    ArmError,
    Completion,
    ConfigError,
    Fidelity,
    JsonValue,
    Prompt,
    PromptTooLongError,
    Sampling,
)
from callsmith_tiny.config import TinyConfig
from callsmith_tiny.constraint import Constraint
from callsmith_tiny.generation import generate
from callsmith_tiny.model import TinyModel
from callsmith_tiny.tokens import Tokens

WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
SAMPLED = ("temperature", "top_p", "top_k", "max_tokens", "seed", "stop")


class TinyArm:
    """A `TextArm` that decodes in a thread of its own, one request after the other.

    `Completion.timings` are `prefill` and `decode`. Raises `ConfigError` when the option `path`
    names a folder without a model.
    """

    def __init__(self, config: TinyConfig | None = None) -> None:
        self.config = config or TinyConfig()
        folder = Path(self.config.path) if self.config.path else Path(__file__).parent
        for name in (WEIGHTS, TOKENIZER):
            if not (folder / name).is_file():
                raise ConfigError(
                    f"{folder} has no {name}; name a folder that training.export wrote, or leave "
                    "`path` out",
                    path="path",
                )
        try:
            self._model = TinyModel(folder / WEIGHTS)
            self._tokens = Tokens(folder / TOKENIZER)
        except ValueError as error:
            raise ConfigError(str(error), path="path") from None
        self._folder = folder
        self._threads: ThreadPoolExecutor | None = None

    async def complete(self, prompt: Prompt, sampling: Sampling) -> Completion:
        """One completion. Raises `ArmError` for an empty prompt, `PromptTooLongError`."""
        async with aclosing(self.stream(prompt, sampling)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Completion):
                    return piece
        raise AssertionError("a stream ends with its completion or raises")

    async def stream(
        self, prompt: Prompt, sampling: Sampling
    ) -> AsyncGenerator[str | Completion, None]:
        """Pieces of text as they come, then the whole completion."""
        ids = self._tokens.encode(prompt)
        if not ids:
            raise ArmError("the prompt is empty; there is nothing to go on from")
        limit = self.config.context_length
        if len(ids) + sampling.max_tokens > limit:
            raise PromptTooLongError(
                f"the prompt has {len(ids)} tokens and max_tokens is {sampling.max_tokens}, "
                f"together more than context_length {limit}; shorten the conversation, declare "
                "fewer tools, lower max_tokens or raise context_length"
            )
        constraint = Constraint(prompt.text) if self.config.constrain else None
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | Completion | BaseException] = asyncio.Queue()
        gone = threading.Event()

        def put(item: str | Completion | BaseException) -> None:
            if not gone.is_set():
                loop.call_soon_threadsafe(queue.put_nowait, item)

        def work() -> None:
            if gone.is_set():
                return
            try:
                items = generate(self._model, self._tokens, ids, sampling, gone.is_set, constraint)
                for item in items:
                    put(item)
            except Exception as error:  # carried to the reader, whatever it is
                put(error)

        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, thread_name_prefix="callsmith-tiny")
        self._threads.submit(work)
        try:
            while True:
                item = await queue.get()
                if isinstance(item, BaseException):
                    raise ArmError(f"decoding failed: {item!r}") from item
                yield item
                if isinstance(item, Completion):
                    return
        finally:
            gone.set()

    async def probe(self) -> Fidelity:
        """The model's digest, its precision, and what its training left in the metadata."""
        digest = hashlib.sha256()
        tokenizer = hashlib.sha256((self._folder / TOKENIZER).read_bytes()).hexdigest()
        for name in (WEIGHTS, TOKENIZER):
            digest.update((self._folder / name).read_bytes())
        details: dict[str, JsonValue] = {
            "parameters": self._model.parameters,
            "vocabulary": self._model.shape.vocabulary,
            "constrain": self.config.constrain,
        }
        training = self._model.metadata.get("training")
        if training:
            details["training"] = json.loads(training)
        return Fidelity(
            runtime="callsmith-tiny",
            runtime_version=f"numpy {np.__version__}",
            model=self.config.model,
            model_digest=f"sha256:{digest.hexdigest()}",
            quantization="F16 weights, F32 arithmetic",
            context_length=self.config.context_length,
            tokenizer_digest=f"sha256:{tokenizer}",
            sampling=dict.fromkeys(SAMPLED, "applied"),
            details=details,
        )

    async def aclose(self) -> None:
        """Ends the thread; a request that is under way is finished first."""
        threads, self._threads = self._threads, None
        if threads is not None:
            await asyncio.to_thread(threads.shutdown, cancel_futures=True)
