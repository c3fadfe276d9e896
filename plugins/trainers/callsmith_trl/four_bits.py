"""4-bit layers that compute the same in evaluation and in training. Imports nothing heavy."""

from __future__ import annotations

from typing import Any


def keep_layout(model: Any) -> None:
    """Leaves 4-bit weights in the layout that training needs.

    On processors with AVX512-BF16, bitsandbytes 0.50 puts them into another one when a layer is
    first used for evaluation (`Linear4bit.forward`). That layout passes no gradient on, so that
    after the first probe nothing below a layer learns from it; it computes in bfloat16 whatever
    the dtype; and it refuses layers whose width is no multiple of 32.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
