"""The scripted arms: they keep the contracts themselves, and do what their scripts say."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence

import pytest

from callsmith import (
    ArmError,
    CallParsed,
    Completion,
    ContentDelta,
    Fault,
    FaultFound,
    Message,
    Prompt,
    ReasoningDelta,
    Reply,
    Sampling,
    Segment,
    ToolCall,
    ToolSpec,
)
from callsmith.testing import (
    ChatArmContract,
    FailsAfter,
    ScriptedChatArm,
    ScriptedTextArm,
    TextArmContract,
)

GREEDY = Sampling()
QUESTION = (Message(role="user", content="hello"),)


def prompt(text: str = "hello") -> Prompt:
    return Prompt(segments=(Segment(text=text, origin="content"),))


def continued(prompt: Prompt, sampling: Sampling) -> str:
    return f"After {prompt.text!r} comes a good deal more, in some nine words."


def answered(
    messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
) -> str | ToolCall:
    last = messages[-1]
    if tools and last.role == "user":
        return ToolCall(name=tools[0].name, arguments={"city": "Paris"})
    return f"You said {last.content!r}, and this is the answer to it."


class TestScriptedTextArm(TextArmContract):
    @pytest.fixture
    def arm(self) -> ScriptedTextArm:
        return ScriptedTextArm(continued, piece=3)


class TestSlowScriptedTextArm(TextArmContract):
    @pytest.fixture
    def arm(self) -> ScriptedTextArm:
        # Earlier requests take longer, so answers arrive in another order than questions.
        return ScriptedTextArm(
            continued, delay=lambda n: 0.002 * (7 - n % 8), piece_delay=0.0001, piece=9
        )


class TestScriptedChatArm(ChatArmContract):
    @pytest.fixture
    def arm(self) -> ScriptedChatArm:
        return ScriptedChatArm(answered, piece=3)


async def test_a_sequence_is_answered_in_order_and_ends() -> None:
    arm = ScriptedTextArm(["one", Completion(text="two", stop_reason="eos")])
    assert (await arm.complete(prompt(), GREEDY)).text == "one"
    assert await arm.complete(prompt(), GREEDY) == Completion(text="two", stop_reason="eos")
    with pytest.raises(ArmError, match="2 answers and this is request 3"):
        await arm.complete(prompt(), GREEDY)
    assert len(arm.requests) == 3


async def test_one_string_is_every_answer() -> None:
    arm = ScriptedTextArm("always this")
    texts = [(await arm.complete(prompt(str(n)), GREEDY)).text for n in range(3)]
    assert texts == ["always this"] * 3
    assert [request[0].text for request in arm.requests] == ["0", "1", "2"]


async def test_failures_are_raised_where_the_script_has_them() -> None:
    broken = FailsAfter(text="half of it", error=ArmError("connection reset"))
    arm = ScriptedTextArm([ArmError("busy"), broken, broken, "fine"], piece=4)
    with pytest.raises(ArmError, match="busy"):
        await arm.complete(prompt(), GREEDY)
    with pytest.raises(ArmError, match="connection reset"):
        await arm.complete(prompt(), GREEDY)
    pieces: list[object] = []

    async def read() -> None:
        async for piece in arm.stream(prompt(), GREEDY):
            pieces.append(piece)

    with pytest.raises(ArmError, match="connection reset"):
        await read()
    assert "".join(map(str, pieces)) == "half of it"
    assert (await arm.complete(prompt(), GREEDY)).text == "fine"


async def test_a_closed_arm_refuses() -> None:
    arm = ScriptedTextArm("x")
    await arm.aclose()
    assert arm.closed
    with pytest.raises(ArmError, match="closed"):
        await arm.complete(prompt(), GREEDY)


async def test_delays_let_others_go_first() -> None:
    arm = ScriptedTextArm(["slow", "quick"], delay=lambda n: 0.05 if n == 0 else 0.0)
    order: list[str] = []

    async def ask() -> None:
        order.append((await arm.complete(prompt(), GREEDY)).text)

    await asyncio.gather(ask(), ask())
    assert order == ["quick", "slow"]


async def test_chat_answers_in_every_form() -> None:
    call = ToolCall(name="look", arguments={"at": 1})
    reply = Reply(
        content="text", reasoning="why", calls=(call,), faults=(Fault(kind="odd", raw="<"),)
    )
    arm = ScriptedChatArm(["words", call, [call, call], reply, ArmError("gone")])
    assert (await arm.generate(QUESTION, (), GREEDY)).content == "words"
    assert (await arm.generate(QUESTION, (), GREEDY)).calls == (call,)
    assert (await arm.generate(QUESTION, (), GREEDY)).calls == (call, call)
    events = [event async for event in arm.stream(QUESTION, (), GREEDY)]
    assert events == [
        ReasoningDelta(text="why"),
        ContentDelta(text="text"),
        CallParsed(index=0, call=call),
        FaultFound(fault=Fault(kind="odd", raw="<")),
        reply,
    ]
    with pytest.raises(ArmError, match="gone"):
        await arm.generate(QUESTION, (), GREEDY)
    assert [request[0] for request in arm.requests] == [QUESTION] * 5


@pytest.mark.parametrize(
    ("name", "missing"),
    [("tool_calls", "hypothesis"), ("TextArmContract", "pytest"), ("VerifierContract", "pytest")],
)
def test_what_is_missing_is_said_in_one_line(name: str, missing: str) -> None:
    code = f"""
import sys
sys.modules[{missing!r}] = None  # the way to say "not installed" to the import system
from callsmith.testing import ScriptedTextArm
try:
    from callsmith.testing import {name}
except Exception as error:
    print(type(error).__name__, str(error))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        f"MissingExtraError callsmith.testing.{name} needs {missing}, which is not installed; "
        "run: pip install 'callsmith[testing]'"
    ]


def test_the_package_imports_neither_pytest_nor_hypothesis() -> None:
    code = (
        "import sys, callsmith.testing;"
        "print([m for m in ('pytest', '_pytest', 'hypothesis') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_resolves() -> None:
    import callsmith.testing

    for name in callsmith.testing.__all__:
        assert getattr(callsmith.testing, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = callsmith.testing.nonsense
