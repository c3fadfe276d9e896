"""The incremental decoder of Gemma 4's native format: `Gemma4Decoder`, and `start_mode`.

See the class for what is content, what is a repair and what is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final, Literal

from callsmith import ContentDelta, Event, Prompt, Reply, ToolSpec
from callsmith_gemma4.blocks import RepairPolicy
from callsmith_gemma4.call_collector import (
    AFTER,
    BARE_THOUGHT,
    CALL,
    CLOSED,
    CONTENT,
    HEADER,
    RESPONSE,
    STRING,
    THOUGHT,
    UNMARKED,
)
from callsmith_gemma4.control_tokens import (
    CALL_CLOSE,
    CALL_OPEN,
    CHANNEL_CLOSE,
    CHANNEL_OPEN,
    EOS,
    RESPONSE_CLOSE,
    RESPONSE_OPEN,
    TURN_CLOSE,
    TURN_OPEN,
)
from callsmith_gemma4.markers import (
    LOST_END_AT_LAST,
    MARKER,
    MARKER_OR_LINE,
    PADDING,
    STRUCTURE,
    held_from,
)
from callsmith_gemma4.thought_collector import CHANNELS, THOUGHT_LINE, ThoughtCollector

Start = Literal["content", "thought"]

_UNMARKED_PREFIX: Final = "call:"


class Gemma4Decoder(ThoughtCollector):
    """Reads one completion, piece by piece; any chunking of a text gives the same reply.

    The text is divided among `content`, `reasoning`, the calls' `raw` (from `call:` to the closing
    brace), the faults' `raw` and control tokens; nothing else is left out but what the format
    itself writes: the line break behind `<|channel>thought`, one line break before the token that
    ends a thought, white space around a call inside its block, between `<|tool_response>` and the
    end, and behind the end of the turn. All other white space is kept as the model wrote it.
    Several thoughts are joined by a line break. No control token is passed on as text.

    A call without control tokens is read only at the start of a line (or right behind another
    construct), only for one of `tools`, and only if its braces close.

    `repair` says what is mended, each time with a `Repair`: `off` nothing (what would take a
    repair is a fault of that kind), `unambiguous` what has one reading, `schema` also what the
    schema of the tool decides. `callsmith_gemma4.kinds` lists the kinds. `max_depth` bounds the
    containers inside the arguments; deeper ones are a fault. `start` is the state in which the
    prompt left the model (`start_mode`).

    Work and memory are linear in the text, whatever its form.
    """

    __slots__ = ("_reply",)

    fragment_frames: ClassVar[Mapping[str, str]] = {
        "call_body": f"{CALL_OPEN}{{}}{CALL_CLOSE}",
        "args": f"{CALL_OPEN}call:NAME{{{{}}}}{CALL_CLOSE}",
        "args_to_json_text": f"{CALL_OPEN}call:NAME{{}}{CALL_CLOSE}",
        "value": f"{CALL_OPEN}call:NAME{{v:{{}}}}{CALL_CLOSE}",
        "array": f"{CALL_OPEN}call:NAME{{v:[{{}}]}}{CALL_CLOSE}",
    }
    """Where the parts of a call stand that vector files hold by themselves (see
    `callsmith.testing.conformance`); `{}` is the part, `NAME` the tool's name."""

    def __init__(
        self,
        tools: Sequence[ToolSpec] = (),
        *,
        start: Start = "content",
        repair: RepairPolicy = "schema",
        max_depth: int = 128,
    ) -> None:
        state = CONTENT if start == "content" else THOUGHT
        super().__init__(tools, state, repair, max_depth)
        self._fresh = True  # nothing yet since the start, or since a thought ended
        self._reply: Reply | None = None

    def feed(self, text: str) -> list[Event]:
        """Takes the next piece and returns what became certain. Total: no text raises.

        Raises `ValueError` only after `close`.
        """
        if "<" not in text and not self._hold:
            state = self._state
            if state >= STRING:
                self._parts.append(text)
                self._offset += len(text)
                return []
            if (
                state == CONTENT
                and text
                and not self._fresh
                and not (self._schemas and (self._bol or "\n" in text))
            ):
                self._offset += len(text)
                self._content.append(text)
                if self._was_call and not text.isspace():
                    self._was_call = False
                return [ContentDelta(text=text)]
        if self._state == CLOSED:
            raise ValueError("this decoder is closed; make a new one for each completion")
        self._run(self._hold + text)
        events = self._events
        self._events = []
        return events

    def close(self) -> Reply:
        """The end of the text. May be called again, with the same result."""
        if self._reply is None:
            self._end()
            self._state = CLOSED
            self._reply = self._reply_so_far()
        return self._reply

    def _run(self, buffer: str) -> None:
        """Hands `buffer` from handler to handler until all of it is consumed or held back."""
        self._hold = ""
        at = 0
        while at < len(buffer):
            at = _HANDLERS[self._state](self, buffer, at)
            if self._rest is not None:
                buffer = self._rest
                self._rest = None
        self._offset += len(buffer) - len(self._hold)

    # -- content -----------------------------------------------------------------------------

    def _on_content(self, buffer: str, at: int) -> int:
        if self._fresh:
            ahead = buffer[at : at + len(THOUGHT_LINE)]
            if ahead == THOUGHT_LINE:
                self._fresh = False
                self._collect(BARE_THOUGHT, at)
                return at
            if THOUGHT_LINE.startswith(ahead):
                return self._keep(buffer, at)
            self._fresh = False
        pattern = MARKER
        if self._schemas:
            pattern = MARKER_OR_LINE
            if self._bol:
                found = self._unmarked_at(buffer, at)
                if found is None:
                    return self._keep(buffer, at)
                if found:
                    self._collect(UNMARKED, at)
                    self._depth = 0
                    self._in_string = False
                    return at
        match = pattern.search(buffer, at)
        if match is None:
            end = held_from(buffer, at)
        else:
            end = match.start()
            if buffer[end] == "\n":
                self._say(buffer[at : end + 1])
                self._bol = True
                return end + 1
        if end > at:
            self._say(buffer[at:end])
            self._bol = buffer[end - 1] == "\n"
        if match is None:
            return self._keep(buffer, end)
        return self._on_marker(match.group(), end)

    def _unmarked_at(self, buffer: str, at: int) -> bool | None:
        """Whether `call:NAME{` of a known tool stands at `at`; None if more must come first."""
        ahead = buffer[at : at + len(_UNMARKED_PREFIX) + self._longest_name + 1]
        if not ahead.startswith(_UNMARKED_PREFIX):
            return None if _UNMARKED_PREFIX.startswith(ahead) else False
        name, brace, _ = ahead[len(_UNMARKED_PREFIX) :].partition("{")
        if brace:
            return name in self._schemas
        return None if any(known.startswith(name) for known in self._schemas) else False

    # -- results and the end -----------------------------------------------------------------

    def _on_response(self, buffer: str, at: int) -> int:
        match = STRUCTURE.search(buffer, at)
        if match is None:
            return self._store(buffer, at)
        marker = match.group()
        self._parts.append(buffer[at : match.start()])
        if marker == RESPONSE_CLOSE:
            self._parts.append(marker)
            self._settle(closed=True)
            return match.end()
        self._settle(final=marker in (TURN_CLOSE, EOS))
        return match.start()

    def _settle(self, *, closed: bool = False, final: bool = False) -> None:
        """What stands behind a `<|tool_response>` is complete; `final`: the turn ends with it."""
        text = "".join(self._parts)
        self._state = CONTENT
        self._bol = True
        if closed or text.lstrip().startswith("response:"):
            detail = "the model wrote a tool's result itself"
            self._fault("hallucinated-response", RESPONSE_OPEN + text, self._start, detail)
            self._was_call = False
            return
        empty = not text or text.isspace()
        if not (final and empty and self._was_call):
            detail = f"{RESPONSE_OPEN} ignored"
            self._note("stray-tool-response", detail, self._start, RESPONSE_OPEN)
        if not empty:
            self._say(text)
            self._bol = text.endswith("\n")

    def _on_ended(self, buffer: str, at: int) -> int:
        self._parts.append(buffer[at:])
        return len(buffer)

    def _end(self) -> None:
        """The end of the text, in whatever state."""
        hold = self._hold
        state = self._state
        self._hold = ""
        self._offset += len(hold)
        if state == CONTENT:
            self._say(hold)
        elif state == THOUGHT:
            self._think(hold)
        elif state == HEADER:
            exact = hold in CHANNELS
            if exact:
                self._open_channel(hold, "channel-header", hold)
            else:
                self._open_channel("thought", "channel-without-name")
                self._think(hold)
        elif state in (CALL, AFTER) and hold and CALL_CLOSE.startswith(hold):
            self._finish("".join(self._parts), "end", hold)
        else:
            self._parts.append(hold)
            if state == STRING:
                self._reopen(LOST_END_AT_LAST, "", 0)
                if self._rest is not None:
                    rest = self._rest
                    self._rest = None
                    self._run(rest)
                    self._end()  # once: no delimiter is left that could open another string
                    return
            self._end_collected(state)

    def _end_collected(self, state: int) -> None:
        if state in (STRING, CALL, AFTER):
            self._finish("".join(self._parts), "end")
        elif state in (UNMARKED, BARE_THOUGHT):
            self._give_up()
        elif state == RESPONSE:
            self._settle(final=True)
        else:
            text = "".join(self._parts)
            padding = PADDING.match(text)
            at = padding.end() if padding else 0
            if at < len(text):
                start = self._offset - len(text) + at
                self._fault("text-after-end", text[at:], start, "text after the end of the turn")


_HANDLERS: Final[tuple[Callable[[Gemma4Decoder, str, int], int], ...]] = (
    Gemma4Decoder._on_content,
    Gemma4Decoder._on_thought,
    Gemma4Decoder._on_header,
    Gemma4Decoder._on_after,
    Gemma4Decoder._on_unmarked,
    Gemma4Decoder._on_string,
    Gemma4Decoder._on_call,
    Gemma4Decoder._on_response,
    Gemma4Decoder._on_bare_thought,
    Gemma4Decoder._on_ended,
)

_CHANNEL_STATE: Final = re.compile(
    "|".join(map(re.escape, (CHANNEL_OPEN, CHANNEL_CLOSE, TURN_OPEN, TURN_CLOSE)))
)


def start_mode(after: Prompt | None) -> Start:
    """Whether generation after this prompt starts in content or inside a thought.

    Inside a thought if the template opened a channel that neither it nor a turn's border closed;
    a channel of an older turn that is closed does not count, nor does text that is content.
    """
    if after is None:
        return "content"
    for segment in reversed(after.segments):
        if segment.origin == "control":
            tokens = _CHANNEL_STATE.findall(segment.text)
            if tokens:
                return "thought" if tokens[-1] == CHANNEL_OPEN else "content"
    return "content"
