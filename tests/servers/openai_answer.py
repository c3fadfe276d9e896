"""One answer of the fake OpenAI-compatible server: server-sent events, or one object."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from aiohttp import web

from servers.ollama_script import CONTROL, END_OF_GENERATION, tokens
from servers.openai_script import (
    Bytes,
    Call,
    Content,
    Cut,
    Delivery,
    Delta,
    Event,
    Finish,
    Item,
    Reset,
    Stall,
    Thinking,
)


class OneAnswer:
    """One answer. `seen` is the number of prompt tokens; `shows` are special tokens that stay in
    the text of a completion (None: all of them)."""

    def __init__(
        self,
        body: Mapping[str, Any],
        delivery: Delivery,
        items: Sequence[Item],
        *,
        chat: bool,
        seen: int,
        shows: frozenset[str] | None,
        ids: Any,
        keeps_stop: bool,
        room: int | None,
    ) -> None:
        self.body, self.delivery, self.items, self.chat, self.seen = (
            body,
            delivery,
            items,
            chat,
            seen,
        )
        self.shows, self.ids = shows, ids
        limit = body.get("max_tokens", body.get("max_completion_tokens", 1 << 30))
        self.limit = limit if room is None else min(limit, room - seen)
        self.count = 0
        self.reason: str | None = ""
        self.calls: list[tuple[Call, str]] = []
        text = "".join(item.text for item in items if isinstance(item, Content))
        ends = [
            text.find(stop) + (len(stop) if keeps_stop else 0)
            for stop in body.get("stop") or ()
            if stop in text
        ]
        self.stop_at = min(ends) if ends else None
        self.sent = 0
        self.generated: list[int] = []

    # -- generation ---------------------------------------------------------------------------

    def deltas(self, items: Sequence[Item]) -> Iterator[Item | dict[str, Any]]:
        """Deltas of the items, and the items that are no text as they are."""
        waiting: list[Call] = []
        for item in items:
            if isinstance(item, Call):
                waiting.append(item)
                self.count += 8
                continue
            yield from self._call_deltas(waiting)
            waiting = []
            if isinstance(item, Delta):
                yield dict(item.delta)
            elif isinstance(item, Finish):
                self.reason = item.reason
            elif isinstance(item, Thinking | Content):
                yield from self._text_deltas(item)
                if self.reason:
                    return
            else:
                yield item
        yield from self._call_deltas(waiting)

    def _text_deltas(self, item: Thinking | Content) -> Iterator[dict[str, Any]]:
        for token in tokens(item.text):
            shown = self._generated(token, visible=isinstance(item, Content))
            if shown and isinstance(item, Content):
                yield {"content": shown}
            elif shown:
                names = self.delivery.reasoning_field
                yield dict.fromkeys([names] if isinstance(names, str) else names, shown)
            if self.reason:
                return

    def _generated(self, token: str, *, visible: bool) -> str:
        """Counts one token and returns what is shown of it."""
        if self.count >= self.limit:
            self.reason = "length"
            return ""
        self.count += 1
        if not self.chat:
            if token in END_OF_GENERATION:
                self.reason = "stop"
                return ""
            self.generated.append(self.ids(token))
        if visible:
            if self.stop_at is not None and self.sent + len(token) >= self.stop_at:
                token = token[: self.stop_at - self.sent]
                self.reason = "stop"
            self.sent += len(token)
        if not self.chat and self.shows is not None and CONTROL.fullmatch(token):
            return token if token in self.shows else ""
        return token

    def _call_deltas(self, calls: Sequence[Call]) -> Iterator[dict[str, Any]]:
        streams: list[list[dict[str, Any]]] = []
        for call in calls:
            number = len(self.calls)
            text = call.arguments
            if not isinstance(text, str):
                text = json.dumps(call.arguments, ensure_ascii=False)
            self.calls.append((call, text))
            streams.append(list(self._fragments(call, number, text)))
        if self.delivery.calls == "interleaved":
            for row in zip_longest(*streams):
                yield from ({"tool_calls": [piece]} for piece in row if piece is not None)
        elif self.delivery.calls == "whole" and len(streams) > 1:
            yield {"tool_calls": [piece for stream in streams for piece in stream]}
        else:
            yield from ({"tool_calls": [piece]} for stream in streams for piece in stream)

    def _fragments(self, call: Call, number: int, text: str) -> Iterator[dict[str, Any]]:
        step = len(text) or 1
        if self.delivery.calls != "whole":
            step = self.delivery.fragment
        parts = [text[at : at + step] for at in range(0, len(text), step)] or [""]
        for order, part in enumerate(parts):
            piece: dict[str, Any] = {}
            if self.delivery.index != "none":
                piece["index"] = number if self.delivery.index == "counted" else 0
            identity = call.id or f"call_{number}"
            ids = self.delivery.ids
            if ids == "every" or (ids in ("first", "fresh") and order == 0):
                piece |= {"id": identity, "type": "function"}
            elif ids == "fresh":
                piece["id"] = f"{identity}_{order}"
            piece["function"] = {"arguments": part}
            if order == 0 or self.delivery.names == "every":
                piece["function"]["name"] = call.name
            yield piece

    # -- framing ------------------------------------------------------------------------------

    @property
    def finish_reason(self) -> str | None:
        """What the answer says about its end."""
        if self.reason is None:
            return None
        return self.reason or ("tool_calls" if self.calls else "stop")

    def usage(self) -> dict[str, int]:
        """Token counts."""
        total = self.seen + self.count
        return {
            "prompt_tokens": self.seen,
            "completion_tokens": self.count,
            "total_tokens": total,
        }

    def choice(self, delta: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
        """A choice of a chunk."""
        if self.chat:
            return {"index": 0, "delta": dict(delta), "finish_reason": reason}
        out = {"index": 0, "text": delta.get("content", ""), "finish_reason": reason}
        if self.body.get("return_token_ids"):
            out["token_ids"], self.generated = self.generated, []
        return out

    def chunk(self, choices: list[Any], **more: Any) -> dict[str, Any]:
        """One object of a stream."""
        kind = "chat.completion.chunk" if self.chat else "text_completion"
        head = {"id": "cmpl-1", "object": kind, "created": 1, "model": self.body["model"]}
        return {**head, "choices": choices, **more}

    def whole(self) -> dict[str, Any]:
        """Everything in one object."""
        text, thought = "", ""
        for delta in self.deltas(self.items):
            if isinstance(delta, dict):
                text += delta.get("content") or ""
                names = self.delivery.reasoning_field
                thought += delta.get(names if isinstance(names, str) else names[0]) or ""
        choice: dict[str, Any] = {"index": 0, "finish_reason": self.finish_reason}
        if self.chat:
            message: dict[str, Any] = {"role": "assistant", "content": text or None}
            if thought:
                message["reasoning_content"] = thought
            if self.calls:
                message["tool_calls"] = [
                    {
                        "id": call.id or f"call_{number}",
                        "type": "function",
                        "function": {"name": call.name, "arguments": arguments},
                    }
                    for number, (call, arguments) in enumerate(self.calls)
                ]
            choice["message"] = message
        else:
            choice["text"] = text
            if self.body.get("return_token_ids"):
                choice["token_ids"] = self.generated
            count = self.body.get("logprobs")
            if count is not None:
                choice["logprobs"] = {
                    "tokens": [f"t{number}" for number in self.generated],
                    "token_logprobs": [-0.5] * len(self.generated),
                }
        usage = {} if self.delivery.usage == "none" else {"usage": self.usage()}
        return {**self.chunk([choice]), "object": "chat.completion", **usage}

    async def send(self, request: web.Request) -> web.StreamResponse:
        """As server-sent events, each as soon as it is there."""
        kind = "text/event-stream; charset=utf-8"
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        try:
            if self.chat:
                await self._event(response, self.chunk([self.choice({"role": "assistant"})]))
            for item in self.deltas(self.items):
                if isinstance(item, dict):
                    choice = self.choice(item)
                    if not self.chat and self.body.get("logprobs") is not None:
                        ids = choice.get("token_ids", [])
                        choice["logprobs"] = {
                            "tokens": [f"t{number}" for number in ids],
                            "token_logprobs": [-0.5] * len(ids),
                        }
                    await self._event(response, self.chunk([choice]))
                elif isinstance(item, Stall):
                    await asyncio.sleep(item.seconds)
                elif isinstance(item, Bytes):
                    await self._write(response, item.data)
                elif isinstance(item, Event):
                    await self._event(response, item.value)
                elif isinstance(item, Cut):
                    return response
                elif isinstance(item, Reset):
                    assert request.transport is not None
                    request.transport.abort()
                    return response
            await self._end(response)
        except ConnectionError:
            pass  # the client hung up
        return response

    async def _end(self, response: web.StreamResponse) -> None:
        wants = (self.body.get("stream_options") or {}).get("include_usage")
        last = self.delivery.usage == "last"
        more = {"usage": self.usage()} if last else {}
        if self.reason is not None or last:
            await self._event(response, self.chunk([self.choice({}, self.finish_reason)], **more))
        if self.delivery.usage == "chunk" and wants:
            await self._event(response, self.chunk([], usage=self.usage()))
        if self.delivery.done:
            await self._write(response, f"data: [DONE]{self.delivery.newline * 2}".encode())

    async def _event(self, response: web.StreamResponse, value: Any) -> None:
        end = self.delivery.newline
        if self.delivery.comments:
            await self._write(response, f": keep-alive{end * 2}".encode())
        data = json.dumps(value, ensure_ascii=False)
        await self._write(response, f"data: {data}{end * 2}".encode())

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        """Writes in pieces of `split` bytes."""
        step = self.delivery.split or len(data) or 1
        for start in range(0, len(data), step):
            await response.write(data[start : start + step])
            await asyncio.sleep(self.delivery.piece_delay)
