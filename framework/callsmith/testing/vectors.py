"""Vectors of the shared format, one by one: what peers' own tests assert, against a template.

A vector file is a JSON list. A *parse* vector has `id`, `kind`, `chunks` (the text as it arrived),
`tools`, `expected`, and perhaps `prefix` (the prompt's tail) and `tool_name`. `expected` holds
`content`, `reasoning` and `calls`, where null means "not asserted"; or `value` or `arguments`; or
`error` (or `ok: false`): the text is to be refused. A *render* vector has `messages`, `tools`,
`template` (the size of the model whose template it is), `add_generation_prompt`, `enable_thinking`
(the last three perhaps inside `options`) and `expected_text` or `error`.

How they are compared:

- numbers by value (42 and 42.0 agree), `true` and 1 differ, objects without regard to order;
- a text that differs only in white space at its ends agrees, marked `white space`: several peers
  strip what the model wrote;
- a refusal is a fault; or at least a repair, marked `repaired`: users who want no mended text
  refuse such a reply;
- every parse vector is also read whole and one character at a time; three different replies are a
  difference;
- kinds that are parts of a call (`call_body`, `args`, `value`, `array`, …) are put into the frame
  that the template's decoder names in `fragment_frames`; kinds without a frame test a peer's
  internals, and are not applicable.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from callsmith.errors import CallsmithError, ConfigError, RenderError
from callsmith.protocols import Template
from callsmith.types import JsonValue, Message, Prompt, Reply, Segment, ToolSpec
from callsmith.wire import message_from_openai, tool_from_openai

Status = Literal["agrees", "differs", "not applicable"]
TemplateFactory = Callable[[Mapping[str, Any]], Template]
"""Builds the template with the given options; raises `ConfigError` for one that it lacks."""

OPEN_STREAM = "partial=True"
"""In a vector's notes: what a peer publishes of a call that is still arriving."""

SEEN_TEXT = "already-seen text"
"""In a vector's notes: a peer's parser was called with part of the text read by someone else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorResult:
    """What became of one vector.

    `how` says what the comparison had to allow (`white space`, `repaired`; "" for nothing),
    `reason` what differs or why the vector is not applicable.
    """

    file: str
    id: str
    kind: str
    status: Status
    how: str = ""
    reason: str = ""


def run_folder(build: TemplateFactory, folder: Path) -> list[VectorResult]:
    """All vectors of the `.json` files in `folder` and its subfolders, by path.

    Raises `ConfigError` where the folder or a file cannot be read.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder; name one that holds vector files")
    results: list[VectorResult] = []
    for path in sorted(folder.rglob("*.json")):
        name = path.relative_to(folder).as_posix()
        for index, vector in enumerate(_load(path)):
            results.append(run_vector(build, vector, file=name, index=index))
    if not results:
        raise ConfigError(f"{folder} holds no vectors; they are lists in .json files")
    return results


