"""`Outcome`: the verdict on one entry, with the rule that decided.

`error_type` is one of the official scorer's strings and nothing else, so that a table of them can
be laid beside an official one. `rule` is ours: a short identifier that `RULES` of
`callsmith_bfcl.checking.rules` explains in a sentence.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from dataclasses import dataclass

SHOWN = 120
"""Characters of a value that a message shows at most."""

Messages = tuple[str, ...]


class Outcome:
    """The verdict on one entry. A value: it compares by what it says, and is never changed.

    `error_type` is None when valid. `messages` say what failed with the values involved, most
    important first; a valid outcome has none. They may be given as a function, which is asked at
    most once, when somebody reads them: most outcomes are only counted. `rule` names the rule
    that decided.
    """

    __slots__ = ("_messages", "error_type", "rule", "valid")

    def __init__(
        self,
        valid: bool,
        error_type: str | None,
        messages: Messages | Callable[[], Messages] = (),
        rule: str = "",
    ) -> None:
        self.valid = valid
        self.error_type = error_type
        self.rule = rule
        self._messages = messages

    @property
    def messages(self) -> Messages:
        """What failed, with the values involved."""
        if callable(self._messages):
            self._messages = self._messages()
        return self._messages

    def _key(self) -> tuple[bool, str | None, Messages, str]:
        return self.valid, self.error_type, self.messages, self.rule

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Outcome) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return "Outcome({!r}, {!r}, {!r}, {!r})".format(*self._key())

    def __reduce__(self) -> tuple[type[Outcome], tuple[bool, str | None, Messages, str]]:
        return Outcome, self._key()


@dataclass(slots=True)
class Failure:
    """Why one call does not fit: an outcome in the making, whose message is not yet written.

    Most failures are never shown (a parallel entry tries every pair of calls), so the text is
    made on demand: `template` with `values` shown as `shown` shows them.
    """

    error_type: str
    rule: str
    template: str
    values: tuple[object, ...] = ()

    def message(self) -> str:
        """The failure in one line."""
        return self.template.format(*map(shown, self.values))

    def outcome(self) -> Outcome:
        """The outcome of an entry on which this failure decides."""
        return Outcome(False, self.error_type, self._messages, self.rule)

    def _messages(self) -> Messages:
        return (self.message(),)


_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = SHOWN
_repr.maxlist = _repr.maxtuple = _repr.maxdict = _repr.maxset = _repr.maxfrozenset = 8
_repr.maxlevel = 4


def shown(value: object) -> str:
    """A value for a message: on one line, never long, whatever a model put into it."""
    if type(value) is str:
        return repr(value) if len(value) <= SHOWN else repr(value[:SHOWN]) + "…"
    if type(value) is int and value.bit_length() > 4 * SHOWN:
        return f"an integer of {value.bit_length()} bits"
    try:
        text = _repr.repr(value)
    except ValueError:  # an integer of thousands of digits inside
        return f"a large {type(value).__name__}"
    return text if len(text) <= 4 * SHOWN else text[: 4 * SHOWN] + "…"
