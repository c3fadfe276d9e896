"""A text completion put together from its pieces. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callsmith import ArmError, Usage
from callsmith_openai.assembly import choices_of, usage_of


class TextReading:
    """Collects one completion, streamed or whole; token ids and logprobs where they are told.

    Ids come as `token_ids` (vLLM), as `token_id:N` in the list of tokens (older vLLM, when asked)
    or as the `id` of each entry of the logprobs (llama.cpp). They are given only if every piece
    of text came with them, logprobs only if there is one for every id.
    """

    def __init__(self) -> None:
        self.usage = Usage()
        self.finish_reason: str | None = None
        self.timings: Mapping[str, Any] = {}
        self.choices = 0
        self._text: list[str] = []
        self._ids: list[int] = []
        self._named: list[int] = []  # ids that stand with the logprobs
        self._logprobs: list[float | None] = []

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._text)

    def take(self, value: Mapping[str, Any]) -> str:
        """Reads one object and returns its text. Raises `ArmError` when it has another shape."""
        self.usage = usage_of(value.get("usage")) or self.usage
        if isinstance(value.get("timings"), Mapping):
            self.timings = value["timings"]
        found = ""
        for choice in choices_of(value):
            self.choices += 1
            if choice.get("finish_reason") is not None:
                self.finish_reason = str(choice["finish_reason"])
            text = choice.get("text")
            if text is not None and not isinstance(text, str):
                raise ArmError(f"the text of a completion is not text: {text!r:.80}")
            found += text or ""
            ids = choice.get("token_ids")
            if isinstance(ids, list):
                self._ids += [item for item in ids if isinstance(item, int)]
            logprobs = choice.get("logprobs")
            if isinstance(logprobs, Mapping):
                self._take_logprobs(logprobs)
        self._text.append(found)
        return found

    def _take_logprobs(self, data: Mapping[str, Any]) -> None:
        entries = data.get("content")
        if isinstance(entries, list):  # the chat API's shape, which llama.cpp uses here as well
            for entry in entries:
                if isinstance(entry, Mapping):
                    self._logprobs.append(_number(entry.get("logprob")))
                    if isinstance(entry.get("id"), int):
                        self._named.append(entry["id"])
            return
        for item in data.get("token_logprobs") or ():
            self._logprobs.append(_number(item))
        for token in data.get("tokens") or ():
            if isinstance(token, str) and token.startswith("token_id:"):
                number = token.removeprefix("token_id:")
                if number.isdecimal():
                    self._named.append(int(number))

    @property
    def token_ids(self) -> tuple[int, ...] | None:
        """The ids of the completion, if they were told."""
        return tuple(self._ids or self._named) or None

    @property
    def logprobs(self) -> tuple[float, ...] | None:
        """One natural logarithm per token id, if they were told."""
        values = tuple(min(item, 0.0) for item in self._logprobs if item is not None)
        ids = self.token_ids
        if ids is None or len(values) != len(self._logprobs) or len(values) != len(ids):
            return None
        return values


def _number(value: object) -> float | None:
    ok = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if ok else None  # type: ignore[arg-type]  # checked in the line above
