"""`jax-toolsampler`: the library's own tool loop, halted at every call."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from callsmith import (
    CallParsed,
    ContentDelta,
    ControlCheck,
    ControlTokens,
    Event,
    Fault,
    FaultFound,
    Fidelity,
    Message,
    Prompt,
    ReasoningDelta,
    Reply,
    Sampling,
    Segment,
    ToolCall,
    ToolSpec,
)
from callsmith_jax.checked_settings import checked_settings
from callsmith_jax.config import ToolSamplerConfig
from callsmith_jax.messages import content_text, convert, convert_tools
from callsmith_jax.process import SessionLostError
from callsmith_jax.sampler_arm import completion, probed, sampling_body
from callsmith_jax.worker_pool import Answer, Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """A tool loop in the worker that waits for the results of `calls`."""

    session: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]
    sampling: Sampling
    calls: tuple[ToolCall, ...]

    def results(self, messages: Sequence[Message]) -> list[Message] | None:
        """The results, in the order of the calls, if `messages` go on from here."""
        known = len(self.messages)
        if tuple(messages[:known]) != self.messages or len(messages) <= known:
            return None
        said, answers = messages[known], list(messages[known + 1 :])
        if said.role != "assistant" or _essence(said.tool_calls) != _essence(self.calls):
            return None
        if len(answers) != len(self.calls) or any(m.role != "tool" for m in answers):
            return None
        by_id = {message.tool_call_id: message for message in answers}
        ids = [call.id for call in said.tool_calls]
        if len(by_id) == len(ids) and set(by_id) == set(ids):
            return [by_id[identity] for identity in ids]
        return answers


def _essence(calls: Sequence[ToolCall]) -> list[tuple[str, Any]]:
    return [(call.name, call.arguments) for call in calls]


class JaxToolSamplerArm:
    """A `ChatArm`: the library renders, reads the calls, and goes on from its kept state.

    The first request gives the whole history as one conversation. When the model calls, the
    library's loop waits, in the worker, until a request brings exactly that conversation with the
    results; it goes on with these alone, on the state that it kept. A conversation that goes on
    from no waiting loop (its state was given up, or the worker died) begins anew with its whole
    history, and the reply has a note if it has calls in it.

    `Reply.prompt` is everything that the state had read, in one segment. `stream` yields the
    events once the turn is complete.
    """

    def __init__(self, config: ToolSamplerConfig) -> None:
        """Raises `ConfigError` where the interpreter or a file is missing."""
        self.config = config
        self._lease = Lease(checked_settings(config))
        self._tokens = ControlTokens(config.control_tokens)
        self._waiting: list[_Waiting] = []

    async def generate(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> Reply:
        """One reply. Raises `ArmError` and its subclasses, `RenderError`, `ControlTextError`."""
        check = ControlCheck(self._tokens, self.config.control_text)
        asked = tuple(messages), tuple(tools)
        notes: list[str] = []
        answer: Answer | None = None
        for waiting in list(self._waiting):
            results = waiting.results(messages)
            if results is None or (waiting.tools, waiting.sampling) != (asked[1], sampling):
                continue
            self._waiting.remove(waiting)
            answer = await self._go_on(waiting, results, check)
            if answer is not None:
                break
        if answer is None:
            if any(message.tool_calls for message in messages):
                notes.append(
                    "no tool loop waits for this conversation: its history, calls and results "
                    "included, was rendered anew as one conversation"
                )
            body = {
                "messages": convert(messages, check),
                "tools": convert_tools(tools, check),
                "sampling": sampling_body(sampling),
                "max_sessions": self.config.max_sessions,
            }
            timeout = self.config.request_timeout
            answer = await self._lease.worker.ask("chat", body, timeout)
        reply = _reply(answer.body, (*notes, *check.changes))
        session = answer.body["session"]
        if session is not None:
            self._waiting.append(
                _Waiting(
                    session=session,
                    messages=asked[0],
                    tools=asked[1],
                    sampling=sampling,
                    calls=reply.calls,
                )
            )
            # The worker gives up its oldest loops in the same way.
            del self._waiting[: -self.config.max_sessions]
        return reply

    async def _go_on(
        self, waiting: _Waiting, results: Sequence[Message], check: ControlCheck
    ) -> Answer | None:
        """The next turn of a waiting loop; None where the loop is gone."""
        texts = [
            check.text(content_text(message, f"results[{at}]"), f"results[{at}]")
            for at, message in enumerate(results)
        ]
        body = {"session": waiting.session, "results": texts}
        try:
            return await self._lease.worker.ask("step", body, self.config.request_timeout)
        except SessionLostError:
            return None

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> AsyncGenerator[Event | Reply, None]:
        """The reply's parts as events, then the reply."""
        reply = await self.generate(messages, tools, sampling)
        if reply.reasoning:
            yield ReasoningDelta(text=reply.reasoning)
        if reply.content:
            yield ContentDelta(text=reply.content)
        for index, call in enumerate(reply.calls):
            yield CallParsed(index=index, call=call)
        for fault in reply.faults:
            yield FaultFound(fault=fault)
        yield reply

    async def probe(self) -> Fidelity:
        """What the worker tells, and how the library's loop differs from the full prompt."""
        return await probed(self.config, self._lease, loop=True)

    async def aclose(self) -> None:
        """Ends the worker, unless another arm uses it."""
        self._waiting.clear()
        await self._lease.release()


def _reply(body: Mapping[str, Any], notes: tuple[str, ...]) -> Reply:
    calls = tuple(
        ToolCall(name=call["name"], arguments=call["arguments"]) for call in body["calls"]
    )
    faults: tuple[Fault, ...] = ()
    if body.get("fault"):
        raw = body["fault"]["raw"]
        detail = body["fault"]["detail"]
        faults = (Fault(kind="unreadable-turn", raw=raw, detail=detail, span=(0, len(raw))),)
    return Reply(
        content=body["content"],
        reasoning=body["reasoning"],
        calls=calls,
        faults=faults,
        completion=completion(body),
        prompt=Prompt(segments=(Segment(text=body["prompt"], origin="control"),)),
        notes=notes,
    )
