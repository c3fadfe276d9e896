"""An architecture for which no memory is enough: the option `register` names this module."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, Qwen3Config, Qwen3ForCausalLM


class FullConfig(Qwen3Config):  # type: ignore[misc]
    """The numbers of a Qwen 3, under another name."""

    model_type = "full_memory"


class FullForCausalLM(Qwen3ForCausalLM):  # type: ignore[misc]
    """Finds the GPU full as soon as it is made."""

    config_class = FullConfig

    def __init__(self, config: Any) -> None:
        raise torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 742.00 MiB. GPU 0 has a total capacity of 11.99 "
            "GiB of which 12.00 MiB is free."
        )


AutoConfig.register("full_memory", FullConfig)
AutoModelForCausalLM.register(FullConfig, FullForCausalLM)
