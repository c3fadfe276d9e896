"""What a scripted OpenAI-compatible server answers, and how it cuts its answers into pieces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Thinking:
    """A piece of a thought."""

    text: str


@dataclass(frozen=True, slots=True)
class Content:
    """Visible text (chat), or native text (completions)."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call. Arguments that are text go out as they are, others as JSON text."""

    name: str
    arguments: Any = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True, slots=True)
class Delta:
    """A delta as it stands, for shapes that the server would not make by itself."""

    delta: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """An object of the stream as it stands, such as an error or a chunk without choices."""

    value: Any


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """The stream ends here, properly, but with neither a reason to finish nor `[DONE]`."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection breaks here."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """These bytes, as they are."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Finish:
    """The reason to finish, instead of the one that the server would give; None: none is sent."""

    reason: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Instead of a stream, an answer with this status and body."""

    status: int
    body: str | bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HangUp:
    """The connection is closed before a byte of an answer."""


Item: TypeAlias = Thinking | Content | Call | Delta | Event | Stall | Cut | Reset | Bytes | Finish
Answer: TypeAlias = str | Sequence[Item] | Refusal | HangUp
Script: TypeAlias = Sequence[Answer] | Callable[[Mapping[str, Any]], Answer]


@dataclass(kw_only=True)
class Delivery:
    """How answers are cut into pieces and framed; every field may be changed at any time."""

    calls: Literal["whole", "fragments", "interleaved"] = "whole"
    fragment: int = 3
    """Characters of arguments in one fragment."""
    index: Literal["counted", "zero", "none"] = "counted"
    ids: Literal["first", "every", "fresh", "none"] = "first"
    names: Literal["first", "every"] = "first"
    """Whether the name stands in the first fragment of a call only."""
    done: bool = True
    reasoning_field: str | tuple[str, ...] = "reasoning_content"
    usage: Literal["chunk", "last", "none"] = "chunk"
    comments: bool = False
    """Keep-alive comments between events."""
    newline: str = "\n"
    split: int | None = None
    """Bytes in one write."""
    piece_delay: float = 0.0
    streams: bool = True
    """False: the server answers in one piece, whatever is asked for."""
