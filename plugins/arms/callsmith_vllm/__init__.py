"""vLLM's engine in this process: `vllm`, a text engine."""

from __future__ import annotations

from collections.abc import Iterable

import callsmith


@callsmith.hookimpl
def callsmith_arms() -> Iterable[callsmith.Component]:
    """The arm `vllm`."""
    return [
        callsmith.Component(
            name="vllm",
            target="callsmith_vllm.arm:VllmArm",
            config="callsmith_vllm.config:VllmConfig",
            extra="vllm",
            requirement="vllm",
            provides="text",
            summary="vLLM's engine in this process: batched, token ids in and out, adapters",
        )
    ]
