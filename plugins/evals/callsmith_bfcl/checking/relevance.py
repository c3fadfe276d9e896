"""Irrelevance and relevance: whether a call was read where none is due, or one is.

What the call says is not looked at (R2), and an answer that could not be read counts as one
without calls (R1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from callsmith_bfcl.checking import rules
from callsmith_bfcl.checking.calls import is_call_list
from callsmith_bfcl.decoding.errors import DecodeError
from callsmith_bfcl.outcome import Outcome, shown

_ABSTAINED: Final = Outcome(True, None, (), rules.ABSTAINED)
_CALLED: Final = Outcome(True, None, (), rules.CALLED)


def has_calls(decoded: object) -> bool:
    """Whether a decoded value is a list of calls with at least one in it."""
    return is_call_list(decoded) and decoded != []


def check_relevance(called: bool, category: str, decoded: object = None) -> Outcome:
    """The verdict on an entry of irrelevance or relevance, by the name of its category.

    `called` says whether a call was read; `decoded` is what was read, for the message.
    """
    if "irrelevance" in category:
        if not called:
            return _ABSTAINED
        return Outcome(
            False,
            "irrelevance_error:decoder_success",
            (f"no call is due, but there is one: {shown(decoded)}",),
            rules.CALLED,
        )
    if called:
        return _CALLED
    return Outcome(
        False,
        "relevance_error:decoder_failed",
        ("a call is due, but none could be read",),
        rules.ABSTAINED,
    )


def relevance_of(decode: Callable[[], object], category: str) -> Outcome:
    """The verdict on an answer that is still to be decoded; a `DecodeError` is no call."""
    try:
        decoded = decode()
    except DecodeError:
        return check_relevance(False, category)
    return check_relevance(has_calls(decoded), category, decoded)
