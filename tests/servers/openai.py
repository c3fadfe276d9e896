"""An OpenAI-compatible server in this process, driven by a scripted model.

It follows the HTTP contract of `/v1/chat/completions` and `/v1/completions`, and has the further
endpoints by which servers can be told apart: `flavour` says whose. It renders and parses nothing
that a real server would: for chat the script says the structured reply, for completions it says
native text. Every way of cutting an answer into pieces (`delivery`), and of failing, can be
switched on.

    async with FakeOpenAI(script=["Hello."]) as server:
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

from servers.ollama_script import CONTROL, tokens
from servers.openai_answer import OneAnswer
from servers.openai_script import (
    Answer,
    Bytes,
    Call,
    Content,
    Cut,
    Delivery,
    Delta,
    Event,
    Finish,
    HangUp,
    Item,
    Refusal,
    Reset,
    Script,
    Stall,
    Thinking,
)

__all__ = [
    "Answer",
    "Bytes",
    "Call",
    "Content",
    "Cut",
    "Delivery",
    "Delta",
    "Event",
    "FakeOpenAI",
    "Finish",
    "HangUp",
    "Item",
    "Refusal",
    "Reset",
    "Stall",
    "Thinking",
    "render",
]

STANDARD = frozenset(
    {
        "model", "messages", "prompt", "stream", "stream_options", "temperature", "top_p", "seed",
        "max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice", "logprobs",
        "parallel_tool_calls", "presence_penalty", "frequency_penalty", "n", "reasoning_effort",
    }
)  # fmt: skip
"""Fields that every server takes."""


@dataclass(kw_only=True)
class FakeOpenAI:
    """The server. Use as an async context manager; every field may be changed while it runs.

    `script` has one answer per generating request, in order (one request too many is a 500), or
    is a function of the request's body, from which ignored fields have been taken out.
    """

    script: Script = ()
    delivery: Delivery = field(default_factory=Delivery)
    flavour: str = "plain"
    """vllm, sglang, llama.cpp, lmstudio, ollama, transformers, or plain: none of them."""
    models: Sequence[str] = ("gemma4",)
    version: str = "9.9.9"
    context: int | None = 4096
    """Context length; None: as long as you like."""
    refuses: frozenset[str] = frozenset()
    """Fields that are answered with 422."""
    ignores: frozenset[str] = frozenset()
    """Fields that are accepted and not used."""
    key: str = ""
    """The bearer token that is wanted."""
    echoes_key: bool = False
    """A refused key is repeated in the answer."""
    loading: int = 0
    """So many requests are answered with 503."""
    unhealthy: int = 0
    """So many requests for `/health` are answered with 503, while everything else is there."""
    port: int = 0
    """Where to listen; 0: anywhere."""
    answer_delay: float = 0.0
    """Seconds before an answer begins."""
    doubles_rendered_bos: bool = False
    """The chat template writes a BOS and the tokeniser puts one before it."""
    unexpected: str = "fields"
    """What transformers serve calls fields that it does not know: `keys` in older versions."""
    adds_bos: bool = True
    dedups_bos: bool = False
    strips_special: bool = True
    """Special tokens are left out of completions, unless the request keeps them."""
    wraps_prompt: bool = False
    """As Ollama's /v1/completions: the prompt goes into a template."""
    keeps_stop: bool = False
    """The text ends behind a stop string."""
    missing: frozenset[str] = frozenset()
    """Paths that this server does not have."""
    answers_everything: bool = False
    """Status 200 and an error object for a path that is not there, as LM Studio."""

    def __post_init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        """(path, body) of every POST that had a JSON body."""
        self.generations: list[dict[str, Any]] = []
        """The bodies of the requests that took an answer from the script."""
        self.headers: list[Mapping[str, str]] = []
        self.paths: list[str] = []
        self.vocabulary: dict[str, int] = {}
        self.url = ""
        self._answered = 0
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> FakeOpenAI:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._any)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
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

    def id_of(self, token: str) -> int:
        """A token's id: control tokens have ids below 1000."""
        control = CONTROL.fullmatch(token) is not None
        if token not in self.vocabulary:
            same = [t for t in self.vocabulary if (CONTROL.fullmatch(t) is not None) == control]
            self.vocabulary[token] = len(same) + (1 if control else 1000)
        return self.vocabulary[token]

    def text_of(self, ids: Sequence[int]) -> str:
        """The inverse of tokenising."""
        names = {number: token for token, number in self.vocabulary.items()}
        return "".join(names[number] for number in ids)

    async def _any(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
        self.paths.append(request.path)
        if self.loading > 0:
            self.loading -= 1
            return _error(503, "Loading model", "unavailable_error")
        if request.path == "/health" and self.unhealthy > 0:
            self.unhealthy -= 1
            return _error(503, "Loading model", "unavailable_error")
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.key and given != self.key and request.path.startswith("/v1"):
            text = f"Incorrect API key provided: {given}" if self.echoes_key else "Unauthorized"
            return _error(401, text, "invalid_api_key")
        data = await request.read()
        body: dict[str, Any] = json.loads(data) if data else {}
        if request.method == "POST":
            self.requests.append((request.path, body))
        handler = self._handler(request.path)
        if handler is None or request.path in self.missing:
            if self.answers_everything:
                text = f"Unexpected endpoint or method. ({request.method} {request.path})"
                return web.json_response({"error": text})
            return web.json_response({"detail": "Not Found"}, status=404)
        return await handler(request, body)

    def _handler(self, path: str) -> Callable[[web.Request, dict[str, Any]], Any] | None:
        if path == "/v1/chat/completions":
            return self._chat
        if path == "/v1/completions":
            return self._complete
        value = self._facts().get(path)
        if value is not None:
            return _giving(value)
        if path == "/tokenize" and self.flavour in ("vllm", "sglang", "llama.cpp"):
            return self._tokenize
        if path == "/detokenize" and self.flavour == "vllm":
            return self._detokenize
        if path == "/apply-template" and self.flavour == "llama.cpp":
            return self._apply_template
        return None

    def _facts(self) -> dict[str, Any]:
        """What the GET endpoints answer."""
        rows = [self._row(name) for name in self.models]
        facts: dict[str, Any] = {"/v1/models": {"object": "list", "data": rows}}
        if self.flavour == "vllm":
            facts["/version"] = {"version": self.version}
        elif self.flavour == "sglang":
            facts["/get_server_info"] = {
                "tokenizer_path": "/models/gemma4",
                "context_length": self.context,
                "quantization": "fp8",
                "version": self.version,
            }
        elif self.flavour == "llama.cpp":
            facts["/props"] = {
                "default_generation_settings": {"n_ctx": self.context},
                "model_path": "/models/gemma4-Q4_K_M.gguf",
                "chat_template": "{{ messages }}",
                "bos_token": "<bos>",
                "build_info": self.version,
            }
        elif self.flavour == "lmstudio":
            facts["/api/v0/models"] = {
                "data": [
                    {
                        "id": name,
                        "arch": "gemma4",
                        "quantization": "Q4_K_M",
                        "state": "loaded",
                        "max_context_length": 131072,
                        "loaded_context_length": self.context,
                    }
                    for name in self.models
                ]
            }
        elif self.flavour == "ollama":
            facts["/api/version"] = {"version": self.version}
            rows = [{"name": name, "context_length": self.context} for name in self.models]
            facts["/api/ps"] = {"models": rows}
        return facts

    def _row(self, name: str) -> dict[str, Any]:
        row: dict[str, Any] = {"id": name, "object": "model", "owned_by": self.flavour}
        if self.flavour in ("vllm", "sglang"):
            row |= {"root": "/models/gemma4", "max_model_len": self.context}
        if self.flavour == "llama.cpp":
            row["meta"] = {"n_ctx_train": 131072, "n_params": 4_000_000_000, "size": 3_000_000_000}
        return row

    async def _tokenize(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        if "messages" in body:
            text = ("<bos>" if self.doubles_rendered_bos else "") + render(body)
        else:
            text = body["content"] if self.flavour == "llama.cpp" else body["prompt"]
        ids = [self.id_of(token) for token in tokens(text)]
        special = body.get("add_special_tokens", body.get("add_special", True))
        if special and self.adds_bos and "messages" not in body:
            ids.insert(0, self.id_of("<bos>"))
        return web.json_response({"tokens": ids, "count": len(ids)})

    async def _detokenize(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        return web.json_response({"prompt": self.text_of(body["tokens"])})

    async def _apply_template(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        return web.json_response({"prompt": render(body)})

    async def _chat(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        problem = self._problem(body, "messages")
        if problem is not None:
            return problem
        seen = tokens(render(body))
        return await self._answer(request, body, len(seen), chat=True)

    async def _complete(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        problem = self._problem(body, "prompt")
        if problem is not None:
            return problem
        prompt = body["prompt"]
        if isinstance(prompt, list):
            seen = len(prompt)
            body = {**body, "prompt": self.text_of(prompt)}
        else:
            if self.wraps_prompt:
                prompt = f"<|turn>user\n{prompt}<turn|>\n<|turn>model\n"
            found = tokens(prompt)
            adds = self.adds_bos and body.get("add_special_tokens", True)
            doubled = found[:1] == ["<bos>"]
            if adds and not (doubled and self.dedups_bos):
                found.insert(0, "<bos>")
            seen = len(found)
        return await self._answer(request, body, seen, chat=False)

    def _problem(self, body: Mapping[str, Any], needed: str) -> web.Response | None:
        refused = sorted(self.refuses & body.keys())
        if self.flavour == "transformers":
            refused = sorted(body.keys() - STANDARD - {"generation_config", "chat_template_kwargs"})
            if refused:
                text = f"Unexpected {self.unexpected} in the request: {set(refused)}"
                return web.json_response({"detail": text}, status=422)
        if refused:
            detail = [{"loc": ["body", name], "msg": "Extra inputs"} for name in refused]
            return web.json_response({"detail": detail}, status=422)
        if needed not in body:
            return _error(400, f"{needed} is required", "invalid_request_error")
        if body.get("model") not in self.models:
            text = f"The model `{body.get('model')}` does not exist."
            return _error(404, text, "NotFoundError")
        return None

    async def _answer(
        self, request: web.Request, body: dict[str, Any], seen: int, *, chat: bool
    ) -> web.StreamResponse:
        wanted = seen + int(body.get("max_tokens") or 0)
        room = self.context
        if room is not None and self.flavour in ("vllm", "sglang") and wanted > room:
            text = f"This model's maximum context length is {room} tokens. However, you requested"
            return _error(400, f"{text} {wanted} tokens.", "BadRequestError")
        used = {key: value for key, value in body.items() if key not in self.ignores}
        if self.flavour == "transformers":
            used |= json.loads(used.pop("generation_config", "{}"))
        await asyncio.sleep(self.answer_delay)
        answer = self._next(used)
        if isinstance(answer, HangUp):
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if isinstance(answer, Refusal):
            data = answer.body.encode() if isinstance(answer.body, str) else answer.body
            head = {"Content-Type": answer.content_type, **answer.headers}
            return web.Response(status=answer.status, body=data, headers=head)
        one = OneAnswer(
            used,
            self.delivery,
            [Content(answer)] if isinstance(answer, str) else answer,
            chat=chat,
            seen=seen,
            shows=self._shown(body),
            ids=self.id_of,
            keeps_stop=self.keeps_stop,
            room=room,
        )
        if body.get("stream") and self.delivery.streams:
            return await one.send(request)
        return web.json_response(one.whole())

    def _shown(self, body: Mapping[str, Any]) -> frozenset[str] | None:
        keeps = body.get("skip_special_tokens") is False and self.flavour in ("vllm", "sglang")
        if not self.strips_special or keeps:
            return None
        kept = body.get("preserved_tokens") if self.flavour == "llama.cpp" else ()
        return frozenset(kept or ())

    def _next(self, body: dict[str, Any]) -> Answer:
        self.generations.append(body)
        if callable(self.script):
            return self.script(body)
        if self._answered >= len(self.script):
            return Refusal(500, json.dumps({"error": {"message": "the script is over"}}))
        self._answered += 1
        return self.script[self._answered - 1]


def render(body: Mapping[str, Any]) -> str:
    """What this fake calls its rendering: enough to see that messages and tools arrive in it."""
    out = ["<bos>"]
    if body.get("tools"):
        names = ",".join(tool["function"]["name"] for tool in body["tools"])
        out.append(f"<|turn>system\n{names}<turn|>\n")
    for message in body.get("messages") or ():
        calls = json.dumps(message["tool_calls"]) if message.get("tool_calls") else ""
        out.append(f"<|turn>{message['role']}\n{calls}{message.get('content') or ''}<turn|>\n")
    return "".join(out) + "<|turn>model\n"


def _error(status: int, message: str, kind: str) -> web.Response:
    error = {"message": message, "type": kind, "param": None, "code": status}
    return web.json_response({"error": error}, status=status)


def _giving(value: Any) -> Callable[[web.Request, dict[str, Any]], Any]:
    async def give(request: web.Request, body: dict[str, Any]) -> web.Response:
        return web.json_response(value)

    return give
