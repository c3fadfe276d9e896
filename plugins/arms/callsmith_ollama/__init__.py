"""Ollama: `ollama-chat` (the server renders and parses) and `ollama-raw` (a text engine)."""

from __future__ import annotations

from collections.abc import Iterable

import callsmith


@callsmith.hookimpl
def callsmith_arms() -> Iterable[callsmith.Component]:
    """The two arms."""
    return [
        callsmith.Component(
            name="ollama-chat",
            target="callsmith_ollama.chat_arm:OllamaChatArm",
            config="callsmith_ollama.config:ChatConfig",
            provides="chat",
            summary="Ollama's /api/chat with JSON tools: the server renders and parses",
        ),
        callsmith.Component(
            name="ollama-raw",
            target="callsmith_ollama.raw_arm:OllamaRawArm",
            config="callsmith_ollama.config:RawConfig",
            provides="text",
            summary="Ollama's /api/generate in raw mode, used with a template of ours",
        ),
    ]
