"""One answer of the fake Ollama server: NDJSON lines, or one object."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from servers.ollama_script import (
    CONTROL,
    END_OF_GENERATION,
    Bytes,
    Call,
    Content,
    Cut,
    ErrorLine,
    Item,
    Reset,
    Stall,
    Thinking,
    tokens,
)

NOW = "2026-08-21T10:00:00.123456789Z"


def message_of(content: str, **more: Any) -> dict[str, Any]:
    """An assistant's message; empty fields are left out by leaving them out here."""
    return {"role": "assistant", "content": content, **more}


def error_response(status: int, message: str) -> web.Response:
    """Ollama's error body."""
    return web.json_response({"error": message}, status=status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How answers are delivered: `FakeOllama`'s switches of the same names."""

    native: bool
    loses_control_tokens: bool
    split: int | None
    piece_delay: float


class Lines:
    """One answer. `room` is the effective context length, `prompt` the number of its tokens."""

    def __init__(
        self,
        body: Mapping[str, Any],
        delivery: Delivery,
        items: Sequence[Item],
        *,
        chat: bool,
        prompt: int,
        counted: int,
        room: int,
    ) -> None:
        options = body.get("options") or {}
        self.model = body["model"]
        self.delivery = delivery
        self.items = items
        self.chat = chat
        self.counted = counted
        self.limit = min(int(options.get("num_predict", 1 << 30)), room - prompt)
        self.count = 0
        self.reason = ""
        self.calls: list[dict[str, Any]] = []
        text = "".join(item.text for item in items if isinstance(item, Content))
        ends = [text.find(str(stop)) for stop in options.get("stop") or () if str(stop) in text]
        self.stop_at = min(ends) if ends else None
        """Where in the text the first stop string begins: it and what follows is never sent."""
        self.sent = 0

    def lines(self, item: Item) -> Iterator[dict[str, Any]]:
        """The lines of one item; `reason` is set when generation has ended."""
        if isinstance(item, Call):
            function = {"index": len(self.calls), "name": item.name, "arguments": item.arguments}
            call: dict[str, Any] = {"function": function}
            if item.id is not None:
                call = {"id": item.id, **call}
            self.calls.append(call)
            self.count += 8
            if not self.delivery.native:
                yield self.wrap("", tool_calls=[call])
            return
        if not isinstance(item, Thinking | Content):
            raise TypeError(f"not a line: {item!r}")
        for token in tokens(item.text):
            shown = self.generated(token, visible=isinstance(item, Content))
            if self.reason and not shown:
                return
            if shown and isinstance(item, Thinking):
                yield self.wrap("", thinking=shown)
            elif shown:
                yield self.wrap(shown)
            if self.reason:
                return

    def generated(self, token: str, *, visible: bool) -> str:
        """Counts one token and returns what is shown of it."""
        if self.count >= self.limit:
            self.reason = "length"
            return ""
        self.count += 1
        if not self.chat and token in END_OF_GENERATION:
            self.reason = "stop"
            return ""
        if visible:
            if self.stop_at is not None and self.sent + len(token) > self.stop_at:
                token = token[: self.stop_at - self.sent]
                self.reason = "stop"
            self.sent += len(token)
        if not self.chat and self.delivery.loses_control_tokens:
            return CONTROL.sub("", token)
        return token

    def wrap(self, text: str, **more: Any) -> dict[str, Any]:
        """A line that is not the last."""
        head = {"model": self.model, "created_at": NOW}
        if self.chat:
            return {**head, "message": message_of(text, **more), "done": False}
        return {**head, "response": text, **more, "done": False}

    def last(self) -> dict[str, Any]:
        """The line that says `done`: zeros are left out, as Go's omitempty does."""
        calls = self.calls if self.delivery.native else []
        numbers = {
            "total_duration": 1_500_000_000,
            "load_duration": 250_000_000,
            "prompt_eval_count": self.counted,
            "prompt_eval_duration": 500_000_000,
            "eval_count": self.count,
            "eval_duration": 750_000_000,
        }
        return {
            **self.wrap("", **({"tool_calls": calls} if calls else {})),
            "done": True,
            "done_reason": self.reason or "stop",
            **{key: value for key, value in numbers.items() if value},
        }

    def whole(self) -> web.Response:
        """`stream: false`: everything in one object."""
        text, thinking = "", ""
        for item in self.items:
            if isinstance(item, ErrorLine):
                return error_response(500, item.message)
            for line in self.lines(item):
                text += line["message"]["content"] if self.chat else line["response"]
                thinking += line.get("message", line).get("thinking", "")
            if self.reason:
                break
        more: dict[str, Any] = {"thinking": thinking} if thinking else {}
        if not self.chat:
            return web.json_response({**self.last(), "response": text, **more})
        if self.calls:
            more["tool_calls"] = self.calls
        return web.json_response({**self.last(), "message": message_of(text, **more)})

    async def send(self, request: web.Request) -> web.StreamResponse:
        """`stream: true`: one line per token, each as soon as it is there."""
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        try:
            for item in self.items:
                if isinstance(item, Stall):
                    await asyncio.sleep(item.seconds)
                elif isinstance(item, Bytes):
                    await self.write(response, item.data)
                elif isinstance(item, ErrorLine):
                    await self.write_line(response, {"error": item.message})
                    return response
                elif isinstance(item, Cut):
                    return response
                elif isinstance(item, Reset):
                    assert request.transport is not None
                    request.transport.abort()
                    return response
                else:
                    for line in self.lines(item):
                        await self.write_line(response, line)
                if self.reason:
                    break
            await self.write_line(response, self.last())
        except ConnectionError:
            pass  # the client hung up
        return response

    async def write_line(self, response: web.StreamResponse, line: Mapping[str, Any]) -> None:
        """Go does not escape what is not ASCII, so a character may be split between writes."""
        await self.write(response, json.dumps(line, ensure_ascii=False).encode() + b"\n")

    async def write(self, response: web.StreamResponse, data: bytes) -> None:
        """Writes in pieces of `split` bytes."""
        step = self.delivery.split or len(data) or 1
        for start in range(0, len(data), step):
            await response.write(data[start : start + step])
            await asyncio.sleep(self.delivery.piece_delay)
