"""What this package uses of vLLM's objects: the names and types, without importing vLLM.

vLLM's engine is not a stable interface. `tests/vllm` compares all of this with the installed
library, and `tests/fixtures/vllm_engine.py` stands in for it elsewhere.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Any, Protocol


class Output(Protocol):
    """`vllm.outputs.CompletionOutput`: what came since the last one (`RequestOutputKind.DELTA`).

    `logprobs` has one mapping per token, from token id to an object with `logprob`; the sampled
    token is always in it. `finish_reason` is None until the last one.
    """

    text: str
    token_ids: Sequence[int]
    logprobs: Sequence[Mapping[int, Any]] | None
    finish_reason: str | None
    stop_reason: int | str | None


class RequestOutput(Protocol):
    """`vllm.outputs.RequestOutput`."""

    outputs: Sequence[Output]
    prompt_token_ids: Sequence[int] | None
    finished: bool


class Engine(Protocol):
    """`vllm.v1.engine.async_llm.AsyncLLM`."""

    model_config: Any
    vllm_config: Any

    def generate(
        self,
        prompt: Any,
        sampling_params: Any,
        request_id: str,
        *,
        lora_request: Any = None,
        tokenization_kwargs: dict[str, Any] | None = None,
    ) -> AsyncGenerator[RequestOutput, None]:
        """The pieces of one request; closing the generator aborts it."""
        ...

    async def abort(self, request_id: str | Iterable[str]) -> None:
        """Ends requests; an id that is not under way is no error."""
        ...

    async def add_lora(self, lora_request: Any) -> bool:
        """Loads an adapter."""
        ...

    def get_tokenizer(self) -> Any:
        """The tokenizer of transformers that the engine uses."""
        ...

    def shutdown(self) -> None:
        """Ends the engine's processes. Takes seconds."""
        ...
