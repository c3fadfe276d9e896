"""Which control tokens of a prompt are real, and which are only text that looks like one. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import accumulate

Segment = tuple[str, bool]
"""Text, and whether the template wrote it."""

_CONTROL = re.compile(r"<\|[^<>|\s]+\|?>|<[^<>|\s]+\|>", re.DOTALL)


def is_control_token(piece: str) -> bool:
    """Whether a piece of the vocabulary has the shape of Gemma 4's control tokens.

    Other pieces that are matched as a whole (runs of blanks, HTML tags) may stand in content.
    """
    return bool(_CONTROL.fullmatch(piece))


def runs(segments: Sequence[Segment], tokens: Iterable[str]) -> list[tuple[str, bool]] | None:
    """The prompt in pieces: (control token, True) or (text to be spelt out, False).

    None when every control token was written by the template: then the text may be tokenised as
    it is. A token counts as content's as soon as one of its characters is content.
    """
    text = "".join(part for part, _ in segments)
    ordered = sorted({token for token in tokens if token}, key=lambda token: (-len(token), token))
    if not ordered:
        return None
    ends = list(accumulate(len(part) for part, _ in segments))
    pattern = re.compile("|".join(map(re.escape, ordered)))
    out: list[tuple[str, bool]] = []
    forged = False
    written = at = index = 0
    while found := pattern.search(text, at):
        while index < len(ends) and ends[index] <= found.start():
            index += 1
        if _by_template(segments, ends, index, found.end()):
            if found.start() > written:
                out.append((text[written : found.start()], False))
            out.append((found.group(), True))
            written = at = found.end()
        else:
            forged = True
            at = found.start() + 1
    if not forged:
        return None
    if written < len(text):
        out.append((text[written:], False))
    return out


def _by_template(segments: Sequence[Segment], ends: Sequence[int], index: int, end: int) -> bool:
    while segments[index][1] or not segments[index][0]:
        if ends[index] >= end:
            return True
        index += 1
    return False
