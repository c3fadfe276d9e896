"""Qwen3's chat format, with Hermes-style `<tool_call>` JSON, as a Callsmith plugin."""

from __future__ import annotations

import callsmith


@callsmith.hookimpl
def callsmith_templates() -> list[callsmith.Component]:
    """The template `qwen3`."""
    return [
        callsmith.Component(
            name="qwen3",
            target="callsmith_qwen3.template:Qwen3Template",
            config="callsmith_qwen3.config:Qwen3Config",
            models=("qwen3", "qwen3[:-]*", "*/qwen3", "*/qwen3[:-]*"),
            summary="Qwen3's format: im_start turns, <think>, <tool_call>{JSON}</tool_call>.",
        )
    ]
