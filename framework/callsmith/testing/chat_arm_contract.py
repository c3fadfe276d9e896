"""What every chat arm must do: a test class to subclass.

    class TestMyArm(ChatArmContract):
        @pytest.fixture
        def arm(self):
            return MyArm(MyConfig(base_url=...))

The fixtures `conversations`, `calling` and `sampling` have defaults that suit a model that answers
questions and can call a tool; override them where a server is scripted. The tests ask for the same
thing several times, so the runtime behind the arm must answer the same request in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from callsmith.protocols import ChatArm
from callsmith.testing.arm_checks import (
    abandon,
    check_completion,
    check_distinct,
    check_fidelity,
    gather_all,
    inner_stop,
)
from callsmith.types import (
    CallParsed,
    ContentDelta,
    Event,
    FaultFound,
    JsonValue,
    Message,
    ReasoningDelta,
    Reply,
    Sampling,
    ToolCall,
    ToolSpec,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calling:
    """A question to which the model answers with calls; `expected` are they, where known.

    Only names and arguments are compared.
    """

    messages: Sequence[Message]
    tools: Sequence[ToolSpec]
    expected: Sequence[ToolCall] | None = None


def _essence(calls: Sequence[ToolCall]) -> list[tuple[str, JsonValue]]:
    """Calls without what may differ between two equal requests: the server's ids."""
    return [(call.name, call.arguments) for call in calls]


