"""What the server refused, as one clear line: what, where, what to do."""

from __future__ import annotations

import json
import re

from callsmith import ArmError, PromptTooLongError

_TOO_LONG = re.compile(
    r"exceed_context_size"
    r"|(longer|larger|exceed\w*|too (long|large)).{0,60}\bcontext (length|size|window)"
    r"|\bcontext (length|size|window).{0,60}(exceed|too (long|small))",
    re.IGNORECASE | re.DOTALL,
)
"""How Ollama and the runners below it say that a prompt does not fit. They have no error codes."""


class NoSuchModelError(ArmError):
    """The server is there and does not have the model."""


def one_line(text: str, limit: int = 300) -> str:
    """Text without line breaks, cut at `limit` characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def server_message(body: str) -> str | None:
    """The text of `{"error": …}`, or None if `body` is not of that form.

    Ollama's error is a string, which may itself be the JSON error of the runner below it.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or "error" not in data:
        return None
    error = data["error"]
    if isinstance(error, dict):
        error = error.get("message", error)
    if not isinstance(error, str):
        return json.dumps(error, ensure_ascii=False)
    inner = server_message(error) if error.lstrip().startswith("{") else None
    return inner or error


def refused(status: int, body: str, *, url: str, path: str, model: str, num_ctx: int) -> ArmError:
    """The error for an answer with an HTTP error status."""
    said = server_message(body)
    where = f"{url}{path} answered {status}"
    if said is None:
        text = one_line(body, 200)
        shown = f": {text!r}" if text else " with an empty body"
        return ArmError(
            f"{where} without Ollama's JSON error{shown}; check that {url} is an Ollama server"
        )
    if _TOO_LONG.search(body):
        return too_long(said, num_ctx=num_ctx)
    said = one_line(said)
    lowered = said.lower()
    advice = "see the server's log"
    if status == 404 and "not found" in lowered:
        return NoSuchModelError(
            f"{where}: {said} (run `ollama pull {model}` there, or set `model` to one that "
            "`ollama list` shows)"
        )
    if "does not support tools" in lowered:
        advice = "use another model, or ollama-raw with a template"
    elif "does not support thinking" in lowered:
        advice = "set sampling.thinking to false"
    elif status in (401, 403):
        advice = "set api_key_env or headers_env, or use an address that the server accepts"
    elif status == 503:
        advice = "the server's queue is full: lower the arm's concurrency or OLLAMA_NUM_PARALLEL"
    elif status == 400:
        advice = "the request does not suit this model or server version"
    return ArmError(f"{where}: {said} ({advice})")


def failed_midway(said: object, *, url: str, path: str, lines: int, num_ctx: int) -> ArmError:
    """The error for an `{"error": …}` line inside a stream that had begun with status 200."""
    whole = json.dumps({"error": said}, ensure_ascii=False)
    text = server_message(whole) or whole
    if _TOO_LONG.search(whole):
        return too_long(text, num_ctx=num_ctx)
    place = "at once" if lines == 0 else f"after {lines} lines"
    return ArmError(f"{url}{path} failed {place}: {one_line(text)} (see the server's log)")


def too_long(said: str, *, num_ctx: int) -> PromptTooLongError:
    """The error for a prompt that the server refused because of its length."""
    return PromptTooLongError(
        f"the prompt does not fit num_ctx {num_ctx}: {one_line(said)} (raise num_ctx, or shorten "
        "the conversation or the tools)"
    )
