"""An Ollama server in this process, driven by a scripted model.

It follows the HTTP contract of Ollama (chat, generate, version, tags, ps, show): field names,
omitted zeros, error bodies, checks of the request, stop strings, end-of-generation tokens, and
where calls stand in a stream. It renders and parses nothing that a real server would: for
`/api/chat` the script says the structured reply, for raw `/api/generate` it says native text.
Every way of failing can be switched on.

    async with FakeOllama(script=["Hello."]) as server:
        ...  # server.url, server.requests
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from aiohttp import web

from servers.ollama_lines import NOW, Delivery, Lines, error_response, message_of
from servers.ollama_script import (
    Answer,
    Bytes,
    Call,
    Content,
    Cut,
    ErrorLine,
    HangUp,
    Item,
    Model,
    Refusal,
    Reset,
    Script,
    Stall,
    Thinking,
    tokens,
)

__all__ = [
    "Answer",
    "Bytes",
    "Call",
    "Content",
    "Cut",
    "ErrorLine",
    "FakeOllama",
    "HangUp",
    "Item",
    "Model",
    "Refusal",
    "Reset",
    "Stall",
    "Thinking",
    "render",
    "tokens",
]


@dataclass(kw_only=True)
class FakeOllama:
    """The server. Use as an async context manager; every field may be changed while it runs.

    `script` has one answer per generating request, in order (one request too many is a 500), or
    is a function of the request's body.
    """

    script: Script = ()
    models: dict[str, Model] = field(default_factory=lambda: {"gemma4:e4b": Model()})
    version: str = "0.24.0"
    missing: frozenset[str] = frozenset()
    """Paths that this server does not have: 404 with plain text."""
    debug_rendering: bool = True
    native: bool = False
    """llama.cpp parses: calls are delivered on the last line only, with its ids."""
    loses_control_tokens: bool = False
    """Raw mode does not show control tokens."""
    doubles_bos: bool = False
    counts_only_uncached: bool = False
    """As old servers: `prompt_eval_count` leaves out what was cached."""
    context_limit: int | None = None
    """The server gives no more context than this, whatever is asked for."""
    ignores_truncate: bool = False
    """As servers without that field: a prompt that is too long is cut silently."""
    delay: float = 0.0
    """Seconds before an answer begins."""
    split: int | None = None
    """Bytes in one write."""
    piece_delay: float = 0.0
    """Seconds between two writes."""

    def __post_init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        """(path, body) of every POST that had a JSON body."""
        self.headers: list[Mapping[str, str]] = []
        self.loaded: dict[str, int] = {}
        self.connections: set[object] = set()
        self._answered = 0
        self._cached: list[str] = []
        self._runner: web.AppRunner | None = None
        self.url = ""
        self.generations: list[dict[str, Any]] = []
        """The bodies of the requests that took an answer from the script."""

    async def __aenter__(self) -> FakeOllama:
        app = web.Application(client_max_size=64 * 1024 * 1024, middlewares=[self._gate])
        app.router.add_get("/", _running)
        app.router.add_get("/api/version", self._version)
        app.router.add_get("/api/tags", self._tags)
        app.router.add_get("/api/ps", self._ps)
        app.router.add_post("/api/show", self._show)
        app.router.add_post("/api/chat", self._chat)
        app.router.add_post("/api/generate", self._generate)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @web.middleware
    async def _gate(
        self, request: web.Request, handler: Callable[[web.Request], Any]
    ) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
        self.connections.add(request.transport)
        if request.path in self.missing:
            return web.Response(status=404, text="404 page not found")
        response: web.StreamResponse = await handler(request)
        return response

    async def _version(self, request: web.Request) -> web.Response:
        return web.json_response({"version": self.version})

    def _listed(self, name: str) -> dict[str, Any]:
        model = self.models[name]
        details = {
            "parent_model": "",
            "format": "gguf",
            "family": model.family,
            "families": [model.family],
            "parameter_size": model.parameter_size,
            "quantization_level": model.quantization,
        }
        return {
            "name": name,
            "model": name,
            "size": 4_000_000_000,
            "digest": model.digest,
            "details": details,
        }

    async def _tags(self, request: web.Request) -> web.Response:
        listed = [self._listed(name) for name in self.models]
        return web.json_response({"models": [{**m, "modified_at": NOW} for m in listed]})

    async def _ps(self, request: web.Request) -> web.Response:
        rows = [
            {**self._listed(name), "expires_at": NOW, "size_vram": 0, "context_length": length}
            for name, length in self.loaded.items()
        ]
        return web.json_response({"models": rows})

    async def _show(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        name = self._name(body)
        if name is None:
            return error_response(404, f"model '{body.get('model')}' not found")
        model = self.models[name]
        verbose = bool(body.get("verbose"))
        info: dict[str, Any] = {
            "general.architecture": model.family,
            f"{model.family}.context_length": model.trained_context,
            "tokenizer.ggml.tokens": list(model.token_types) if verbose else None,
            "tokenizer.ggml.token_type": list(model.token_types.values()) if verbose else None,
        }
        answer = {
            "modelfile": model.modelfile,
            "parameters": model.parameters,
            "template": model.template,
            "system": model.system,
            "messages": list(model.messages),
            "details": self._listed(name)["details"],
            "model_info": info,
            "capabilities": list(model.capabilities),
            "modified_at": NOW,
        }
        return web.json_response(
            {key: value for key, value in answer.items() if value not in ("", [], None)}
        )

    async def _body(self, request: web.Request) -> dict[str, Any]:
        data = await request.read()
        if not data:
            raise web.HTTPBadRequest(
                text=json.dumps({"error": "missing request body"}), content_type="application/json"
            )
        body: dict[str, Any] = json.loads(data)
        self.requests.append((request.path, body))
        return body

    def _name(self, body: Mapping[str, Any]) -> str | None:
        asked = str(body.get("model") or "")
        return next((name for name in (asked, f"{asked}:latest") if name in self.models), None)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        if not body.get("model"):
            return error_response(400, "model is required")
        name = self._name(body)
        if name is None:
            return error_response(404, f"model '{body['model']}' not found")
        problem = _chat_problem(body) or self._common_problem(body, name)
        if problem:
            return error_response(400, problem)
        prompt = render(body)
        if body.get("_debug_render_only") and self.debug_rendering:
            self._load(body, name)
            shown = {"message": {"role": "", "content": ""}, "done": False}
            return web.json_response({**self._head(body), **shown, **_debug(prompt)})
        if not body.get("messages"):
            return self._load_only(request, body, name, {"message": message_of("")})
        return await self._answer(request, body, name, prompt, chat=True)

    async def _generate(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        name = self._name(body)
        if name is None:
            return error_response(404, f"model '{body.get('model')}' not found")
        if body.get("raw") and (body.get("template") or body.get("system") or body.get("context")):
            return error_response(400, "raw mode does not support template, system, or context")
        problem = self._common_problem(body, name)
        if problem:
            return error_response(400, problem)
        prompt = body.get("prompt") or ""
        if body.get("_debug_render_only") and self.debug_rendering:
            self._load(body, name)
            return web.json_response(
                {**self._head(body), "response": "", "done": False, **_debug(prompt)}
            )
        if not prompt:
            return self._load_only(request, body, name, {"response": ""})
        return await self._answer(request, body, name, prompt, chat=False)

    def _common_problem(self, body: Mapping[str, Any], name: str) -> str | None:
        model = self.models[name]
        for key, value in (body.get("options") or {}).items():
            expected = _OPTION_TYPES.get(key)
            if expected and (isinstance(value, bool) or not isinstance(value, expected[1])):
                return f'option "{key}" must be of type {expected[0]}'
        think = body.get("think")
        if think not in (None, True, False, "low", "medium", "high", "max"):
            return f"invalid think value: {think!r}"
        if think and "thinking" not in model.capabilities:
            return f'"{name}" does not support thinking'
        if body.get("tools") and "tools" not in model.capabilities:
            return f"registry.ollama.ai/library/{name} does not support tools"
        return None

    def _head(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return {"model": body["model"], "created_at": NOW}

    def _load(self, body: Mapping[str, Any], name: str) -> int:
        asked = int((body.get("options") or {}).get("num_ctx") or 4096)
        room = min(asked, self.context_limit or asked, self.models[name].trained_context)
        self.loaded[name] = room
        return room

    def _load_only(
        self, request: web.Request, body: dict[str, Any], name: str, shown: dict[str, Any]
    ) -> web.Response:
        unload = body.get("keep_alive") == 0
        if unload:
            self.loaded.pop(name, None)
        else:
            self._load(body, name)
        reason = "unload" if unload else "load"
        return web.json_response({**self._head(body), **shown, "done": True, "done_reason": reason})

    async def _answer(
        self,
        request: web.Request,
        body: dict[str, Any],
        name: str,
        prompt: str,
        *,
        chat: bool,
    ) -> web.StreamResponse:
        await asyncio.sleep(self.delay)
        room = self._load(body, name)
        seen = tokens(prompt)
        if seen[:1] != ["<bos>"] or self.doubles_bos:
            seen = ["<bos>", *seen]
        if len(seen) >= room:
            if not self.ignores_truncate and body.get("truncate", True) is False:
                return error_response(400, json.dumps(_runner_error(len(seen), room)))
            seen = seen[-(room // 2) :]
        answer = self._next(body)
        if isinstance(answer, HangUp):
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if isinstance(answer, Refusal):
            data = answer.body.encode() if isinstance(answer.body, str) else answer.body
            head = {"Content-Type": answer.content_type} if answer.content_type else {}
            return web.Response(status=answer.status, body=data, headers=head)
        items: Sequence[Item] = [Content(answer)] if isinstance(answer, str) else answer
        delivery = Delivery(
            native=self.native,
            loses_control_tokens=self.loses_control_tokens,
            split=self.split,
            piece_delay=self.piece_delay,
        )
        counted = self._counted(seen)
        lines = Lines(
            body, delivery, items, chat=chat, prompt=len(seen), counted=counted, room=room
        )
        return lines.whole() if body.get("stream", True) is False else await lines.send(request)

    def _next(self, body: dict[str, Any]) -> Answer:
        self.generations.append(body)
        if callable(self.script):
            return self.script(body)
        if self._answered >= len(self.script):
            return Refusal(500, json.dumps({"error": "the script has no more answers"}))
        self._answered += 1
        return self.script[self._answered - 1]

    def _counted(self, seen: list[str]) -> int:
        """`prompt_eval_count` for a prompt of these tokens."""
        cached, self._cached = self._cached, seen
        if not self.counts_only_uncached:
            return len(seen)
        common = 0
        for old, new in zip(cached, seen, strict=False):
            if old != new:
                break
            common += 1
        return len(seen) - common


_NUMBER = (int, float)
_OPTION_TYPES: dict[str, tuple[str, Any]] = {
    **dict.fromkeys(("num_ctx", "num_predict", "seed", "top_k"), ("integer", _NUMBER)),
    **dict.fromkeys(("temperature", "top_p", "min_p", "repeat_penalty"), ("float32", _NUMBER)),
    "stop": ("array", list),
}


def render(body: Mapping[str, Any]) -> str:
    """What this fake calls its rendering: enough to see that messages and tools arrive in it."""
    out = ["<bos>"]
    if body.get("tools"):
        names = ",".join(tool["function"]["name"] for tool in body["tools"])
        out.append(f"<|turn>system\n{names}<turn|>\n")
    for message in body.get("messages") or ():
        calls = json.dumps(message["tool_calls"]) if message.get("tool_calls") else ""
        text = f"{message.get('thinking', '')}{calls}{message.get('content', '')}"
        out.append(f"<|turn>{message['role']}\n{text}<turn|>\n")
    return "".join(out) + "<|turn>model\n"


def _chat_problem(body: Mapping[str, Any]) -> str | None:
    """What Go's typed decoding refuses."""
    for message in body.get("messages") or ():
        if not isinstance(message.get("content", ""), str):
            return _unmarshal("array", "ChatRequest.messages.content", "string")
        for call in message.get("tool_calls") or ():
            if not isinstance(call.get("function", {}).get("arguments", {}), dict):
                place = "ChatRequest.messages.tool_calls.function.arguments"
                return _unmarshal("string", place, "map[string]interface {}")
    return None


def _unmarshal(got: str, place: str, wanted: str) -> str:
    return f"json: cannot unmarshal {got} into Go struct field {place} of type {wanted}"


def _runner_error(prompt: int, room: int) -> dict[str, Any]:
    message = f"request ({prompt} tokens) exceeds the available context size ({room} tokens)"
    error = {"code": 400, "message": message, "type": "exceed_context_size_error"}
    return {"error": {**error, "n_prompt_tokens": prompt, "n_ctx": room}}


def _debug(prompt: str) -> dict[str, Any]:
    return {"_debug_info": {"rendered_template": prompt}}


async def _running(request: web.Request) -> web.Response:
    return web.Response(text="Ollama is running")
