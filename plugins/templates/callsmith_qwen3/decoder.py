"""The incremental decoder of Qwen3's format: `Qwen3Decoder`, and `start_mode`.

See the class for what is content, what is a repair and what is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Literal

from callsmith import Event, Prompt, Reply
from callsmith_qwen3.blocks import read_block
from callsmith_qwen3.config import RepairPolicy
from callsmith_qwen3.control_tokens import (
    CALL_CLOSE,
    CALL_OPEN,
    RESPONSE_CLOSE,
    RESPONSE_OPEN,
    THINK_CLOSE,
    THINK_OPEN,
    TURN_CLOSE,
    TURN_OPEN,
)
from callsmith_qwen3.markers import (
    ENDS,
    IN_CALL,
    IN_RESPONSE,
    IN_STRING,
    IN_THOUGHT,
    MARKER,
    PADDING,
    THOUGHT_END,
    held_from,
)
from callsmith_qwen3.transcript import Transcript

Start = Literal["content", "thought"]

CONTENT, THOUGHT, CALL, STRING, AFTER_STRING, DOUBTED_THOUGHT, RESPONSE, ENDED, CLOSED = range(9)

_STRAY: Final = {
    CALL_CLOSE: "stray-call-close",
    THINK_CLOSE: "stray-think-close",
    RESPONSE_CLOSE: "stray-response-close",
}
_SPACE: Final = re.compile(r"\s*+")


class Qwen3Decoder(Transcript):
    """Reads one completion, piece by piece; any chunking of a text gives the same reply.

    The text is divided among `content`, `reasoning`, the calls' `raw` (the JSON object), the
    faults' `raw` and control tokens; nothing else is left out but what the format itself writes:
    the line break behind `<think>` and before `</think>`, up to two line breaks behind it, one
    before `<tool_call>`, white space around the JSON, and padding behind the end of the turn.
    Several thoughts are joined by a line break.

    Inside a string of a call, a control token is text, as long as the string's end is where JSON
    allows one; otherwise the string had lost its end, and the first token in it counts. Inside a
    thought `<tool_call>` is text if the thought is closed later; otherwise it ends the thought.

    `repair` says what is mended, each time with a `Repair`: `off` nothing (what would take a
    repair is a fault of that kind), `unambiguous` what has one reading. `callsmith_qwen3.kinds`
    lists the kinds. `max_depth` bounds the containers of the arguments; deeper ones are a fault.
    `start` is the state in which the prompt left the model (`start_mode`).

    Work and memory are linear in the text, whatever its form: no part is read more than a fixed
    number of times. (The text of a string is read again at most once for each kind of quote:
    between the token that is taken to end the call and the string's end there is no quote of its
    kind that could open another one. A thought is read
    again at most once: up to the end that is known by then, none is doubted any more.)
    """

    def __init__(
        self,
        *,
        start: Start = "content",
        repair: RepairPolicy = "unambiguous",
        max_depth: int = 128,
    ) -> None:
        super().__init__(repair)
        self._max_depth = max_depth
        self._state = CONTENT if start == "content" else THOUGHT
        self._skip = 0  # line breaks that may be left out next
        self._base = 0  # where the buffer begins in the completion
        self._hold = ""  # the end of the last buffer, which may be the start of a token
        self._wait = False  # a handler needs more text
        self._parts: list[str] = []  # of a construct: what came before the buffer
        self._from = 0  # of a construct: where it begins, or goes on, in the buffer
        self._start = 0  # of a construct: where its text begins in the completion
        self._mark = -1  # the first token inside a string, in the completion
        self._quote = '"'  # of the string that is read
        self._opens = -1  # in a block: where a quote may open a string, in the completion
        self._certain_to = 0  # up to here it is known that no thought is closed
        self._reread: str | None = None  # a buffer that replaces the current one
        self._reply: Reply | None = None

    def feed(self, text: str) -> list[Event]:
        """Takes the next piece and returns what became certain. Total: no text raises.

        Raises `ValueError` only after `close`.
        """
        if self._state == CLOSED:
            raise ValueError("this decoder is closed; make a new one for each completion")
        self._run(self._hold + text)
        events = self._events
        self._events = []
        return events

    def close(self) -> Reply:
        """The end of the text. May be called again, with the same result."""
        if self._reply is None:
            while self._doubts():
                self._run(self._hold)
            self._end()
            self._state = CLOSED
            self._reply = self._reply_so_far()
        return self._reply

    def _run(self, buffer: str) -> None:
        """Hands `buffer` from handler to handler until all of it is consumed or held back."""
        self._hold = ""
        self._wait = False
        self._from = at = 0
        while at < len(buffer) and not self._wait:
            at = _HANDLERS[self._state](self, buffer, at)
            if self._reread is not None:
                buffer = self._reread
                self._reread = None
                at = 0
        if self._state not in (CONTENT, THOUGHT):
            self._parts.append(buffer[self._from : at])
        self._hold = buffer[at:]
        self._base += at

    def _keep(self, at: int) -> int:
        """Holds the buffer from `at` on until more comes."""
        self._wait = True
        return at

    # -- collecting --------------------------------------------------------------------------

    def _collect(self, state: int, at: int) -> None:
        """A construct whose text begins at `at` of the buffer."""
        self._state = state
        self._parts = []
        self._from = at
        self._start = self._base + at
        self._mark = self._opens = -1

    def _collected(self, buffer: str, end: int) -> str:
        """The construct's text up to `end` of the buffer."""
        return "".join([*self._parts, buffer[self._from : end]])

    def _back(self, buffer: str, place: int) -> int:
        """Reading goes on at `place` of the completion, inside the construct's text."""
        if place >= self._base:
            return place - self._base
        text = "".join(self._parts)
        kept = place - self._start
        self._parts = [text[:kept]]
        self._reread = text[kept:] + buffer
        self._from = 0
        self._base = place
        return 0

    # -- content -----------------------------------------------------------------------------

    def _on_content(self, buffer: str, at: int) -> int:
        if self._skip:
            if buffer[at] == "\n":
                self._skip -= 1
                return at + 1
            self._skip = 0
        match = MARKER.search(buffer, at)
        if match is None:
            end = held_from(buffer, at)
            if end > at and buffer[end - 1] == "\n":
                end -= 1  # it belongs to a call that may follow
            self._say(buffer[at:end])
            return self._keep(end)
        marker, start, end = match.group(), match.start(), match.end()
        text = buffer[at:start]
        self._say(text.removesuffix("\n") if marker == CALL_OPEN else text)
        if marker == CALL_OPEN:
            self._collect(CALL, end)
        elif marker == THINK_OPEN:
            self._state = THOUGHT
            self._skip = 1
            self._join = bool(self._reasoning)
        elif marker == RESPONSE_OPEN:
            self._collect(RESPONSE, end)
        elif marker in ENDS:
            self._collect(ENDED, start if marker == TURN_OPEN else end)
        else:
            self._note(
                _STRAY.get(marker, "stray-token"), f"{marker} ignored", self._base + start, marker
            )
            if marker == THINK_CLOSE:
                self._skip = 2
        return end

    # -- thoughts ----------------------------------------------------------------------------

    def _on_thought(self, buffer: str, at: int) -> int:
        if self._skip:
            self._skip = 0
            if buffer[at] == "\n":
                return at + 1
        match = IN_THOUGHT.search(buffer, at)
        if match is None:
            end = held_from(buffer, at)
            if end > at and buffer[end - 1] == "\n":
                end -= 1
            self._think(buffer[at:end])
            return self._keep(end)
        marker, start, end = match.group(), match.start(), match.end()
        text = buffer[at:start]
        if marker == THINK_OPEN:
            self._think(text)
            self._note("stray-think-open", f"{marker} ignored", self._base + start, marker)
            return end
        self._think(text.removesuffix("\n"))
        if marker == THINK_CLOSE:
            self._state = CONTENT
            self._skip = 2
            return end
        if marker == CALL_OPEN and self._base + start >= self._certain_to:
            self._collect(DOUBTED_THOUGHT, start - text.endswith("\n"))
            return end
        self._state = CONTENT
        self._note("unclosed-thought", f"a thought ends at {marker}", self._base + start)
        return start

    def _on_doubted_thought(self, buffer: str, at: int) -> int:
        """Behind a `<tool_call>` in a thought, until it shows whether the thought goes on."""
        match = THOUGHT_END.search(buffer, at)
        if match is None:
            return self._keep(held_from(buffer, at))
        if match.group() == THINK_CLOSE:
            self._think(self._collected(buffer, match.start()).removesuffix("\n"))
            self._state = CONTENT
            self._skip = 2
            return match.end()
        self._certain_to = self._base + match.start()
        return self._think_again(buffer)

    def _think_again(self, buffer: str) -> int:
        self._state = THOUGHT
        return self._back(buffer, self._start)

    # -- calls -------------------------------------------------------------------------------

    def _on_call(self, buffer: str, at: int) -> int:
        if self._base + at == self._opens:  # the space in between may have come in pieces
            at = _behind_space(buffer, at)
            self._opens = self._base + at
        match = IN_CALL.search(buffer, at)
        if match is None:
            return self._keep(_held_in_call(buffer, at))
        marker, start, end = match.group(), match.start(), match.end()
        if marker in ('"', "'"):
            # An apostrophe opens a string only where JSON allows one.
            if marker == '"' or self._base + start == self._opens:
                self._state = STRING
                self._quote = marker
                self._mark = -1
            return end
        if marker[0] != "<":
            if marker[0] != "\\":
                self._opens = self._base + end
            return end
        text = self._collected(buffer, start)
        self._state = CONTENT
        if marker == CALL_OPEN and (not text or text.isspace()):
            opened = self._start - len(CALL_OPEN)
            self._note("stray-call-open", f"{marker} twice", opened, CALL_OPEN)
        else:
            self._finish(text, closed=marker == CALL_CLOSE)
        return end if marker == CALL_CLOSE else start

    def _on_string(self, buffer: str, at: int) -> int:
        match = IN_STRING[self._quote].search(buffer, at)
        if match is None:
            return self._keep(_held_in_call(buffer, at))
        marker = match.group()
        if marker == self._quote:
            self._state = CALL if self._mark < 0 else AFTER_STRING
        elif marker[0] == "<" and self._mark < 0:
            self._mark = self._base + match.start()
        return match.end()

    def _on_after_string(self, buffer: str, at: int) -> int:
        """Behind a string that holds a control token: is this where JSON allows its end?"""
        at = _behind_space(buffer, at)
        if at == len(buffer):
            return at
        self._state = CALL
        return at if buffer[at] in ",:}]<" else self._back(buffer, self._mark)

    def _finish(self, text: str, *, closed: bool) -> None:
        block = read_block(text, closed=closed, policy=self._policy, max_depth=self._max_depth)
        self._take(block, text, self._start)

    # -- results and the end -----------------------------------------------------------------

    def _on_response(self, buffer: str, at: int) -> int:
        match = IN_RESPONSE.search(buffer, at)
        if match is None:
            return self._keep(held_from(buffer, at))
        end = match.end() if match.group() == RESPONSE_CLOSE else match.start()
        self._made_up(self._collected(buffer, end))
        self._state = CONTENT
        return end

    def _made_up(self, text: str) -> None:
        start = self._start - len(RESPONSE_OPEN)
        detail = "the model wrote a tool's result itself"
        self._fault("hallucinated-response", RESPONSE_OPEN + text, start, detail)

    def _on_ended(self, buffer: str, at: int) -> int:
        return len(buffer)

    def _doubts(self) -> bool:
        """At the end of the text: goes back to where it now has to be read differently."""
        if self._state == DOUBTED_THOUGHT:
            self._certain_to = self._base + len(self._hold)
            at = self._think_again(self._hold)
        elif self._state == STRING and self._mark >= 0:
            self._state = CALL
            at = self._back(self._hold, self._mark)
        else:
            return False
        if self._reread is not None:
            self._hold = self._reread
            self._reread = None
        else:  # the place lies in what is held back
            self._parts.append(self._hold[:at])
            self._hold = self._hold[at:]
            self._base += at
        return True

    def _end(self) -> None:
        """The end of the text, in a state that is certain."""
        hold, state = self._hold, self._state
        self._hold = ""
        if state == CONTENT:
            self._say(hold)
        elif state == THOUGHT:
            self._think(hold)
        elif state == RESPONSE:
            self._made_up("".join(self._parts) + hold)
        elif state == ENDED:
            text = "".join(self._parts) + hold
            padding = PADDING.match(text)
            at = padding.end() if padding else 0
            if at < len(text):
                detail = "text after the end of the turn"
                self._fault("text-after-end", text[at:], self._start + at, detail)
        else:
            if not (hold and state == CALL and CALL_CLOSE.startswith(hold)):
                self._parts.append(hold)
            self._finish("".join(self._parts), closed=False)


