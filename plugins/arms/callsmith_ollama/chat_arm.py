"""`ollama-chat`: `/api/chat` with JSON tools; the server renders and parses."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from callsmith import (
    ArmError,
    CallParsed,
    Completion,
    ContentDelta,
    ControlCheck,
    ControlTokens,
    Event,
    Fault,
    FaultFound,
    Fidelity,
    JsonValue,
    Message,
    ReasoningDelta,
    Repair,
    Reply,
    Sampling,
    ToolCall,
    ToolSpec,
    decode_arguments,
)
from callsmith_ollama import wire
from callsmith_ollama.client import Attempts, OllamaClient
from callsmith_ollama.config import ChatConfig
from callsmith_ollama.messages import convert, convert_tools
from callsmith_ollama.model_card import is_gemma4
from callsmith_ollama.probe import probe_chat
from callsmith_ollama.thoughts import ThoughtFilter

PATH = "/api/chat"


class OllamaChatArm:
    """A `ChatArm`: messages and tools go in as JSON, content, thoughts and calls come out.

    What the model wrote is hidden: the server has parsed it. So `Reply.completion.text` is the
    visible content as the server sent it, not the model's output; the completion is there for
    its stop reason, token counts and timings. `Reply.prompt` is None.
    """

    def __init__(self, config: ChatConfig) -> None:
        self.config = config
        self.client = OllamaClient(config)
        self._tokens = ControlTokens(config.control_tokens) if config.control_tokens else None
        self._context_length: int | None = None
        self._gemma4 = is_gemma4(config.model)

    async def generate(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> Reply:
        """One reply. Raises `ArmError` and its subclasses, `RenderError`, `ControlTextError`."""
        async with aclosing(self.stream(messages, tools, sampling)) as events:
            async for event in events:
                if isinstance(event, Reply):
                    return event
        raise AssertionError("a stream ends with its reply or raises")

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> AsyncGenerator[Event | Reply, None]:
        """Events as they come, then the whole reply."""
        body, notes = self.request(messages, tools, sampling)
        attempts = Attempts()
        reading = _Reading()
        async with aclosing(self.client.stream(PATH, body, attempts)) as lines:
            async for line in lines:
                for event in reading.take(line, time.perf_counter() - attempts.sent):
                    yield event
                if line.get("done") is not True:
                    continue
                wire.check_answer(
                    line,
                    max_tokens=sampling.max_tokens,
                    num_ctx=self.config.num_ctx,
                    context_length=self._context_length,
                )
                for event in reading.finish():
                    yield event
                if attempts.note:
                    notes.append(attempts.note)
                yield reading.reply(line, notes, attempts.lost)

    def request(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> tuple[dict[str, JsonValue], list[str]]:
        """The body of the request, and notes on what had to be changed to send it."""
        rule = self.config.content_beside_calls
        drop = rule == "drop" or (rule == "auto" and self._gemma4)
        conversation = convert(messages, drop_beside_calls=drop)
        notes = list(conversation.notes)
        sent: JsonValue = conversation.messages
        shown: JsonValue = convert_tools(tools)
        if self._tokens is not None:
            policy = self.config.control_text
            check = ControlCheck(self._tokens, policy)
            sent = check.value(sent, "messages")
            shown = check.value(shown, "tools")
            notes += check.changes
        body = wire.frame(
            self.config.model,
            wire.options(sampling, self.config.num_ctx),
            think=sampling.thinking,
            keep_alive=self.config.keep_alive,
        )
        body["messages"] = sent
        if tools:
            body["tools"] = shown
        return body, notes

    async def probe(self) -> Fidelity:
        """What the server tells, with its own rendering of a small conversation."""
        fidelity = await probe_chat(self.client, self.config)
        self._context_length = fidelity.context_length
        self._gemma4 = self._gemma4 or is_gemma4(str(fidelity.details.get("family") or ""))
        return fidelity

    async def aclose(self) -> None:
        """Closes the session."""
        await self.client.aclose()


class _Reading:
    """Collects one streamed answer. Calls may stand in any line, also in the last one."""

    def __init__(self) -> None:
        self._content: list[str] = []  # as the server sent it
        self._visible: list[str] = []
        self._thinking: list[str] = []
        self._calls: list[ToolCall] = []
        self._faults: list[Fault] = []
        self._stray = ThoughtFilter()
        self._first: float | None = None

    def take(self, line: Mapping[str, Any], seconds: float) -> list[Event]:
        """Reads one line, which came `seconds` after the request was sent."""
        message = line.get("message")
        if not isinstance(message, Mapping):
            if "message" in line or line.get("done") is not True:
                raise ArmError(f"{PATH}: a line has no message: {json.dumps(line)[:120]}")
            message = {}
        thinking, content = message.get("thinking") or "", message.get("content") or ""
        calls = message.get("tool_calls") or []
        if not isinstance(thinking, str) or not isinstance(content, str):
            raise ArmError(f"{PATH}: content or thinking is not text: {json.dumps(message)[:120]}")
        if not isinstance(calls, list):
            raise ArmError(f"{PATH}: tool_calls is not a list: {json.dumps(calls)[:120]}")
        if self._first is None and (thinking or content or calls):
            self._first = seconds
        events: list[Event] = []
        if thinking:
            self._thinking.append(thinking)
            events.append(ReasoningDelta(text=thinking))
        if content:
            self._content.append(content)
            events += self._show(self._stray.feed(content))
        events += [self._call(call) for call in calls]
        return events

    def finish(self) -> list[Event]:
        """The last line was read: what was held back is decided."""
        events = self._show(self._stray.close())
        if self._stray.reasoning:
            self._thinking.append(("\n" if self._thinking else "") + self._stray.reasoning)
            events.append(ReasoningDelta(text=self._thinking[-1]))
        return events

    def _show(self, text: str) -> list[Event]:
        if not text:
            return []
        self._visible.append(text)
        return [ContentDelta(text=text)]

    def _call(self, data: object) -> Event:
        given: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
        function = given.get("function")
        name = function.get("name") if isinstance(function, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(name, str) or not name:
            raw = json.dumps(data, ensure_ascii=False)
            fault = Fault(kind="nameless-call", raw=raw, detail="the server sent it like this")
            self._faults.append(fault)
            return FaultFound(fault=fault)
        identity = given.get("id")
        call = ToolCall(
            name=name,
            arguments=decode_arguments(function.get("arguments")),
            id=identity if isinstance(identity, str) and identity else None,
        )
        self._calls.append(call)
        return CallParsed(index=len(self._calls) - 1, call=call)

    def reply(self, last: Mapping[str, Any], notes: list[str], retry: float) -> Reply:
        """Everything that was read; `last` is the line that says `done`."""
        text = "".join(self._content)
        counts = wire.usage(last)
        thinking = "".join(self._thinking)
        repairs: tuple[Repair, ...] = ()
        if self._stray.removed:
            detail = "a thought channel stood in the visible text; it was moved to reasoning"
            repairs = (Repair(kind="stray-thought", detail=detail, span=(0, self._stray.removed)),)
        nothing = not (text or thinking or self._calls or self._faults)
        if nothing and (counts.completion_tokens or 0) > 1:
            notes.append(
                f"the model wrote {counts.completion_tokens} tokens and the server showed none of "
                "them: its parser drops calls that it cannot read, and thoughts when thinking is "
                "off; ollama-raw shows the text"
            )
        return Reply(
            content="".join(self._visible),
            reasoning=thinking,
            calls=tuple(self._calls),
            faults=tuple(self._faults),
            repairs=repairs,
            completion=Completion(
                text=text,
                stop_reason=wire.stop_reason(last),
                usage=counts,
                timings=wire.timings(last, first_token=self._first, retry=retry),
            ),
            notes=tuple(notes),
        )
