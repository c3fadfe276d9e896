"""A chat answer put together from its pieces. Pure: objects in, events and a reply's parts out.

Servers cut tool calls into pieces in many ways: whole in one piece, in a hundred fragments, with
several calls interleaved, with or without an index, with ids once, repeated, absent, or another
one in every piece. A fragment belongs to a call

1. by its `index`, if it has one: of several calls with that index by its id too; and unless it
   brings another id than the call of that index has *and* a name again, which is how servers
   that number every call 0 begin the next one;
2. else by its `id`: a known id continues that call, an unknown one begins a call;
3. else by its position among the fragments of its piece: a fragment with a name begins a call, one
   without continues the call at that position (the last one, if it stands alone).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from callsmith import (
    ArmError,
    CallParsed,
    ContentDelta,
    Event,
    Fault,
    FaultFound,
    JsonValue,
    ReasoningDelta,
    ToolCall,
    Usage,
    decode_arguments,
)
from callsmith_openai.stops import StopFilter

REASONING = ("reasoning_content", "reasoning", "thinking")
"""The three names of a thought. Some servers send two of them with the same text."""


@dataclass(slots=True)
class _Call:
    """One call that is being put together."""

    index: int | None = None
    id: str = ""
    name: str = ""
    parts: list[str] = field(default_factory=list)
    whole: JsonValue = None  # arguments that came as a value instead of JSON text
    pieces: list[object] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.parts)

    def is_complete(self) -> bool:
        """Whether the arguments could be over: nothing more may follow that belongs to them."""
        if self.whole is not None:
            return True
        try:
            json.loads(self.text)
        except (ValueError, RecursionError):
            return False
        return True

    def take(self, piece: object, name: str, identity: str, arguments: object) -> None:
        self.pieces.append(piece)
        self.name = self.name or name
        self.id = self.id or identity
        if isinstance(arguments, str):
            self.parts.append(arguments)
        elif arguments is not None and self.whole is None:
            self.whole = arguments  # type: ignore[assignment]  # came out of JSON


class Calls:
    """The calls of one answer."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._last: _Call | None = None

    def take(self, fragments: Sequence[object]) -> None:
        """The fragments of one piece of the answer."""
        for position, fragment in enumerate(fragments):
            self._take(fragment, position, len(fragments))

    def __bool__(self) -> bool:
        return bool(self._calls)

    def _take(self, fragment: object, position: int, count: int) -> None:
        data: Mapping[str, Any] = fragment if isinstance(fragment, Mapping) else {}
        function = data.get("function")
        inner: Mapping[str, Any] = function if isinstance(function, Mapping) else {}
        index = data.get("index")
        number = index if isinstance(index, int) and not isinstance(index, bool) else None
        identity, name = _text(data.get("id")), _text(inner.get("name"))
        call = self._find(number, identity, name, position, count)
        if call is None:
            call = _Call(index=number)
            self._calls.append(call)
        elif call.index is None:
            call.index = number
        call.take(fragment, name, identity, inner.get("arguments"))
        self._last = call

    def _find(
        self, index: int | None, identity: str, name: str, position: int, count: int
    ) -> _Call | None:
        """The call that a fragment continues, None if it begins one."""
        if index is not None:
            found = self._latest(lambda call: call.index == index and call.id == identity != "")
            if found is not None:
                return found
            found = self._latest(lambda call: call.index == index)
            if found is None and identity:
                found = self._latest(lambda call: call.index is None and call.id == identity)
            return None if found is not None and _begins(found, identity, name) else found
        if identity:
            return self._latest(lambda call: call.id == identity)
        if name:
            same = self._last
            repeats = same is not None and same.name == name and not same.is_complete()
            return same if repeats and count == 1 else None
        if count > 1 and position < len(self._calls):
            return self._calls[position]
        return self._last

    def _latest(self, wanted: Any) -> _Call | None:
        return next((call for call in reversed(self._calls) if wanted(call)), None)

    def close(self) -> tuple[tuple[ToolCall, ...], tuple[Fault, ...]]:
        """The answer is over: the calls in the order in which they began, and what is none."""
        calls: list[ToolCall] = []
        faults: list[Fault] = []
        for call in self._calls:
            if not call.name:
                raw = json.dumps(call.pieces, ensure_ascii=False)
                detail = "the server sent a call without a name"
                faults.append(Fault(kind="nameless-call", raw=raw, detail=detail))
                continue
            given = call.text if call.whole is None or call.text.strip() else call.whole
            calls.append(
                ToolCall(
                    name=call.name,
                    arguments=decode_arguments(given),
                    raw=call.text,
                    id=call.id or None,
                )
            )
        return tuple(calls), tuple(faults)


