"""The checkpoint's own chat template beside the one that is trained with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from callsmith import CallsmithError, Task, Template, tool_to_openai
from callsmith_trl.findings import Finding
from callsmith_trl.rows import prompt_of

COMPARED = 20
"""Prompts that are rendered by both."""


def compare_templates(
    tokenizer: Any, template: Template, tasks: Sequence[Task], *, thinking: bool = False
) -> list[Finding]:
    """Whether the checkpoint's own chat template writes the prompts that are trained on."""
    if not getattr(tokenizer, "chat_template", None):
        text = (
            "the checkpoint's tokenizer has no chat template, so nothing was compared; a server "
            "that renders by itself needs one beside the weights"
        )
        return [Finding(level="info", check="template", text=text)]
    differ: list[str] = []
    failed: list[tuple[str, str]] = []
    compared = 0
    for task in tasks[:COMPARED]:
        try:
            ours = prompt_of(task, template, thinking=thinking).text
        except CallsmithError:
            continue
        try:
            theirs = _render(tokenizer, task, thinking=thinking)
        except Exception as error:  # strangers' code, in jinja
            failed.append((task.id, " ".join(str(error).split())[:200]))
            continue
        compared += 1
        if ours != theirs:
            differ.append(task.id)
    if failed:
        text = f"the checkpoint's chat template fails on {failed[0][0]}: {failed[0][1]}"
        return [Finding(level="warning", check="template", text=text)]
    if differ:
        text = (
            f"{len(differ)} of {compared} prompts are not what the checkpoint's chat template "
            f"writes (first: {differ[0]}): a server that renders by itself would show the model "
            "other prompts than it was trained on; serve with this template, or train with the "
            "checkpoint's (template: jinja)"
        )
        return [Finding(level="warning", check="template", text=text)]
    text = f"the checkpoint's chat template writes the same {compared} prompts"
    return [Finding(level="info", check="template", text=text)] if compared else []


def _render(tokenizer: Any, task: Task, *, thinking: bool) -> str:
    messages: list[dict[str, Any]] = []
    for message in task.messages:
        item: dict[str, Any] = {"role": message.role, "content": message.content or ""}
        if message.reasoning:
            item["reasoning_content"] = message.reasoning
        if message.tool_calls:
            # Arguments are objects here: templates of Gemma 4 refuse JSON text.
            item["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in message.tool_calls
            ]
        if message.role == "tool":
            item |= {"tool_call_id": message.tool_call_id, "name": message.name}
        messages.append(item)
    text: str = tokenizer.apply_chat_template(
        messages,
        tools=[tool_to_openai(tool) for tool in task.tools] or None,
        add_generation_prompt=True,
        tokenize=False,
        enable_thinking=thinking,
    )
    return text
