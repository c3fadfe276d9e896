"""Both Ollama arms keep the contracts of their kinds, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from callsmith import Message, ToolCall, ToolSpec
from callsmith.testing import ChatArmContract, TextArmContract
from callsmith.testing.chat_arm_contract import Calling
from callsmith_ollama.chat_arm import OllamaChatArm
from callsmith_ollama.config import ChatConfig, RawConfig
from callsmith_ollama.raw_arm import OllamaRawArm
from servers.ollama import Answer, Call, Content, FakeOllama, Thinking

MODEL = "gemma4:e4b"


def say(text: str) -> str:
    """An answer that differs from question to question and is always the same for one."""
    return (
        f"You said {len(text)} characters, ending in {text[-12:]!r}. " + "All of it was read. " * 2
    )


def raw_answer(body: Mapping[str, Any]) -> Answer:
    return say(body["prompt"])


def chat_answer(body: Mapping[str, Any]) -> Answer:
    last = body["messages"][-1]
    if last["role"] == "tool":
        return [Content(f"The tool said: {last['content']}")]
    if body.get("tools"):
        return [Thinking("A tool fits."), Call("get_weather", {"city": "Oslo"}, id="call_a1b2c3d4")]
    return [Content(say(last["content"]))]


@pytest.fixture(params=[None, 61], ids=["whole lines", "pieces of 61 bytes"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[FakeOllama]:
    async with FakeOllama(split=request.param) as running:
        yield running


class TestOllamaRaw(TextArmContract):
    @pytest.fixture
    async def arm(self, server: FakeOllama) -> AsyncIterator[OllamaRawArm]:
        server.script = raw_answer
        arm = OllamaRawArm(RawConfig(model=MODEL, url=server.url))
        yield arm
        await arm.aclose()


class TestOllamaChat(ChatArmContract):
    @pytest.fixture
    async def arm(self, server: FakeOllama) -> AsyncIterator[OllamaChatArm]:
        server.script = chat_answer
        arm = OllamaChatArm(ChatConfig(model=MODEL, url=server.url))
        yield arm
        await arm.aclose()

    @pytest.fixture
    def calling(self) -> Calling:
        return Calling(
            messages=[Message(role="user", content="Weather in Oslo?")],
            tools=[ToolSpec(name="get_weather", parameters={"type": "object", "properties": {}})],
            expected=[ToolCall(name="get_weather", arguments={"city": "Oslo"})],
        )


class TestOllamaChatNative(TestOllamaChat):
    """The server's other mode: llama.cpp parses, and calls stand on the last line only."""

    @pytest.fixture
    async def server(self) -> AsyncIterator[FakeOllama]:
        async with FakeOllama(native=True) as running:
            yield running


def test_the_questions_of_the_contract_are_answered_differently() -> None:
    texts: Sequence[str] = ["Count from one to ten:", "Once upon a time"]
    assert len({say(text) for text in texts}) == len(texts)
