"""What a request can fail with; `kind` decides what the other side raises."""

from __future__ import annotations


class RequestError(Exception):
    """A request that cannot be done.

    `kind`: "configuration" (the checkpoint, the tokenizer, an option), "too-long" (the prompt or
    the conversation does not fit the cache), "conversation" (the library cannot render it),
    "session" (no such tool loop), "request" (malformed), "failed" (anything else).
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def one_line(error: BaseException, limit: int = 400) -> str:
    """The type and text of an exception without line breaks."""
    text = " ".join(str(error).split())
    text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"
