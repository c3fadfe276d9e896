"""Both arms keep the contracts of their kinds, over real HTTP, with every kind of server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from callsmith import Message, ToolCall, ToolSpec
from callsmith.testing import ChatArmContract, TextArmContract
from callsmith.testing.chat_arm_contract import Calling
from callsmith_openai.chat_arm import OpenAIChatArm
from callsmith_openai.completions_arm import OpenAICompletionsArm
from callsmith_openai.config import ChatConfig, CompletionsConfig
from servers.openai import Answer, Call, Content, Delivery, FakeOpenAI, Thinking

MODEL = "gemma4"


def say(text: str) -> str:
    """An answer that differs from question to question and is always the same for one."""
    return (
        f"You said {len(text)} characters, ending in {text[-12:]!r}. " + "All of it was read. " * 2
    )


def text_answer(body: Mapping[str, Any]) -> Answer:
    return say(body["prompt"])


def chat_answer(body: Mapping[str, Any]) -> Answer:
    last = body["messages"][-1]
    if last["role"] == "tool":
        return [Content(f"The tool said: {last['content']}")]
    if body.get("tools"):
        return [Thinking("A tool fits."), Call("get_weather", {"city": "Oslo"}, id="call_a1b2c3d4")]
    return [Content(say(last["content"]))]


SERVERS = {
    "vllm": {"flavour": "vllm", "delivery": Delivery(calls="fragments", comments=True)},
    "sglang": {"flavour": "sglang", "delivery": Delivery(split=61)},
    "llama.cpp": {"flavour": "llama.cpp", "delivery": Delivery(newline="\r\n", split=7)},
    "transformers": {
        "flavour": "transformers",
        "delivery": Delivery(done=False, usage="last"),
        "keeps_stop": True,
    },
    "one piece": {"delivery": Delivery(streams=False)},
}


@pytest.fixture(params=list(SERVERS))
async def server(request: pytest.FixtureRequest) -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI(**SERVERS[request.param]) as running:
        yield running


class TestOpenAICompletions(TextArmContract):
    @pytest.fixture
    async def arm(self, server: FakeOpenAI) -> AsyncIterator[OpenAICompletionsArm]:
        server.script = text_answer
        arm = OpenAICompletionsArm(CompletionsConfig(model=MODEL, url=server.url))
        yield arm
        await arm.aclose()


class TestOpenAIChat(ChatArmContract):
    @pytest.fixture
    async def arm(self, server: FakeOpenAI) -> AsyncIterator[OpenAIChatArm]:
        server.script = chat_answer
        arm = OpenAIChatArm(ChatConfig(model=MODEL, url=server.url))
        yield arm
        await arm.aclose()

    @pytest.fixture
    def calling(self) -> Calling:
        return Calling(
            messages=[Message(role="user", content="Weather in Oslo?")],
            tools=[ToolSpec(name="get_weather", parameters={"type": "object", "properties": {}})],
            expected=[ToolCall(name="get_weather", arguments={"city": "Oslo"})],
        )
