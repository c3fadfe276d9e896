"""Episodes whose calls stand in the text: the tool session reads them and says their results."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

import pytest

from callsmith import (
    Completion,
    FollowUp,
    JsonValue,
    Message,
    Reply,
    Task,
    TextToolSession,
    ToolCall,
    ToolError,
    ToolResult,
    ToolSession,
    ToolSpec,
    Trace,
    dumps,
    loads,
    run_episode,
)
from callsmith.testing import ScriptedChatArm

AGAIN = FollowUp(messages=(Message(role="user", content="and now?"),))
TASK = Task(id="t", messages=(Message(role="user", content="go"),), follow_ups=(AGAIN,))


class Shell:
    """Every line `$ WORD` is a call. `boom` fails as tools do, `crash` as programs do."""

    def tools(self) -> Sequence[ToolSpec]:
        return ()

    def session(self, task: Task) -> Shell:
        return self

    def read_calls(self, reply: Reply) -> Sequence[ToolCall] | None:
        found = re.findall(r"^\$ (\w+)$", reply.content, re.MULTILINE)
        return [ToolCall(name=name, raw=f"$ {name}") for name in found] or None

    async def run_call(self, call: ToolCall) -> JsonValue:
        match call.name:
            case "boom":
                raise ToolError("no such file")
            case "crash":
                raise KeyError("x")
            case "hang":
                await asyncio.sleep(60)
        return call.name.upper()

    def tell_results(self, calls: Sequence[ToolCall], results: Sequence[ToolResult]) -> Message:
        lines = [f"{c.raw}: {r.content}" for c, r in zip(calls, results, strict=True)]
        return Message(role="user", content="\n".join(lines))


def episode(*answers: object, shell: Shell | None = None, **options: object) -> Trace:
    arm = ScriptedChatArm(list(answers))  # type: ignore[arg-type]
    return asyncio.run(run_episode(arm, TASK, shell or Shell(), **options))  # type: ignore[arg-type]


def test_calls_are_read_from_the_text_and_results_told_as_the_session_words_them() -> None:
    trace = episode("first\n$ pwd\n$ ls", "here it is", "nothing more")
    assert trace.halt == "answered"
    assert [call.name for call in trace.calls] == ["pwd", "ls"]
    assert [result.content for result in trace.turns[0].results] == ["PWD", "LS"]
    ids = [call.id for call in trace.calls]
    assert ids == [result.call_id for result in trace.turns[0].results]
    assert len(set(ids)) == 2
    said, told = trace.turns[1].sent
    assert (said.role, said.content, said.tool_calls) == ("assistant", "first\n$ pwd\n$ ls", ())
    assert (told.role, told.content) == ("user", "$ pwd: PWD\n$ ls: LS")
    assert loads(dumps(trace), Trace) == trace


def test_a_text_without_calls_answers_and_the_next_question_follows() -> None:
    trace = episode("$ ls", "done", "$ pwd", "done again")
    assert [[message.content for message in turn.sent] for turn in trace.turns] == [
        ["go"],
        ["$ ls", "$ ls: LS"],
        ["done", "and now?"],
        ["$ pwd", "$ pwd: PWD"],
    ]
    assert (trace.halt, trace.answer) == ("answered", "done again")


def test_a_failing_call_is_told_and_the_others_are_carried_out() -> None:
    trace = episode("$ boom\n$ crash\n$ hang\n$ ls", "oh", "well", tool_timeout=0.05)
    assert trace.halt == "answered"
    results = trace.turns[0].results
    assert [result.error for result in results] == [True, True, True, False]
    texts = [str(result.content) for result in results]
    assert texts[0] == "error: no such file"
    assert "KeyError" in texts[1]
    assert "did not finish within 0.05 s" in texts[2]
    assert str(trace.turns[1].sent[1].content).endswith("$ ls: LS")


def test_the_step_budget_is_for_each_question() -> None:
    trace = episode("$ ls", "done", "$ ls", "$ ls", "never asked", steps=2)
    assert (trace.halt, len(trace.turns)) == ("step_budget", 4)
    assert trace.turns[-1].results, "the last calls were run all the same"


def cut(text: str) -> Reply:
    return Reply(content=text, completion=Completion(text=text, stop_reason="length"))


def test_a_cut_reply_is_the_sessions_to_read_and_an_answer_if_it_has_no_calls() -> None:
    trace = episode(cut("$ ls"), cut("and so on and"), "fine")
    assert [len(turn.results) for turn in trace.turns] == [1, 0, 0]
    assert trace.halt == "answered"
    assert episode("fine", cut("and so on and")).halt == "cut"


def test_calls_that_the_arm_found_by_itself_are_recorded_and_neither_run_nor_sent() -> None:
    native = Reply(content="so", calls=(ToolCall(name="ls"),))
    trace = episode(native, "done")
    assert [call.name for call in trace.calls] == ["ls"]
    assert trace.turns[0].results == ()
    assert trace.turns[1].sent[0].tool_calls == ()


@pytest.mark.parametrize("method", ["read_calls", "tell_results"])
def test_a_session_that_fails_is_a_trace_with_an_error_that_keeps_the_reply(method: str) -> None:
    def broken(*_: object) -> object:
        raise OSError("no room")

    shell = Shell()
    setattr(shell, method, broken)
    trace = episode("$ ls", shell=shell)
    assert (trace.halt, trace.error) == ("error", "toolbox: OSError: no room")
    assert trace.answer == "$ ls"


def test_reasoning_travels_apart_from_the_text() -> None:
    trace = episode(Reply(content="$ ls", reasoning="$ pwd"), "done", "done")
    assert [call.name for call in trace.calls] == ["ls"]
    assert trace.turns[1].sent[0].reasoning == "$ pwd"


def test_the_two_kinds_of_session_are_told_apart() -> None:
    class ByName:
        async def call(self, name: str, arguments: object) -> JsonValue:
            return None

    by_name: ToolSession = ByName()
    assert isinstance(Shell(), TextToolSession)
    assert not isinstance(by_name, TextToolSession)
