"""What `strict: true` changes: the behaviours of the official scorer that contradict its promise.

Parity is the default. Each official behaviour that the benchmark's documentation does not promise
has an identifier, under which `FIXES` says what happens instead when it is among the `fixes` that
decoders and checkers take. Those of decoding (D) and of Java and JavaScript source text are
applied where the text is read; those of comparing (A) here, by `adapter`, which prepares the value
and the accepted answers for the same checker; those of relevance (R) by `relevance_verdict`; that
of conversations (M) by the multi-turn checker.

Three listed behaviours have no fix, because they decide no verdict wrongly: arithmetic in an
argument has its value (D2), the order of the tests shows only in the error type (A9), and names of
unregistered models are no question here (A11). Entries that no output can satisfy (A10) are found
by `callsmith_bfcl.checking.satisfiable`; no check mends them: their answers contradict their
functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from callsmith_bfcl.checking import rules
from callsmith_bfcl.checking.calls import Adapter, is_call_list
from callsmith_bfcl.checking.relevance import check_relevance, has_calls
from callsmith_bfcl.checking.values import normal
from callsmith_bfcl.outcome import Outcome, shown

FIXES: Final[Mapping[str, str]] = {
    "D1": "A unary operator has its own meaning; officially each of + ~ not negates.",
    "D3": "Empty text is no list of calls; officially it is an empty one.",
    "D4": "A positional argument, or a call of something without a plain name, is not the format "
    "that was asked for; officially the argument, or the something, is dropped.",
    "D5": "In conversations an object stays an object; officially {} spoils the step, and an "
    "object of objects becomes a call.",
    "D6": "A fence that names its language is taken off like a bare one.",
    "D7": "Text before an accent is not shifted; officially Java text is cut at wrong places "
    "behind any character that is not ASCII.",
    "D8": "The body of new HashMap<>() {{ … }} is read; officially it is dropped.",
    "D9": "The strings of a Java array lose their quotes, as those of a list do.",
    "D10": "A comma inside a Java or JavaScript string does not split it.",
    "A1": "[] is right only if it is an accepted list; officially it is right for every list that "
    "may be left out.",
    "A2": "The items of a list always have their declared type, and integers count as floats; "
    "officially nothing is tested if the list may be left out, and integers are wrong if not.",
    "A3": 'The empty string is right only if it is the accepted answer; officially "", and any '
    "string of ignored characters, is right for every string that may be left out.",
    "A4": "Inside objects true is not 1; officially 1, 1.0 and true are the same there.",
    "A5": "null is right wherever it is an accepted answer, and other values are then compared as "
    "usual; officially only null as the first one counts, and the rest letter by letter.",
    "A6": "Each accepted answer counts with its own type; officially the first one's type decides.",
    "A7": "A string in the place of a list of choices is one choice; officially each of its "
    "characters is.",
    "A8": "Parallel calls are matched so that all fit if any matching does; officially the first "
    "fit is taken, and the order can decide.",
    "M3": "In conversations strings are what the model wrote; officially an API's method before a "
    "bracket gets another name there too, and blanks before a bracket vanish.",
    "R1": "An attempt to call that cannot be read is no abstention.",
    "R2": "A call counts for relevance only if it calls a function that was offered.",
}
"""Official behaviours that are turned off under `strict: true`, by their identifiers."""

STRICT_FIXES: Final = frozenset(FIXES)

UNSATISFIABLE: Final[Mapping[str, str]] = {
    "simple_java_36": "parts is a list of any, which is text, and the accepted list has a number",
    "simple_java_65": "params is a list of any, which is text, and the accepted list has booleans",
    "live_simple_106-63-0": "auto_loan_payment_start is required, and no value is accepted",
    "live_simple_112-68-0": "acc_routing_start is required, and no value is accepted",
    "live_multiple_862-181-3": "journey_start_time must be given, and the function lacks it",
    "live_multiple_964-207-0": "question must be given, and the function lacks it",
}
"""The entries that no output can satisfy (A10), and why; a test derives them from the data."""


class _Truth:
    """A boolean that equals no number."""

    def __init__(self, value: bool) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Truth) and other.value is self.value

    def __hash__(self) -> int:
        return hash(("truth", self.value))

    def __repr__(self) -> str:
        return repr(self.value)


def whole_choices(alternatives: Sequence[Any]) -> list[Any]:
    """A7: objects whose keys all have lists of choices."""
    return [
        {key: item if isinstance(item, list) else [item] for key, item in alternative.items()}
        if type(alternative) is dict
        else alternative
        for alternative in alternatives
    ]


def null_among_answers(value: Any, alternatives: Sequence[Any]) -> Sequence[Any]:
    """A5: only null for null, and everything else for everything else."""
    if value is None and None in alternatives:
        return [None]
    return [alternative for alternative in alternatives if alternative is not None]


def answers_of_its_type(value: Any, alternatives: Sequence[Any]) -> Sequence[Any]:
    """A6: where answers have several types, null apart, those of the value's type."""
    others = {type(item) for item in alternatives if item != "" and item is not None}
    if len(others) < 2 or type(value) not in others:
        return alternatives
    return [item for item in alternatives if item == "" or type(item) is type(value)]


def without_empty_list(value: Any, alternatives: Sequence[Any]) -> Sequence[Any]:
    """A1: for an empty list, the mark "may be left out" is no accepted answer."""
    return _unmarked(alternatives) if value == [] and type(value) is list else alternatives


def typed_items(
    value: Any, alternatives: Sequence[Any], item_declared: str
) -> tuple[Any, Sequence[Any]]:
    """A2: for a list, the mark does not turn off the items' test; integers count as floats."""
    if type(value) is not list or not value:
        return value, alternatives
    if item_declared == "float":
        value = [_as_float(item) for item in value]
    return value, _unmarked(alternatives)


