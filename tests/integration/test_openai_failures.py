"""Everything that can go wrong between the arms and a server is one clear `ArmError`."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from callsmith import (
    ArmError,
    ArmTimeoutError,
    Completion,
    ConfigError,
    Message,
    Prompt,
    PromptTooLongError,
    Reply,
    Sampling,
    Segment,
)
from callsmith_openai.chat_arm import OpenAIChatArm
from callsmith_openai.completions_arm import OpenAICompletionsArm
from callsmith_openai.config import ChatConfig, CompletionsConfig
from servers.byte_server import byte_server
from servers.openai import (
    Answer,
    Bytes,
    Call,
    Content,
    Cut,
    Delivery,
    Event,
    FakeOpenAI,
    Finish,
    HangUp,
    Refusal,
    Reset,
    Stall,
)

SAMPLING = Sampling(max_tokens=64)
KEY = "sk-very-secret-0123456789"
Ask = Callable[..., Coroutine[Any, Any, Completion]]


@pytest.fixture
async def server() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI() as running:
        yield running


@pytest.fixture(params=["chat", "completions"])
def ask(request: pytest.FixtureRequest, server: FakeOpenAI) -> Ask:
    """One request through one of the two arms, which share what is tested here."""

    async def ask_it(
        text: str = "Hi", sampling: Sampling = SAMPLING, model: str = "gemma4", **options: Any
    ) -> Completion:
        options = {"url": server.url, "retry_wait": 0.01, "wait_for_server": 0, **options}
        if request.param == "chat":
            chat = OpenAIChatArm(ChatConfig(model=model, **options))
            try:
                reply = await chat.generate([Message(role="user", content=text)], (), sampling)
            finally:
                await chat.aclose()
            assert reply.completion is not None
            return reply.completion
        arm = OpenAICompletionsArm(CompletionsConfig(model=model, **options))
        try:
            prompt = Prompt(segments=(Segment(text=text, origin="content"),))
            return await arm.complete(prompt, sampling)
        finally:
            await arm.aclose()

    return ask_it


async def failure(ask: Ask, kind: type[ArmError] = ArmError, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        await ask(**options)
    text = str(caught.value)
    assert text
    assert "\n" not in text
    return text


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_no_server(ask: Ask) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    text = await failure(ask, url=url)
    assert url in text
    assert "start the server, or set `url`" in text


async def test_a_wrong_path(ask: Ask, server: FakeOpenAI) -> None:
    text = await failure(ask, url=f"{server.url}/nowhere/v1")
    assert "answered 404" in text
    assert "check `url`" in text


async def test_a_model_that_is_not_there_is_said_with_those_that_are(
    ask: Ask, server: FakeOpenAI
) -> None:
    server.models = ("gemma4", "qwen3")
    text = await failure(ask, model="gemma9")
    assert "the model 'gemma9' is not there" in text
    assert "the server has: gemma4, qwen3" in text


ERROR = json.dumps({"error": {"message": "out of memory", "type": "x"}})


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Refusal(500, ERROR), "answered 500: out of memory"),
        (Refusal(500, "", ""), "empty body"),
        (Refusal(502, "<html>\nBad gateway</html>", "text/html"), "Bad gateway"),
        (Refusal(503, '{"error":{"message":"queue full"}}'), "overloaded"),
        (Refusal(429, '{"error":{"message":"slow down"}}'), "concurrency"),
        (Refusal(307, "", headers={"Location": "/there"}), "redirection to /there"),
        (Refusal(200, "<html>hi</html>", "text/html"), "answered text/html instead of"),
        (Refusal(200, ERROR), "failed at once: out of memory"),
        (Refusal(200, "{}"), "no choices"),
        (Refusal(200, "[1]"), "did not answer with a JSON object"),
        (Refusal(200, "{"), "did not answer with JSON"),
        (Refusal(200, "", "text/event-stream"), "no choices"),
        (Refusal(500, b"\xff\xfe", "text/plain"), "answered 500"),
        ([Event({"error": {"message": "boom"}})], "boom"),
        ([Content("one two"), Event({"error": {"message": "boom"}})], "events: boom"),
        ([Content("one"), Event({"error": "boom"})], "events: boom"),
        ([Content("one"), Event({"object": "error", "message": "boom"})], "events: boom"),
        ([Content("one"), Bytes(b'event: error\ndata: {"message": "boom"}\n\n')], "boom"),
        ([Content("one"), Bytes(b"event: error\ndata: boom\n\n")], "boom"),
        ([Content("one"), Bytes(b'error: {"message": "boom"}\n\n')], "boom"),
        ([Content("one"), Cut()], "neither a finish_reason nor [DONE]"),
        ([Content("one"), Bytes(b'data: {"choices": [{"ind'), Cut()], "is not JSON"),
        ([Content("one"), Reset()], "broke off after"),
        ([Content("one"), Bytes(b"data: {oops\n\n")], "is not JSON"),
        ([Content("one"), Bytes(b"data: \xff\n\n")], "is not UTF-8"),
        ([Content("one"), Bytes(b"data: [1]\n\n")], "is not an object"),
        ([Content("one"), Bytes(b'data: {"choices": 5}\n\n')], "choices is not a list"),
    ],
    ids=[str(number) for number in range(27)],
)
async def test_each_way_of_failing_is_named(
    ask: Ask, server: FakeOpenAI, answer: Answer, says: str
) -> None:
    server.script = [answer]
    text = await failure(ask)
    assert says in text
    assert len(server.generations) == 1, "what the server has answered is never asked again"


async def test_calls_of_a_cut_stream_are_no_reply(server: FakeOpenAI) -> None:
    server.script = [[Call("add", {"a": 1}), Cut()]]
    arm = OpenAIChatArm(ChatConfig(model="gemma4", url=server.url))
    with pytest.raises(ArmError, match="cut off"):
        await arm.generate([Message(role="user", content="?")], (), SAMPLING)
    await arm.aclose()


async def test_no_done_and_no_reason_is_cut_off(ask: Ask, server: FakeOpenAI) -> None:
    server.delivery = Delivery(done=False)
    server.script = [[Content("one"), Finish(None)]]
    assert "cut off" in await failure(ask)


# -- keys ------------------------------------------------------------------------------------------


async def test_a_missing_key_is_said(ask: Ask, server: FakeOpenAI) -> None:
    server.key = KEY
    text = await failure(ask)
    assert "401" in text
    assert "api_key_env" in text


async def test_a_wrong_key_is_said_without_the_key(
    ask: Ask,
    server: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-wrong-key-987654321")
    caplog.set_level(logging.DEBUG)
    server.key, server.echoes_key = KEY, True
    text = await failure(ask, api_key_env="SOME_KEY")
    assert "401" in text
    assert "***" in text
    assert "was not accepted" in text
    assert "987654321" not in text + caplog.text


async def test_the_right_key_is_sent(
    ask: Ask, server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    monkeypatch.setenv("ORG", "acme")
    server.key, server.script = KEY, lambda body: "5"
    await ask(api_key_env="SOME_KEY", headers_env={"X-Org": "ORG"}, headers={"X-Plain": "1"})
    assert server.headers[-1]["Authorization"] == f"Bearer {KEY}"
    assert (server.headers[-1]["X-Org"], server.headers[-1]["X-Plain"]) == ("acme", "1")


@pytest.mark.parametrize(("value", "says"), [(None, "not set"), ("a\nb", "no header can")])
def test_a_key_that_cannot_be_used_is_a_config_error(
    monkeypatch: pytest.MonkeyPatch, value: str | None, says: str
) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("SOME_KEY", value)
    with pytest.raises(ConfigError, match=says) as caught:
        OpenAIChatArm(ChatConfig(url="http://h", model="m", api_key_env="SOME_KEY"))
    assert caught.value.path == "options.api_key_env"


def test_the_key_is_in_no_representation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    arm = OpenAIChatArm(ChatConfig(url="http://h", model="m", api_key_env="SOME_KEY"))
    shown = repr(arm) + repr(arm.server.client) + repr(arm.config) + repr(vars(arm.server.client))
    assert KEY not in shown + arm.config.model_dump_json()


# -- waiting ---------------------------------------------------------------------------------------


async def test_a_loading_server_is_waited_for(ask: Ask, server: FakeOpenAI) -> None:
    server.loading, server.script = 3, lambda body: "5"
    assert (await ask(wait_for_server=30)).text == "5"


async def test_waiting_is_bounded(ask: Ask, server: FakeOpenAI) -> None:
    server.loading = 10_000
    text = await failure(ask, wait_for_server=0.4)
    assert "Loading model" in text
    assert "waited 0.4 s" in text


async def test_a_server_that_is_not_there_yet_is_waited_for(ask: Ask) -> None:
    port = free_port()
    asked = asyncio.create_task(ask(url=f"http://127.0.0.1:{port}", wait_for_server=30))
    await asyncio.sleep(0.3)
    late = FakeOpenAI(script=lambda body: "5", port=port)
    async with late:
        assert (await asked).text == "5"


async def test_a_server_that_lists_models_while_it_loads_is_waited_for(
    ask: Ask, server: FakeOpenAI
) -> None:
    server.unhealthy, server.script = 3, lambda body: "5"
    assert (await ask(wait_for_server=30)).text == "5"
    assert server.paths.count("/health") == 4


async def test_one_arm_waits_once(server: FakeOpenAI) -> None:
    server.loading = 10_000
    arm = OpenAIChatArm(ChatConfig(model="gemma4", url=server.url, wait_for_server=0.3))
    question = [Message(role="user", content="?")]
    with pytest.raises(ArmError, match="waited"):
        await arm.generate(question, (), SAMPLING)
    before = len(server.paths)
    with pytest.raises(ArmError, match="Loading model"):
        await arm.generate(question, (), SAMPLING)
    assert len(server.paths) == before + 1
    server.loading, server.script = 0, lambda body: "5"
    assert (await arm.generate(question, (), SAMPLING)).content == "5"
    await arm.aclose()


# -- transport -------------------------------------------------------------------------------------


async def test_a_lost_connection_is_tried_again_and_told(server: FakeOpenAI) -> None:
    server.script = [HangUp(), "5"]
    arm = OpenAIChatArm(ChatConfig(model="gemma4", url=server.url, retry_wait=0.01))
    reply = await arm.generate([Message(role="user", content="?")], (), SAMPLING)
    await arm.aclose()
    assert reply.content == "5"
    assert reply.completion is not None
    assert reply.completion.timings["retry"] > 0
    assert any("sent 2 times" in note for note in reply.notes)


async def test_tries_are_bounded(ask: Ask, server: FakeOpenAI) -> None:
    server.script = [HangUp()] * 9
    assert "after 3 attempts" in await failure(ask, retries=2)
    assert len(server.generations) == 3


async def test_an_answer_that_began_is_not_asked_for_again(ask: Ask, server: FakeOpenAI) -> None:
    server.script = [[Content("one"), Reset()], "two"]
    await failure(ask)
    assert len(server.generations) == 1


async def test_silence_is_bounded(ask: Ask, server: FakeOpenAI) -> None:
    server.script = [[Content("one"), Stall(30), Content("two")]]
    assert "idle_timeout" in await failure(ask, ArmTimeoutError, idle_timeout=0.2)


async def test_an_answer_that_never_begins_is_bounded(ask: Ask) -> None:
    async with byte_server(None) as silent:
        text = await failure(ask, ArmTimeoutError, url=silent.url, first_byte_timeout=0.2)
    assert "first_byte_timeout" in text


async def test_something_else_than_http_is_named(ask: Ask) -> None:
    async with byte_server(b"SSH-2.0-OpenSSH_9.2\r\n\r\n") as other:
        assert other.url in await failure(ask, url=other.url)


async def test_a_closed_arm_is_refused(server: FakeOpenAI) -> None:
    arm = OpenAIChatArm(ChatConfig(model="gemma4", url=server.url))
    await arm.aclose()
    with pytest.raises(ArmError, match="was closed"):
        await arm.generate([Message(role="user", content="?")], (), SAMPLING)


# -- room ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flavour", ["vllm", "sglang"])
async def test_a_prompt_that_does_not_fit(ask: Ask, server: FakeOpenAI, flavour: str) -> None:
    server.flavour, server.context = flavour, 80
    text = await failure(ask, PromptTooLongError, text="word " * 40)
    assert "maximum context length is 80" in text


async def test_a_context_that_was_full_is_no_answer(ask: Ask, server: FakeOpenAI) -> None:
    server.flavour, server.context = "llama.cpp", 40
    server.script = lambda body: "word " * 100
    assert "context was full" in await failure(ask, PromptTooLongError)


async def test_after_a_probe_prompt_and_completion_must_fit(server: FakeOpenAI) -> None:
    server.flavour, server.context, server.script = "llama.cpp", 100, lambda body: "5"
    arm = OpenAIChatArm(ChatConfig(model="gemma4", url=server.url))
    question = [Message(role="user", content="word " * 25)]
    assert isinstance(await arm.generate(question, (), SAMPLING), Reply)
    await arm.probe()
    with pytest.raises(PromptTooLongError, match="server's context of 100"):
        await arm.generate(question, (), SAMPLING)
    await arm.aclose()
