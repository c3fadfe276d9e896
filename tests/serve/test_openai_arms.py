"""`openai-chat` and `openai-completions` on the real server: contracts, episodes, findings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from callsmith import (
    ArmError,
    CallParsed,
    ChatArm,
    Completion,
    ContentDelta,
    Message,
    Prompt,
    Reply,
    Sampling,
    Segment,
    Templated,
    TextArm,
    ToolSpec,
    load,
)
from callsmith.testing import Calling, ChatArmContract, TextArmContract
from fixtures.tiny_gemma4_episodes import BY_NAME, EPISODES, TOOLS, Episode
from serve.live_server import LiveServer, need_transformers

pytestmark = pytest.mark.serve
need_transformers()

GREEDY = Sampling(max_tokens=96)
ASKED = [episode for episode in EPISODES if not episode.reasoning]
CALLED = [episode for episode in EPISODES if episode.calls]


Build = Callable[..., Any]


@pytest.fixture
async def build() -> AsyncIterator[Build]:
    """Makes an arm by its name, for a server; all of them are closed afterwards."""
    made: list[Any] = []

    def make(name: str, server: LiveServer, **options: Any) -> Any:
        arm = load().build("arm", name, {"url": server.url, "model": server.model, **options})
        made.append(arm)
        return arm

    yield make
    for arm in made:
        await arm.aclose()


def templated(engine: TextArm) -> Templated:
    return Templated(engine, load().build("template", "gemma4"))


def name_of(episode: object) -> str:
    return episode.name if isinstance(episode, Episode) else ""


def essence(reply: Reply) -> list[tuple[str, object]]:
    return [(call.name, call.arguments) for call in reply.calls]


def gold(episode: Episode) -> list[tuple[str, object]]:
    return [(call.name, call.arguments) for call in episode.calls]


@pytest.fixture
def chat(server: LiveServer, build: Build) -> ChatArm:
    arm: ChatArm = build("openai-chat", server)
    return arm


@pytest.fixture
def engine(server: LiveServer, build: Build) -> TextArm:
    arm: TextArm = build("openai-completions", server)
    return arm


class TestOpenAIChatOnTransformersServe(ChatArmContract):
    @pytest.fixture
    def arm(self, chat: ChatArm) -> ChatArm:
        return chat

    @pytest.fixture
    def conversations(self) -> Sequence[Sequence[Message]]:
        return [(BY_NAME[name].user,) for name in ("counting", "rainbow", "plain")]

    @pytest.fixture
    def calling(self) -> Calling:
        episode = BY_NAME["weather-oslo-rome"]
        return Calling(messages=(episode.user,), tools=TOOLS, expected=episode.calls)


class TestOpenAICompletionsOnTransformersServe(TextArmContract):
    @pytest.fixture
    def arm(self, engine: TextArm) -> TextArm:
        return engine

    @pytest.fixture
    def prompts(self) -> Sequence[Prompt]:
        template = load().build("template", "gemma4")
        return [template.render((BY_NAME[n].user,)) for n in ("counting", "rainbow", "plain")]


@pytest.mark.parametrize("episode", ASKED, ids=name_of)
@pytest.mark.parametrize("through", ["openai-chat", "openai-completions"])
async def test_the_whole_episode(
    through: str, episode: Episode, chat: ChatArm, engine: TextArm
) -> None:
    arm: ChatArm = chat if through == "openai-chat" else templated(engine)
    first = await arm.generate((episode.user,), episode.tools, GREEDY)
    assert essence(first) == gold(episode)
    assert not first.faults
    if not episode.calls:
        assert first.content == episode.answer
        return
    assert first.content == ""
    answer = await arm.generate(continued(episode, first), episode.tools, GREEDY)
    assert answer.content == episode.answer
    assert not answer.calls


@pytest.mark.parametrize("episode", CALLED, ids=name_of)
async def test_a_streamed_call_is_the_same_call(episode: Episode, chat: ChatArm) -> None:
    items = [item async for item in chat.stream((episode.user,), episode.tools, GREEDY)]
    last = items[-1]
    assert isinstance(last, Reply)
    assert essence(last) == gold(episode)
    assert not any(isinstance(item, ContentDelta) for item in items)
    parsed = [item.call for item in items if isinstance(item, CallParsed)]
    assert tuple(parsed) == last.calls
    ids = [call.id for call in last.calls]
    assert len(set(ids)) == len(ids)
    assert all(ids)


async def test_an_answer_streams_in_pieces(chat: ChatArm) -> None:
    episode = BY_NAME["counting"]
    items = [item async for item in chat.stream((episode.user,), (), GREEDY)]
    pieces = [item.text for item in items if isinstance(item, ContentDelta)]
    assert "".join(pieces) == episode.answer
    assert len(pieces) > 5


async def test_a_thought_is_no_content(chat: ChatArm) -> None:
    episode = BY_NAME["thinking"]
    reply = await chat.generate((episode.user,), (), replace(GREEDY, thinking=True))
    assert reply.reasoning.rstrip("\n") == episode.reasoning  # a stream keeps its last line break
    assert reply.content == episode.answer


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(("name", "reason"), [("weather-oslo", "tool_calls"), ("greeting", "stop")])
async def test_the_servers_finish_reason_and_counts_are_kept(
    server: LiveServer, name: str, reason: str, streamed: bool, build: Build
) -> None:
    arm = build("openai-chat", server, stream=streamed)
    reply = await arm.generate((BY_NAME[name].user,), TOOLS, GREEDY)
    completion = reply.completion
    assert isinstance(completion, Completion)
    assert completion.stop_reason == reason
    assert (completion.usage.prompt_tokens or 0) > 150
    assert 10 < (completion.usage.completion_tokens or 0) < 40


async def test_both_arms_give_the_model_as_many_tokens(chat: ChatArm, engine: TextArm) -> None:
    """Same prompt through the server's renderer and ours: equal counts, so no doubled `<bos>`."""
    await engine.probe()
    for episode in ASKED:
        theirs = await chat.generate((episode.user,), episode.tools, GREEDY)
        ours = await templated(engine).generate((episode.user,), episode.tools, GREEDY)
        assert theirs.completion
        assert ours.completion
        assert theirs.completion.usage == ours.completion.usage


