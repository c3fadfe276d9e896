"""What every text engine must do: a test class to subclass.

    class TestMyArm(TextArmContract):
        @pytest.fixture
        def arm(self):
            return MyArm(MyConfig(base_url=...))

The fixtures `prompts` and `sampling` have defaults that suit a model that says something;
override them where a server is scripted. The tests ask for the same thing several times, so the
runtime behind the arm must answer the same request in the same way (greedy decoding does).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from callsmith.protocols import TextArm
from callsmith.testing.arm_checks import (
    abandon,
    check_completion,
    check_distinct,
    check_fidelity,
    gather_all,
    inner_stop,
)
from callsmith.types import Completion, Prompt, Sampling, Segment


def _plain(text: str) -> Prompt:
    return Prompt(segments=(Segment(text=text, origin="content"),))


def _untimed(completion: Completion) -> Completion:
    return replace(completion, timings={})


class TextArmContract:
    """The contract of `TextArm`. Give it a fixture `arm`."""

    @pytest.fixture
    def prompts(self) -> Sequence[Prompt]:
        """At least two prompts that the engine completes differently, with 8 characters or more."""
        return tuple(
            _plain(text)
            for text in (
                "Count from one to ten:",
                "The colours of the rainbow are",
                "Once upon a time",
                "def fibonacci(n):",
            )
        )

    @pytest.fixture
    def sampling(self) -> Sampling:
        """Greedy, with room for an answer."""
        return Sampling(max_tokens=48)

    async def _stream(
        self, arm: TextArm, prompt: Prompt, sampling: Sampling
    ) -> tuple[str, Completion]:
        pieces: list[str] = []
        last: Completion | None = None
        async for item in arm.stream(prompt, sampling):
            assert last is None, f"the stream goes on after its completion: {item!r:.80}"
            if isinstance(item, Completion):
                last = item
            else:
                assert isinstance(item, str), f"the stream yielded {item!r:.80}"
                pieces.append(item)
        assert last is not None, "the last item of a stream must be the Completion"
        return "".join(pieces), last

    def test_has_the_methods_of_a_text_arm(self, arm: TextArm) -> None:
        """`arm` matches the protocol."""
        assert isinstance(arm, TextArm), f"{type(arm).__name__} lacks a method of TextArm"

    @pytest.mark.asyncio
    async def test_complete_and_stream_agree(
        self, arm: TextArm, prompts: Sequence[Prompt], sampling: Sampling
    ) -> None:
        """The pieces are the text; the streamed completion equals the other, timings aside."""
        for prompt in prompts:
            whole = await arm.complete(prompt, sampling)
            text, last = await self._stream(arm, prompt, sampling)
            assert text == last.text, "the pieces of a stream are not its completion's text"
            assert _untimed(last) == _untimed(whole), "complete and stream differ"

    @pytest.mark.asyncio
    async def test_greedy_is_repeatable(
        self, arm: TextArm, prompts: Sequence[Prompt], sampling: Sampling
    ) -> None:
        """The same prompt, sampling and seed give the same text."""
        sampling = replace(sampling, temperature=0.0)
        first = await arm.complete(prompts[0], sampling)
        await arm.complete(prompts[1], sampling)
        again = await arm.complete(prompts[0], sampling)
        assert again.text == first.text, "the same greedy request gave another text"

    @pytest.mark.asyncio
    async def test_stop_strings_end_the_text_and_are_not_in_it(
        self, arm: TextArm, prompts: Sequence[Prompt], sampling: Sampling
    ) -> None:
        """Text up to the first stop string, streamed or not."""
        full = (await arm.complete(prompts[0], sampling)).text
        stop = inner_stop(full)
        stopping = replace(sampling, stop=(*sampling.stop, "\x00never\x00", stop))
        expected = full[: full.index(stop)]
        cut = await arm.complete(prompts[0], stopping)
        assert cut.text == expected, f"stop string {stop!r} gave {cut.text!r}, not {expected!r}"
        assert cut.stop_reason != "length", "a stop string is no token limit"
        text, last = await self._stream(arm, prompts[0], stopping)
        assert (text, last.text) == (expected, expected), "a stream let its stop string through"

    @pytest.mark.asyncio
    async def test_max_tokens_cuts_and_says_so(
        self, arm: TextArm, prompts: Sequence[Prompt], sampling: Sampling
    ) -> None:
        """At the limit, `stop_reason` is "length"."""
        full = (await arm.complete(prompts[0], sampling)).text
        short = replace(sampling, max_tokens=1)
        cut = await arm.complete(prompts[0], short)
        assert cut.stop_reason == "length", f"cut at one token, stop_reason is {cut.stop_reason!r}"
        assert len(cut.text) < len(full), "max_tokens=1 gave the whole text"
        check_completion(cut, short)
        text, last = await self._stream(arm, prompts[0], short)
        assert (text, last.stop_reason) == (cut.text, "length"), "a cut stream says something else"

    @pytest.mark.asyncio
    async def test_counts_are_sane(
        self, arm: TextArm, prompts: Sequence[Prompt], sampling: Sampling
    ) -> None:
        """Token counts are None or plausible; logprobs fit their token ids."""
        for prompt in prompts:
            check_completion(await arm.complete(prompt, sampling), sampling)

    @pytest.mark.asyncio
    async def test_concurrent_requests_do_not_mix(
        self, arm: TextArm, prompts: Sequence[Prompt], sampling: Sampling
    ) -> None:
        """Each of many requests at once gets the answer that it gets alone."""
        alone = [(await arm.complete(prompt, sampling)).text for prompt in prompts]
        check_distinct(alone, "prompts")

        async def ask(index: int) -> str:
            prompt = prompts[index % len(prompts)]
            if index % 2:
                return (await self._stream(arm, prompt, sampling))[0]
            return (await arm.complete(prompt, sampling)).text

        # An odd number per round, so that each prompt is asked in both ways.
        count = 2 * len(prompts) + 1
        together = await gather_all(ask, count)
        for index, text in enumerate(together):
            assert text == alone[index % len(prompts)], "concurrent requests were mixed up"

    @pytest.mark.asyncio
    async def test_an_abandoned_stream_harms_nobody(
        self, arm: TextArm, prompts: Sequence[Prompt], sampling: Sampling
    ) -> None:
        """After a reader walked away, the next request is answered as ever."""
        before = (await arm.complete(prompts[1], sampling)).text
        await abandon(arm.stream(prompts[0], sampling))
        assert (await arm.complete(prompts[1], sampling)).text == before

    @pytest.mark.asyncio
    async def test_probe_says_what_is_known(self, arm: TextArm) -> None:
        """`probe` returns a `Fidelity` that a run folder can keep."""
        check_fidelity(await arm.probe())

    @pytest.mark.asyncio
    async def test_may_be_closed_twice(
        self, arm: TextArm, prompts: Sequence[Prompt], sampling: Sampling
    ) -> None:
        """`aclose` after use, and once more."""
        await arm.complete(prompts[0], sampling)
        await arm.aclose()
        await arm.aclose()
