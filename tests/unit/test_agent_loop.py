"""One episode: what the model is told, what ends it, and what the trace keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from callsmith import (
    Completion,
    FollowUp,
    JsonValue,
    Message,
    Reply,
    Task,
    ToolCall,
    ToolError,
    ToolSpec,
    dumps,
    loads,
    run_episode,
)
from callsmith.testing import ScriptedChatArm
from callsmith.types import Trace

TASK = Task(id="t", messages=(Message(role="user", content="go"),))


class Box:
    """`add` adds, `fail` fails as tools do, `crash` as programs do, `hang` never ends."""

    def tools(self) -> Sequence[ToolSpec]:
        return [ToolSpec(name=n) for n in ("add", "fail", "crash", "hang", "odd")]

    def session(self, task: Task) -> Box:
        return self

    async def call(self, name: str, arguments: Mapping[str, JsonValue]) -> JsonValue:
        match name:
            case "add":
                return {"sum": sum(v for v in arguments.values() if isinstance(v, int))}
            case "fail":
                raise ToolError("the disk is full")
            case "crash":
                raise KeyError("x")
            case "odd":
                return object()  # type: ignore[return-value]
        await asyncio.sleep(60)
        return None


def episode(*answers: object, **options: object) -> Trace:
    arm = ScriptedChatArm(list(answers))  # type: ignore[arg-type]
    return asyncio.run(run_episode(arm, TASK, Box(), **options))  # type: ignore[arg-type]


def call(name: str, arguments: JsonValue = None, id: str | None = None) -> ToolCall:
    return ToolCall(name=name, arguments={} if arguments is None else arguments, id=id)


def test_a_call_is_run_and_the_answer_ends_the_episode() -> None:
    trace = episode([call("add", {"a": 2, "b": 3})], "it is 5")
    assert trace.halt == "answered"
    assert trace.answer == "it is 5"
    assert trace.turns[0].results[0].content == {"sum": 5}
    assistant, result = trace.turns[1].sent
    assert (assistant.role, result.role) == ("assistant", "tool")
    assert result.content == '{"sum": 5}'
    assert result.tool_call_id == assistant.tool_calls[0].id is not None
    assert result.name == "add"


def test_what_cannot_be_run_is_answered_with_an_error_for_that_call_and_it_goes_on() -> None:
    calls = [
        call("nope", {"a": 1}),
        call("add", [1, 2]),
        call("add", "text"),
        call("fail"),
        call("crash"),
        call("hang"),
        call("odd"),
        call("add", {"a": 1}),
    ]
    trace = episode(calls, "sorry", tool_timeout=0.05)
    assert trace.halt == "answered"
    results = trace.turns[0].results
    assert [r.error for r in results] == [True] * 7 + [False]
    texts = [str(r.content) for r in results]
    assert "there is no such tool; the tools are: add" in texts[0]
    assert "nope" not in texts[0], "the model's own text is not repeated to it"
    assert "must be an object" in texts[1]
    assert "must be an object" in texts[2]
    assert texts[3] == "error: the disk is full"
    assert "KeyError" in texts[4]
    assert "did not finish within 0.05 s" in texts[5]
    assert "the tool failed: TypeError" in texts[6]
    assert len({r.call_id for r in results}) == len(calls)
    assert [m.tool_call_id for m in trace.turns[1].sent[1:]] == [r.call_id for r in results]


def test_the_servers_ids_are_kept_and_missing_or_repeated_ones_made_unique() -> None:
    trace = episode([call("add", id="x"), call("add", id="x"), call("add")], "done")
    ids = [r.call_id for r in trace.turns[0].results]
    assert ids[0] == "x"
    assert len(set(ids)) == 3


def test_the_step_budget_ends_the_episode() -> None:
    trace = episode(*[[call("add")]] * 5, steps=3)
    assert trace.halt == "step_budget"
    assert len(trace.turns) == 3
    assert trace.turns[-1].results, "the last calls were run all the same"


def test_a_cut_completion_ends_the_episode_and_runs_nothing() -> None:
    reply = Reply(calls=(call("add"),), completion=Completion(text="…", stop_reason="length"))
    trace = episode(reply)
    assert trace.halt == "cut"
    assert trace.turns[0].results == ()


def test_without_a_toolbox_the_first_calls_end_the_episode() -> None:
    arm = ScriptedChatArm([call("add")])
    trace = asyncio.run(run_episode(arm, TASK))
    assert trace.halt == "calls"
    assert trace.calls[0].name == "add"


def test_a_failing_arm_is_a_trace_with_an_error_that_keeps_the_turns_before_it() -> None:
    trace = episode([call("add")], RuntimeError("the\nserver died"))
    assert (trace.halt, trace.error) == ("error", "RuntimeError: the server died")
    assert len(trace.turns) == 2
    assert trace.turns[0].results


def test_a_slow_arm_is_a_timeout() -> None:
    arm = ScriptedChatArm("late", delay=30)
    trace = asyncio.run(run_episode(arm, TASK, timeout=0.05))
    assert trace.halt == "error"
    assert trace.error == "timeout: no reply within 0.05 s"


def test_a_toolbox_that_cannot_start_is_a_trace_with_an_error() -> None:
    class Broken(Box):
        def session(self, task: Task) -> Box:
            raise OSError("no room")

    trace = asyncio.run(run_episode(ScriptedChatArm("x"), TASK, Broken()))
    assert (trace.halt, trace.error, trace.turns) == ("error", "toolbox: OSError: no room", ())


def test_reasoning_travels_apart_from_content() -> None:
    first = Reply(content="let me see", reasoning="I should add", calls=(call("add"),))
    trace = episode(first, "done")
    assistant = trace.turns[1].sent[0]
    assert assistant.content == "let me see"
    assert assistant.reasoning == "I should add"


def test_a_trace_survives_the_trip_through_json() -> None:
    trace = episode([call("nope", [1, {"a": None}]), call("add", {"a": 1})], "done")
    assert loads(dumps(trace), Trace) == trace


def test_an_arm_that_returns_no_reply_is_a_trace_with_an_error() -> None:
    class Wrong(ScriptedChatArm):
        async def generate(self, *request: object) -> Reply:  # type: ignore[override]
            return None  # type: ignore[return-value]

    trace = asyncio.run(run_episode(Wrong("x"), TASK))
    assert trace.error == "the arm returned NoneType instead of a Reply"


def test_an_arms_own_timeout_error_is_not_taken_for_the_limit() -> None:
    trace = asyncio.run(run_episode(ScriptedChatArm(TimeoutError("inner")), TASK, timeout=None))
    assert trace.error == "TimeoutError: inner"


def talk(*answers: object, steps: int = 8) -> Trace:
    """A task with two follow-ups, the second of which offers other tools."""
    follow_ups = (
        FollowUp(messages=(Message(role="user", content="and now?"),)),
        FollowUp(
            messages=(Message(role="user", content="with less?"),),
            tools=(ToolSpec(name="fail"),),
        ),
    )
    task = Task(id="t", messages=TASK.messages, follow_ups=follow_ups)
    arm = ScriptedChatArm(list(answers))  # type: ignore[arg-type]
    return asyncio.run(run_episode(arm, task, Box(), steps=steps))


def test_a_follow_up_is_said_after_each_answer() -> None:
    trace = talk([call("add", {"a": 1})], "one", "two", [call("add", {"a": 2})], "three")
    assert (trace.halt, trace.answer) == ("answered", "three")
    assert [m.content for turn in trace.turns for m in turn.sent if m.role == "user"] == [
        "go",
        "and now?",
        "with less?",
    ]
    assert [m.role for m in trace.turns[2].sent] == ["assistant", "user"]
    assert trace.turns[2].sent[0].content == "one"
    assert trace.turns[3].results[0].error, "add is not offered any more"
    assert loads(dumps(trace), Trace) == trace


def test_the_step_budget_is_for_each_question() -> None:
    again = [call("add", {"a": 1})]
    trace = talk(again, "one", again, "two", again, "three", steps=2)
    assert trace.halt == "answered"
    trace = talk("one", again, again, "two", "three", steps=2)
    assert (trace.halt, len(trace.turns)) == ("step_budget", 3)
