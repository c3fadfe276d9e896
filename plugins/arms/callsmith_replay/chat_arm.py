"""`replay-chat`: recorded replies, found by the exact conversation."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from callsmith import (
    ArmError,
    CallParsed,
    ContentDelta,
    Event,
    FaultFound,
    Fidelity,
    Message,
    ReasoningDelta,
    Reply,
    Sampling,
    ToolSpec,
    dumps,
)
from callsmith_replay.config import ReplayConfig
from callsmith_replay.recordings import Record, read_recordings
from callsmith_replay.shelf import Shelf, replayed


class ReplayChatArm:
    """A `ChatArm` over recordings: the conversation must be the recorded one, message by message.

    Traces do not repeat the tools of a task, so tools are not compared. A recorded failure of
    the arm is an `ArmError` again, with the recorded message.
    """

    def __init__(self, config: ReplayConfig) -> None:
        self.config = config
        self._recordings = read_recordings(Path(config.path), config.arm)
        self._shelf = Shelf(
            self._recordings,
            "conversation",
            [
                (_key(record.conversation), record.seed, record.source, record)
                for record in self._recordings.records
                if record.conversation is not None and (record.reply or record.error)
            ],
        )

    async def generate(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> Reply:
        """The recorded reply. Raises `ArmError` if there is none, or if it was a failure."""
        free = self.config.sampling == "any"
        record: Record = self._shelf.take(_key(messages), sampling, any_sampling=free)
        if record.reply is None:
            raise ArmError(f"recorded failure: {record.error}")
        return record.reply

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> AsyncGenerator[Event | Reply, None]:
        """The recorded reply as events, one each for thought, content, call and fault."""
        reply = await self.generate(messages, tools, sampling)
        if reply.reasoning:
            yield ReasoningDelta(text=reply.reasoning)
        if reply.content:
            yield ContentDelta(text=reply.content)
        for index, call in enumerate(reply.calls):
            yield CallParsed(index=index, call=call)
        for fault in reply.faults:
            yield FaultFound(fault=fault)
        yield reply

    async def probe(self) -> Fidelity:
        """What the recorded run knew about its runtime and model."""
        return replayed(self._recordings)

    async def aclose(self) -> None:
        """Nothing is held."""


def _key(messages: Sequence[Message]) -> str:
    """A conversation as text: one JSON line per message, so that differences can be located."""
    return "\n".join(dumps(message) for message in messages)
