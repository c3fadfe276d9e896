"""Transformers in this process: `hf`, a text engine."""

from __future__ import annotations

from collections.abc import Iterable

import callsmith


@callsmith.hookimpl
def callsmith_arms() -> Iterable[callsmith.Component]:
    """The arm `hf`."""
    return [
        callsmith.Component(
            name="hf",
            target="callsmith_hf.arm:HfArm",
            config="callsmith_hf.config:HfConfig",
            extra="train",
            requirement="transformers",
            provides="text",
            summary="transformers in this process: any checkpoint folder, 4-bit, adapter unmerged",
        )
    ]
