"""What a scripted Ollama model answers, and what the server knows about its models."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

CONTROL = re.compile(r'<\|"\|>|<\|[a-z_]+\|?>|<[a-z_]+\|>|<bos>|<eos>')
END_OF_GENERATION = ("<turn|>", "<eos>", "<|tool_response>")
_TOKEN = re.compile(CONTROL.pattern + r"|\w+|\s+|[^\w\s]")


def tokens(text: str) -> list[str]:
    """The fake's tokenizer: a control token is one token."""
    return _TOKEN.findall(text)


@dataclass(frozen=True, slots=True)
class Thinking:
    """A piece of a thought."""

    text: str


@dataclass(frozen=True, slots=True)
class Content:
    """Visible text (chat), or native text (raw)."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A whole call, as the server's parser would deliver it."""

    name: str
    arguments: Any = field(default_factory=dict)
    id: str | None = None


@dataclass(frozen=True, slots=True)
class ErrorLine:
    """The stream goes wrong: an error line with status 200, and the end."""

    message: str


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """The stream ends here, properly, but without its last line."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection breaks here."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """These bytes, as they are: a malformed line, for instance."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """Instead of a stream, an answer with this status and body."""

    status: int
    body: str | bytes
    content_type: str = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class HangUp:
    """The connection is closed before a byte of an answer."""


Item: TypeAlias = Thinking | Content | Call | ErrorLine | Stall | Cut | Reset | Bytes
Answer: TypeAlias = str | Sequence[Item] | Refusal | HangUp
Script: TypeAlias = Sequence[Answer] | Callable[[Mapping[str, Any]], Answer]


@dataclass(slots=True, kw_only=True)
class Model:
    """A model of the server, as `/api/tags` and `/api/show` describe it."""

    digest: str = "c6eb396dbd5992bbe3f5cdb947e8bbc0ee413d7c17e2beaae69f5d569cf982eb"
    family: str = "gemma4"
    quantization: str = "Q4_K_M"
    parameter_size: str = "8.0B"
    modelfile: str = "FROM gemma4:e4b\nRENDERER gemma4\nPARSER gemma4\nPARAMETER top_k 64\n"
    template: str = "{{ .Prompt }}"
    parameters: str = "top_k                          64"
    system: str = ""
    messages: Sequence[Mapping[str, str]] = ()
    capabilities: Sequence[str] = ("completion", "tools", "thinking")
    trained_context: int = 131072
    token_types: Mapping[str, int] = field(
        default_factory=lambda: {"the": 1, "<|tool_call>": 4, "<tool_call|>": 4, '<|"|>': 4}
    )
