"""`ollama-raw`: `/api/generate` with `raw: true`, a text engine."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from callsmith import ArmError, Completion, Fidelity, Prompt, Sampling
from callsmith_ollama import wire
from callsmith_ollama.client import Attempts, OllamaClient
from callsmith_ollama.config import RawConfig
from callsmith_ollama.probe import probe_raw

PATH = "/api/generate"


class OllamaRawArm:
    """A `TextArm`: the prompt goes in as it is, the text comes out as it is.

    `think` is always sent as false: in raw mode whether the model thinks is written in the
    prompt, by the template, and `true` would make the server cut thoughts out of the text for
    some models. It never stops at `<tool_call|>`, which would hide every call after the first;
    Gemma 4 ends its turn with a token that ends generation anyway.

    `Completion.timings` has `retry` if the request had to be sent again; see `wire.timings`.
    """

    def __init__(self, config: RawConfig) -> None:
        self.config = config
        self.client = OllamaClient(config)
        self._context_length: int | None = None

    async def complete(self, prompt: Prompt, sampling: Sampling) -> Completion:
        """One completion. Raises `ArmError`, `ArmTimeoutError` or `PromptTooLongError`."""
        async with aclosing(self.stream(prompt, sampling)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Completion):
                    return piece
        raise AssertionError("a stream ends with its completion or raises")

    async def stream(
        self, prompt: Prompt, sampling: Sampling
    ) -> AsyncGenerator[str | Completion, None]:
        """Pieces of text as they come, then the whole completion."""
        if "<tool_call|>" in sampling.stop:
            raise ArmError(
                "stopping at '<tool_call|>' would hide every call after the first; remove it from "
                "sampling.stop"
            )
        text = prompt.text
        if not text:
            raise ArmError("the prompt is empty; Ollama would only load the model")
        body = wire.frame(
            self.config.model,
            wire.options(sampling, self.config.num_ctx),
            think=False,
            keep_alive=self.config.keep_alive,
        )
        body.update(prompt=text, raw=True)
        attempts = Attempts()
        parts: list[str] = []
        first: float | None = None
        async with aclosing(self.client.stream(PATH, body, attempts)) as lines:
            async for line in lines:
                if line.get("thinking"):
                    raise ArmError(
                        "the server took a thought out of the raw text, so the completion is not "
                        "what the model wrote; use another model or ollama-chat"
                    )
                piece = line.get("response", "")
                if not isinstance(piece, str):
                    raise ArmError(f"{PATH}: `response` is not text: {piece!r:.80}")
                if piece:
                    if first is None:
                        first = time.perf_counter() - attempts.sent
                    parts.append(piece)
                    yield piece
                if line.get("done") is True:
                    wire.check_answer(
                        line,
                        max_tokens=sampling.max_tokens,
                        num_ctx=self.config.num_ctx,
                        context_length=self._context_length,
                    )
                    yield Completion(
                        text="".join(parts),
                        stop_reason=wire.stop_reason(line),
                        usage=wire.usage(line),
                        timings=wire.timings(line, first_token=first, retry=attempts.lost),
                    )

    async def probe(self) -> Fidelity:
        """What the server tells, and whether control tokens survive in the text."""
        fidelity = await probe_raw(self.client, self.config)
        self._context_length = fidelity.context_length
        return fidelity

    async def aclose(self) -> None:
        """Closes the session."""
        await self.client.aclose()
