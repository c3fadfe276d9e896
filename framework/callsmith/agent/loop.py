"""One episode: ask the arm, run the calls it asks for, answer, until it answers in text.

Nothing that a model, an arm or a tool does raises here: it becomes part of the trace.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial

from callsmith.errors import ArmError, ArmTimeoutError, CallsmithError, ToolError
from callsmith.protocols import ChatArm, TextToolSession, Toolbox, ToolSession
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

    Where the toolbox gives a `TextToolSession`, the calls are those that it reads out of the text.
    What is sent next is the text as it is and the message that the session makes of the results;
    a cut reply without such calls is an answer, and ends the episode (halt `cut`) only as the last.
    """
    began = time.perf_counter()
    tools = task.tools or (tuple(toolbox.tools()) if toolbox else ())
    conversation = list(task.messages)
    sent = task.messages
    turns: list[Turn] = []
    halt: Halt = "step_budget"
    error: str | None = None
    session: ToolSession | TextToolSession | None = None
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
        cut = reply.completion is not None and reply.completion.stop_reason == "length"
        results: tuple[ToolResult, ...] = ()
        if isinstance(session, TextToolSession):
            try:
                reply, results, following = await _by_text(session, reply, step, tool_timeout)
            except Exception as problem:  # a stranger's session may raise, or return, anything
                halt, error = "error", f"toolbox: {_describe(problem)}"
                turns.append(Turn(sent=sent, reply=reply, error=error, seconds=seconds))
                break
        else:
            if session is not None and not cut:
                answers = [await _answer(session, c, tools, tool_timeout) for c in reply.calls]
                results = tuple(answers)
            following = _continuation(reply, results)
        turns.append(Turn(sent=sent, reply=reply, results=results, seconds=seconds))
        if cut and not isinstance(session, TextToolSession):
            halt = "cut"
            break
        step += 1
        if reply.calls and session is None:
            halt = "calls"
            break
        sent = following
        if not results:
            if not follow_ups:
                halt = "cut" if cut else "answered"
                break
            question = follow_ups.pop(0)
            sent += question.messages
            tools = tools if question.tools is None else question.tools
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
    known = [tool.name for tool in tools]
    if call.name not in known:
        # The model's own text is not repeated: a correction is built from the schema alone.
        return _failed(
            call, f"error: there is no such tool; the tools are: {', '.join(known) or 'none'}"
        )
    arguments = call.arguments
    if not isinstance(arguments, Mapping):
        return _failed(call, "error: the arguments must be an object of named parameters")
    return await _carry_out(call, lambda: session.call(call.name, arguments), timeout)


async def _carry_out(
    call: ToolCall, run: Callable[[], Awaitable[JsonValue]], timeout: float | None
) -> ToolResult:
    limit = asyncio.timeout(timeout)
    try:
        async with limit:
            content = await run()
        json.dumps(content)
    except ToolError as error:
        return _failed(call, f"error: {error}")
    except Exception as error:  # a stranger's tool may raise anything
        if limit.expired():
            return _failed(call, f"error: the tool did not finish within {timeout} s")
        return _failed(call, f"error: the tool failed: {_describe(error)}")
    return ToolResult(call_id=call.id or "", name=call.name, content=content)


def _failed(call: ToolCall, text: str) -> ToolResult:
    return ToolResult(call_id=call.id or "", name=call.name, content=text, error=True)


async def _by_text(
    session: TextToolSession, reply: Reply, step: int, timeout: float | None
) -> tuple[Reply, tuple[ToolResult, ...], tuple[Message, ...]]:
    """The reply with the calls of its text, their results, and what is sent next.

    Raises whatever the session does, except from a call. A reply whose text holds no calls stays
    as it is, with what the arm found in it.
    """
    read = session.read_calls(reply)
    said = Message(role="assistant", content=reply.content, reasoning=reply.reasoning or None)
    if not read:
        return reply, (), (said,)
    reply = _with_ids(replace(reply, calls=tuple(read)), step)
    results = tuple(
        [await _carry_out(call, partial(session.run_call, call), timeout) for call in reply.calls]
    )
    return reply, results, (said, session.tell_results(reply.calls, results))


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
