"""`jsonl`: a file of tasks, one JSON object per line.

A line is a task as the codec writes it, or has messages and tools in the OpenAI shape beside
`id`, `target`, `toolbox` and `tags`. Which of the two is seen from the tools and the messages:
`function` and `type` stand only in the OpenAI shape. There, `id` may be left out (the file's name
and the line number are used), and arguments may be JSON text. Empty lines, and lines that begin
with `#`, are skipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from callsmith import (
    ConfigError,
    Message,
    Task,
    decode_arguments,
    from_json,
    message_from_openai,
    tool_from_openai,
)
from callsmith_tasks.config import JsonlConfig

_TASK_KEYS = ("id", "messages", "tools", "target", "toolbox", "tags")
_ONLY_OPENAI = frozenset(("reasoning_content", "thinking", "tool_name", "refusal", "annotations"))
_MESSAGE_KEYS = _ONLY_OPENAI | {
    *("role", "content", "reasoning", "tool_calls", "tool_call_id", "name")
}


class JsonlTasks:
    """The tasks of a file, in the file's order."""

    def __init__(self, config: JsonlConfig) -> None:
        self.path = config.path
        self.toolbox = config.toolbox

    def tasks(self) -> Iterable[Task]:
        """Reads the file. Raises `ConfigError` naming file and line for the first bad one."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"cannot be read: {error.strerror or error}; `path` is a file with one task per "
                f"line, and relative paths start at {Path.cwd()}",
                path=str(self.path),
            ) from None
        tasks: list[Task] = []
        lines: dict[str, int] = {}
        # Split at line feeds alone: JSON text may hold the other characters that end lines.
        for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
            if not line.strip() or line.lstrip().startswith(b"#"):
                continue
            place = f"{self.path}:{number}"
            task = read_task(line, default_id=f"{self.path.stem}-{number}", place=place)
            if task.id in lines:
                raise ConfigError(
                    f"the id {task.id!r} stands in line {lines[task.id]} as well; give every task "
                    "an id of its own",
                    path=place,
                )
            lines[task.id] = number
            tasks.append(replace(task, toolbox=task.toolbox or self.toolbox))
        if not tasks:
            raise ConfigError(
                "holds no tasks; write one JSON object per line, with id, messages and target",
                path=str(self.path),
            )
        return tasks


def read_task(line: bytes, *, default_id: str, place: str) -> Task:
    """The task of one line. Raises `ConfigError` at `place`."""
    try:
        data = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"is not UTF-8 (byte {error.start} of the line); save the file as UTF-8", path=place
        ) from None
    except (ValueError, RecursionError) as error:
        where = f" (column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        what = getattr(error, "msg", None) or error
        raise ConfigError(
            f"is not JSON: {what}{where}; a task is one JSON object on one line", path=place
        ) from None
    try:
        return _task(data, default_id)
    except ConfigError as error:
        # "FILE:LINE: messages[0].role: what": the place in the line follows the line's number.
        raise ConfigError(str(error), path=place) from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _task(data: Any, default_id: str) -> Task:
    if not isinstance(data, Mapping):
        raise ConfigError(
            f"a task is an object, got {data!r:.60}; write one task per line, not one list of all"
        )
    unknown = [key for key in data if key not in _TASK_KEYS]
    if unknown:
        raise ConfigError(f"a task has no key {unknown[0]!r}; it has: {', '.join(_TASK_KEYS)}")
    if "messages" not in data:
        raise ConfigError("a task needs messages: a list that ends with what the model answers")
    for key in ("messages", "tools"):
        if not isinstance(data.get(key, []), list):
            raise ConfigError(f"expected a list, got {data[key]!r:.60}", path=key)
    task = _from_openai(data, default_id) if _is_openai(data) else from_json(data, Task)
    if not task.messages:
        raise ConfigError("a task needs at least one message", path="messages")
    names = [tool.name for tool in task.tools]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ConfigError(f"two tools are called {twice[0]!r}; rename one", path="tools")
    return task


def _is_openai(data: Mapping[str, Any]) -> bool:
    def marked(item: object) -> bool:
        return isinstance(item, Mapping) and ("function" in item or "type" in item)

    messages = [item for item in data["messages"] if isinstance(item, Mapping)]
    calls = [
        call
        for item in messages
        if isinstance(item.get("tool_calls"), list)
        for call in item["tool_calls"]
    ]
    return (
        "id" not in data
        or any(map(marked, [*data.get("tools", []), *calls]))
        or any(not _ONLY_OPENAI.isdisjoint(item) for item in messages)
    )


def _from_openai(data: Mapping[str, Any], default_id: str) -> Task:
    messages = tuple(
        _message(item, f"messages[{index}]") for index, item in enumerate(data["messages"])
    )
    rest = {key: data[key] for key in ("target", "toolbox", "tags") if key in data}
    task = from_json({"id": data.get("id", default_id), "messages": [], **rest}, Task)
    tools = []
    for index, item in enumerate(data.get("tools", [])):
        if not isinstance(item, Mapping):
            raise ConfigError(f"expected an object, got {item!r:.60}", path=f"tools[{index}]")
        try:
            tools.append(tool_from_openai(item))
        except ConfigError as error:
            raise error.at(f"tools[{index}]") from None
    return replace(task, messages=messages, tools=tuple(tools))


def _message(data: Any, place: str) -> Message:
    if not isinstance(data, Mapping):
        raise ConfigError(f"expected an object, got {data!r:.60}", path=place)
    unknown = [key for key in data if key not in _MESSAGE_KEYS]
    if unknown:
        raise ConfigError(f"a message has no key {unknown[0]!r}", path=place)
    calls = data.get("tool_calls") or []
    if not isinstance(calls, list):
        raise ConfigError(f"expected a list, got {calls!r:.60}", path=f"{place}.tool_calls")
    for index, call in enumerate(calls):
        function = call.get("function", call) if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise ConfigError("a call needs a name", path=f"{place}.tool_calls[{index}]")
    try:
        message = message_from_openai(data)
    except ConfigError as error:
        raise error.at(place) from None
    decoded = tuple(
        replace(call, arguments=decode_arguments(call.arguments)) for call in message.tool_calls
    )
    return replace(message, tool_calls=decoded)
