"""Conversations in Qwen3's format, byte for byte as the official template.

A system block with the tools as JSON lines, turns between `<|im_start|>` and `<|im_end|>`, calls
as JSON between `<tool_call>` tags, results gathered in one user turn. What the official template
does with odd conversations is kept, because models were trained on its bytes; what it would lose
without a trace is refused (`RenderError`) or noted on the prompt.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from callsmith import (
    ConfigError,
    JsonValue,
    Message,
    PromptBuilder,
    RenderError,
    ToolCall,
    ToolSpec,
    tool_to_openai,
)
from callsmith_qwen3.control_tokens import (
    CALL_CLOSE,
    CALL_OPEN,
    CONTROL_TOKENS,
    RESPONSE_CLOSE,
    RESPONSE_OPEN,
    THINK_CLOSE,
    THINK_OPEN,
    TOOLS_CLOSE,
    TOOLS_OPEN,
    TURN_CLOSE,
    TURN_OPEN,
)

ROLES = ("system", "user", "assistant", "tool")

_TOOLS_HEAD = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    f"You are provided with function signatures within {TOOLS_OPEN}{TOOLS_CLOSE} XML tags:\n"
    f"{TOOLS_OPEN}"
)
_TOOLS_TAIL = (
    f"\n{TOOLS_CLOSE}\n\nFor each function call, return a json object with function name and "
    f"arguments within {CALL_OPEN}{CALL_CLOSE} XML tags:\n{CALL_OPEN}\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n'
    f"{CALL_CLOSE}{TURN_CLOSE}\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Everything beside the conversation that decides the bytes; see `Qwen3Config`."""

    variant: Literal["hybrid", "instruct-2507"] = "hybrid"
    thinking: bool = True
    structured_content: Literal["refuse", "inline"] = "refuse"
    add_generation_prompt: bool = True


def render_call(name: str, arguments: JsonValue) -> str:
    """One call as the official template writes it, with its tags and without line breaks around.

    Nothing is checked for control text: use a template's `render` for whole prompts. Raises
    `RenderError` for arguments that JSON cannot say.
    """
    prompt = PromptBuilder(CONTROL_TOKENS, "allow")
    _write_call(prompt, ToolCall(name=name, arguments=arguments))
    return prompt.build().text


def write_conversation(
    prompt: PromptBuilder, messages: Sequence[Message], tools: Sequence[ToolSpec], style: Style
) -> None:
    """Adds a whole conversation to `prompt`.

    Raises `RenderError`, with the message or tool at fault, where it cannot be written.
    """
    if not messages:
        raise RenderError("the conversation is empty; Qwen3's format needs at least one message")
    try:
        _write_system(prompt, messages[0], tools)
        _write_turns(prompt, messages, style)
    except RenderError as error:
        raise RenderError(f"{prompt.place}: {error}") from error.__cause__
    if style.add_generation_prompt:
        prompt.control(f"{TURN_OPEN}assistant\n")
        if style.variant == "hybrid" and not style.thinking:
            prompt.control(f"{THINK_OPEN}\n\n{THINK_CLOSE}\n\n")
        elif style.variant != "hybrid" and style.thinking:
            prompt.note("thinking was asked for, and the Instruct-2507 models have none")


def _write_system(prompt: PromptBuilder, first: Message, tools: Sequence[ToolSpec]) -> None:
    is_system = first.role == "system"
    if not is_system and not tools:
        return
    prompt.control(f"{TURN_OPEN}system\n")
    if is_system:
        prompt.at("messages[0]")
        if not isinstance(first.content, str):
            # The official template fails here, too, for want of a text to add to.
            raise RenderError(f"the system message must be text, not {first.content!r:.80}")
        prompt.content(first.content)
    if not tools:
        prompt.control(f"{TURN_CLOSE}\n")
        return
    prompt.control("\n\n" + _TOOLS_HEAD if is_system else _TOOLS_HEAD)
    for index, tool in enumerate(tools):
        prompt.at(f"tools[{index}]")
        prompt.control("\n")
        prompt.content(_json_text(tool_to_openai(tool), f"the tool {tool.name!r:.80}"))
    prompt.control(_TOOLS_TAIL)


