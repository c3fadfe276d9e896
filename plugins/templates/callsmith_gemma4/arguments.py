"""Values and calls in the native notation: `call:NAME{key:value,…}`.

Strings stand between `<|"|>` marks and have no escapes; keys are bare and sorted without regard
to case at every level; numbers are printed as Python prints them; `null`, `true` and `false` are
words. Names, keys and values are content of the prompt, punctuation is control.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from callsmith import JsonValue, PromptBuilder, RenderError, ToolCall
from callsmith_gemma4.control_tokens import CALL_CLOSE, CALL_OPEN, CONTROL_TOKENS, QUOTE

MAX_DEPTH = 256
"""Deeper values and schemas are refused, at the same depth wherever rendering is called from."""

_AFTER_STRING = QUOTE + ","


def render_call(name: str, arguments: JsonValue) -> str:
    """One call as the canonical template writes it, with its opening and closing tokens.

    Nothing is checked for control text: use a template's `render` for whole prompts. Raises
    `RenderError` where `arguments` is neither an object nor None.
    """
    prompt = PromptBuilder(CONTROL_TOKENS, "allow")
    write_call(prompt, ToolCall(name=name, arguments=arguments))
    return prompt.build().text


def write_call(prompt: PromptBuilder, call: ToolCall, *, in_order: bool = False) -> None:
    """Adds one call to `prompt`; arguments None stand for no arguments.

    With `in_order` the arguments stand as they were given; what is inside of them is sorted.
    """
    arguments = call.arguments
    prompt.control(CALL_OPEN + "call:")
    prompt.content(call.name)
    if arguments is None:
        prompt.control("{}" + CALL_CLOSE)
        return
    if not isinstance(arguments, Mapping):
        raise RenderError(
            f"the arguments of the call to {call.name!r:.80} must be an object, not "
            f"{_kind(arguments)}; "
            + (
                "decode the JSON text first (callsmith.decode_arguments)"
                if isinstance(arguments, str)
                else "drop the call from the history, or answer it with a tool error"
            )
        )
    prompt.control("{")
    _write_members(prompt, arguments, quoted_keys=False, depth=0, in_order=in_order)
    prompt.control("}" + CALL_CLOSE)


def write_value(
    prompt: PromptBuilder, value: JsonValue, *, quoted_keys: bool = False, depth: int = 0
) -> None:
    """Adds one value. Keys stand between string marks with `quoted_keys`, bare otherwise."""
    if isinstance(value, str):
        prompt.control(QUOTE)
        prompt.content(value)
        prompt.control(QUOTE)
    elif value is None:
        prompt.content("null")
    elif isinstance(value, bool):
        prompt.content("true" if value else "false")
    elif isinstance(value, int | float):
        prompt.content(number_text(value))
    elif depth >= MAX_DEPTH:
        raise RenderError(f"a value is nested more than {MAX_DEPTH} deep; flatten it")
    elif isinstance(value, Mapping):
        prompt.control("{")
        _write_members(prompt, value, quoted_keys=quoted_keys, depth=depth + 1)
        prompt.control("}")
    elif isinstance(value, list | tuple):
        prompt.control("[")
        for index, item in enumerate(value):
            if index:
                prompt.control(",")
            write_value(prompt, item, quoted_keys=quoted_keys, depth=depth + 1)
        prompt.control("]")
    else:
        raise RenderError(f"{type(value).__name__} is not a JSON value; convert it first")


def _write_members(
    prompt: PromptBuilder,
    value: Mapping[str, JsonValue],
    *,
    quoted_keys: bool,
    depth: int,
    in_order: bool = False,
) -> None:
    separator = ""
    items = sorted_items(value)
    if in_order:
        items = list(value.items())  # the keys are known to be text now
    for key, item in items:
        if quoted_keys:
            prompt.control(separator + QUOTE)
            prompt.content(key)
            prompt.control(QUOTE + ":")
        else:
            prompt.control(separator)
            prompt.content(key)
            prompt.control(":")
        separator = ","
        write_value(prompt, item, quoted_keys=quoted_keys, depth=depth)


def sorted_items(value: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The members in the template's order: by lower-cased key, equal ones as they came."""
    items = list(value.items())
    for key, _ in items:
        if not isinstance(key, str):
            raise RenderError(f"the key {key!r:.80} is not text; JSON objects have text keys")
    if len(items) > 1:
        items.sort(key=_lower_key)
    return items


def _lower_key(item: tuple[str, Any]) -> str:
    return item[0].lower()


def number_text(value: float) -> str:
    """A number as Python prints it; whole numbers of any size."""
    try:
        return str(value)
    except ValueError:  # whole numbers beyond the interpreter's limit for int-to-text
        return format(Decimal(value), "f")


def _kind(value: object) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, list | tuple):
        return "a list"
    return f"{value!r:.80}"
