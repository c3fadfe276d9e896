"""The fake Ollama server keeps to the server's contract: facts, asked for with a plain client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest

from servers.ollama import Call, Content, ErrorLine, FakeOllama, Model, Thinking

MODEL = "gemma4:e4b"
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "think": False}


@pytest.fixture
async def server() -> AsyncIterator[FakeOllama]:
    async with FakeOllama(script=lambda body: "fine") as running:
        yield running


async def post(server: FakeOllama, path: str, body: Mapping[str, Any]) -> tuple[int, str, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(server.url + path, json=body) as response,
    ):
        return response.status, response.content_type, await response.text()


async def lines(server: FakeOllama, path: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    status, kind, text = await post(server, path, body)
    assert (status, kind) == (200, "application/x-ndjson")
    return [json.loads(line) for line in text.splitlines()]


async def test_it_streams_unless_told_otherwise(server: FakeOllama) -> None:
    *_, last = await lines(server, "/api/chat", CHAT)
    assert (last["done"], last["done_reason"]) == (True, "stop")
    status, kind, text = await post(server, "/api/chat", {**CHAT, "stream": False})
    assert (status, kind) == (200, "application/json")
    assert json.loads(text)["message"] == {"role": "assistant", "content": "fine"}


async def test_zeros_are_left_out_and_done_is_not(server: FakeOllama) -> None:
    server.script = lambda body: []
    (last,) = await lines(server, "/api/chat", CHAT)
    assert "eval_count" not in last
    assert last["message"] == {"role": "assistant", "content": ""}


async def test_calls_come_whole_and_before_the_end_or_on_it(server: FakeOllama) -> None:
    server.script = lambda body: [Thinking("hm"), Call("f", {"a": 1}, id="call_00000000")]
    thought, call, last = await lines(server, "/api/chat", CHAT)
    assert thought["message"] == {"role": "assistant", "content": "", "thinking": "hm"}
    assert call["message"]["tool_calls"] == [
        {"id": "call_00000000", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}}
    ]
    assert (call["done"], "tool_calls" in last["message"]) == (False, False)
    server.native = True
    _, last = await lines(server, "/api/chat", CHAT)
    assert last["message"]["tool_calls"] == call["message"]["tool_calls"]


async def test_an_error_in_mid_stream_is_a_line_with_status_200(server: FakeOllama) -> None:
    server.script = lambda body: [Content("a"), ErrorLine("oops")]
    assert (await lines(server, "/api/chat", CHAT))[-1] == {"error": "oops"}


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/api/chat", {**CHAT, "model": ""}, 400, "model is required"),
        ("/api/chat", {**CHAT, "model": "x"}, 404, "model 'x' not found"),
        ("/api/generate", {"model": "x", "prompt": "a"}, 404, "model 'x' not found"),
        ("/api/show", {"model": "x"}, 404, "model 'x' not found"),
        (
            "/api/chat",
            {**CHAT, "messages": [{"role": "user", "content": [{"type": "text"}]}]},
            400,
            "cannot unmarshal array",
        ),
        (
            "/api/chat",
            {
                **CHAT,
                "messages": [
                    {
                        "role": "assistant",
                        "content": "",
                        "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}],
                    }
                ],
            },
            400,
            "cannot unmarshal string",
        ),
        ("/api/chat", {**CHAT, "options": {"top_k": "4"}}, 400, "must be of type integer"),
        ("/api/chat", {**CHAT, "think": "lots"}, 400, "think"),
        (
            "/api/generate",
            {"model": MODEL, "prompt": "a", "raw": True, "system": "b"},
            400,
            "raw mode does not support",
        ),
        (
            "/api/generate",
            {
                "model": MODEL,
                "prompt": "a " * 50,
                "raw": True,
                "truncate": False,
                "options": {"num_ctx": 20},
            },
            400,
            "exceed_context_size_error",
        ),
    ],
)
async def test_what_it_refuses(
    server: FakeOllama, path: str, body: Mapping[str, Any], status: int, says: str
) -> None:
    got, kind, text = await post(server, path, body)
    assert (got, kind) == (status, "application/json")
    assert says in json.loads(text)["error"]


async def test_unknown_options_are_ignored(server: FakeOllama) -> None:
    assert await lines(server, "/api/chat", {**CHAT, "options": {"mirostat": 2, "nonsense": "x"}})


async def test_thinking_and_tools_need_the_capability(server: FakeOllama) -> None:
    server.models[MODEL] = Model(capabilities=("completion",))
    for more, says in (({"think": True}, "thinking"), ({"tools": [{"function": {}}]}, "tools")):
        status, _, text = await post(server, "/api/chat", {**CHAT, **more})
        assert (status, f"does not support {says}" in text) == (400, True)


async def test_a_prompt_that_is_too_long_is_cut_without_a_sign_unless_told_not_to(
    server: FakeOllama,
) -> None:
    body = {"model": MODEL, "prompt": "a " * 50, "raw": True, "options": {"num_ctx": 20}}
    *_, last = await lines(server, "/api/generate", body)
    assert last["prompt_eval_count"] == 10


async def test_an_empty_conversation_loads_or_unloads(server: FakeOllama) -> None:
    body = {"model": MODEL, "messages": [], "options": {"num_ctx": 512}}
    assert json.loads((await post(server, "/api/chat", body))[2])["done_reason"] == "load"
    assert server.loaded == {MODEL: 512}
    unload = {"model": MODEL, "prompt": "", "keep_alive": 0}
    assert json.loads((await post(server, "/api/generate", unload))[2])["done_reason"] == "unload"
    assert server.loaded == {}


async def test_debug_rendering_generates_nothing(server: FakeOllama) -> None:
    status, kind, text = await post(server, "/api/chat", {**CHAT, "_debug_render_only": True})
    answer = json.loads(text)
    assert (status, kind) == (200, "application/json")
    assert answer["_debug_info"]["rendered_template"].startswith("<bos>")
    assert answer["done"] is False
    raw = {"model": MODEL, "prompt": "<bos>a", "raw": True, "_debug_render_only": True}
    shown = json.loads((await post(server, "/api/generate", raw))[2])["_debug_info"]
    assert shown == {"rendered_template": "<bos>a"}
    assert server.generations == []


async def test_one_leading_bos_is_not_doubled(server: FakeOllama) -> None:
    body = {"model": MODEL, "raw": True}
    with_bos = await lines(server, "/api/generate", {**body, "prompt": "<bos>a b"})
    without = await lines(server, "/api/generate", {**body, "prompt": "a b"})
    assert with_bos[-1]["prompt_eval_count"] == without[-1]["prompt_eval_count"] == 4
