"""Conversations in Gemma 4's native format, byte for byte as the canonical template of 2026-07-09.

The order inside a model turn is thought, calls, results, text, whatever the order in the message:
results are written into the still open model turn, and the next assistant message continues it.
What the canonical template does with odd conversations is kept, because models were trained on
its bytes; what it would lose without a trace is refused (`RenderError`) or noted on the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from callsmith import JsonValue, Message, PromptBuilder, RenderError, ToolSpec
from callsmith_gemma4.arguments import write_call, write_value
from callsmith_gemma4.content_parts import (
    content_parts,
    is_structured,
    media_token,
    part_text,
)
from callsmith_gemma4.control_tokens import (
    BOS,
    CHANNEL_CLOSE,
    CHANNEL_OPEN,
    QUOTE,
    RESPONSE_CLOSE,
    RESPONSE_OPEN,
    THINK,
    TURN_CLOSE,
    TURN_OPEN,
)
from callsmith_gemma4.declarations import write_declaration

FORMAT = "2026-07-09"
"""Publication date of the canonical template whose bytes are written."""

SYSTEM_ROLES = ("system", "developer")
THOUGHT_OPEN = CHANNEL_OPEN + "thought\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Everything beside the conversation that decides the bytes; see `Gemma4Config`."""

    variant: Literal["small", "large"] = "small"
    thinking: bool = False
    preserve_thinking: bool = False
    call_text: Literal["after", "before", "drop"] = "after"
    structured_results: Literal["refuse", "inline"] = "refuse"
    argument_order: Literal["sorted", "given"] = "sorted"
    add_generation_prompt: bool = True


def write_conversation(
    prompt: PromptBuilder, messages: Sequence[Message], tools: Sequence[ToolSpec], style: Style
) -> None:
    """Adds a whole conversation to `prompt`.

    Raises `RenderError`, with the message or tool at fault, where it cannot be written.
    """
    prompt.control(BOS)
    first = 1 if messages and messages[0].role in SYSTEM_ROLES else 0
    try:
        if style.thinking or tools or first:
            _write_system(prompt, messages[0] if first else None, tools, style.thinking)
        _Turns(prompt, messages, first, style).write()
    except RenderError as error:
        raise RenderError(f"{prompt.place}: {error}") from error.__cause__
    except RecursionError as error:
        raise RenderError(f"{prompt.place}: nested too deeply; flatten it") from error
    except ValueError as error:  # a part of a schema that Python itself cannot print
        raise RenderError(f"{prompt.place}: {error}") from error


def _write_system(
    prompt: PromptBuilder, message: Message | None, tools: Sequence[ToolSpec], thinking: bool
) -> None:
    prompt.control(f"{TURN_OPEN}system\n{THINK}\n" if thinking else f"{TURN_OPEN}system\n")
    if message is not None:
        prompt.at("messages[0]")
        if isinstance(message.content, str):
            prompt.content(message.content.strip())
        else:
            for part in content_parts(message):
                if part.get("type", "text") != "text":
                    raise RenderError("the system message can hold text parts only")
                prompt.content(part_text(part).strip())
                prompt.control(" ")
    for index, tool in enumerate(tools):
        prompt.at(f"tools[{index}]")
        write_declaration(prompt, tool)
    prompt.control(TURN_CLOSE + "\n")


