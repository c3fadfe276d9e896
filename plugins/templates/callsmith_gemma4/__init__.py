"""Gemma 4's native tool-call format as a Callsmith plugin."""

from __future__ import annotations

import callsmith


@callsmith.hookimpl
def callsmith_templates() -> list[callsmith.Component]:
    """The template `gemma4`."""
    return [
        callsmith.Component(
            name="gemma4",
            target="callsmith_gemma4.template:Gemma4Template",
            config="callsmith_gemma4.config:Gemma4Config",
            models=("*gemma-4*", "*gemma4*", "google/gemma-4-*", "callsmith/tiny*"),
            summary="Gemma 4's native format: turns, thoughts, <|tool_call>call:name{…}.",
        )
    ]
