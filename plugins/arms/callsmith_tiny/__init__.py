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


@callsmith.hookimpl
def callsmith_tasksets() -> Iterable[callsmith.Component]:
    """The conversations that the embedded model was trained on, as tasks."""
    return [
        callsmith.Component(
            name="generated-conversations",
            target="callsmith_tiny.training.tasks:GeneratedConversations",
            config="callsmith_tiny.training.conversations:ConversationsConfig",
            summary="synthetic tool calling by seed and index, with held-out words; no two alike",
        )
    ]


@callsmith.hookimpl
def callsmith_trainers() -> Iterable[callsmith.Component]:
    """The trainers `tiny-shipped` and `tiny-base`: what a pipeline can start from."""
    return [
        callsmith.Component(
            name="tiny-shipped",
            target="callsmith_tiny.training.shipped:TinyShipped",
            config="callsmith_tiny.training.shipped_config:TinyShippedConfig",
            extra="train",
            requirement="transformers",
            summary="the embedded model's weights, as a checkpoint that trainers go on from",
        ),
        callsmith.Component(
            name="tiny-base",
            target="callsmith_tiny.training.base:TinyBase",
            config="callsmith_tiny.training.base_config:TinyBaseConfig",
            extra="train",
            requirement="transformers",
            summary="a small Qwen3 from scratch, in minutes: stands in for a pretrained base",
        ),
    ]
