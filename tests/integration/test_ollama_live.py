"""The contracts against a real server: run with OLLAMA_HOST set.

    OLLAMA_HOST=localhost:11434 CALLSMITH_OLLAMA_MODEL=gemma4:e4b pytest -m ollama

The model must be there (`ollama pull`), be a Gemma 4, and have the capability `tools`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from callsmith import Message, Prompt, PromptTooLongError, Sampling, Segment, ToolSpec
from callsmith.testing import ChatArmContract, TextArmContract
from callsmith_ollama.chat_arm import OllamaChatArm
from callsmith_ollama.config import ChatConfig, RawConfig
from callsmith_ollama.raw_arm import OllamaRawArm

pytestmark = [
    pytest.mark.ollama,
    pytest.mark.skipif(not os.environ.get("OLLAMA_HOST"), reason="set OLLAMA_HOST"),
]

MODEL = os.environ.get("CALLSMITH_OLLAMA_MODEL", "gemma4:e4b")


def native(user: str) -> Prompt:
    text = f"<bos><|turn>user\n{user}<turn|>\n<|turn>model\n"
    return Prompt(segments=(Segment(text=text, origin="control"),))


class TestOllamaRawLive(TextArmContract):
    @pytest.fixture
    async def arm(self) -> AsyncIterator[OllamaRawArm]:
        arm = OllamaRawArm(RawConfig(model=MODEL))
        yield arm
        await arm.aclose()

    @pytest.fixture
    def prompts(self) -> Sequence[Prompt]:
        questions = ("Count from one to ten in words.", "Name the colours of the rainbow.")
        return tuple(native(question) for question in questions)

    async def test_it_says_whether_control_tokens_are_seen(self, arm: OllamaRawArm) -> None:
        found = await arm.probe()
        assert found.details["control_tokens_visible"] in (True, False)
        assert bool(found.warnings) or found.details["control_tokens_visible"]
        assert found.runtime_version
        assert found.model_digest

    async def test_a_prompt_that_is_too_long_is_never_cut(self) -> None:
        arm = OllamaRawArm(RawConfig(model=MODEL, num_ctx=512))
        with pytest.raises(PromptTooLongError):
            await arm.complete(native("word " * 2000), Sampling(max_tokens=16))
        await arm.aclose()


class TestOllamaChatLive(ChatArmContract):
    @pytest.fixture
    async def arm(self) -> AsyncIterator[OllamaChatArm]:
        arm = OllamaChatArm(ChatConfig(model=MODEL))
        yield arm
        await arm.aclose()

    async def test_thoughts_are_not_content(self, arm: OllamaChatArm, sampling: Sampling) -> None:
        asked = [Message(role="user", content="What is 17 times 23?")]
        thinking = replace(sampling, thinking=True, max_tokens=1024)
        reply = await arm.generate(asked, (), thinking)
        assert reply.reasoning
        assert "<|channel>" not in reply.content

    async def test_a_prompt_that_is_too_long_is_never_cut(self) -> None:
        arm = OllamaChatArm(ChatConfig(model=MODEL, num_ctx=512))
        history = [Message(role="user", content="word " * 400) for _ in range(8)]
        with pytest.raises(PromptTooLongError):
            await arm.generate(history, [ToolSpec(name="f")], Sampling(max_tokens=16))
        await arm.aclose()