def _begins(call: _Call, identity: str, name: str) -> bool:
    """Whether a fragment with the index of `call` begins another one all the same.

    Fragments that bring a fresh id each time (old vLLM) bring no name with it. Without ids, the
    same index and a name after complete arguments are the next call of a server that counts none.
    """
    if not name or not call.name:
        return False
    if identity and call.id:
        return identity != call.id
    return not identity and call.is_complete() and bool(call.parts or call.whole is not None)


class Reading:
    """Collects one answer, streamed or whole. Only the first choice is read: one is asked for.

    `stops` are the request's stop strings, for servers that let them through.
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self._stops = StopFilter(stops)
        self.usage = Usage()
        self.finish_reason: str | None = None
        self.notes: list[str] = []
        self.timings: Mapping[str, Any] = {}
        self.choices = 0
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._calls = Calls()
        self.calls: tuple[ToolCall, ...] = ()
        self.faults: tuple[Fault, ...] = ()

    @property
    def content(self) -> str:
        """The visible text so far."""
        return "".join(self._content)

    @property
    def reasoning(self) -> str:
        """The thought so far."""
        return "".join(self._reasoning)

    def take(self, value: Mapping[str, Any]) -> list[Event]:
        """Reads one object of the answer. Raises `ArmError` when it has another shape."""
        self.usage = usage_of(value.get("usage")) or self.usage
        if isinstance(value.get("timings"), Mapping):
            self.timings = value["timings"]
        events: list[Event] = []
        for choice in choices_of(value):
            self.choices += 1
            if choice.get("finish_reason") is not None:
                self.finish_reason = str(choice["finish_reason"])
            delta = choice.get("delta")
            if delta is None:
                delta = choice.get("message")
            if isinstance(delta, Mapping):
                events += self._delta(delta)
            elif delta is not None:
                raise ArmError(f"a delta is not an object: {_short(delta)}")
        return events

    def _delta(self, delta: Mapping[str, Any]) -> list[Event]:
        events: list[Event] = []
        thought = next((t for key in REASONING if (t := _piece(delta.get(key), key))), "")
        if thought:
            self._reasoning.append(thought)
            events.append(ReasoningDelta(text=thought))
        content = _piece(delta.get("content"), "content")
        refusal = _piece(delta.get("refusal"), "refusal")
        if refusal and not any("refusal" in note for note in self.notes):
            self.notes.append("the server marked the text as a refusal")
        events += self._show(self._stops.feed(content + refusal))
        calls = delta.get("tool_calls")
        if calls is not None and not isinstance(calls, list):
            raise ArmError(f"tool_calls is not a list: {_short(calls)}")
        self._calls.take(calls or ())
        legacy = delta.get("function_call")
        if isinstance(legacy, Mapping):  # the API's older form: one call, no list
            self._calls.take([{"index": 0, "function": legacy}])
        return events

    def _show(self, text: str) -> list[Event]:
        if not text:
            return []
        self._content.append(text)
        return [ContentDelta(text=text)]

    def finish(self) -> list[Event]:
        """The answer is over: its calls are certain now."""
        events = self._show(self._stops.close())
        self.calls, self.faults = self._calls.close()
        events += [CallParsed(index=number, call=call) for number, call in enumerate(self.calls)]
        events += [FaultFound(fault=fault) for fault in self.faults]
        return events


def choices_of(value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The first choice, if the object has one: a usage chunk has none."""
    choices = value.get("choices")
    if choices is None:
        return []
    if not isinstance(choices, list) or not all(isinstance(item, Mapping) for item in choices):
        raise ArmError(f"choices is not a list of objects: {_short(choices)}")
    return [item for item in choices if item.get("index") in (0, None)]


def usage_of(value: object) -> Usage | None:
    """Token counts; None if the server sent none."""
    if not isinstance(value, Mapping):
        return None
    return Usage(
        prompt_tokens=_count(value.get("prompt_tokens")),
        completion_tokens=_count(value.get("completion_tokens")),
    )


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _piece(value: object, key: str) -> str:
    """Text, or the joined text of a list of text parts (a shape of some hosted services)."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_text(part.get("text")) for part in value if isinstance(part, Mapping))
    raise ArmError(f"{key} is not text: {_short(value)}")


def _short(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)[:120]
