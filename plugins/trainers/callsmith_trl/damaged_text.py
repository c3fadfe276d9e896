"""Right calls written wrong: damage to the text of a completion, not to what it says. Pure."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping

from callsmith import Prompt, Segment, cut_prompt
from callsmith_trl.corrupted_values import shuffled

SIGN = re.compile(r"<[^<>\s]{1,24}>|[^\w\s]")
"""A control token as a whole, or one sign."""

Damage = Callable[[Prompt, str, random.Random], Iterator[Prompt]]

STRAY = (
    "Sure, here is the call: ",
    " // as you asked",
    " (see above) ",
    " Let me check. ",
)


def stray_text(written: Prompt, raw: str, rng: random.Random) -> Iterator[Prompt]:
    """Words between the markers, where only the call may stand."""
    start = written.text.find(raw)
    for text in shuffled(list(STRAY), rng):
        for place in (start, start + len(raw), start + rng.randint(1, max(1, len(raw) - 1))):
            yield _spliced(written, place, place, text)


def damaged_call(written: Prompt, raw: str, rng: random.Random) -> Iterator[Prompt]:
    """A bracket, a quote or a separator of the call is lost."""
    start = written.text.find(raw)
    for found in shuffled(list(SIGN.finditer(raw)), rng):
        yield _spliced(written, start + found.start(), start + found.end(), "")


def lost_markers(written: Prompt, raw: str, rng: random.Random) -> Iterator[Prompt]:
    """The call without the control text around it."""
    start = written.text.find(raw)
    end = start + len(raw)
    opened, closed = _opening(written.text, start), _closing(written.text, end)
    both = _spliced(written, end, closed, "")
    yield _spliced(both, opened, start, "")
    yield from shuffled(
        [_spliced(written, opened, start, ""), _spliced(written, end, closed, "")], rng
    )


DAMAGES: Mapping[str, Damage] = {
    "stray-text": stray_text,
    "damaged-call": damaged_call,
    "lost-markers": lost_markers,
}
"""Corruptions of how it is written: of the completion's text, around or in one call's `raw`."""


def _opening(text: str, place: int) -> int:
    """Where the marker before `place` begins."""
    found = text.rfind("<", 0, place)
    return found if found >= 0 else place


def _closing(text: str, place: int) -> int:
    """Where the marker behind `place` ends."""
    found = text.find(">", place)
    return found + 1 if found >= 0 else place


def _spliced(written: Prompt, start: int, end: int, text: str) -> Prompt:
    """The characters [start, end) replaced by `text`, which counts as content."""
    head, tail = cut_prompt(written, 0, start), cut_prompt(written, end, len(written.text))
    middle = (Segment(text=text, origin="content"),) if text else ()
    return Prompt(segments=(*head.segments, *middle, *tail.segments))
