"""OpenAI-compatible servers: `openai-chat` (the server renders and parses) and
`openai-completions` (a text engine)."""

from __future__ import annotations

from collections.abc import Iterable

import callsmith


@callsmith.hookimpl
def callsmith_arms() -> Iterable[callsmith.Component]:
    """The two arms."""
    return [
        callsmith.Component(
            name="openai-chat",
            target="callsmith_openai.chat_arm:OpenAIChatArm",
            config="callsmith_openai.config:ChatConfig",
            provides="chat",
            summary="/v1/chat/completions with tools: the server renders and parses",
        ),
        callsmith.Component(
            name="openai-completions",
            target="callsmith_openai.completions_arm:OpenAICompletionsArm",
            config="callsmith_openai.config:CompletionsConfig",
            provides="text",
            summary="/v1/completions, used with a template of ours",
        ),
    ]
