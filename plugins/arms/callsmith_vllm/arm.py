"""`vllm`: the engine as a text engine."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from callsmith import (
    ArmError,
    CallsmithError,
    Completion,
    Fidelity,
    Prompt,
    PromptTokens,
    PromptTooLongError,
    RenderError,
    Sampling,
)
from callsmith_vllm import library
from callsmith_vllm.adapters import choose
from callsmith_vllm.assembly import Assembly
from callsmith_vllm.checkpoint import check_folder
from callsmith_vllm.config import VllmConfig
from callsmith_vllm.failures import one_line, request_failure, start_failure
from callsmith_vllm.fidelity import describe
from callsmith_vllm.interface import Engine
from callsmith_vllm.lifetime import Lifetime

log = logging.getLogger(__name__)


class VllmArm:
    """A `TextArm`: requests go to one engine, which decodes those that are under way together.

    The engine is started by the first request or probe, in processes of its own. A request that
    is cancelled, or whose reader walks away, is aborted in the engine.

    `Completion.token_ids` have the end token, which is not in the text. `logprobs` are the
    model's own, before temperature, top_k and top_p. `timings` are `first_token` and `total`,
    from handing the request to the engine. Raises `ConfigError` for a folder without a model or
    without an adapter.
    """

    def __init__(self, config: VllmConfig) -> None:
        self.config = config
        check_folder(config)
        self._adapter = choose(config.adapters, config.adapter)
        self._arguments = library.engine_arguments(config, self._adapter)
        self._lora = None if self._adapter is None else library.to_lora(self._adapter)
        self._lifetime = Lifetime(self._start, config.model, config.restarts)
        self._tokens: PromptTokens | None = None
        self._running: dict[str, Engine] = {}

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
        engine = await self._lifetime.engine()
        tokens = self._tokens
        ids = self._ids(engine, prompt)
        self._check_length(engine, len(ids), sampling)
        stops = list(self.config.stop_token_ids)
        # A stop string that is one token stops by its id, whatever the text around it.
        stops += tokens.special(sampling.stop) if tokens is not None else []
        parameters = library.to_sampling(
            sampling, stop_token_ids=list(dict.fromkeys(stops)), logprobs=self.config.logprobs
        )
        arguments: dict[str, Any] = {"lora_request": self._lora}
        if self.config.prompt_as == "text":
            # Without this vLLM puts a second <bos> before the one that the template wrote.
            arguments["tokenization_kwargs"] = {"add_special_tokens": False}
        given = library.to_prompt(prompt.text if self.config.prompt_as == "text" else ids)
        number = f"callsmith-{uuid.uuid4().hex}"
        assembly = Assembly(str if tokens is None else tokens.name)
        began = time.perf_counter()
        self._running[number] = engine
        try:
            outputs = engine.generate(given, parameters, number, **arguments)
            async with aclosing(outputs):
                async for output in outputs:
                    piece = assembly.take(output, time.perf_counter() - began)
                    if piece:
                        yield piece
            whole = assembly.completion(time.perf_counter() - began)
        except library.EngineDeadError as error:
            raise await self._lifetime.lost(engine) from error
        except Exception as error:
            await self._abort(engine, number)
            raise error if isinstance(error, ArmError) else request_failure(error) from error
        except BaseException:  # cancelled, or the reader walked away
            await self._abort(engine, number)
            raise
        finally:
            self._running.pop(number, None)
        yield whole

    async def probe(self) -> Fidelity:
        """What the engine runs; starts it. An engine that does not start is a warning."""
        engine: Engine | None = None
        problem = ""
        try:
            engine = await self._lifetime.engine()
        except CallsmithError as error:
            problem = str(error)
        return await asyncio.to_thread(
            describe, self.config, self._adapter, engine, library.version(), problem
        )

    async def aclose(self) -> None:
        """Ends the engine; requests that are under way fail."""
        for number, engine in list(self._running.items()):
            await self._abort(engine, number)
        await self._lifetime.close()

    async def _start(self) -> Engine:
        name = self.config.model
        try:
            engine = await asyncio.to_thread(library.start, self._arguments)
        except Exception as error:
            raise start_failure(error, name) from error
        try:
            if self.config.prompt_as == "ids":
                self._tokens = _prompt_tokens(engine, self.config)
            if self._lora is not None:
                await engine.add_lora(self._lora)  # while loading, a bad one harms nobody
        except Exception as error:
            await asyncio.to_thread(engine.shutdown)
            if isinstance(error, CallsmithError):
                raise
            raise ArmError(
                f"the adapter {self.config.adapter!r} could not be loaded: {one_line(error)}"
            ) from error
        return engine

    def _ids(self, engine: Engine, prompt: Prompt) -> list[int]:
        text = prompt.text
        if not text:
            raise ArmError("the prompt is empty; there is nothing to go on from")
        if self._tokens is not None:
            try:
                return self._tokens.encode(prompt)
            except RenderError as error:
                raise ArmError(str(error)) from None
        return list(engine.get_tokenizer().encode(text, add_special_tokens=False))

    def _check_length(self, engine: Engine, count: int, sampling: Sampling) -> None:
        limit = int(engine.model_config.max_model_len)
        if count + sampling.max_tokens > limit:
            raise PromptTooLongError(
                f"the prompt has {count} tokens and max_tokens is {sampling.max_tokens}, together "
                f"more than max_model_len {limit}; shorten the conversation, declare fewer tools, "
                "lower max_tokens or raise max_model_len"
            )

    async def _abort(self, engine: Engine, number: str) -> None:
        # Shielded: the task that asks may be cancelled once more meanwhile.
        try:
            await asyncio.shield(asyncio.ensure_future(engine.abort(number)))
        except Exception:
            log.debug("request %s could not be aborted", number, exc_info=True)


def _prompt_tokens(engine: Engine, config: VllmConfig) -> PromptTokens:
    backend: Any = getattr(engine.get_tokenizer(), "backend_tokenizer", None)
    to_str: Any = getattr(backend, "to_str", None)
    if to_str is None:
        raise ArmError(
            f"the tokenizer of {config.model} is no tokenizer.json, so content cannot be tokenised "
            "apart from control text; set prompt_as: text, which lets content forge control tokens"
        )
    return PromptTokens(to_str(), config.control_tokens)