def without_empty_string(value: Any, alternatives: Sequence[Any]) -> Sequence[Any]:
    """A3: for a string of nothing but ignored characters, what is exactly that string.

    `""` stays an answer where it is the only one.
    """
    if type(value) is not str or normal(value):
        return alternatives
    return [
        item
        for item in _unmarked(alternatives) or alternatives
        if item == value or type(item) is not str or normal(item)
    ]


def truths_apart(value: Any, alternatives: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
    """A4: in objects, and lists of them, booleans that equal no number."""
    if type(value) is not dict and not _has_objects(value):
        return value, alternatives
    return _with_truths(value), [_with_truths(item) for item in alternatives]


@lru_cache(maxsize=64)
def adapter(fixes: frozenset[str]) -> Adapter | None:
    """The fixes of comparing as one function; None if there are none among `fixes`."""
    chosen = fixes & {"A1", "A2", "A3", "A4", "A5", "A6", "A7"}
    if not chosen:
        return None

    def adapt(
        value: Any, alternatives: Sequence[Any], item_declared: str
    ) -> tuple[Any, Sequence[Any]]:
        if "A7" in chosen:
            alternatives = whole_choices(alternatives)
        if "A5" in chosen:
            alternatives = null_among_answers(value, alternatives)
        if "A6" in chosen:
            alternatives = answers_of_its_type(value, alternatives)
        if "A1" in chosen:
            alternatives = without_empty_list(value, alternatives)
        if "A2" in chosen:
            value, alternatives = typed_items(value, alternatives, item_declared)
        if "A3" in chosen:
            alternatives = without_empty_string(value, alternatives)
        if "A4" in chosen:
            value, alternatives = truths_apart(value, alternatives)
        return value, alternatives

    return adapt


def unmatched_answer(fits: Sequence[Sequence[bool]]) -> int | None:
    """A8: an answer that is left over in every best matching of answers and calls, or None.

    `fits[answer][call]` says which call fits which answer.
    """
    taken_by: dict[int, int] = {}

    def place(answer: int, seen: set[int]) -> bool:
        for call, fit in enumerate(fits[answer]):
            if fit and call not in seen:
                seen.add(call)
                if call not in taken_by or place(taken_by[call], seen):
                    taken_by[call] = answer
                    return True
        return False

    return next((answer for answer in range(len(fits)) if not place(answer, set())), None)


def relevance_verdict(
    result: object,
    decoded: object,
    functions: Sequence[Mapping[str, Any]],
    category: str,
    underscore_to_dot: bool = False,
    *,
    fixes: frozenset[str] = STRICT_FIXES,
) -> Outcome:
    """The verdict on an entry of irrelevance or relevance.

    `result` is what the model gave, `decoded` what was read of it, None when it could not be read.
    With R1 an attempt that could not be read is wrong in both; with R2 a call of a function that
    was not offered is no call where one is due.
    """
    if "R1" in fixes and not is_call_list(decoded) and is_attempt(result, functions):
        abstain = "irrelevance" in category
        return Outcome(
            False,
            "irrelevance_error:decoder_success" if abstain else "relevance_error:decoder_failed",
            (f"an attempt to call that cannot be read: {shown(result)}",),
            rules.DECODE,
        )
    called = has_calls(decoded)
    if called and "R2" in fixes and "irrelevance" not in category and isinstance(decoded, list):
        offered = {_shown_name(function, underscore_to_dot) for function in functions}
        called = any(name in offered for call in decoded for name in call)
    return check_relevance(called, category, decoded)


_CALL_AT_START = re.compile(r"(?:[a-zA-Z]+\s)?\[?\s*[A-Za-z_][\w.]*\(")


def is_attempt(result: object, functions: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an output that could not be read was meant as a call.

    Anything but text is; text is if it begins as a call does, or as a list with a bracket in it
    that also ends as one, or has the name of an offered function where a call would have it.
    """
    if not isinstance(result, str):
        return bool(result)
    text = result.strip("`\n ")
    if _CALL_AT_START.match(text) or (text[:1] == "[" and text[-1:] == "]" and "(" in text):
        return True
    names = [_shown_name(function, under) for function in functions for under in (False, True)]
    return any(f"{name}(" in result or f'"{name}"' in result for name in names)


def deciding_fixes(check: Callable[[frozenset[str]], Outcome]) -> tuple[str, ...]:
    """The fixes that make the strict verdict of an entry differ from the official one.

    `check` scores the entry under a set of fixes. None when both verdicts are the same, else a
    set from which no fix can be taken without the difference being lost.
    """
    official = check(frozenset()).valid
    if check(STRICT_FIXES).valid is official:
        return ()
    needed = STRICT_FIXES
    for fix in FIXES:
        if check(needed - {fix}).valid is not official:
            needed -= {fix}
    return tuple(fix for fix in FIXES if fix in needed)


def _unmarked(alternatives: Sequence[Any]) -> list[Any]:
    return [alternative for alternative in alternatives if alternative != ""]


def _as_float(item: Any) -> Any:
    try:
        return float(item) if type(item) is int else item
    except OverflowError:
        return item


def _has_objects(value: Any) -> bool:
    return type(value) is list and any(type(item) is dict for item in value)


def _with_truths(value: Any) -> Any:
    if type(value) is bool:
        return _Truth(value)
    if type(value) is list:
        return [_with_truths(item) for item in value]
    if type(value) is dict:
        return {key: _with_truths(item) for key, item in value.items()}
    return value


def _shown_name(function: Mapping[str, Any], underscore_to_dot: bool) -> str:
    name: str = function["name"]
    return name.replace(".", "_") if underscore_to_dot else name
