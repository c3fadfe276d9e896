"""From the text of a block (behind `<tool_call>`, up to what ends it) to calls and faults."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from callsmith import JsonValue, decode_arguments
from callsmith_qwen3.config import RepairPolicy
from callsmith_qwen3.json_reader import JsonReader, Mend, UnreadableError, read_strict

_FENCE: Final = re.compile(r"```(?:json|JSON)?[ \t]*+(?:\r?\n|(?=[\[{]))")
_FENCE_END: Final = re.compile(r"```")
_EXTRA_CLOSERS: Final = re.compile(r"[}\]](?:\s*+[}\]])*+")


class ReadCall(NamedTuple):
    """A call that was read from `text[start:end]` of a block."""

    name: str
    arguments: JsonValue
    start: int
    end: int


class Refused(NamedTuple):
    """`text[start:end]` of a block, which was not read."""

    kind: str
    detail: str
    start: int
    end: int


class Block(NamedTuple):
    """What was read out of a block, in the order of the text, and what was mended for it."""

    items: list[ReadCall | Refused]
    mends: list[Mend]


def read_block(text: str, *, closed: bool, policy: RepairPolicy, max_depth: int) -> Block:
    """The calls of a block. `closed` says that `</tool_call>` ended it. Total: never raises."""
    value, exact = read_strict(text, max_depth)
    if exact and closed and isinstance(value, dict) and value.keys() == {"name", "arguments"}:
        name, arguments = value["name"], value["arguments"]
        if isinstance(name, str) and not isinstance(arguments, str):
            start = len(text) - len(text.lstrip())
            return Block([ReadCall(name, arguments, start, len(text.rstrip()))], [])
    if not text or text.isspace():
        return Block([Refused("empty-call", "a block without a call", 0, len(text))], [])
    reader = _BlockReader(text, closed=closed, max_depth=max_depth)
    reader.run()
    if policy == "off" and reader.mends:
        first = reader.mends[0]
        refused = Refused(first.kind, f"needs repair: {first.detail}", 0, len(text))
        return Block([refused], [])
    return Block(reader.items, reader.mends)


class _BlockReader:
    """Reads a block whose text is not one well-formed call."""

    def __init__(self, text: str, *, closed: bool, max_depth: int) -> None:
        # The call's own object stands around the arguments.
        self._json = JsonReader(text, closed=closed, max_depth=max_depth + 1)
        self._text = text
        self._max_depth = max_depth
        self._in_list = False
        self._fenced = False
        self._calls = 0
        self._at = 0  # behind the object that was read last
        self.items: list[ReadCall | Refused] = []

    @property
    def mends(self) -> list[Mend]:
        return self._json.mends

    def run(self) -> None:
        """Reads until the end, or until something that is no call."""
        text, size = self._text, len(self._text)
        at = self._json.space(0)
        fence = _FENCE.match(text, at)
        if fence:
            self._fenced = True
            self._mend("code-fence", "a Markdown fence", at, fence.end())
            at = self._json.space(fence.end())
        if text.startswith("[", at) and text.startswith("{", self._json.space(at + 1)):
            self._in_list = True
            self._mend("call-list", "a list of calls", at, at + 1)
            at = self._json.space(at + 1)
        while at < size:
            if text[at] != "{":
                behind = self._between(at)
                if behind is None:
                    kind = "text-in-block" if self._calls else "malformed"
                    detail = f"{text[at : at + 20]!r} where a call was due"
                    self.items.append(Refused(kind, detail, at, size))
                    return
                at = self._json.space(behind)
                continue
            if not self._one(at):
                return
            at = self._json.space(self._at)
        self._close()

    def _one(self, start: int) -> bool:
        """Reads one object into a call, or into a refusal; false where nothing more can be read."""
        before = len(self.mends)
        try:
            value, self._at = self._json.read(start)
            call = self._interpret(value, start, self._at)
        except UnreadableError as error:
            del self.mends[before:]  # they mended nothing
            unread = error.kind not in ("no-name", "depth-in-text")
            end = len(self._text) if unread else self._at
            kind = "depth" if error.kind == "depth-in-text" else error.kind
            self.items.append(Refused(kind, str(error), start, end))
            return not unread
        if self._calls and not self._in_list:
            self._mend("several-calls-in-block", "a further call in the block", start, start)
        self._calls += 1
        self.items.append(call)
        return True

    def _mend(self, kind: str, detail: str, start: int, end: int) -> None:
        self.mends.append(Mend(kind, detail, start, end))

    def _between(self, at: int) -> int | None:
        """The index behind what may stand between and behind calls; None for anything else."""
        text = self._text
        if not self.items:
            return None
        if text[at] == ",":
            return at + 1
        if self._fenced and _FENCE_END.match(text, at):
            return at + 3
        if self._in_list and text[at] == "]":
            self._in_list = False
            return at + 1
        closers = _EXTRA_CLOSERS.match(text, at)
        if closers:
            self._mend("extra-close-brace", closers.group(), at, closers.end())
            return closers.end()
        return None

    def _close(self) -> None:
        size = len(self._text)
        if not self.items:
            self.items.append(Refused("malformed", "a block without a call", 0, size))
        elif self._calls and self._in_list and self._json.closed:
            self._mend("missing-close-brace", "] added", size, size)
        if self._calls and not self._json.closed:
            self._mend("missing-call-close", "a call without its closing tag", size, size)

    def _interpret(self, value: JsonValue, start: int, end: int) -> ReadCall:
        """The call that an object says. Raises `UnreadableError` for one without a name."""
        extra: list[str] = []
        inner = value
        if isinstance(inner, dict) and "name" not in inner and "function" in inner:
            extra += [key for key in inner if key not in ("function", "type")]
            inner = inner["function"]
            self._mend("wrapped-call", 'the call stands inside "function"', start, end)
        if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
            raise UnreadableError("no-name", start, "an object without a tool's name")
        name = inner["name"]
        assert isinstance(name, str)
        key = "arguments"
        if key not in inner and "parameters" in inner:
            key = "parameters"
            self._mend("parameters-key", '"parameters" for "arguments"', start, end)
        extra += [other for other in inner if other not in ("name", key)]
        if extra:
            detail = f"not read: {', '.join(map(repr, extra)):.200}"
            self._mend("extra-members", detail, start, end)
        if key not in inner:
            self._mend("missing-arguments", "no arguments; read as none", start, end)
            return ReadCall(name, {}, start, end)
        return ReadCall(name, self._arguments(inner[key], start, end), start, end)

    def _arguments(self, value: JsonValue, start: int, end: int) -> JsonValue:
        """Arguments that are JSON text, decoded; what is no JSON text stays as it is."""
        if not isinstance(value, str):
            return value
        decoded = decode_arguments(value)
        if isinstance(decoded, str) and decoded == value:
            return value
        if value.count("{") + value.count("[") > self._max_depth and (
            _depth(decoded) > self._max_depth
        ):
            detail = f"nested more than {self._max_depth} deep"
            raise UnreadableError("depth-in-text", start, detail)
        if not _is_finite(decoded):
            return value
        self._mend("arguments-as-text", "arguments decoded from JSON text", start, end)
        return decoded


def _depth(value: JsonValue) -> int:
    """How deep containers are nested."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
        ]
    return depth


def _is_finite(value: JsonValue) -> bool:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack += item.values()
        elif isinstance(item, list):
            stack += item
        elif isinstance(item, float) and item - item != 0.0:
            return False
    return True
