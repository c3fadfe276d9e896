"""The contracts against a real server: run with CALLSMITH_OPENAI_URL set.

    CALLSMITH_OPENAI_URL=http://localhost:8000 CALLSMITH_OPENAI_MODEL=google/gemma-4-E4B-it \\
        pytest -m live_openai

The model must be a Gemma 4 that can call tools, and the server must be started with its tool-call
parser. CALLSMITH_OPENAI_KEY_ENV names the variable that holds a key, if it needs one.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from callsmith import ArmError, Message, Prompt, Sampling, Segment, ToolSpec
from callsmith.testing import ChatArmContract, TextArmContract
from callsmith_openai.chat_arm import OpenAIChatArm
from callsmith_openai.completions_arm import OpenAICompletionsArm
from callsmith_openai.config import ChatConfig, CompletionsConfig

URL = os.environ.get("CALLSMITH_OPENAI_URL", "")
MODEL = os.environ.get("CALLSMITH_OPENAI_MODEL", "")
OPTIONS = {
    "url": URL,
    "model": MODEL,
    "api_key_env": os.environ.get("CALLSMITH_OPENAI_KEY_ENV", ""),
}

pytestmark = [
    pytest.mark.live_openai,
    pytest.mark.skipif(
        not (URL and MODEL), reason="set CALLSMITH_OPENAI_URL and CALLSMITH_OPENAI_MODEL"
    ),
]


def native(user: str) -> Prompt:
    text = f"<bos><|turn>user\n{user}<turn|>\n<|turn>model\n"
    return Prompt(segments=(Segment(text=text, origin="control"),))


class TestOpenAICompletionsLive(TextArmContract):
    @pytest.fixture
    async def arm(self) -> AsyncIterator[OpenAICompletionsArm]:
        arm = OpenAICompletionsArm(CompletionsConfig.model_validate(OPTIONS))
        yield arm
        await arm.aclose()

    @pytest.fixture
    def prompts(self) -> Sequence[Prompt]:
        questions = ("Count from one to ten in words.", "Name the colours of the rainbow.")
        return tuple(native(question) for question in questions)

    async def test_the_probe_reaches_the_model(self, arm: OpenAICompletionsArm) -> None:
        found = await arm.probe()
        assert found.details["prompt_sent_as"] in ("token ids", "text")
        lost = found.details["control_tokens_visible"] is False
        assert lost == any("leaves control tokens out" in text for text in found.warnings)
        assert not any("could not be probed" in text for text in found.warnings)

    async def test_ids_and_text_have_the_same_tokens(self, arm: OpenAICompletionsArm) -> None:
        by_default = await arm.complete(native("Say hello."), Sampling(max_tokens=16))
        options = {**OPTIONS, "tokens": "text"}
        other = OpenAICompletionsArm(CompletionsConfig.model_validate(options))
        as_text = await other.complete(native("Say hello."), Sampling(max_tokens=16))
        await other.aclose()
        assert as_text.text == by_default.text
        assert as_text.usage.prompt_tokens == by_default.usage.prompt_tokens


class TestOpenAIChatLive(ChatArmContract):
    @pytest.fixture
    async def arm(self) -> AsyncIterator[OpenAIChatArm]:
        arm = OpenAIChatArm(ChatConfig.model_validate(OPTIONS))
        yield arm
        await arm.aclose()

    async def test_one_piece_says_what_a_stream_says(
        self, arm: OpenAIChatArm, sampling: Sampling
    ) -> None:
        asked = [Message(role="user", content="What is the weather in Paris right now?")]
        tools = [
            ToolSpec(
                name="get_weather",
                description="Get the current weather in a city.",
                parameters={"type": "object", "properties": {"city": {"type": "string"}}},
            )
        ]
        streamed = await arm.generate(asked, tools, sampling)
        whole = OpenAIChatArm(ChatConfig.model_validate({**OPTIONS, "stream": False}))
        reply = await whole.generate(asked, tools, sampling)
        await whole.aclose()
        assert [(c.name, c.arguments) for c in reply.calls] == [
            (c.name, c.arguments) for c in streamed.calls
        ]
        assert reply.content == streamed.content

    async def test_the_probe_reaches_the_model(self, arm: OpenAIChatArm) -> None:
        found = await arm.probe()
        assert found.runtime
        assert not any("could not be probed" in text for text in found.warnings)

    async def test_a_model_that_is_not_there_is_named(self, sampling: Sampling) -> None:
        arm = OpenAIChatArm(ChatConfig.model_validate({**OPTIONS, "model": "no/such-model"}))
        question = [Message(role="user", content="?")]
        with pytest.raises(ArmError):
            await arm.generate(question, (), replace(sampling, max_tokens=4))
        await arm.aclose()