class _Turns:
    """The turns after the system block: one pass over the messages."""

    def __init__(
        self, prompt: PromptBuilder, messages: Sequence[Message], first: int, style: Style
    ) -> None:
        self.prompt = prompt
        self.messages = messages
        self.first = first
        self.style = style

    def write(self) -> None:
        messages, prompt = self.messages, self.prompt
        users = [i for i in range(self.first, len(messages)) if messages[i].role == "user"]
        last_user = users[-1] if users else -1
        speakers = [i for i in range(self.first, len(messages)) if messages[i].role != "tool"]
        self._note_orphans(self.first, speakers[0] if speakers else len(messages))
        previous: str | None = None
        ended: Literal["text", "calls", "results"] = "text"
        for order, index in enumerate(speakers):
            message = messages[index]
            following = speakers[order + 1] if order + 1 < len(speakers) else None
            stop = len(messages) if following is None else following
            next_role = None if following is None else messages[following].role
            prompt.at(f"messages[{index}]")
            is_model = message.role in ("assistant", "model")
            if not (is_model and previous == "assistant"):
                self._open_turn(message.role)
            if message.reasoning and (
                index > last_user or (self.style.preserve_thinking and message.tool_calls)
            ):
                prompt.control(THOUGHT_OPEN)
                prompt.content(message.reasoning)
                prompt.control("\n" + CHANNEL_CLOSE)
            before = bool(message.tool_calls) and self.style.call_text == "before"
            has_text = self._write_content(message, index, is_model) if before else False
            in_order = self.style.argument_order == "given" and index == len(messages) - 1
            for call in message.tool_calls:
                write_call(prompt, call, in_order=in_order)
            answered = self._write_results(message, index, stop)
            if before:
                has_text = False  # it stands before the calls: the turn is open after the results
            elif answered and self.style.call_text == "drop":
                has_text = False
                if message.content:
                    prompt.note(f"messages[{index}]: text beside answered calls (call_text: drop)")
            else:
                prompt.at(f"messages[{index}]")
                has_text = self._write_content(message, index, is_model)
            if message.tool_calls and not answered:
                ended = "calls"
                prompt.control(RESPONSE_OPEN)
            else:
                ended = "results" if answered else "text"
                continued = is_model and next_role == "assistant"
                left_open = answered and not has_text and following is None
                if not continued and not left_open:
                    prompt.control(TURN_CLOSE + "\n")
                if answered and has_text and following is None and self.style.add_generation_prompt:
                    prompt.note(
                        f"messages[{index}]: its text stands behind the results and closes the "
                        "turn, as in the canonical template, so that nothing asks the model to go "
                        "on; call_text 'before' or 'drop' keeps the turn open"
                    )
            previous = message.role
        if self.style.add_generation_prompt:
            self._write_generation_prompt(ended)

    def _open_turn(self, role: str) -> None:
        if role in ("assistant", "model"):
            self.prompt.control(TURN_OPEN + "model\n")
        elif role in ("user", *SYSTEM_ROLES):
            self.prompt.control(f"{TURN_OPEN}{role}\n")
        else:
            self.prompt.control(TURN_OPEN)
            self.prompt.content(role)
            self.prompt.control("\n")

    def _write_content(self, message: Message, index: int, is_model: bool) -> bool:
        """Adds the visible content; true if there was any beside white space."""
        content = message.content
        if isinstance(content, str):
            text = self._visible(content, index) if is_model else content.strip()
            self.prompt.content(text)
            return bool(text)
        some = False
        for part in content_parts(message):
            kind = part.get("type")
            if kind == "text":
                text = part_text(part)
                text = self._visible(text, index) if is_model else text.strip()
                self.prompt.content(text)
                some = some or bool(text)
            else:
                self.prompt.control(media_token(kind))
                some = True
        return some

    def _visible(self, text: str, index: int) -> str:
        """An assistant's text without its thought channels."""
        if CHANNEL_OPEN not in text and CHANNEL_CLOSE not in text:
            return text.strip()
        kept = [part.partition(CHANNEL_OPEN) for part in text.split(CHANNEL_CLOSE)]
        if kept[-1][2].strip():
            self.prompt.note(
                f"messages[{index}]: text after an unclosed {CHANNEL_OPEN} is not in the prompt, "
                "as in the canonical template"
            )
        return "".join([before for before, _, _ in kept]).strip()

    def _write_results(self, message: Message, index: int, stop: int) -> bool:
        """Adds the results that follow directly (up to `stop`); true if there are any."""
        if not message.tool_calls:
            self._note_orphans(index + 1, stop)
            return False
        # A missing id on both sides matches too, and the last match wins: the canonical rule.
        names = {call.id: call.name for call in message.tool_calls}
        for at in range(index + 1, stop):
            self.prompt.at(f"messages[{at}]")
            self._write_result(self.messages[at], names)
        return stop > index + 1

    def _write_result(self, result: Message, names: Mapping[str | None, str]) -> None:
        prompt, content = self.prompt, result.content
        prompt.control(RESPONSE_OPEN + "response:")
        if result.tool_call_id in names:
            prompt.content(names[result.tool_call_id])
        elif result.name:
            prompt.content(result.name)
        else:
            prompt.control("unknown")
        if is_structured(content):
            self._write_structured(content)
            return
        prompt.control("{value:")
        media: list[str] = []
        if isinstance(content, list | tuple):
            prompt.control(QUOTE)
            for part in content_parts(result):
                if part.get("type") == "text":
                    prompt.content(part_text(part))
                else:
                    media.append(media_token(part.get("type")))
            prompt.control(QUOTE)
        else:
            write_value(prompt, content)
        prompt.control("}" + RESPONSE_CLOSE + "".join(media))

    def _write_structured(self, content: JsonValue) -> None:
        prompt = self.prompt
        if self.style.structured_results == "inline":
            if isinstance(content, Mapping):
                write_value(prompt, content)
            else:
                prompt.control("{value:")
                write_value(prompt, content)
                prompt.control("}")
        elif content:
            raise RenderError(
                f"a tool result must be text or a list of content parts, not {content!r:.80}; "
                "write it as JSON text, or set structured_results to 'inline'"
            )
        else:  # an empty object is an empty list of parts to the canonical template
            prompt.control("{value:" + QUOTE + QUOTE + "}")
        prompt.control(RESPONSE_CLOSE)

    def _note_orphans(self, start: int, stop: int) -> None:
        for at in range(start, stop):
            self.prompt.note(
                f"messages[{at}]: a tool result that follows no call is not in the prompt, as in "
                "the canonical template"
            )

    def _write_generation_prompt(self, ended: Literal["text", "calls", "results"]) -> None:
        if ended == "text":
            self.prompt.control(TURN_OPEN + "model\n")
            if self.style.variant == "large" and not self.style.thinking:
                self.prompt.control(THOUGHT_OPEN + CHANNEL_CLOSE)
        elif ended == "results" and self.style.thinking:
            self.prompt.control(THOUGHT_OPEN)