async def test_a_cut_call_is_no_call(server: LiveServer, build: Build) -> None:
    """The server drops it from the stream; what is left says that it was cut."""
    arm = build("openai-chat", server, stream=True)
    reply = await arm.generate((BY_NAME["weather-oslo"].user,), TOOLS, Sampling(max_tokens=8))
    assert not reply.calls
    assert reply.content == ""
    assert reply.completion
    assert reply.completion.stop_reason == "length"


async def test_a_cut_call_without_streaming_is_the_servers_error(
    server: LiveServer, build: Build
) -> None:
    arm = build("openai-chat", server, stream=False, retries=0)
    with pytest.raises(ArmError, match="500"):
        await arm.generate((BY_NAME["weather-oslo"].user,), TOOLS, Sampling(max_tokens=8))


@pytest.mark.parametrize("name", ["openai-chat", "openai-completions"])
async def test_a_model_that_the_server_does_not_have(
    server: LiveServer, name: str, build: Build
) -> None:
    arm = build(name, server, model="gemma4:e4b", retries=0)
    with pytest.raises(ArmError) as raised:
        await ask(arm)
    found = await arm.probe()
    assert "gemma4:e4b" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert any("gemma4:e4b" in warning for warning in found.warnings)


@pytest.mark.parametrize("name", ["openai-chat", "openai-completions"])
async def test_a_local_folder_is_not_said_to_be_missing(
    server: LiveServer, name: str, build: Build
) -> None:
    """The server's list of models is that of its downloads, so a served folder is not in it."""
    arm = build(name, server)
    found = await arm.probe()
    assert not [warning for warning in found.warnings if server.model in warning]


async def test_the_chat_probe_knows_what_the_server_ignores(chat: ChatArm) -> None:
    found = await chat.probe()
    assert found.runtime == "transformers"
    assert found.history == "messages"
    assert found.sampling["max_tokens"] == "applied"
    assert found.sampling.get("temperature") != "ignored"
    assert found.context_length is None


@pytest.mark.parametrize("name", ["openai-chat", "openai-completions"])
async def test_what_the_probe_says_of_top_k_is_what_happens(
    open_server: LiveServer, name: str, build: Build
) -> None:
    """The checkpoint has `top_k: 1`, so what the run says (off) either counts or is lost.

    Not streamed: the server's stream fails at bytes that are no text, as wild sampling draws them.
    """
    arm = build(name, open_server, stream=False)
    found = await arm.probe()
    chat_arm: ChatArm = templated(arm) if isinstance(arm, TextArm) else arm
    hot = Sampling(temperature=50.0, top_k=0, seed=1, max_tokens=32)
    reply = await chat_arm.generate((BY_NAME["plain"].user,), (), hot)
    lost = reply.content == BY_NAME["plain"].answer
    assert found.sampling["top_k"] == ("ignored" if lost else "applied")


async def test_the_text_probe_says_that_control_tokens_are_lost(engine: TextArm) -> None:
    found = await engine.probe()
    assert found.runtime == "transformers"
    assert found.history == "prompt"
    assert found.details["control_tokens_visible"] is False
    assert any("control tokens" in warning for warning in found.warnings)
    assert found.details["bos"] == "added by the server"


async def test_a_doubled_bos_is_warned_of_where_it_is_asked_for(
    server: LiveServer, build: Build
) -> None:
    arm = build("openai-completions", server, bos="keep")
    found = await arm.probe()
    assert any("<bos>" in warning for warning in found.warnings)


async def test_a_call_without_its_markers_is_read_and_reported(engine: TextArm) -> None:
    episode = BY_NAME["weather-oslo"]
    reply = await templated(engine).generate((episode.user,), TOOLS, GREEDY)
    assert reply.completion
    assert reply.completion.text == "call:get_weather{city:Oslo}"
    assert essence(reply) == gold(episode)
    assert reply.repairs


async def test_calls_are_text_without_a_response_template(
    open_server: LiveServer, build: Build
) -> None:
    """Nothing invents a call: the arm gives what the server gave."""
    arm = build("openai-chat", open_server)
    reply = await arm.generate((BY_NAME["weather-oslo"].user,), TOOLS, GREEDY)
    assert not reply.calls
    assert reply.content == "call:get_weather{city:Oslo}"


def continued(episode: Episode, reply: Reply) -> tuple[Message, ...]:
    """The conversation after the reply's calls were answered."""
    calls = tuple(
        replace(call, id=call.id or f"call_{index}") for index, call in enumerate(reply.calls)
    )
    results = zip(calls, episode.results, strict=True)
    return (
        episode.user,
        Message(role="assistant", content=reply.content, tool_calls=calls),
        *(
            Message(role="tool", content=result, tool_call_id=call.id, name=call.name)
            for call, result in results
        ),
    )


async def ask(arm: Any) -> object:
    """One request to an arm of either kind."""
    if isinstance(arm, TextArm):
        prompt = Prompt(segments=(Segment(text="Hello!", origin="content"),))
        return await arm.complete(prompt, GREEDY)
    tools: Sequence[ToolSpec] = ()
    return await arm.generate((BY_NAME["plain"].user,), tools, GREEDY)
