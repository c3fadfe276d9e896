"""Keeps what is trained in the precision that it was loaded in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def exact_weights(model: Any) -> Iterator[None]:
    """What is trained has the same numbers behind this as before.

    TRL casts the trainable weights of a 4-bit model to bfloat16 when it is built: an adapter that
    goes on from a stage before would lose what float32 had, and small steps would be lost later.
    """
    kept = {
        name: parameter.data
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    yield
    for name, parameter in model.named_parameters():
        if name in kept and parameter.dtype != kept[name].dtype:
            parameter.data = kept[name]
