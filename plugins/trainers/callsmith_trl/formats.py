"""The tokens of a chat format: those that it writes, and those that end a completion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from callsmith import (
    CallsmithError,
    Message,
    PromptTokens,
    RenderError,
    Task,
    Template,
    ToolCall,
    ToolSpec,
)
from callsmith_trl.rows import completion_prompt, target_message

SAMPLE = 500
"""Tasks whose completions are looked at for tokens of the format."""

TURN_ENDS = {"gemma4": ("<turn|>", "<|tool_response>")}
"""By the beginning of a config's `model_type`: what ends a turn, also where a checkpoint's
generation config forgot it. The arm `hf` has the same list."""


def format_tokens(
    template: Template, tokens: PromptTokens, tasks: Sequence[Task] = (), *, thinking: bool = False
) -> dict[str, int]:
    """The added tokens that a template writes in a conversation with a call, with their ids.

    And those of what the first of `tasks` teach: a tokenizer may have one token for a bracket and
    the end of a call, which stands behind some values only.
    """
    tool = ToolSpec(
        name="look",
        description="Looks.",
        parameters={"type": "object", "properties": {"place": {"type": "string"}}},
    )
    call = ToolCall(name="look", arguments={"place": "there"}, id="call_0_0")
    asked = Message(role="user", content="Look there.")
    said = (
        asked,
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content="a tree", tool_call_id="call_0_0", name="look"),
        Message(role="assistant", content="A tree."),
    )
    found: set[int] = set()
    for messages, prompted in (((asked,), True), (said[:2], False), (said, False)):
        try:
            prompt = template.render(
                messages, (tool,), thinking=thinking, add_generation_prompt=prompted
            )
        except RenderError:
            continue
        found.update(tokens.encode(prompt))
    for task in tasks[:SAMPLE]:
        try:
            taught = completion_prompt(task, template, target_message(task), thinking=thinking)
        except CallsmithError:
            continue
        found.update(tokens.encode(taught))
    return {name: number for name, number in tokens.added.items() if number in found}


def end_ids(network: Any, tokens: PromptTokens, template: Template) -> frozenset[int]:
    """The ids that end a completion of this model: its own, the template's, the format's."""
    text = network.config.get_text_config()
    found: set[int] = set(tokens.find(template.stop))
    for place in (network.generation_config, text):
        value = getattr(place, "eos_token_id", None)
        found.update([] if value is None else value if isinstance(value, list) else [value])
    for beginning, names in TURN_ENDS.items():
        if str(text.model_type).startswith(beginning):
            found.update(tokens.find(names))
    return frozenset(found)