_HANDLERS: Final[tuple[Callable[[Qwen3Decoder, str, int], int], ...]] = (
    Qwen3Decoder._on_content,
    Qwen3Decoder._on_thought,
    Qwen3Decoder._on_call,
    Qwen3Decoder._on_string,
    Qwen3Decoder._on_after_string,
    Qwen3Decoder._on_doubted_thought,
    Qwen3Decoder._on_response,
    Qwen3Decoder._on_ended,
)


def _behind_space(buffer: str, at: int) -> int:
    match = _SPACE.match(buffer, at)
    return match.end() if match else at


def _held_in_call(buffer: str, at: int) -> int:
    """As `held_from`; a backslash at the end waits for what it escapes, too."""
    return len(buffer) - 1 if buffer.endswith("\\", at) else held_from(buffer, at)


_THOUGHT_STATE: Final = re.compile(
    "|".join(map(re.escape, (THINK_OPEN, THINK_CLOSE, TURN_OPEN, TURN_CLOSE)))
)


def start_mode(after: Prompt | None) -> Start:
    """Whether generation after this prompt starts in content or inside a thought.

    Inside a thought if the template opened one that neither it nor a turn's border closed; text
    that is content does not count.
    """
    if after is None:
        return "content"
    for segment in reversed(after.segments):
        if segment.origin == "control":
            tokens = _THOUGHT_STATE.findall(segment.text)
            if tokens:
                return "thought" if tokens[-1] == THINK_OPEN else "content"
    return "content"
