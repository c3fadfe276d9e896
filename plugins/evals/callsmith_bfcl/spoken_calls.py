"""`SpokenCalls`: an episode of mode prompting, whose calls stand in the model's text.

As the official generation does it: a text that cannot be decoded, or that holds no call, ends the
turn; the calls of any other are carried out one after the other, each as the text of one call; and
their results go back together, as one message of the user.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from callsmith import JsonValue, Message, Reply, ToolCall, ToolResult
from callsmith_bfcl.decoding import DecodeError, decode_execute, decode_text
from callsmith_bfcl.multi_turn import EpisodeApis
from callsmith_bfcl.prompts import tool_results_message


class SpokenCalls:
    """A `TextToolSession` on the simulated APIs of one episode."""

    def __init__(self, apis: EpisodeApis) -> None:
        self._apis = apis

    def read_calls(self, reply: Reply) -> list[ToolCall]:
        """The calls of the reply's visible text, cut or not; none if it cannot be decoded."""
        try:
            texts = decode_execute(reply.content)
            parsed = decode_text(reply.content)
        except DecodeError:
            return []
        assert isinstance(parsed, list)  # what the Python format gives
        if texts == [""]:
            return []
        found = [pair for call in parsed for pair in call.items()]
        return [
            ToolCall(name=name, arguments=_as_json(arguments), raw=text)
            for text, (name, arguments) in zip(texts, found, strict=True)
        ]

    async def run_call(self, call: ToolCall) -> JsonValue:
        """The result text of one call; it is the call's text that is carried out. Never raises."""
        return self._apis.execute([call.raw])[0]

    def tell_results(self, calls: Sequence[ToolCall], results: Sequence[ToolResult]) -> Message:
        """The user's message with all results."""
        said = [str(result.content) for result in results]
        message = tool_results_message([call.raw for call in calls], said)
        return Message(role=message["role"], content=message["content"])


def _as_json(arguments: Mapping[str | None, object]) -> JsonValue:
    """Arguments for the reader of a trace; those that JSON cannot hold as Python text."""
    try:
        value: JsonValue = json.loads(json.dumps(arguments, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return repr(arguments)
    return value
