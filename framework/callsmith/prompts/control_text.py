"""Control text is not content: building prompts whose control tokens only a template can write.

A native prompt is made of control tokens, so text from a user, a tool, a schema or an earlier
reply that *contains* such a token could forge a turn or a call. A template renders through a
`PromptBuilder`, which keeps the two origins apart and applies the policy at the end:

- `refuse`: content that holds a control token raises `ControlTextError`;
- `neutralise`: a space is put inside the token (visible, and listed in `Prompt.changes`);
- `allow`: nothing is checked; byte-identical to a template that knows no such policy.

A token counts as content's as soon as one of its characters is content, so a token cannot be
assembled across a border between the two either.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Literal

from callsmith.errors import ControlTextError
from callsmith.types import Origin, Prompt, Segment

ControlTextPolicy = Literal["refuse", "neutralise", "allow"]

_Piece = tuple[Origin, str]

_MAX_ROUNDS = 16
"""Rounds of breaking tokens. One is enough unless a token with a space in it arises by the break;
tokens that no space can break (a single character, only spaces) end in an error."""


class ControlTokens:
    """The control tokens of one format, prepared for searching."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self.tokens = frozenset(tokens)
        if "" in self.tokens:
            raise ValueError("a control token cannot be empty")
        ordered = sorted(self.tokens, key=lambda token: (-len(token), token))
        self._first = frozenset(token[0] for token in ordered)
        self._prefixes = frozenset(t[:n] for t in ordered for n in range(1, len(t)))
        # Where all tokens begin with one character that occurs nowhere else in them, a token can
        # begin only at such a character and two tokens cannot overlap.
        self._simple = len(self._first) == 1 and all(t.count(t[0]) == 1 for t in ordered)
        either = "|".join(map(re.escape, ordered)) or "(?!)"
        # Where they can, all matches count, overlapping ones too: runtimes differ in which they
        # take. Of tokens that begin at one place the longest stands for all.
        self._search = re.compile(f"({either})" if self._simple else f"(?=({either}))")

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """The half-open ranges of all tokens in `text`, by their start."""
        return (match.span(1) for match in self._search.finditer(text))

    def may_touch(self, control: Iterable[str], content: Sequence[str]) -> bool:
        """False only if no token can have a character of content, in a prompt of these pieces.

        `control` and `content` are the pieces of each origin, in any order, where neighbours have
        different origins. A quick look that spares most prompts the exact search.
        """
        if not self._simple:
            return bool(self.tokens)
        if any(map(self._ends_inside, control)):
            return True
        (first,) = self._first
        joined = "\n".join(content)
        if first not in joined:
            return False
        if self._search.search(joined):
            return True
        return any(first in text and self._ends_inside(text) for text in content)

    def _ends_inside(self, text: str) -> bool:
        (first,) = self._first
        at = text.rfind(first)
        return at >= 0 and text[at:] in self._prefixes


class PromptBuilder:
    """Collects the pieces of a prompt, in order, by who wrote them."""

    __slots__ = ("_notes", "_pieces", "_places", "_policy", "_tokens")

    def __init__(self, tokens: ControlTokens, policy: ControlTextPolicy) -> None:
        self._tokens = tokens
        self._policy = policy
        self._pieces: list[_Piece] = []
        self._places: list[tuple[int, str]] = []
        self._notes: list[str] = []

    def control(self, text: str) -> None:
        """Adds text that the template writes."""
        if text:
            self._pieces.append(("control", text))

    def content(self, text: str) -> None:
        """Adds text that came from a person, a tool, a schema or an earlier reply."""
        if text:
            self._pieces.append(("content", text))

    def at(self, place: str) -> None:
        """Names the source of what is added next, such as `messages[3]`, for messages."""
        self._places.append((len(self._pieces), place))

    @property
    def place(self) -> str:
        """The source that was named last, "the conversation" before any was."""
        return self._places[-1][1] if self._places else "the conversation"

    def note(self, change: str) -> None:
        """Adds a line to `Prompt.changes`: content that the format cannot hold and leaves out."""
        self._notes.append(change)

    def build(self) -> Prompt:
        """The prompt, adjacent pieces of one origin merged.

        Raises `ControlTextError` under the policy `refuse`, and under `neutralise` for a token
        that a space inside it does not break.
        """
        merged = _merged(self._pieces)
        changes = self._notes
        if self._policy != "allow":
            control = {text for origin, text in merged if origin == "control"}
            content = [text for origin, text in merged if origin == "content"]
            if self._tokens.may_touch(control, content):
                pieces, broken = self._checked()
                if broken:
                    changes = changes + broken
                    merged = _merged(pieces)
        return Prompt(segments=_segments(merged), changes=tuple(changes))

    def _checked(self) -> tuple[list[_Piece], list[str]]:
        """The pieces without control tokens that touch content, and what was changed."""
        pieces = self._pieces
        changes: Counter[tuple[str, str]] = Counter()
        for _ in range(_MAX_ROUNDS):
            joined = "".join([text for _, text in pieces])
            starts = [0, *accumulate([len(text) for _, text in pieces])]
            insertions: dict[int, set[int]] = {}
            for start, end in self._tokens.find(joined):
                index = bisect_right(starts, start) - 1
                while pieces[index][0] != "content":
                    index += 1
                    if index == len(pieces) or starts[index] >= end:
                        break
                else:
                    if self._policy == "refuse":
                        raise self._refusal(joined, start, end, index)
                    insertions.setdefault(index, set()).add(max(start + 1 - starts[index], 0))
                    changes[self._place(index), joined[start:end]] += 1
            if not insertions:
                return pieces, [_change(place, token, n) for (place, token), n in changes.items()]
            pieces = [
                (origin, _spaced(text, sorted(insertions[index])) if index in insertions else text)
                for index, (origin, text) in enumerate(pieces)
            ]
        place, token = next(reversed(changes))
        raise ControlTextError(
            f"{place}content holds the control text {token!r}, which no space can break; remove it"
        )

    def _refusal(self, joined: str, start: int, end: int, index: int) -> ControlTextError:
        excerpt = joined[max(0, start - 20) : end + 20]
        return ControlTextError(
            f"{self._place(index)}content holds the control text {joined[start:end]!r} "
            f"(in …{excerpt!r}…); remove it, or set control_text to 'neutralise' or 'allow'"
        )

    def _place(self, index: int) -> str:
        at = bisect_right(self._places, index, key=lambda place: place[0])
        return f"{self._places[at - 1][1]}: " if at else ""


def _merged(pieces: Sequence[_Piece]) -> list[_Piece]:
    merged: list[_Piece] = []
    run: list[str] = []
    current: Origin = "control"
    for origin, text in pieces:
        if origin != current:
            if run:
                merged.append((current, "".join(run)))
            run = []
            current = origin
        run.append(text)
    if run:
        merged.append((current, "".join(run)))
    return merged


def _segments(merged: Sequence[_Piece]) -> tuple[Segment, ...]:
    # A template writes the same few pieces over and over: they share one segment each.
    control = {
        text: Segment(text=text, origin="control")
        for text in {text for origin, text in merged if origin == "control"}
    }
    return tuple(
        [
            control[text] if origin == "control" else Segment(text=text, origin="content")
            for origin, text in merged
        ]
    )


def _spaced(text: str, places: Sequence[int]) -> str:
    parts: list[str] = []
    last = 0
    for place in places:
        parts += (text[last:place], " ")
        last = place
    return "".join(parts) + text[last:]


def _change(place: str, token: str, count: int) -> str:
    times = f" ({count} times)" if count > 1 else ""
    return f"{place}control text {token!r} in content was broken by a space{times}"
