"""`jax-sampler`: the library's stateless sampler, a text engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from callsmith import ArmError, Completion, Fidelity, Prompt, Sampling, Usage
from callsmith_jax import fidelity
from callsmith_jax.checked_settings import checked_settings
from callsmith_jax.config import SamplerConfig
from callsmith_jax.worker_pool import Lease


class JaxSamplerArm:
    """A `TextArm`: every completion starts from the whole prompt, nothing is kept in between.

    Content is tokenised so that control text in it is spelt out, never a control token.
    `Completion.stop_reason` is `end_of_turn`, `tool_response` (the model waits for results), `eos`,
    `stop` (a stop string), `length` or `cache_full`. Neither the token that ended the turn nor a
    stop string is in the text; `usage.completion_tokens` counts all tokens that were drawn, the
    ending one included. `Completion.timings` has `generate`, compiling included.

    The library's loop cannot stop at a string, so a completion with a stop string is drawn to its
    end and cut; `stream` yields the whole text at once.
    """

    def __init__(self, config: SamplerConfig) -> None:
        """Raises `ConfigError` where the interpreter or a file is missing."""
        self.config = config
        self._lease = Lease(checked_settings(config))

    async def complete(self, prompt: Prompt, sampling: Sampling) -> Completion:
        """One completion. Raises `ArmError`, `ArmTimeoutError`, `PromptTooLongError`."""
        if not prompt.text:
            raise ArmError("the prompt is empty; there is nothing to go on from")
        segments = [[part.text, part.origin == "control"] for part in prompt.segments]
        body = {"segments": segments, "sampling": sampling_body(sampling)}
        answer = await self._lease.worker.ask("sample", body, self.config.request_timeout)
        return completion(answer.body)

    async def stream(
        self, prompt: Prompt, sampling: Sampling
    ) -> AsyncGenerator[str | Completion, None]:
        """The text in one piece, then the completion."""
        whole = await self.complete(prompt, sampling)
        if whole.text:
            yield whole.text
        yield whole

    async def probe(self) -> Fidelity:
        """What the worker tells about itself and its model."""
        return await probed(self.config, self._lease, loop=False)

    async def aclose(self) -> None:
        """Ends the worker, unless another arm uses it."""
        await self._lease.release()


def sampling_body(sampling: Sampling) -> dict[str, Any]:
    """The sampling as the worker takes it."""
    return {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
        "stop": list(sampling.stop),
        "thinking": sampling.thinking,
    }


def completion(body: Any) -> Completion:
    """The completion in a worker's answer."""
    logprobs = body["logprobs"]
    return Completion(
        text=body["text"],
        stop_reason=body["stop_reason"],
        usage=Usage(prompt_tokens=body["prompt_tokens"], completion_tokens=body["drawn"]),
        timings={"generate": body["seconds"]},
        token_ids=tuple(body["token_ids"]),
        logprobs=None if logprobs is None else tuple(logprobs),
    )


async def probed(config: SamplerConfig, lease: Lease, *, loop: bool) -> Fidelity:
    """The fidelity of an arm. Loading goes on when `probe_timeout` is over."""
    try:
        async with asyncio.timeout(config.probe_timeout):
            answer = await lease.worker.ask("probe", {}, config.request_timeout)
    except TimeoutError:
        warning = f"the model was not loaded within {config.probe_timeout:g} s (probe_timeout)"
        return fidelity.unknown(config, warning)
    return fidelity.known(config, answer, loop=loop)
