"""One episode: ask the arm, run the calls it asks for, answer, until it answers in text.

Nothing that a model, an arm or a tool does raises here: it becomes part of the trace.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import replace

from callsmith.errors import ArmError, ArmTimeoutError, CallsmithError, ToolError
from callsmith.protocols import ChatArm, Toolbox, ToolSession
from callsmith.types import (
    Halt,
    JsonValue,
    Message,
    Reply,
    Sampling,
    Task,
    ToolCall,
    ToolResult,
    ToolSpec,
    Trace,
    Turn,
)


async def run_episode(
    arm: ChatArm,
    task: Task,
    toolbox: Toolbox | None = None,
    *,
    sampling: Sampling | None = None,
    steps: int = 8,
    timeout: float | None = 300.0,
    tool_timeout: float | None = 60.0,
    name: str = "arm",
    sample: int = 0,
) -> Trace:
    """Runs `task` on `arm` and returns everything that happened.

    `steps` bounds the requests to the arm for each question (the task's messages, and each of its
    follow-ups, which is said when the one before it was answered); `timeout` and `tool_timeout`
    are seconds for one request and one tool call. An unknown tool, arguments that are not an
    object, or a tool that fails is answered with an error result for that call, and the episode
    goes on. Without a toolbox the first calls end the episode (halt `calls`).
    """
    began = time.perf_counter()
    tools = task.tools or (tuple(toolbox.tools()) if toolbox else ())
    conversation = list(task.messages)
    sent = task.messages
    turns: list[Turn] = []
    halt: Halt = "step_budget"
    error: str | None = None
    session: ToolSession | None = None
    try:
        session = toolbox.session(task) if toolbox else None
    except Exception as problem:  # a stranger's toolbox may raise anything
        halt, error, steps = "error", f"toolbox: {_describe(problem)}", 0
    follow_ups = list(task.follow_ups)
    step, last = 0, steps
    while step < last:
        asked = time.perf_counter()
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                given = await arm.generate(conversation, tools, sampling or Sampling())
            reply = _with_ids(given, step)
        except Exception as problem:  # a stranger's arm may raise, or return, anything
            late = ArmTimeoutError(f"no reply within {timeout} s")
            halt, error = "error", _describe(late if limit.expired() else problem)
            seconds = time.perf_counter() - asked
            turns.append(Turn(sent=sent, error=error, seconds=seconds))
            break
        seconds = time.perf_counter() - asked
        results: tuple[ToolResult, ...] = ()
        cut = reply.completion is not None and reply.completion.stop_reason == "length"
        if reply.calls and session is not None and not cut:
            answers = [await _answer(session, call, tools, tool_timeout) for call in reply.calls]
            results = tuple(answers)
        turns.append(Turn(sent=sent, reply=reply, results=results, seconds=seconds))
        if cut:
            halt = "cut"
            break
        step += 1
        if reply.calls and session is None:
            halt = "calls"
            break
        sent = _continuation(reply, results)
        if not reply.calls:
            if not follow_ups:
                halt = "answered"
                break
            following = follow_ups.pop(0)
            sent += following.messages
            tools = tools if following.tools is None else following.tools
            last = step + steps
        conversation += sent
    return Trace(
        arm=name,
        task=task.id,
        sample=sample,
        turns=tuple(turns),
        halt=halt,
        error=error,
        seconds=time.perf_counter() - began,
    )


def _describe(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, CallsmithError):
        return text if not isinstance(error, ArmTimeoutError) else f"timeout: {text}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _with_ids(reply: Reply, step: int) -> Reply:
    """Every call gets an id, unique in the episode, so that results can be anchored to it."""
    if not isinstance(reply, Reply):
        raise ArmError(f"the arm returned {type(reply).__name__} instead of a Reply")
    seen: set[str] = set()
    calls: list[ToolCall] = []
    for index, call in enumerate(reply.calls):
        if call.id is None or call.id in seen:
            call = replace(call, id=f"call_{step}_{index}")
        seen.add(call.id or "")
        calls.append(call)
    return replace(reply, calls=tuple(calls))


async def _answer(
    session: ToolSession, call: ToolCall, tools: tuple[ToolSpec, ...], timeout: float | None
) -> ToolResult:
    def failed(text: str) -> ToolResult:
        return ToolResult(call_id=call.id or "", name=call.name, content=text, error=True)

    known = [tool.name for tool in tools]
    if call.name not in known:
        # The model's own text is not repeated: a correction is built from the schema alone.
        return failed(f"error: there is no such tool; the tools are: {', '.join(known) or 'none'}")
    if not isinstance(call.arguments, Mapping):
        return failed("error: the arguments must be an object of named parameters")
    limit = asyncio.timeout(timeout)
    try:
        async with limit:
            content = await session.call(call.name, call.arguments)
        json.dumps(content)
    except ToolError as error:
        return failed(f"error: {error}")
    except Exception as error:  # a stranger's tool may raise anything
        if limit.expired():
            return failed(f"error: the tool did not finish within {timeout} s")
        return failed(f"error: the tool failed: {_describe(error)}")
    return ToolResult(call_id=call.id or "", name=call.name, content=content)


def _continuation(reply: Reply, results: tuple[ToolResult, ...]) -> tuple[Message, ...]:
    """What is sent next: the assistant's own turn, then one tool message per call."""
    assistant = Message(
        role="assistant",
        content=reply.content,
        reasoning=reply.reasoning or None,
        tool_calls=reply.calls,
    )
    answers = tuple(
        Message(
            role="tool",
            content=_as_text(result.content),
            tool_call_id=result.call_id,
            name=result.name,
        )
        for result in results
    )
    return (assistant, *answers)


def _as_text(content: JsonValue) -> str:
    """Text as it is, anything else as JSON: what every server and template takes."""
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
