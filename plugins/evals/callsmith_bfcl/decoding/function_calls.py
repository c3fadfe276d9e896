"""Results of a function-calling mode: a list of `{name: JSON text of the arguments}`."""

from __future__ import annotations

import json

from callsmith_bfcl.decoding.errors import MAX_TEXT_LENGTH, DecodeError


def decode_function_calls(result: object) -> list[dict[str, object]]:
    """The calls of an OpenAI-style result, with their arguments parsed.

    Only the first key of each object is read. The empty text is a reply without calls; any other
    text, a null, or arguments that are no JSON text are a `DecodeError`.
    """
    decoded: list[dict[str, object]] = []
    if result == "" or result == {}:
        return decoded
    if not isinstance(result, list):
        raise DecodeError(f"the result is no list of calls but {type(result).__name__}")
    for call in result:
        if type(call) is not dict or not call:
            raise DecodeError("a call is no object with a function's name as its key")
        name = next(iter(call))
        decoded.append({name: _parsed(call[name], name)})
    return decoded


def render_function_calls(result: object) -> list[str]:
    """The calls of one multi-turn step in function-calling mode, each as the source of one call.

    Arguments may be a JSON text or an object; all keys of each object are read. Raises
    `DecodeError`.
    """
    calls = [result] if type(result) is dict else result
    if calls == "":
        return []
    if not isinstance(calls, list):
        raise DecodeError(f"the result is no list of calls but {type(calls).__name__}")
    rendered = []
    for call in calls:
        if type(call) is not dict:
            raise DecodeError("a call is no object with a function's name as its key")
        for name, given in call.items():
            arguments = _parsed(given, name) if type(given) is str else given
            if type(arguments) is not dict:
                raise DecodeError(f"the arguments of {name!r} are no object")
            try:
                inside = ",".join([f"{key}={value!r}" for key, value in arguments.items()])
            except (ValueError, RecursionError):
                raise DecodeError(f"an argument of {name!r} cannot be written") from None
            rendered.append(f"{name}({inside})")
    return rendered


def _parsed(text: object, name: str) -> object:
    if not isinstance(text, str):
        raise DecodeError(f"the arguments of {name!r} are no JSON text")
    if len(text) > MAX_TEXT_LENGTH:
        raise DecodeError(f"the arguments of {name!r} are longer than {MAX_TEXT_LENGTH} characters")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"the arguments of {name!r} are no JSON: {error}") from None
