"""What a server refused, as one clear line: what, where, what to do. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from callsmith import ArmError, PromptTooLongError

_TOO_LONG = re.compile(
    r"exceed_context_size|context_length_exceeded"
    r"|(longer|larger|greater|exceed\w*|too (long|large)).{0,80}\bcontext (length|size|window)"
    r"|\bcontext (length|size|window).{0,80}(exceed|too (long|small)|however|you requested)"
    r"|cannot be greater than max_model_len"
    r"|(prompt|input).{0,40}(longer|exceed\w*|too long).{0,60}(max_model_len|tokens)",
    re.IGNORECASE | re.DOTALL,
)
"""How the servers say that a prompt does not fit. Only some have an error code for it."""

_NO_MODEL = re.compile(
    r"model_not_found|\bmodel\b.{0,200}?"
    r"(does not exist|not found|not exist|is not (loaded|available)|isn't)"
    r"|no such model|unknown model|invalid model|not a valid model",
    re.IGNORECASE | re.DOTALL,
)

_LOADING = re.compile(r"loading|not ready|starting|warming", re.IGNORECASE)


class NoSuchModelError(ArmError):
    """The server is there and does not have the model."""


class UnauthorizedError(ArmError):
    """The server wants a key, or another one."""


class LoadingError(ArmError):
    """The server is there and is still loading."""


class UnreachableError(ArmError):
    """No answer came at all: there is no server, or it hung up."""


class RefusedFieldError(ArmError):
    """The server refuses fields of the request by name; nothing was generated."""

    def __init__(self, message: str, fields: tuple[str, ...]) -> None:
        super().__init__(message)
        self.fields = fields


def one_line(text: str, limit: int = 300) -> str:
    """Text without line breaks, cut at `limit` characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def error_text(value: object) -> str | None:
    """What an error body says, or None if `value` is none of the known forms.

    OpenAI and most others: `{"error": {"message": …}}`; `{"error": "…"}`; older vLLM:
    `{"object": "error", "message": …}`; FastAPI: `{"detail": …}`, where the detail may be a list
    of `{"loc": […], "msg": …}`.
    """
    if not isinstance(value, dict):
        return None
    error = value.get("error")
    if isinstance(error, dict):
        message = error.get("message")
        return message if isinstance(message, str) else json.dumps(error, ensure_ascii=False)
    if error:
        return error if isinstance(error, str) else json.dumps(error, ensure_ascii=False)
    if value.get("object") == "error":
        return str(value.get("message") or "an error without a message")
    detail = value.get("detail")
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list) and detail:
        return "; ".join(_detail(item) for item in detail)
    return None


def _detail(item: object) -> str:
    if not isinstance(item, dict):
        return json.dumps(item, ensure_ascii=False)
    place = ".".join(str(part) for part in item.get("loc") or ())
    return f"{place}: {item.get('msg')}" if place else str(item.get("msg"))


def is_error_event(value: object) -> bool:
    """Whether an object inside a stream, or an answer with status 200, is an error."""
    if not isinstance(value, dict):
        return False
    return bool(value.get("error")) or (value.get("object") == "error" and "choices" not in value)


def refused(
    status: int,
    body: str,
    *,
    url: str,
    model: str,
    optional: Iterable[str] = (),
    sends_key: bool = False,
    location: str = "",
) -> ArmError:
    """The error for an answer with another status than 200.

    `url` is the whole address; `optional` are fields of the request that can be left out;
    `sends_key` says whether a key was sent.
    """
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError):
        parsed = None
    said = error_text(parsed)
    shown = one_line(said if said is not None else body, 400)
    where = f"{url} answered {status}"
    whole = f"{where}: {shown}" if shown else f"{where} with an empty body"
    if 300 <= status < 400:
        target = f" to {location}" if location else ""
        return ArmError(f"{where}, a redirection{target}; set `url` to the address that serves")
    if status == 401:
        advice = (
            "the key was not accepted; check the variable that api_key_env names"
            if sends_key
            else "it wants a key; name the variable that holds it in api_key_env"
        )
        return UnauthorizedError(f"{whole} (401 unauthorized: {advice})")
    if status == 403:
        return UnauthorizedError(f"{whole} (403 forbidden: this key may not use it)")
    if status in (400, 404, 413, 422, 500) and _TOO_LONG.search(body):
        return too_long(shown)
    if status in (400, 404) and said is not None and _NO_MODEL.search(body):
        return NoSuchModelError(f"{whole} (the model {model!r} is not there)")
    if status in (400, 422) and said is not None:
        named = tuple(field for field in optional if re.search(rf"\b{field}\b", body))
        if named:
            return RefusedFieldError(whole, named)
    if status == 503 and _LOADING.search(body):
        return LoadingError(f"{whole} (it is still loading: wait, or raise wait_for_server)")
    return ArmError(f"{whole} ({_advice(status, said is not None)})")


def _advice(status: int, known: bool) -> str:
    if status in (404, 405):
        return "there is no such endpoint: check `url`, which must be the base of the API"
    if status == 429:
        return "too many requests: lower the arm's concurrency"
    if status in (502, 503, 504):
        return "the server is overloaded or still starting"
    if not known:
        return "check that it is an OpenAI-compatible server"
    if status in (400, 422):
        return "the request does not suit this server or model"
    return "see the server's log"


def failed_midway(value: object, *, url: str, events: int) -> ArmError:
    """The error for an error object inside a stream that had begun with status 200."""
    text = error_text(value) or one_line(json.dumps(value, ensure_ascii=False))
    if _TOO_LONG.search(json.dumps(value, ensure_ascii=False)):
        return too_long(one_line(text))
    place = "at once" if events == 0 else f"after {events} events"
    return ArmError(f"{url} failed {place}: {one_line(text)} (see the server's log)")


def too_long(said: str) -> PromptTooLongError:
    """The error for a prompt that the server refused because of its length."""
    return PromptTooLongError(
        f"the prompt does not fit the server's context: {one_line(said)} (start the server with "
        "more context, or shorten the conversation, the tools or max_tokens)"
    )
