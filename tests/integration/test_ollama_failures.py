"""Everything that can go wrong between the arms and a server is one clear `ArmError`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
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
    ToolSpec,
)
from callsmith_ollama.chat_arm import OllamaChatArm
from callsmith_ollama.config import ChatConfig, RawConfig
from callsmith_ollama.raw_arm import OllamaRawArm
from servers.byte_server import byte_server
from servers.ollama import (
    Answer,
    Bytes,
    Content,
    Cut,
    ErrorLine,
    FakeOllama,
    HangUp,
    Model,
    Refusal,
    Reset,
    Stall,
)

SAMPLING = Sampling(max_tokens=64)
Ask = Callable[..., Awaitable[Completion]]


@pytest.fixture
async def server() -> AsyncIterator[FakeOllama]:
    async with FakeOllama() as running:
        yield running


@pytest.fixture(params=["chat", "raw"])
def ask(request: pytest.FixtureRequest, server: FakeOllama) -> Ask:
    """One request through one of the two arms, which share what is tested here."""

    async def ask_it(
        text: str = "Hi", sampling: Sampling = SAMPLING, model: str = "gemma4:e4b", **options: Any
    ) -> Completion:
        options = {"url": server.url, "retry_wait": 0.01, **options}
        if request.param == "chat":
            chat = OllamaChatArm(ChatConfig(model=model, **options))
            try:
                reply = await chat.generate([Message(role="user", content=text)], (), sampling)
            finally:
                await chat.aclose()
            assert reply.completion is not None
            return reply.completion
        raw = OllamaRawArm(RawConfig(model=model, **options))
        try:
            prompt = Prompt(segments=(Segment(text=text, origin="content"),))
            return await raw.complete(prompt, sampling)
        finally:
            await raw.aclose()

    return ask_it


async def failure(ask: Ask, kind: type[ArmError] = ArmError, **options: Any) -> str:
    with pytest.raises(ArmError) as caught:
        await ask(**options)
    assert type(caught.value).__mro__.index(kind) <= 1, f"{caught.value!r} is no {kind.__name__}"
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
    text = await failure(ask, url=url, retries=1)
    assert url in text
    assert "after 2 attempts" in text
    assert "ollama serve" in text


async def test_no_such_model(ask: Ask, server: FakeOllama) -> None:
    assert "ollama pull gemma9:1t" in await failure(ask, model="gemma9:1t")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Refusal(500, '{"error":"model runner has unexpectedly stopped"}'), "unexpectedly stopped"),
        (Refusal(500, "", ""), "empty body"),
        (Refusal(502, "<html>\nBad gateway</html>", "text/html"), "Bad gateway"),
        (Refusal(503, '{"error":"server busy"}'), "concurrency"),
        (Refusal(200, "<html>hi</html>", "text/html"), "answered text/html instead of"),
        (Refusal(200, "[1]\n", "application/x-ndjson"), "line 1 is not an object"),
        (Refusal(200, "", "application/x-ndjson"), "without its last one"),
        (Refusal(500, b"\xff\xfe", "text/plain"), "without Ollama's JSON error"),
        ([ErrorLine("unexpected EOF")], "failed at once: unexpected EOF"),
        ([Content("one two"), ErrorLine("out of memory")], "after 3 lines: out of memory"),
        ([Content("one"), Cut()], "after 1 lines without its last one"),
        ([Content("one"), Reset()], "broke off after 1 lines"),
        ([Content("one"), Bytes(b'{"oops\n')], "line 2 is not JSON"),
        ([Content("one"), Bytes(b'{"oops'), Cut()], "line 2 is not JSON"),
        ([Content("one"), Bytes(b"\xff\n")], "line 2 is not JSON"),
        ([Content("one"), Bytes(b"null\n")], "line 2 is not an object"),
    ],
)
async def test_each_way_of_failing_is_named(
    ask: Ask, server: FakeOllama, answer: Answer, says: str
) -> None:
    server.script = [answer]
    text = await failure(ask)
    assert says in text
    assert server.url in text
    assert len(server.generations) == 1, "what the server has answered is never asked again"


@pytest.mark.parametrize(
    "line",
    [
        b'{"message":"text"}\n',
        b'{"message":{"content":5}}\n',
        b'{"message":{"tool_calls":5}}\n',
        b'{"nothing":1}\n',
    ],
)
async def test_a_line_of_another_shape_is_named(server: FakeOllama, line: bytes) -> None:
    server.script = [[Bytes(line)]]
    arm = OllamaChatArm(ChatConfig(model="gemma4:e4b", url=server.url))
    with pytest.raises(ArmError, match="/api/chat"):
        await arm.generate([Message(role="user", content="Hi")], (), SAMPLING)
    await arm.aclose()


async def test_a_hang_up_before_an_answer_is_tried_again_and_told(
    ask: Ask, server: FakeOllama
) -> None:
    server.script = [HangUp(), HangUp(), "fine"]
    completion = await ask()
    assert completion.text == "fine"
    assert completion.timings["retry"] > 0
    assert len(server.generations) == 3


async def test_a_chat_reply_notes_that_it_was_asked_again(server: FakeOllama) -> None:
    server.script = [HangUp(), "fine"]
    arm = OllamaChatArm(ChatConfig(model="gemma4:e4b", url=server.url, retry_wait=0))
    reply: Reply = await arm.generate([Message(role="user", content="Hi")], (), SAMPLING)
    await arm.aclose()
    assert any("sent 2 times" in note for note in reply.notes)


async def test_tries_are_bounded(ask: Ask, server: FakeOllama) -> None:
    server.script = [HangUp()] * 9
    assert "after 3 attempts" in await failure(ask, retries=2)
    assert len(server.generations) == 3


async def test_no_retries_when_switched_off(ask: Ask, server: FakeOllama) -> None:
    server.script = [HangUp(), "fine"]
    await failure(ask, retries=0)
    assert len(server.generations) == 1


async def test_a_server_that_is_slow_to_begin(ask: Ask, server: FakeOllama) -> None:
    server.script = ["fine", "fine"]
    server.delay = 5
    text = await failure(ask, ArmTimeoutError, first_byte_timeout=0.1)
    assert "first_byte_timeout" in text
    assert len(server.requests) == 1


async def test_a_server_that_falls_silent(ask: Ask, server: FakeOllama) -> None:
    server.script = [[Content("one"), Stall(5), Content("two")]]
    text = await failure(ask, ArmTimeoutError, idle_timeout=0.1)
    assert "idle_timeout" in text
    assert "after 1 lines" in text


async def test_a_slow_server_that_keeps_talking_is_fine(ask: Ask, server: FakeOllama) -> None:
    server.script = [[Content("one "), Stall(0.15), Content("two "), Stall(0.15), Content("three")]]
    completion = await ask(idle_timeout=0.25, first_byte_timeout=0.25)
    assert completion.text == "one two three"


async def test_the_kernels_time_limit_is_not_taken_for_ours(ask: Ask, server: FakeOllama) -> None:
    server.script = [[Content("one"), Stall(5)]]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await ask()


async def test_a_prompt_that_the_server_refuses_for_its_length(
    ask: Ask, server: FakeOllama
) -> None:
    text = await failure(ask, PromptTooLongError, text="word " * 100, num_ctx=128)
    assert "num_ctx 128" in text
    assert "exceeds the available context size" in text
    assert server.generations == []


async def test_a_prompt_that_leaves_too_little_room(ask: Ask, server: FakeOllama) -> None:
    server.script = ["short"]
    text = await failure(ask, PromptTooLongError, text="word " * 50, num_ctx=128)
    assert "max_tokens is 64" in text


async def test_an_answer_that_the_context_cut(ask: Ask, server: FakeOllama) -> None:
    server.script = ["word " * 100]
    server.context_limit = 64
    await failure(ask, PromptTooLongError, sampling=Sampling(max_tokens=120), num_ctx=128)


async def test_a_server_that_gives_less_context_than_asked_for(server: FakeOllama) -> None:
    server.script = lambda body: "fine"
    server.context_limit = 96
    arm = OllamaRawArm(RawConfig(model="gemma4:e4b", url=server.url, num_ctx=8192))
    prompt = Prompt(segments=(Segment(text="word " * 20, origin="content"),))
    await arm.complete(prompt, SAMPLING)  # not known yet, and nothing was cut
    assert (await arm.probe()).context_length == 96
    with pytest.raises(PromptTooLongError, match="context of 96"):
        await arm.complete(prompt, SAMPLING)
    await arm.aclose()


async def test_a_model_without_tools(server: FakeOllama) -> None:
    server.models["plain"] = Model(capabilities=("completion",))
    arm = OllamaChatArm(ChatConfig(model="plain", url=server.url))
    question = [Message(role="user", content="Hi")]
    with pytest.raises(ArmError, match="ollama-raw"):
        await arm.generate(question, [ToolSpec(name="f")], SAMPLING)
    with pytest.raises(ArmError, match=r"sampling\.thinking"):
        await arm.generate(question, (), Sampling(max_tokens=64, thinking=True))
    await arm.aclose()


async def test_what_is_no_json_cannot_be_sent(server: FakeOllama) -> None:
    arm = OllamaChatArm(ChatConfig(model="gemma4:e4b", url=server.url))
    schema = {"minimum": float("nan")}
    with pytest.raises(ArmError, match="not JSON"):
        await arm.generate(
            [Message(role="user", content="Hi")], [ToolSpec(name="f", parameters=schema)], SAMPLING
        )
    await arm.aclose()


async def test_an_arm_that_was_closed_says_so(ask: Ask, server: FakeOllama) -> None:
    arm = OllamaChatArm(ChatConfig(model="gemma4:e4b", url=server.url))
    await arm.aclose()
    with pytest.raises(ArmError, match="was closed"):
        await arm.generate([Message(role="user", content="Hi")], (), SAMPLING)


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"api_key_env": "CALLSMITH_NO_SUCH_VARIABLE"}, "options.api_key_env"),
        ({"headers_env": {"X": "CALLSMITH_NO_SUCH_VARIABLE"}}, "options.headers_env.X"),
    ],
)
def test_a_secret_that_is_not_set_is_a_configuration_error(
    options: dict[str, Any], path: str
) -> None:
    with pytest.raises(ConfigError, match="CALLSMITH_NO_SUCH_VARIABLE is not set") as caught:
        OllamaChatArm(ChatConfig(model="m", **options))
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("sent", "attempts", "says"),
    [
        (b"", 3, "after 3 attempts"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: appl", 1, "no answer"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", 1, "did not answer in HTTP"),
        (b"HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 1, "answered 301"),
    ],
)
async def test_only_silence_is_tried_again(ask: Ask, sent: bytes, attempts: int, says: str) -> None:
    async with byte_server(sent) as answering:
        assert says in await failure(ask, url=answering.url)
        assert answering.connections == attempts
