"""Readers: one record of a published data set to rows. Pure; `RowError` for what is malformed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from callsmith import (
    ConfigError,
    JsonValue,
    Message,
    ToolCall,
    ToolSpec,
    decode_arguments,
    message_from_openai,
)
from callsmith_tasks.data.conversations import (
    call_of,
    read_json,
    rows_of,
    text_field,
    tools_of,
    turns_of,
)
from callsmith_tasks.data.literals import calls_from_text, loose_json
from callsmith_tasks.data.row import Row, RowError, row_from_json, text_of

Reader = Callable[[Mapping[str, Any], str], list[Row]]
"""`(record, id)` to rows; raises `RowError`."""

_DECODER = json.JSONDecoder()
_THOUGHT = re.compile(r"<(think|thinking|scratch_pad)>", re.IGNORECASE)
_GLAIVE_TURN = re.compile(r"(?:^|\n)[^\S\n]*(USER|ASSISTANT|FUNCTION RESPONSE):")
_GLAIVE_CALL = re.compile(r"<functioncall>(.*)", re.DOTALL)
_GLAIVE_ARGUMENTS = re.compile(r"\"arguments\"\s*:\s*'")
_GLAIVE_NAME = re.compile(r"\"name\"\s*:\s*\"([^\"]+)\"")
_GLAIVE_END = "<|endoftext|>"
_MAX_LISTS = 100
"""Places at which a system text's list of tools may begin, before the search is given up."""


def read_xlam(record: Mapping[str, Any], id: str) -> list[Row]:
    """xLAM-60k: `query` is text; `tools` and `answers` are JSON texts of lists."""
    query = text_field(record, "query")
    answers = record.get("answers")
    if isinstance(answers, str):
        answers = read_json(answers, "answers")
    if not isinstance(answers, list):
        raise RowError("malformed", f"answers are no list but {answers!r:.60}")
    if not answers:
        # The published irrelevance rows have no answers; what to say instead is not in them.
        raise RowError("no-answer", "answers is empty; use the irrelevance augmentation instead")
    turn = Message(role="assistant", tool_calls=tuple(call_of(item) for item in answers))
    user = Message(role="user", content=query)
    return rows_of([user, turn], tools_of(record.get("tools")), source="xlam", id=id)


def read_toolace(record: Mapping[str, Any], id: str) -> list[Row]:
    """ToolACE: `system` holds the tools as a JSON list; calls are written `[f(a=1), g()]`.

    The system text is the format's instruction and is left out: the template declares the tools.
    Names with spaces (there are many) get underscores, in tools and calls alike: no server takes
    them otherwise, and few templates can write them.
    """
    tools = _list_in(text_field(record, "system"))
    named = tuple(replace(tool, name=_plain_name(tool.name)) for tool in tools)
    if len({tool.name for tool in named}) < len(tools):
        raise RowError("invalid-tool", "two tools have one name once spaces are underscores")
    roles = {"user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant"}
    messages: list[Message] = []
    for who, text in turns_of(record):
        if who == "tool":
            messages += [Message(role="tool", content=item) for item in _toolace_results(text)]
        elif roles.get(who) == "assistant":
            messages.append(_toolace_turn(text, tools))
        elif who in roles:
            messages.append(Message(role="user", content=text))
        else:
            raise RowError("malformed", f"a turn is from {who!r:.40}")
    return rows_of(messages, named, source="toolace", id=id)


def _plain_name(name: str) -> str:
    return re.sub(r"\s+", "_", name.strip())


def _list_in(text: str) -> tuple[ToolSpec, ...]:
    for found in islice(re.finditer(r"\[\s*\{", text), _MAX_LISTS):
        try:
            data, _ = _DECODER.raw_decode(text, found.start())
        except (ValueError, RecursionError):
            continue
        return tools_of(data)
    if re.search(r"\[\s*\]", text):
        return ()
    raise RowError("malformed", "the system text holds no JSON list of tools")


def _toolace_turn(text: str, tools: tuple[ToolSpec, ...]) -> Message:
    stripped = text.strip()
    if stripped.startswith("[") and stripped.endswith("]"):
        calls = calls_from_text(stripped)
        plain = tuple(replace(call, name=_plain_name(call.name)) for call in calls)
        return Message(role="assistant", tool_calls=plain)
    if stripped.startswith("[") or any(f"{tool.name}(" in stripped for tool in tools):
        # Trained as text, such a turn would teach the model to write calls into its answers.
        raise RowError("unreadable-call", f"calls and text in one turn: {stripped!r:.80}")
    return Message(role="assistant", content=text)


