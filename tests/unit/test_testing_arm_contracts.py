"""The contracts of arms can fail: each kind of broken arm is caught by the test meant for it."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from callsmith import (
    ArmError,
    Completion,
    ContentDelta,
    Event,
    Fidelity,
    Message,
    Prompt,
    Reply,
    Sampling,
    Segment,
    ToolCall,
    ToolSpec,
    Usage,
)
from callsmith.testing import (
    Calling,
    ChatArmContract,
    ScriptedChatArm,
    ScriptedTextArm,
    TextArmContract,
)
from contract_runner import failures, names_of_tests

pytest_plugins = ["pytester"]

PROMPTS = tuple(
    Prompt(segments=(Segment(text=text, origin="content"),)) for text in ("red", "green", "blue")
)
CONVERSATIONS = tuple((Message(role="user", content=text),) for text in ("red", "green", "blue"))
WEATHER = ToolSpec(name="weather", parameters={"type": "object"})
CALLING = Calling(
    messages=(Message(role="user", content="is it raining in Oslo?"),),
    tools=(WEATHER,),
    expected=(ToolCall(name="weather", arguments={"city": "Oslo"}),),
)


def continued(prompt: Prompt, sampling: Sampling) -> str:
    return f"After {prompt.text} comes a good deal more, in some nine words."


def answered(
    messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
) -> str | ToolCall:
    if tools and messages[-1].role == "user":
        return ToolCall(name="weather", arguments={"city": "Oslo"})
    return f"You said {messages[-1].content!r}, and this is the answer to it."


class GoodText(ScriptedTextArm):
    def __init__(self) -> None:
        super().__init__(continued)


class GoodChat(ScriptedChatArm):
    def __init__(self) -> None:
        super().__init__(answered)


def text_failures(arm: Callable[[], Any]) -> dict[str, str]:
    return failures(
        TextArmContract,
        {"arm": arm, "prompts": lambda: PROMPTS, "sampling": lambda: Sampling(max_tokens=48)},
    )


def chat_failures(arm: Callable[[], Any]) -> dict[str, str]:
    return failures(
        ChatArmContract,
        {
            "arm": arm,
            "conversations": lambda: CONVERSATIONS,
            "calling": lambda: CALLING,
            "sampling": lambda: Sampling(max_tokens=48),
        },
    )


class DropsTheLastPiece(GoodText):
    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncIterator[str | Completion]:
        held: str | Completion | None = None
        async for item in super().stream(prompt, sampling):
            if isinstance(held, str) and not isinstance(item, Completion):
                yield held
            held = item
        assert held is not None
        yield held


class NeverYieldsTheCompletion(GoodText):
    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncIterator[str | Completion]:
        async for item in super().stream(prompt, sampling):
            if isinstance(item, str):
                yield item


class Altered(GoodText):
    """Changes requests or completions, streamed or not."""

    def asked(self, sampling: Sampling) -> Sampling:
        return sampling

    def returned(self, completion: Completion, sampling: Sampling) -> Completion:
        return completion

    async def complete(self, prompt: Prompt, sampling: Sampling) -> Completion:
        return self.returned(await super().complete(prompt, self.asked(sampling)), sampling)

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncIterator[str | Completion]:
        completion = await self.complete(prompt, sampling)
        yield completion.text
        yield completion


class IgnoresStop(Altered):
    def asked(self, sampling: Sampling) -> Sampling:
        return replace(sampling, stop=())


class KeepsTheStopString(Altered):
    def returned(self, completion: Completion, sampling: Sampling) -> Completion:
        return replace(completion, text=completion.text + "".join(sampling.stop[-1:]))


class CallsAStopACut(Altered):
    def returned(self, completion: Completion, sampling: Sampling) -> Completion:
        return replace(completion, stop_reason="length")


class IgnoresMaxTokens(Altered):
    def asked(self, sampling: Sampling) -> Sampling:
        return replace(sampling, max_tokens=1000)


class HidesTheCut(Altered):
    def returned(self, completion: Completion, sampling: Sampling) -> Completion:
        return replace(completion, stop_reason="stop")


class CountsTooMuch(Altered):
    def returned(self, completion: Completion, sampling: Sampling) -> Completion:
        return replace(completion, usage=Usage(completion_tokens=sampling.max_tokens + 1))


class CountsNothing(Altered):
    def returned(self, completion: Completion, sampling: Sampling) -> Completion:
        return replace(completion, usage=Usage(prompt_tokens=-1, completion_tokens=0))


class HasProbabilitiesAboveOne(Altered):
    def returned(self, completion: Completion, sampling: Sampling) -> Completion:
        return replace(completion, token_ids=(1, 2), logprobs=(-0.1, 0.2))


class NeverTheSame(Altered):
    def returned(self, completion: Completion, sampling: Sampling) -> Completion:
        return replace(completion, text=f"{len(self.requests)} {completion.text}")


class MixesUpRequests(GoodText):
    """Keeps the request in the arm, where the next one overwrites it."""

    current: Prompt | None = None

    async def complete(self, prompt: Prompt, sampling: Sampling) -> Completion:
        self.current = prompt
        await asyncio.sleep(0.002)
        return await super().complete(self.current, sampling)


class SulksWhenAbandoned(GoodText):
    busy = False

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncIterator[str | Completion]:
        self.busy = True
        async for item in super().stream(prompt, sampling):
            yield item
        self.busy = False

    async def complete(self, prompt: Prompt, sampling: Sampling) -> Completion:
        if self.busy:
            raise ArmError("still busy with the last request")
        return await super().complete(prompt, sampling)


class ProbeRaises(GoodText):
    async def probe(self) -> Fidelity:
        raise ArmError("no such endpoint")


class ProbeIsNoJson(GoodText):
    async def probe(self) -> Fidelity:
        return Fidelity(runtime="mine", details={"digest": b"bytes"})  # type: ignore[dict-item]


class ClosesOnce(GoodText):
    async def aclose(self) -> None:
        if self.closed:
            raise RuntimeError("session is closed")
        await super().aclose()


class HasNoProbe:
    complete = GoodText.complete
    stream = GoodText.stream
    aclose = GoodText.aclose


BROKEN_TEXT = [
    (DropsTheLastPiece, "test_complete_and_stream_agree"),
    (NeverYieldsTheCompletion, "test_complete_and_stream_agree"),
    (IgnoresStop, "test_stop_strings_end_the_text_and_are_not_in_it"),
    (KeepsTheStopString, "test_stop_strings_end_the_text_and_are_not_in_it"),
    (CallsAStopACut, "test_stop_strings_end_the_text_and_are_not_in_it"),
    (IgnoresMaxTokens, "test_max_tokens_cuts_and_says_so"),
    (HidesTheCut, "test_max_tokens_cuts_and_says_so"),
    (CountsTooMuch, "test_counts_are_sane"),
    (CountsNothing, "test_counts_are_sane"),
    (HasProbabilitiesAboveOne, "test_counts_are_sane"),
    (NeverTheSame, "test_greedy_is_repeatable"),
    (MixesUpRequests, "test_concurrent_requests_do_not_mix"),
    (SulksWhenAbandoned, "test_an_abandoned_stream_harms_nobody"),
    (ProbeRaises, "test_probe_says_what_is_known"),
    (ProbeIsNoJson, "test_probe_says_what_is_known"),
    (ClosesOnce, "test_may_be_closed_twice"),
]


def test_a_good_text_arm_passes() -> None:
    assert text_failures(GoodText) == {}


@pytest.mark.parametrize(
    ("arm", "test"), BROKEN_TEXT, ids=lambda item: getattr(item, "__name__", "")
)
def test_a_broken_text_arm_is_caught(arm: type, test: str) -> None:
    assert test in text_failures(arm)


def test_an_arm_that_lacks_a_method_is_caught() -> None:
    with pytest.raises(AssertionError, match="lacks a method of TextArm"):
        TextArmContract().test_has_the_methods_of_a_text_arm(HasNoProbe())  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="lacks a method of ChatArm"):
        ChatArmContract().test_has_the_methods_of_a_chat_arm(GoodText())  # type: ignore[arg-type]


def test_prompts_that_prove_nothing_are_refused() -> None:
    found = text_failures(lambda: ScriptedTextArm("always the same answer"))
    assert found.keys() == {"test_concurrent_requests_do_not_mix"}
    assert "override the fixture `prompts`" in found["test_concurrent_requests_do_not_mix"]
    short = text_failures(lambda: ScriptedTextArm(lambda prompt, sampling: prompt.text))
    assert "override the fixture" in short["test_stop_strings_end_the_text_and_are_not_in_it"]


class ChatAltered(GoodChat):
    def asked(self, sampling: Sampling) -> Sampling:
        return sampling

    def returned(self, reply: Reply, sampling: Sampling) -> Reply:
        return reply

    async def generate(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> Reply:
        reply = await super().generate(messages, tools, self.asked(sampling))
        return self.returned(reply, sampling)

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> AsyncIterator[Event | Reply]:
        reply = await self.generate(messages, tools, sampling)
        yield ContentDelta(text=reply.content)
        yield reply


class StreamsOtherCalls(GoodChat):
    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> AsyncIterator[Event | Reply]:
        async for item in super().stream(messages, tools, sampling):
            yield replace(item, calls=item.calls[:-1]) if isinstance(item, Reply) else item


class StreamsMarkup(GoodChat):
    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> AsyncIterator[Event | Reply]:
        yield ContentDelta(text="<tool_call>")
        async for item in super().stream(messages, tools, sampling):
            yield item


class ArgumentsAreText(ChatAltered):
    def returned(self, reply: Reply, sampling: Sampling) -> Reply:
        return replace(reply, calls=tuple(replace(c, arguments="{}") for c in reply.calls))


class ReadsNoCalls(ChatAltered):
    def returned(self, reply: Reply, sampling: Sampling) -> Reply:
        return replace(reply, calls=(), content=reply.content or "call:weather{}")


class RefusesResults(GoodChat):
    async def generate(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> Reply:
        if any(not isinstance(message.content, str | None) for message in messages):
            raise ArmError("400: content must be text")
        return await super().generate(messages, tools, sampling)


class ChatIgnoresStop(ChatAltered):
    def asked(self, sampling: Sampling) -> Sampling:
        return replace(sampling, stop=())


class ChatHidesTheCut(ChatAltered):
    def returned(self, reply: Reply, sampling: Sampling) -> Reply:
        completion = reply.completion and replace(reply.completion, stop_reason=None)
        return replace(reply, completion=completion)


class ChatNeverTheSame(ChatAltered):
    def returned(self, reply: Reply, sampling: Sampling) -> Reply:
        return replace(reply, content=f"{len(self.requests)} {reply.content}")


class ChatMixesUpRequests(GoodChat):
    current: Sequence[Message] = ()

    async def generate(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> Reply:
        self.current = messages
        await asyncio.sleep(0.002)
        return await super().generate(self.current, tools, sampling)


class ChatCountsNothing(ChatAltered):
    def returned(self, reply: Reply, sampling: Sampling) -> Reply:
        completion = reply.completion and replace(
            reply.completion, usage=Usage(completion_tokens=-1)
        )
        return replace(reply, completion=completion)


class ChatProbeNamesNothing(GoodChat):
    async def probe(self) -> Fidelity:
        return Fidelity(runtime="")


class ChatClosesOnce(GoodChat):
    async def aclose(self) -> None:
        if self.closed:
            raise RuntimeError("session is closed")
        await super().aclose()


class ChatSulksWhenAbandoned(GoodChat):
    busy = False

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> AsyncIterator[Event | Reply]:
        self.busy = True
        async for item in super().stream(messages, tools, sampling):
            yield item
        self.busy = False

    async def generate(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> Reply:
        if self.busy:
            raise ArmError("still busy with the last request")
        return await super().generate(messages, tools, sampling)


BROKEN_CHAT = [
    (StreamsOtherCalls, "test_generate_and_stream_agree"),
    (StreamsMarkup, "test_generate_and_stream_agree"),
    (ArgumentsAreText, "test_calls_are_read"),
    (ReadsNoCalls, "test_calls_are_read"),
    (RefusesResults, "test_a_tool_result_can_be_sent"),
    (ChatIgnoresStop, "test_stop_strings_end_the_text_and_are_not_in_it"),
    (ChatHidesTheCut, "test_max_tokens_cuts_and_says_so"),
    (ChatCountsNothing, "test_counts_are_sane"),
    (ChatNeverTheSame, "test_greedy_is_repeatable"),
    (ChatMixesUpRequests, "test_concurrent_requests_do_not_mix"),
    (ChatProbeNamesNothing, "test_probe_says_what_is_known"),
    (ChatClosesOnce, "test_may_be_closed_twice"),
    (ChatSulksWhenAbandoned, "test_an_abandoned_stream_harms_nobody"),
]


def test_a_good_chat_arm_passes() -> None:
    assert chat_failures(GoodChat) == {}


@pytest.mark.parametrize(
    ("arm", "test"), BROKEN_CHAT, ids=lambda item: getattr(item, "__name__", "")
)
def test_a_broken_chat_arm_is_caught(arm: type, test: str) -> None:
    assert test in chat_failures(arm)


def test_every_test_of_the_contracts_is_shown_to_fail() -> None:
    text = {"test_has_the_methods_of_a_text_arm", *(test for _, test in BROKEN_TEXT)}
    chat = {"test_has_the_methods_of_a_chat_arm", *(test for _, test in BROKEN_CHAT)}
    assert set(names_of_tests(TextArmContract)) == text
    assert set(names_of_tests(ChatArmContract)) == chat


def test_a_stranger_can_subclass_it(pytester: pytest.Pytester, tmp_path: Path) -> None:
    """In a project of its own, without this repository's pytest options."""
    pytester.makepyfile(
        textwrap.dedent(
            """
            import pytest
            from callsmith.testing import ScriptedTextArm, TextArmContract

            class TestGood(TextArmContract):
                @pytest.fixture
                def arm(self):
                    return ScriptedTextArm(lambda p, s: f"{p.text} and so on and so forth")

            class TestBad(TextArmContract):
                @pytest.fixture
                def arm(self):
                    return ScriptedTextArm(["only one answer, then no more"])
            """
        )
    )
    result = pytester.runpytest_subprocess("-q")
    counts = result.parseoutcomes()
    assert counts["passed"] >= len(names_of_tests(TextArmContract))
    assert counts["failed"] >= 5
    result.stdout.fnmatch_lines(["*FAILED*TestBad*"])
    result.stdout.no_fnmatch_line("*FAILED*TestGood*")
