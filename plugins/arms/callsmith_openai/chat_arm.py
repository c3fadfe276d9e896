"""`openai-chat`: `/v1/chat/completions` with tools; the server renders and parses."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from callsmith import (
    Completion,
    ControlCheck,
    ControlTokens,
    Event,
    Fidelity,
    JsonValue,
    Message,
    Reply,
    Sampling,
    ToolSpec,
)
from callsmith_openai import answers
from callsmith_openai.assembly import Reading
from callsmith_openai.attempts import Attempts
from callsmith_openai.chat_probe import probe_chat
from callsmith_openai.config import ChatConfig
from callsmith_openai.detection import Facts
from callsmith_openai.messages import convert, convert_tools
from callsmith_openai.server import Server, merged

PATH = "/chat/completions"


class OpenAIChatArm:
    """A `ChatArm`: messages and tools go in as JSON, content, thoughts and calls come out.

    What the model wrote is hidden: the server has parsed it. So `Reply.completion.text` is the
    visible content as the server sent it, not the model's output. `Reply.prompt` is None.
    """

    def __init__(self, config: ChatConfig) -> None:
        self.config = config
        self.server = Server(config)
        self._tokens = ControlTokens(config.control_tokens)

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
        facts = await self.server.ready()
        fields, notes = self.fields(facts, messages, tools, sampling)
        body = self.server.body(facts, sampling, fields, stream=self.config.stream)
        attempts = Attempts()
        reading = Reading(sampling.stop)
        first: float | None = None
        keep = self._asked_for()
        async with aclosing(self.server.stream(PATH, body, attempts, keep=keep)) as values:
            async for value in values:
                for event in reading.take(value):
                    if first is None:
                        first = time.perf_counter() - attempts.sent
                    yield event
        total = time.perf_counter() - attempts.sent
        url = self.server.client.address.api + PATH
        answers.check_end(attempts, reading.finish_reason, reading.choices, url)
        answers.check_room(
            reading.usage,
            reading.finish_reason,
            max_tokens=sampling.max_tokens,
            context_length=self.server.context_length,
        )
        for event in reading.finish():
            if first is None:
                first = total
            yield event
        wanted = {**self.server.sampling(sampling, facts), **fields}
        notes += reading.notes + self.server.notes(wanted, sampling) + self._leaks(reading)
        if attempts.note:
            notes.append(attempts.note)
        yield Reply(
            content=reading.content,
            reasoning=reading.reasoning,
            calls=reading.calls,
            faults=reading.faults,
            completion=Completion(
                text=reading.content,
                stop_reason=reading.finish_reason,
                usage=reading.usage,
                timings=answers.timings(
                    reading.timings, first_token=first, total=total, retry=attempts.lost
                ),
            ),
            notes=tuple(notes),
        )

    def fields(
        self,
        facts: Facts,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        sampling: Sampling,
    ) -> tuple[dict[str, JsonValue], list[str]]:
        """The fields of a request that are not sampling, and notes on what had to be changed."""
        name = self.config.reasoning_field
        conversation = convert(
            messages, reasoning=facts.kind.reasoning_field if name == "auto" else name
        )
        check = ControlCheck(self._tokens, self.config.control_text)
        fields: dict[str, JsonValue] = {
            "messages": check.value(conversation.messages, "messages"),
        }
        if tools:
            fields["tools"] = check.value(convert_tools(tools), "tools")
            if self.config.tool_choice is not None:
                fields["tool_choice"] = self.config.tool_choice
            if self.config.parallel_tool_calls is not None:
                fields["parallel_tool_calls"] = self.config.parallel_tool_calls
        fields = merged(fields, self.thinking(facts, sampling.thinking))
        return fields, [*conversation.notes, *check.changes]

    def thinking(self, facts: Facts, wanted: bool) -> dict[str, JsonValue]:
        """The fields that ask for thinking, or for none; empty where it is not known how."""
        given = self.config.thinking_on if wanted else self.config.thinking_off
        if given is not None:
            return dict(given)
        how = self.config.thinking
        if how == "auto":
            how = facts.kind.thinking
        if how == "enable_thinking":
            return {"chat_template_kwargs": {"enable_thinking": wanted}}
        if how == "reasoning_effort":
            return {"reasoning_effort": "medium" if wanted else "none"}
        return {}

    def _asked_for(self) -> tuple[str, ...]:
        """Fields that the run file asks for: leaving them out would be another run."""
        given = {**(self.config.thinking_on or {}), **(self.config.thinking_off or {})}
        explicit = (
            ()
            if self.config.thinking in ("auto", None)
            else (
                "chat_template_kwargs",
                "reasoning_effort",
            )
        )
        return ("tool_choice", "parallel_tool_calls", *given, *explicit)

    def _leaks(self, reading: Reading) -> list[str]:
        """A note if the content holds control tokens: then the server's parser did not read it."""
        found = next(self._tokens.find(reading.content), None)
        if found is None:
            return []
        token = reading.content[found[0] : found[1]]
        return [
            f"the content holds the control token {token!r}: the server's parser did not read the "
            "text (is its tool-call parser switched on?); openai-completions reads it with ours"
        ]

    async def probe(self) -> Fidelity:
        """What the server tells, and which fields it honours as far as short requests show."""
        return await probe_chat(self)

    async def aclose(self) -> None:
        """Closes the session."""
        await self.server.client.aclose()
