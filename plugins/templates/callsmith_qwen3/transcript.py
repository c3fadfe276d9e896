"""What a decoder has read so far: text, calls, faults, repairs, and the events of them."""

from __future__ import annotations

from callsmith import (
    CallParsed,
    ContentDelta,
    Event,
    Fault,
    FaultFound,
    ReasoningDelta,
    Repair,
    Reply,
    ToolCall,
)
from callsmith_qwen3.blocks import Block, ReadCall
from callsmith_qwen3.config import RepairPolicy


class Transcript:
    """The state of a reply; the base of the decoder, which adds the reading."""

    def __init__(self, policy: RepairPolicy) -> None:
        self._policy: RepairPolicy = policy
        self._join = False  # a further thought has opened: a line break goes before its text
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[ToolCall] = []
        self._faults: list[Fault] = []
        self._repairs: list[Repair] = []
        self._events: list[Event] = []

    def _reply_so_far(self) -> Reply:
        return Reply(
            content="".join(self._content),
            reasoning="".join(self._reasoning),
            calls=tuple(self._calls),
            faults=tuple(self._faults),
            repairs=tuple(self._repairs),
        )

    def _say(self, text: str) -> None:
        if text:
            self._content.append(text)
            self._events.append(ContentDelta(text=text))

    def _think(self, text: str) -> None:
        if text:
            if self._join:
                text = "\n" + text
                self._join = False
            self._reasoning.append(text)
            self._events.append(ReasoningDelta(text=text))

    def _take(self, block: Block, text: str, offset: int) -> None:
        """What was read out of a block whose text begins at `offset` of the completion."""
        for mend in block.mends:
            self._repair(mend.kind, mend.detail, offset + mend.start, offset + mend.end)
        for item in block.items:
            raw = text[item.start : item.end]
            if isinstance(item, ReadCall):
                call = ToolCall(name=item.name, arguments=item.arguments, raw=raw)
                self._events.append(CallParsed(index=len(self._calls), call=call))
                self._calls.append(call)
            else:
                self._fault(item.kind, raw, offset + item.start, item.detail)

    def _fault(self, kind: str, raw: str, start: int, detail: str) -> None:
        fault = Fault(kind=kind, raw=raw, detail=detail, span=(start, start + len(raw)))
        self._faults.append(fault)
        self._events.append(FaultFound(fault=fault))

    def _repair(self, kind: str, detail: str, start: int, end: int) -> None:
        """Notes a repair; a run of the same kind without a gap is one."""
        if self._repairs and end > start:
            last = self._repairs[-1]
            if last.kind == kind and last.span is not None and last.span[1] == start:
                self._repairs[-1] = Repair(kind=kind, detail=detail, span=(last.span[0], end))
                return
        self._repairs.append(Repair(kind=kind, detail=detail, span=(start, end)))

    def _note(self, kind: str, detail: str, start: int, raw: str = "") -> None:
        """A repair outside of calls, of the text `raw` at `start`; with policy `off` a fault."""
        if self._policy == "off":
            self._fault(kind, raw, start, f"needs repair: {detail}")
        else:
            self._repair(kind, detail, start, start + len(raw))