def _toolace_results(text: str) -> list[JsonValue]:
    """A result per call: the list of `{"name", "results"}`, or the text as it stands."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return [text]
    if isinstance(data, list) and data and all(isinstance(item, dict) for item in data):
        return [_as_text(item.get("results", item)) for item in data]
    return [text]


def _as_text(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read_hermes(record: Mapping[str, Any], id: str) -> list[Row]:
    """Hermes function calling: ShareGPT turns, `<tools>` in the system text, `<tool_call>`s.

    The tools of the system text count before those of a `tools` column. A system text with
    `<tools>` is the format's instruction and is left out; any other stays.
    """
    roles = {
        **dict.fromkeys(("human", "user"), "user"),
        **dict.fromkeys(("gpt", "assistant", "function_call"), "assistant"),
        **dict.fromkeys(("tool", "observation", "function_response"), "tool"),
        "system": "system",
    }
    messages: list[Message] = []
    declared: tuple[ToolSpec, ...] | None = None
    for who, text in turns_of(record):
        role = roles.get(who)
        if role is None:
            raise RowError("malformed", f"a turn is from {who!r:.40}")
        if role == "system" and (found := _inside(text, "tools")[0]):
            declared = tools_of(_values_in(found[0]))
        elif role == "tool":
            results = _inside(text, "tool_response")[0] or [text]
            messages += [Message(role="tool", content=item.strip()) for item in results]
        elif role == "assistant":
            messages.append(_hermes_turn(text))
        else:
            messages.append(Message(role=role, content=text))
    if declared is None:
        declared = tools_of(record.get("tools"))
    first = 1 if messages and messages[0].role != "system" else 2
    return rows_of(messages, declared, source="hermes", id=id, first=first)


def _hermes_turn(text: str) -> Message:
    if _THOUGHT.search(text):
        raise RowError("reasoning", "the turn holds a thought; rows have no place for thoughts")
    calls = []
    bodies, rest = _inside(text, "tool_call")
    for body in bodies:
        try:
            data: Any = json.loads(body)
        except (ValueError, RecursionError):
            try:  # some are written as Python dictionaries, in single quotes
                data = loose_json(body)
            except ValueError:
                raise RowError("unreadable-call", f"in <tool_call>: {body!r:.80}") from None
        calls.append(call_of(data))
    rest = rest.strip()
    if "<tool_call>" in rest or "</tool_call>" in rest:
        raise RowError("unreadable-call", f"a <tool_call> is not closed: {rest!r:.80}")
    return Message(role="assistant", content=rest or None, tool_calls=tuple(calls))


def _inside(text: str, tag: str) -> tuple[list[str], str]:
    """What stands between `<tag>` and the next `</tag>`, each time, and the text around it.

    In linear time, which a pattern does not have on a text of opening tags alone.
    """
    opening, closing = f"<{tag}>", f"</{tag}>"
    bodies: list[str] = []
    around: list[str] = []
    at = 0
    while (start := text.find(opening, at)) >= 0:
        end = text.find(closing, start + len(opening))
        if end < 0:
            break
        around.append(text[at:start])
        bodies.append(text[start + len(opening) : end])
        at = end + len(closing)
    return bodies, "".join([*around, text[at:]])


def _values_in(text: str) -> list[JsonValue]:
    """JSON values one after the other, white space or commas between them; a list is opened."""
    out: list[JsonValue] = []
    at = 0
    while at < len(text):
        if text[at].isspace() or text[at] == ",":
            at += 1
            continue
        try:
            value, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise RowError("malformed", f"tools: not JSON: {error}") from None
        out += value if isinstance(value, list) else [value]
    return out


def read_glaive(record: Mapping[str, Any], id: str) -> list[Row]:
    """Glaive function calling v2: `system` and `chat` are texts with SYSTEM:, USER:, ASSISTANT:.

    A call is `<functioncall> {"name": …, "arguments": '{…}'}`; its result FUNCTION RESPONSE:.
    """
    system = text_field(record, "system").removeprefix("SYSTEM:")
    opened = system.find("{")
    tools = tools_of(_values_in(system[opened:])) if opened >= 0 else ()
    parts = _GLAIVE_TURN.split(text_field(record, "chat"))
    if parts[0].strip() or len(parts) < 3:
        raise RowError("malformed", f"chat does not begin with USER: but {parts[0]!r:.60}")
    messages: list[Message] = []
    for who, raw in zip(parts[1::2], parts[2::2], strict=True):
        text = raw.replace(_GLAIVE_END, "").strip()
        if who == "ASSISTANT":
            messages.append(_glaive_turn(text))
        else:
            messages.append(Message(role="user" if who == "USER" else "tool", content=text))
    return rows_of(messages, tools, source="glaive", id=id)


def _glaive_turn(text: str) -> Message:
    found = _GLAIVE_CALL.search(text)
    if not found:
        return Message(role="assistant", content=text)
    body, before = found[1].strip(), text[: found.start()].strip()
    arguments, name = _glaive_arguments(body), _GLAIVE_NAME.search(body)
    if arguments is not None and name:
        # What is quoted is Python's single-quoted text: it writes \' for an apostrophe.
        inner = arguments.replace("\\'", "'")
        call = call_of({"name": name[1], "arguments": read_json(inner, "arguments")})
    else:
        try:
            call = call_of(json.loads(body))
        except (RecursionError, json.JSONDecodeError):
            raise RowError("unreadable-call", f"<functioncall> {body!r:.80}") from None
    return Message(role="assistant", content=before or None, tool_calls=(call,))


def _glaive_arguments(body: str) -> str | None:
    """What stands in single quotes behind `"arguments":`, if nothing but `}` follows it."""
    opened = _GLAIVE_ARGUMENTS.search(body)
    closed = body.removesuffix("}").rstrip()
    if opened is None or closed == body or not closed.endswith("'") or opened.end() >= len(closed):
        return None
    return closed[opened.end() : -1]


def read_trl(record: Mapping[str, Any], id: str) -> list[Row]:
    """TRL's conversational format: `messages`, or `prompt` and `completion`, and `tools`.

    `tools` is a list or its JSON text, arguments are objects or their JSON text. With `prompt`
    and `completion` only the turns of the completion become rows.
    """
    tools = tools_of(record.get("tools"))
    if "messages" in record:
        messages = _openai_messages(record, "messages")
        return rows_of(messages, tools, source="trl", id=id)
    prompt = _openai_messages(record, "prompt")
    completion = _openai_messages(record, "completion")
    return rows_of([*prompt, *completion], tools, source="trl", id=id, first=len(prompt))


def _openai_messages(record: Mapping[str, Any], key: str) -> list[Message]:
    data = record.get(key)
    if isinstance(data, str) and key == "messages":
        data = read_json(data, key)
    if not isinstance(data, list) or not data:
        raise RowError("malformed", f"{key} must be a list of messages, got {data!r:.60}")
    found = []
    for item in data:
        try:
            message = message_from_openai(item)
        except (ConfigError, AttributeError) as error:
            raise RowError("malformed", f"{key}: {error}") from None
        calls = tuple(_decoded(call) for call in message.tool_calls)
        content = text_of(message.content) if message.role == "tool" else message.content
        found.append(replace(message, tool_calls=calls, content=content))
    return found


def _decoded(call: ToolCall) -> ToolCall:
    arguments = decode_arguments(call.arguments)
    if isinstance(arguments, str):
        raise RowError("unreadable-call", f"{call.name}: arguments are text: {arguments!r:.60}")
    return replace(call, arguments=arguments)


def read_rows(record: Mapping[str, Any], id: str) -> list[Row]:
    """Callsmith's own rows file."""
    del id  # a row has its own
    return [row_from_json(record)]


READERS: dict[str, Reader] = {
    "xlam": read_xlam,
    "toolace": read_toolace,
    "hermes": read_hermes,
    "glaive": read_glaive,
    "trl": read_trl,
    "rows": read_rows,
}
"""The formats, by the name that the command line knows them by."""


def recognise(record: Mapping[str, Any]) -> str | None:
    """The format of a record, by its keys; None when no format has such keys."""
    keys = set(record)
    if {"query", "answers", "tools"} <= keys:
        return "xlam"
    if {"messages", "source", "id"} <= keys and keys <= set(Row.__slots__):
        return "rows"
    if "messages" in keys or {"prompt", "completion"} <= keys:
        return "trl"
    if {"system", "chat"} <= keys:
        return "glaive"
    if {"system", "conversations"} <= keys:
        return "toolace"
    return "hermes" if "conversations" in keys else None
