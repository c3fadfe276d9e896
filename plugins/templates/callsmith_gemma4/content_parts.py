"""Content parts of messages: lists of `{"type": "text", "text": …}`, `{"type": "image"}` and so on.

The canonical template loses parts that it does not know, and text that is no text, without a
trace; here both are a `RenderError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from callsmith import JsonValue, Message, RenderError
from callsmith_gemma4.control_tokens import AUDIO, IMAGE, VIDEO

_MEDIA = {
    "image": IMAGE,
    "image_url": IMAGE,
    "audio": AUDIO,
    "input_audio": AUDIO,
    "video": VIDEO,
}


def is_structured(content: JsonValue) -> bool:
    """True for an object, and for a list that is not one of content parts."""
    if not isinstance(content, list | tuple):
        return isinstance(content, Mapping)
    return not all(isinstance(part, Mapping) and "type" in part for part in content)


def content_parts(message: Message) -> Sequence[Mapping[str, Any]]:
    """The content parts of a message whose content is no text. Raises `RenderError`."""
    content = message.content
    if content is None:
        return ()
    if isinstance(content, list | tuple):
        parts = [part for part in content if isinstance(part, Mapping)]
        if len(parts) == len(content):
            return parts
    raise RenderError(
        "content must be text or a list of parts such as "
        f'{{"type": "text", "text": …}}, not {content!r:.80}'
    )


def part_text(part: Mapping[str, Any]) -> str:
    """The text of a text part, "" where it has none. Raises `RenderError` if it is no text."""
    text = part.get("text", "")
    if isinstance(text, str):
        return text
    raise RenderError(f"the text of a content part must be text, not {text!r:.80}")


def media_token(kind: object) -> str:
    """The placeholder of a part of type `kind`. Raises `RenderError` for a type without one."""
    if isinstance(kind, str) and kind in _MEDIA:
        return _MEDIA[kind]
    raise RenderError(
        f"Gemma 4 has no content part of type {kind!r:.80}; it has: text, {', '.join(_MEDIA)}"
    )
