"""`Row`: one training example, whatever data set it came from."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from callsmith import (
    ConfigError,
    JsonValue,
    Message,
    Task,
    ToolCall,
    ToolSpec,
    from_json,
    to_json,
)

WORD = re.compile(r"\w+")


class RowError(ValueError):
    """A record, or a part of one, that cannot become a row; `reason` is a stable name."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A prompt and what the model should write next.

    `messages` and `tools` are the prompt; the assistant turn to learn is `answer` (text, "" for
    none) with `calls` (the gold calls, () where no tool should be called). `source` names the
    data set and the augmentations (`xlam+mask-names`); `id` is unique within its file.
    """

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    answer: str = ""
    source: str
    id: str

    @property
    def turn(self) -> Message:
        """The assistant message to learn."""
        return Message(role="assistant", content=self.answer or None, tool_calls=self.calls)

    @property
    def asked(self) -> str:
        """What users said, one message per line."""
        return "\n".join(text_of(m.content) for m in self.messages if m.role == "user")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A record or row that is left out, with its reason; a line of the quarantine file.

    `reason` is a stable name to count by, `detail` one sentence, `record` what was left out.
    """

    id: str
    source: str
    reason: str
    detail: str
    record: JsonValue = None


def text_of(content: JsonValue) -> str:
    """The text of a message's content; other parts than text and other values as JSON."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [
            part["text"]
            if isinstance(part, dict) and isinstance(part.get("text"), str)
            else canonical(part)
            for part in content
        ]
        return "".join(str(part) for part in parts)
    return canonical(content)


def canonical(value: object) -> str:
    """JSON text that does not depend on the order of keys."""
    return json.dumps(to_json(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def require_json(row: Row) -> None:
    """Raises `RowError` (`malformed`) for a row that UTF-8 JSON cannot hold.

    Parquet has dates, bytes and NaN; JSON text can have half of a surrogate pair, which no
    tokenizer takes.
    """
    try:
        json.dumps(to_json(row), ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise RowError("malformed", "a text holds half of a surrogate pair") from None
    except RecursionError:
        raise RowError("malformed", "a value is nested too deeply") from None
    except (TypeError, ValueError) as error:
        raise RowError("malformed", f"a value is not JSON: {error}") from None


def words(text: str) -> list[str]:
    """Words for comparisons: NFKC, no upper case, no punctuation."""
    return WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def digest(text: str) -> str:
    """SHA-256 as hex; lone surrogates, which JSON can hold, are allowed."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def content_digest(row: Row) -> str:
    """Identifies a row by content: the order of keys, `id`, `source` and call ids do not count."""
    return digest(canonical([_messages(row), list(row.tools), _calls(row.calls), row.answer]))


def written_digest(row: Row) -> str:
    """As `content_digest`, and with the order of keys: what the row is as it is written."""
    said = [_messages(row), to_json(row.tools), _calls(row.calls), row.answer]
    return digest(json.dumps(said, ensure_ascii=False))


def normal_digest(row: Row) -> str:
    """As `content_digest`, and blind to case, punctuation, white space and the order of tools."""
    said = [
        [m.role, words(text_of(m.content)), sorted(canonical(c) for c in _calls(m.tool_calls))]
        for m in row.messages
    ]
    tools = sorted(
        canonical([tool.name, words(tool.description), tool.parameters]) for tool in row.tools
    )
    calls = sorted(canonical(call) for call in _calls(row.calls))
    return digest(canonical([said, tools, calls, words(row.answer)]))


def _messages(row: Row) -> list[JsonValue]:
    return [[m.role, m.content, m.name, _calls(m.tool_calls)] for m in row.messages]


def _calls(calls: tuple[ToolCall, ...]) -> list[JsonValue]:
    return [{"name": call.name, "arguments": call.arguments} for call in calls]


def row_to_json(row: Row) -> dict[str, JsonValue]:
    """A row as an object of a rows file: messages and tools as the codec writes them."""
    data = to_json(row)
    assert isinstance(data, dict)
    return data


def row_from_json(data: Any) -> Row:
    """The inverse of `row_to_json`. Raises `RowError`."""
    if not isinstance(data, Mapping):
        raise RowError("malformed", f"a row is an object, got {data!r:.60}")
    fields: dict[str, Any] = {
        "messages": tuple[Message, ...],
        "tools": tuple[ToolSpec, ...],
        "calls": tuple[ToolCall, ...],
        "answer": str,
        "source": str,
        "id": str,
    }
    missing = [name for name in ("messages", "source", "id") if name not in data]
    if missing:
        raise RowError("malformed", f"a row needs {missing[0]}")
    try:
        return Row(
            **{name: from_json(data[name], kind) for name, kind in fields.items() if name in data}
        )
    except (ConfigError, TypeError, ValueError) as error:
        raise RowError("malformed", str(error)) from None


def row_to_task(row: Row) -> Task:
    """The row as a task, so that the same verifiers judge data, rewards and models.

    The target's `answer` is the text to learn, alone or beside the calls; trainers read it.
    """
    target: dict[str, JsonValue] = {"calls": _calls(row.calls)}
    if not row.calls:
        target = {"answer_only": True}
    if row.answer:
        target["answer"] = row.answer
    return Task(
        id=row.id, messages=row.messages, tools=row.tools, target=target, tags=(row.source,)
    )