class ChatArmContract:
    """The contract of `ChatArm`. Give it a fixture `arm`, and `calling` where a server is scripted.

    A server that shows no completion (`Reply.completion` is None) skips the test of `max_tokens`.
    """

    @pytest.fixture
    def conversations(self) -> Sequence[Sequence[Message]]:
        """At least two conversations that are answered in text, differently, without a tool."""
        return tuple(
            (Message(role="user", content=text),)
            for text in (
                "Count from one to ten in words.",
                "Name the colours of the rainbow.",
                "Tell me a story in three sentences.",
            )
        )

    @pytest.fixture
    def calling(self) -> Calling:
        """A question to which the model answers with a call."""
        weather = ToolSpec(
            name="get_weather",
            description="Get the current weather in a city.",
            parameters={
                "type": "object",
                "properties": {"city": {"type": "string", "description": "The city"}},
                "required": ["city"],
            },
        )
        question = Message(role="user", content="What is the weather in Paris right now?")
        return Calling(messages=(question,), tools=(weather,))

    @pytest.fixture
    def sampling(self) -> Sampling:
        """Greedy, with room for an answer."""
        return Sampling(max_tokens=96)

    async def _stream(
        self,
        arm: ChatArm,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        sampling: Sampling,
    ) -> tuple[list[Event], Reply]:
        events: list[Event] = []
        last: Reply | None = None
        async for item in arm.stream(messages, tools, sampling):
            assert last is None, f"the stream goes on after its reply: {item!r:.80}"
            if isinstance(item, Reply):
                last = item
            else:
                events.append(item)
        assert last is not None, "the last item of a stream must be the Reply"
        return events, last

    def _check_agreement(self, events: Sequence[Event], last: Reply, whole: Reply) -> None:
        assert (last.content, last.reasoning) == (whole.content, whole.reasoning), (
            "stream and generate differ in their text"
        )
        assert _essence(last.calls) == _essence(whole.calls), "stream and generate differ in calls"
        assert last.faults == whole.faults, "stream and generate differ in faults"
        content = "".join(e.text for e in events if isinstance(e, ContentDelta))
        assert last.content.startswith(content), "streamed content is not the reply's content"
        thought = "".join(e.text for e in events if isinstance(e, ReasoningDelta))
        assert last.reasoning.startswith(thought), "streamed thoughts are not the reply's"
        parsed = [e for e in events if isinstance(e, CallParsed)]
        assert [e.index for e in parsed] == list(range(len(parsed))), "calls are out of order"
        assert tuple(e.call for e in parsed) == last.calls[: len(parsed)], (
            "streamed calls are not the reply's calls"
        )
        found = tuple(e.fault for e in events if isinstance(e, FaultFound))
        assert found == last.faults[: len(found)], "streamed faults are not the reply's"

    def test_has_the_methods_of_a_chat_arm(self, arm: ChatArm) -> None:
        """`arm` matches the protocol."""
        assert isinstance(arm, ChatArm), f"{type(arm).__name__} lacks a method of ChatArm"

    @pytest.mark.asyncio
    async def test_generate_and_stream_agree(
        self,
        arm: ChatArm,
        conversations: Sequence[Sequence[Message]],
        calling: Calling,
        sampling: Sampling,
    ) -> None:
        """The stream's last item is the reply; its events are the reply in pieces.

        Events may stop short of the reply: what becomes certain only at the end stands in it.
        """
        questions = [(messages, ()) for messages in conversations]
        for messages, tools in [*questions, (calling.messages, calling.tools)]:
            whole = await arm.generate(messages, tools, sampling)
            events, last = await self._stream(arm, messages, tools, sampling)
            self._check_agreement(events, last, whole)

    @pytest.mark.asyncio
    async def test_calls_are_read(self, arm: ChatArm, calling: Calling, sampling: Sampling) -> None:
        """A call of a declared tool, with an object of arguments, and no markup in the content."""
        reply = await arm.generate(calling.messages, calling.tools, sampling)
        assert reply.calls, f"no call was read; content {reply.content!r}, faults {reply.faults!r}"
        names = {tool.name for tool in calling.tools}
        for call in reply.calls:
            assert call.name in names, f"{call.name!r} is not a declared tool"
            assert isinstance(call.arguments, dict), f"arguments are {call.arguments!r:.80}"
        if calling.expected is not None:
            assert _essence(reply.calls) == _essence(calling.expected), "other calls were expected"

    @pytest.mark.asyncio
    async def test_a_tool_result_can_be_sent(
        self, arm: ChatArm, calling: Calling, sampling: Sampling
    ) -> None:
        """Calls and their results go back in, with text and with JSON as the result."""
        reply = await arm.generate(calling.messages, calling.tools, sampling)
        assert reply.calls, "no call was read"
        calls = tuple(
            replace(call, id=call.id or f"call_{index}") for index, call in enumerate(reply.calls)
        )
        said = Message(role="assistant", content=reply.content, tool_calls=calls)
        values: tuple[JsonValue, ...] = ("sunny, 21 degrees", {"sky": "sunny", "celsius": 21})
        for value in values:
            results = [
                Message(role="tool", content=value, tool_call_id=call.id, name=call.name)
                for call in calls
            ]
            follow = [*calling.messages, said, *results]
            answer = await arm.generate(follow, calling.tools, sampling)
            assert isinstance(answer, Reply), f"generate returned {answer!r:.80}"
            assert answer.content or answer.calls or answer.faults or answer.reasoning, (
                "nothing at all came back after a tool's result"
            )

    @pytest.mark.asyncio
    async def test_greedy_is_repeatable(
        self, arm: ChatArm, conversations: Sequence[Sequence[Message]], sampling: Sampling
    ) -> None:
        """The same conversation, sampling and seed give the same reply."""
        sampling = replace(sampling, temperature=0.0)
        first = await arm.generate(conversations[0], (), sampling)
        await arm.generate(conversations[1], (), sampling)
        again = await arm.generate(conversations[0], (), sampling)
        assert again.content == first.content, "the same greedy request gave another reply"

    @pytest.mark.asyncio
    async def test_stop_strings_end_the_text_and_are_not_in_it(
        self, arm: ChatArm, conversations: Sequence[Sequence[Message]], sampling: Sampling
    ) -> None:
        """Content up to the first stop string (white space at its end aside)."""
        full = (await arm.generate(conversations[0], (), sampling)).content
        stop = inner_stop(full)
        stopping = replace(sampling, stop=(*sampling.stop, stop))
        expected = full[: full.index(stop)].rstrip()
        cut = await arm.generate(conversations[0], (), stopping)
        assert cut.content.rstrip() == expected, f"stop string {stop!r} gave {cut.content!r}"
        events, last = await self._stream(arm, conversations[0], (), stopping)
        assert last.content.rstrip() == expected, f"stop string {stop!r} gave {last.content!r}"
        self._check_agreement(events, last, cut)

    @pytest.mark.asyncio
    async def test_max_tokens_cuts_and_says_so(
        self, arm: ChatArm, conversations: Sequence[Sequence[Message]], sampling: Sampling
    ) -> None:
        """At the limit, the completion's `stop_reason` is "length"."""
        full = await arm.generate(conversations[0], (), sampling)
        short = replace(sampling, max_tokens=1)
        cut = await arm.generate(conversations[0], (), short)
        assert len(cut.content) < len(full.content), "max_tokens=1 gave the whole answer"
        if cut.completion is None:
            pytest.skip("the server shows no completion, so nothing says that it was cut")
        reason = cut.completion.stop_reason
        assert reason == "length", f"cut at one token, stop_reason is {reason!r}"
        check_completion(cut.completion, short)

    @pytest.mark.asyncio
    async def test_counts_are_sane(
        self, arm: ChatArm, conversations: Sequence[Sequence[Message]], sampling: Sampling
    ) -> None:
        """Token counts are None or plausible; logprobs fit their token ids."""
        for messages in conversations:
            reply = await arm.generate(messages, (), sampling)
            if reply.completion is not None:
                check_completion(reply.completion, sampling)

    @pytest.mark.asyncio
    async def test_concurrent_requests_do_not_mix(
        self,
        arm: ChatArm,
        conversations: Sequence[Sequence[Message]],
        calling: Calling,
        sampling: Sampling,
    ) -> None:
        """Each of many requests at once gets the reply that it gets alone."""
        questions: list[tuple[Sequence[Message], Sequence[ToolSpec]]] = [
            *((messages, ()) for messages in conversations),
            (calling.messages, calling.tools),
        ]

        async def answer(index: int, *, streamed: bool) -> tuple[object, ...]:
            messages, tools = questions[index % len(questions)]
            if streamed:
                reply = (await self._stream(arm, messages, tools, sampling))[1]
            else:
                reply = await arm.generate(messages, tools, sampling)
            return reply.content, reply.reasoning, _essence(reply.calls)

        async def ask(index: int) -> tuple[object, ...]:
            return await answer(index, streamed=index % 2 == 1)

        alone = [await answer(index, streamed=False) for index in range(len(questions))]
        check_distinct(alone, "conversations")
        count = 2 * len(questions) + 1
        for index, found in enumerate(await gather_all(ask, count)):
            assert found == alone[index % len(questions)], "concurrent requests were mixed up"

    @pytest.mark.asyncio
    async def test_an_abandoned_stream_harms_nobody(
        self, arm: ChatArm, conversations: Sequence[Sequence[Message]], sampling: Sampling
    ) -> None:
        """After a reader walked away, the next request is answered as ever."""
        before = (await arm.generate(conversations[1], (), sampling)).content
        await abandon(arm.stream(conversations[0], (), sampling))
        assert (await arm.generate(conversations[1], (), sampling)).content == before

    @pytest.mark.asyncio
    async def test_probe_says_what_is_known(self, arm: ChatArm) -> None:
        """`probe` returns a `Fidelity` that a run folder can keep."""
        check_fidelity(await arm.probe())

    @pytest.mark.asyncio
    async def test_may_be_closed_twice(
        self, arm: ChatArm, conversations: Sequence[Sequence[Message]], sampling: Sampling
    ) -> None:
        """`aclose` after use, and once more."""
        await arm.generate(conversations[0], (), sampling)
        await arm.aclose()
        await arm.aclose()
