"""The embedded default: a very small model that ships with the package and runs on NumPy."""

from __future__ import annotations

from collections.abc import Iterable

import callsmith


@callsmith.hookimpl
def callsmith_arms() -> Iterable[callsmith.Component]:
    """The arm `tiny`."""
    return [
        callsmith.Component(
            name="tiny",
            target="callsmith_tiny.arm:TinyArm",
            config="callsmith_tiny.config:TinyConfig",
            provides="text",
            summary="embedded 3 M parameter model on NumPy; speaks Gemma 4's native format",
        )
    ]