def _load(path: Path) -> list[dict[str, Any]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise ConfigError(f"{path}: a vector file is a list of objects")
    return data


def run_vector(
    build: TemplateFactory, vector: Mapping[str, Any], *, file: str = "", index: int = 0
) -> VectorResult:
    """One vector. Its own mistakes (a tool without a name, no `expected`) are a difference."""
    rendering = "chunks" not in vector
    kind = "render" if rendering else str(vector.get("kind", "message"))
    try:
        status, how, reason = (_render if rendering else _parse)(build, vector, kind)
    except (CallsmithError, KeyError, TypeError, AttributeError) as error:
        status, how = "differs", ""
        reason = f"not a vector that can be run: {type(error).__name__}: {error}"
    return VectorResult(
        file=file,
        id=str(vector.get("id", f"#{index}")),
        kind=kind,
        status=status,
        how=how,
        reason=reason,
    )


# -- parsing -------------------------------------------------------------------------------------


def _parse(build: TemplateFactory, vector: Mapping[str, Any], kind: str) -> tuple[Status, str, str]:
    template = build({})
    tools = [tool_from_openai(tool) for tool in vector.get("tools") or ()]
    prefix = vector.get("prefix")
    after = Prompt(segments=(Segment(text=prefix, origin="control"),)) if prefix else None
    frame = _frame(template, vector, kind)
    if frame is None:
        return "not applicable", "", f"a step inside a peer ({kind})"
    notes = str(vector.get("notes") or "")
    if OPEN_STREAM in notes:
        return "not applicable", "", "what a peer publishes of a call that is still arriving"
    if SEEN_TEXT in notes:
        return "not applicable", "", "a peer's parser was handed only part of the text"
    before, behind = frame
    pieces = [before, *vector["chunks"], behind]
    text = "".join(pieces)
    reply = _read(template, tools, after, pieces)
    for other in ([text], list(text)):
        if _read(template, tools, after, other) != reply:
            return "differs", "", f"cut into {len(other)} pieces, the text is read differently"
    expected = vector["expected"]
    if "error" in expected or expected.get("ok") is False:
        if reply.faults:
            return "agrees", "", ""
        if reply.repairs:
            return "agrees", "repaired", ""
        return "differs", "", f"read without complaint: {_calls(reply)}"
    for key in ("value", "arguments"):
        if key in expected:
            return _compare_value(expected[key], reply, kind)
    return _compare_reply(expected, reply)


def _frame(template: Template, vector: Mapping[str, Any], kind: str) -> tuple[str, str] | None:
    if kind == "message":
        return "", ""
    frames: Mapping[str, str] = getattr(template.decoder(), "fragment_frames", {})
    if kind not in frames:
        return None
    before, _, behind = frames[kind].partition("{}")
    return before.replace("NAME", str(vector.get("tool_name") or "f")), behind


def _read(
    template: Template, tools: Sequence[ToolSpec], after: Prompt | None, pieces: Sequence[str]
) -> Reply:
    decoder = template.decoder(tools, after)
    for piece in pieces:
        decoder.feed(piece)
    return decoder.close()


def _calls(reply: Reply) -> str:
    calls = [[call.name, call.arguments] for call in reply.calls]
    faults = [fault.kind for fault in reply.faults]
    return f"calls {calls!r:.200}" + (f", faults {faults!r:.100}" if faults else "")


def _compare_value(expected: JsonValue, reply: Reply, kind: str) -> tuple[Status, str, str]:
    """A vector of one value: the arguments of the only call, or their only member."""
    if len(reply.calls) != 1:
        return "differs", "", f"expected {expected!r:.200}, got {_calls(reply)}"
    value = reply.calls[0].arguments
    if kind in ("value", "array") and isinstance(value, dict):
        value = value.get("v")
    if same(expected, value):
        return "agrees", "", ""
    return "differs", "", f"expected {expected!r:.200}, got {value!r:.200}"


def _compare_reply(expected: Mapping[str, Any], reply: Reply) -> tuple[Status, str, str]:
    how = ""
    for field, got in (("content", reply.content), ("reasoning", reply.reasoning)):
        wanted = expected.get(field)
        if wanted is None or wanted == got:
            continue
        if wanted.strip() != got.strip():
            return "differs", "", f"{field}: expected {wanted!r:.200}, got {got!r:.200}"
        how = "white space"
    calls = expected.get("calls")
    if calls is not None:
        matching = len(calls) == len(reply.calls) and all(
            wanted["name"] == got.name
            and (wanted.get("arguments") is None or same(wanted["arguments"], got.arguments))
            for wanted, got in zip(calls, reply.calls, strict=True)
        )
        if not matching:
            wanted = [[call["name"], call.get("arguments")] for call in calls]
            return "differs", "", f"expected calls {wanted!r:.200}, got {_calls(reply)}"
    return "agrees", how, ""


def same(one: JsonValue, other: JsonValue) -> bool:
    """Whether two JSON values are equal: numbers by value, truth values only to themselves."""
    pending: list[tuple[JsonValue, JsonValue]] = [(one, other)]
    while pending:
        a, b = pending.pop()
        if isinstance(a, dict) and isinstance(b, dict):
            if a.keys() != b.keys():
                return False
            pending.extend((a[key], b[key]) for key in a)
        elif isinstance(a, list) and isinstance(b, list):
            if len(a) != len(b):
                return False
            pending.extend(zip(a, b, strict=True))
        elif isinstance(a, bool) or isinstance(b, bool):
            if a is not b:
                return False
        elif a != b:
            return False
    return True


# -- rendering -----------------------------------------------------------------------------------


def _render(
    build: TemplateFactory, vector: Mapping[str, Any], kind: str
) -> tuple[Status, str, str]:
    if vector.get("messages") is None:
        return "not applicable", "", "a text without the conversation that it renders"
    options = vector.get("options", vector)
    own: dict[str, Any] = {"control_text": "allow", **(vector.get("extra_kwargs") or {})}
    if "template" in options:
        own["model"] = options["template"]
    template = build(own)
    try:
        messages = _messages(vector["messages"])
        tools = [tool_from_openai(tool) for tool in vector.get("tools") or ()]
        got = template.render(
            messages,
            tools,
            thinking=options.get("enable_thinking"),
            add_generation_prompt=options.get("add_generation_prompt", True),
        ).text
    except (RenderError, ConfigError) as error:
        if vector.get("error"):
            return "agrees", "", ""
        return "differs", "", f"refused: {error}"
    if vector.get("error"):
        return "differs", "", f"rendered what is to be refused: {got[-120:]!r}"
    wanted = vector["expected_text"]
    if wanted == got:
        return "agrees", "", ""
    at = next((i for i, (a, b) in enumerate(zip(wanted, got, strict=False)) if a != b), None)
    at = min(len(wanted), len(got)) if at is None else at
    return (
        "differs",
        "",
        (f"at character {at}: expected {wanted[at : at + 60]!r}, got {got[at : at + 60]!r}"),
    )


def _messages(data: Sequence[Mapping[str, Any]]) -> list[Message]:
    """A conversation. Legacy `tool_responses` become messages that no call's id claims."""
    messages: list[Message] = []
    for item in data:
        messages.append(message_from_openai(item))
        for index, response in enumerate(item.get("tool_responses") or ()):
            messages.append(
                Message(
                    role="tool",
                    content=response["response"],
                    name=response.get("name"),
                    tool_call_id=f"legacy_{index}",
                )
            )
    return messages
