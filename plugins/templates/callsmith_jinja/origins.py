"""Who wrote which characters of a prompt that a stranger's template made.

The template is run a second time with marks around every text that came from people, tools and
schemas. If the marked prompt without its marks is the prompt, the marks say where content stands.
A template that changes a text by looking at it (cutting a thought out of an answer, comparing a
beginning) may write something else then: the origins are unknown, and only the texts themselves
can be checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

STRUCTURE = frozenset(("role", "type", "id", "tool_call_id"))
"""Keys whose text decides what a template does, and is not written by it."""

_FIRST_MARK = 0xF0000
"""Private characters of plane 15, where no script and hardly any font has any."""


def texts(
    value: Any, place: str = "", *, is_marked: bool = True
) -> Iterator[tuple[str, str, bool]]:
    """Every text in a JSON value: its place, itself, and whether `marked` puts marks around it."""
    if isinstance(value, str):
        yield place, value, is_marked and bool(value.strip())
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield place, str(key), False
            inside = f"{place}.{key}" if place else str(key)
            yield from texts(item, inside, is_marked=key not in STRUCTURE)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from texts(item, f"{place}[{index}]")


def free_marks(value: Any) -> tuple[str, str]:
    """Two characters that stand nowhere in `value`."""
    used = {c for _, text, _ in texts(value) for c in text if ord(c) >= _FIRST_MARK}
    free = (chr(n) for n in range(_FIRST_MARK, 0x10FFFE) if chr(n) not in used)
    return next(free), next(free)


def marked(value: Any, opening: str, closing: str) -> Any:
    """`value` with marks around its texts; white space at their ends stays outside.

    Outside, because templates trim. Keys of objects are left as they are: templates look them up.
    """
    if isinstance(value, str):
        core = value.strip()
        if not core:
            return value
        begin = value.index(core)
        return f"{value[:begin]}{opening}{core}{closing}{value[begin + len(core) :]}"
    if isinstance(value, Mapping):
        return {
            key: item
            if key in STRUCTURE and isinstance(item, str)
            else marked(item, opening, closing)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [marked(item, opening, closing) for item in value]
    return value


def pieces(prompt: str, opening: str, closing: str) -> list[tuple[bool, str]] | None:
    """The stretches of a marked prompt: (is it content, its text); None if marks do not pair."""
    found: list[tuple[bool, str]] = []
    depth = 0
    start = 0
    for index, character in enumerate(prompt):
        if character not in (opening, closing):
            continue
        if index > start:
            found.append((depth > 0, prompt[start:index]))
        start = index + 1
        depth += 1 if character == opening else -1
        if depth < 0:
            return None
    if depth:
        return None
    if start < len(prompt):
        found.append((False, prompt[start:]))
    return found
