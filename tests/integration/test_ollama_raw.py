"""`ollama-raw` over real HTTP: the prompt goes in as it is, the text comes out as it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from callsmith import ArmError, Completion, Prompt, Sampling, Segment
from callsmith_ollama.config import RawConfig
from callsmith_ollama.raw_arm import OllamaRawArm
from servers.ollama import Content, FakeOllama, Item, Stall, Thinking, tokens

MODEL = "gemma4:e4b"
CALLS = (
    '<|tool_call>call:add{a:2,b:<|"|>drei\n☀<|"|>}<tool_call|><|tool_call>call:add{a:4}<tool_call|>'
)


def prompt(text: str = "<bos><|turn>user\n2 + 3?<turn|>\n<|turn>model\n") -> Prompt:
    return Prompt(segments=(Segment(text=text, origin="control"),))


@pytest.fixture
async def server() -> AsyncIterator[FakeOllama]:
    async with FakeOllama() as running:
        yield running


async def complete(
    server: FakeOllama,
    answer: str | Sequence[Item],
    sampling: Sampling | None = None,
    asked: Prompt | None = None,
    **options: Any,
) -> Completion:
    server.script = [answer]
    server._answered = 0
    arm = OllamaRawArm(RawConfig(model=MODEL, url=server.url, **options))
    try:
        return await arm.complete(asked or prompt(), sampling or Sampling(max_tokens=64))
    finally:
        await arm.aclose()


async def test_the_prompt_is_sent_as_it_is(server: FakeOllama) -> None:
    await complete(server, "5", num_ctx=4096, keep_alive=-1)
    ((path, body),) = server.requests
    assert path == "/api/generate"
    assert (body["prompt"], body["raw"]) == (prompt().text, True)
    assert {"template", "system", "context", "messages", "tools"}.isdisjoint(body)
    assert (body["truncate"], body["shift"], body["stream"]) == (False, False, True)
    assert (body["options"]["num_ctx"], body["keep_alive"]) == (4096, -1)
    assert body["options"]["stop"] == []


@pytest.mark.parametrize("thinking", [True, False])
async def test_the_server_is_never_asked_to_take_thoughts_out(
    server: FakeOllama, thinking: bool
) -> None:
    await complete(server, "5", Sampling(max_tokens=64, thinking=thinking))
    assert server.requests[0][1]["think"] is False


@pytest.mark.parametrize("split", [None, 1])
async def test_parallel_calls_arrive_whole(server: FakeOllama, split: int | None) -> None:
    server.split = split
    completion = await complete(server, CALLS + "<|tool_response>never shown")
    assert completion.text == CALLS
    assert completion.stop_reason == "stop"


async def test_a_stop_string_is_not_part_of_the_text(server: FakeOllama) -> None:
    completion = await complete(
        server, "one two. STOP HERE three", Sampling(max_tokens=64, stop=("STOP HERE",))
    )
    assert (completion.text, completion.stop_reason) == ("one two. ", "stop")
    assert server.requests[0][1]["options"]["stop"] == ["STOP HERE"]


async def test_it_refuses_to_stop_at_the_end_of_a_call(server: FakeOllama) -> None:
    with pytest.raises(ArmError, match="hide every call after the first"):
        await complete(server, CALLS, Sampling(max_tokens=64, stop=("<tool_call|>",)))
    assert server.requests == []


async def test_a_cut_answer_says_length(server: FakeOllama) -> None:
    completion = await complete(server, CALLS, Sampling(max_tokens=4))
    assert completion.stop_reason == "length"
    assert completion.text == "".join(tokens(CALLS)[:4])
    assert completion.usage.completion_tokens == 4


async def test_pieces_come_as_the_server_sends_them(server: FakeOllama) -> None:
    server.script = [[Content("one "), Stall(0.01), Content("two")]]
    arm = OllamaRawArm(RawConfig(model=MODEL, url=server.url))
    pieces = [piece async for piece in arm.stream(prompt(), Sampling(max_tokens=64))]
    await arm.aclose()
    assert pieces[:-1] == ["one", " ", "two"]
    assert isinstance(pieces[-1], Completion)
    assert pieces[-1].text == "one two"


async def test_counts_and_times_are_the_servers(server: FakeOllama) -> None:
    completion = await complete(server, [Stall(0.05), Content("one two")])
    assert completion.usage.prompt_tokens == len(tokens(prompt().text))
    assert completion.usage.completion_tokens == 3
    assert completion.timings["load"] == 0.25
    assert completion.timings["first_token"] >= 0.05


async def test_a_thought_that_was_taken_out_is_an_error(server: FakeOllama) -> None:
    with pytest.raises(ArmError, match="took a thought out"):
        await complete(server, [Thinking("hm"), Content("5")])


async def test_an_empty_prompt_is_refused(server: FakeOllama) -> None:
    with pytest.raises(ArmError, match="prompt is empty"):
        await complete(server, "5", asked=Prompt(segments=()))
    assert server.requests == []


async def test_an_empty_answer_is_an_answer(server: FakeOllama) -> None:
    completion = await complete(server, "<turn|>")
    assert (completion.text, completion.stop_reason) == ("", "stop")
    assert "first_token" not in completion.timings