def _write_turns(prompt: PromptBuilder, messages: Sequence[Message], style: Style) -> None:
    contents = []
    for index, message in enumerate(messages):
        prompt.at(f"messages[{index}]")
        contents.append(_content(message, style))
    last_query = _last_query(messages, contents)
    for index, message in enumerate(messages):
        prompt.at(f"messages[{index}]")
        role, content = message.role, contents[index]
        if role == "assistant":
            has_thought = style.variant == "hybrid"
            is_last = index == len(messages) - 1
            _write_assistant(prompt, message, content, has_thought, index > last_query, is_last)
            continue
        if message.tool_calls:
            prompt.note(f"{prompt.place}: calls of the role {role!r} are not in the prompt")
        if role == "tool":
            if index == 0 or messages[index - 1].role != "tool":
                prompt.control(f"{TURN_OPEN}user")
            prompt.control(f"\n{RESPONSE_OPEN}\n")
            prompt.content(content)
            prompt.control(f"\n{RESPONSE_CLOSE}")
            if index == len(messages) - 1 or messages[index + 1].role != "tool":
                prompt.control(f"{TURN_CLOSE}\n")
        elif role == "user" or index:  # a system message at the start is written already
            prompt.control(f"{TURN_OPEN}{role}\n")
            prompt.content(content)
            prompt.control(f"{TURN_CLOSE}\n")


def _last_query(messages: Sequence[Message], contents: Sequence[str]) -> int:
    """The index of the last message in which a user asks; the last index of all without one.

    A user's text that looks like a result as a whole is not a question, nor is one without text.
    """
    for index in range(len(messages) - 1, -1, -1):
        message, text = messages[index], contents[index]
        if (
            message.role == "user"
            and message.content is not None
            and not (text.startswith(RESPONSE_OPEN) and text.endswith(RESPONSE_CLOSE))
        ):
            return index
    return len(messages) - 1


def _write_assistant(
    prompt: PromptBuilder,
    message: Message,
    content: str,
    has_thought: bool,
    is_recent: bool,
    is_last: bool,
) -> None:
    prompt.control(f"{TURN_OPEN}assistant\n")
    thought = ""
    if not has_thought:
        if message.reasoning:
            prompt.note(f"{prompt.place}: its thought is not in the prompt")
    elif message.reasoning is not None:
        thought = message.reasoning
    elif THINK_CLOSE in content:
        thought, content = _split_thought(prompt, content)
    if has_thought and is_recent and (is_last or thought):
        prompt.control(f"{THINK_OPEN}\n")
        prompt.content(thought.strip("\n"))
        prompt.control(f"\n{THINK_CLOSE}\n\n")
        prompt.content(content.lstrip("\n"))
    else:
        prompt.content(content)
    for number, call in enumerate(message.tool_calls):
        if number or content:
            prompt.control("\n")
        _write_call(prompt, call)
    prompt.control(f"{TURN_CLOSE}\n")


def _split_thought(prompt: PromptBuilder, content: str) -> tuple[str, str]:
    """The thought and the answer of a content that holds both, by the official rule."""
    head, *middle, answer = content.split(THINK_CLOSE)
    *before, thought = head.rstrip("\n").split(THINK_OPEN)
    if any(map(str.strip, (*before, *middle))):
        prompt.note(
            f"{prompt.place}: text before {THINK_OPEN} or between two {THINK_CLOSE} is not in the "
            "prompt, as in the official template"
        )
    return thought.lstrip("\n"), answer.lstrip("\n")


def _write_call(prompt: PromptBuilder, call: ToolCall) -> None:
    prompt.control(CALL_OPEN + '\n{"name": "')
    prompt.content(call.name)
    prompt.control('", "arguments": ')
    if isinstance(call.arguments, str):  # JSON text that is written as it is
        prompt.content(call.arguments)
    else:
        prompt.content(_json_text(call.arguments, f"the arguments of {call.name!r:.80}"))
    prompt.control("}\n" + CALL_CLOSE)


def _content(message: Message, style: Style) -> str:
    """The text of a message. Raises `RenderError` for what the official template would lose."""
    if message.role not in ROLES:
        raise RenderError(
            f"Qwen3's format has no role {message.role!r:.80}; it has: {', '.join(ROLES)}"
        )
    content = message.content
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if style.structured_content == "inline":
        text = _joined_parts(content)
        if text is None and message.role == "tool":
            text = _json_text(content, "a tool's result")
        if text is not None:
            return text
        raise RenderError(f"content must be text or a list of text parts, not {content!r:.80}")
    raise RenderError(
        f"content must be text, not {content!r:.80}; write it as text, or set structured_content "
        "to 'inline'"
    )


def _joined_parts(content: JsonValue) -> str | None:
    """The text of a list of text parts; None for anything else."""
    if not isinstance(content, list | tuple) or not content:
        return None
    texts = []
    for part in content:
        text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
        if not isinstance(text, str):
            return None
        texts.append(text)
    return "".join(texts)


def _json_text(value: JsonValue, what: str) -> str:
    """JSON as transformers' `tojson` writes it: order kept, not escaped to ASCII."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError, RecursionError, ConfigError) as error:
        raise RenderError(f"{what} cannot be written as JSON: {error}") from error
