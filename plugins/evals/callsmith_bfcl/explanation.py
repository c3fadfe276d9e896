"""Why an entry is right or wrong: what was asked, what is accepted, what came, what decided."""

from __future__ import annotations

import ast
import difflib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from callsmith_bfcl.categories import CATEGORIES
from callsmith_bfcl.checking.calls import is_call_list
from callsmith_bfcl.checking.rules import RULES
from callsmith_bfcl.checking.values import normal
from callsmith_bfcl.data import Entry
from callsmith_bfcl.decoding import DecodeError
from callsmith_bfcl.outcome import Outcome
from callsmith_bfcl.scoring import (
    MISSING_RESULT,
    SCORER_ERROR,
    Handler,
    decode_step,
    decode_turns,
    score_and_decode,
)

_LONG_CALL = 5_000

OWN_RULES: Mapping[str, str] = {
    SCORER_ERROR: "Scoring stopped on this entry; that is a defect, and the entry counts as wrong.",
    MISSING_RESULT: "There is no result for this entry, so it counts as wrong.",
}


def rule_text(rule: str) -> str:
    """The sentence that explains a rule; the rule itself if there is none."""
    from callsmith_bfcl.agentic import RULES as ANSWER_RULES
    from callsmith_bfcl.multi_turn.checker import RULES as CONVERSATION_RULES

    for known in (RULES, CONVERSATION_RULES, ANSWER_RULES, OWN_RULES):
        if rule in known:
            return known[rule]
    return rule


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a result was read and judged.

    `calls` are the calls that were read, one a line (per turn, for conversations), `accepted` the
    accepted ones written so that they are as near to them as possible, `diff` the difference
    between the two in lines that begin with a space, `-` (accepted) or `+` (given).
    """

    outcome: Outcome
    calls: tuple[str, ...]
    accepted: tuple[str, ...]
    diff: tuple[str, ...]


def explain_result(entry: Entry, result: object, handler: Handler) -> Explanation:
    """The explanation of one result."""
    outcome, decoded = score_and_decode(entry, result, handler)
    kind = CATEGORIES[entry.category].kind
    if kind == "multi_turn":
        calls = _turn_lines(decode_turns(result, handler))
        accepted = _turn_lines([[turn] for turn in entry.ground_truth])
    elif kind == "agentic":
        calls = _agentic_lines(result, handler)
        return Explanation(outcome, calls, tuple(f"answer: {x}" for x in entry.ground_truth), ())
    else:
        given: list[Mapping[str, Any]] = decoded if is_call_list(decoded) else []  # type: ignore[assignment]
        names = [_renamed(answer, handler) for answer in entry.ground_truth or ()]
        calls = _call_lines(given)
        accepted = _call_lines(nearest_calls(names, given, entry.functions))
    diff = () if outcome.valid else line_diff(accepted, calls)
    return Explanation(outcome, calls, accepted, diff)


def line_diff(accepted: Sequence[str], given: Sequence[str]) -> tuple[str, ...]:
    """All lines of both, those of only one marked with `-` (accepted) or `+` (given)."""
    lines: list[str] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, accepted, given, False).get_opcodes():
        if kind == "equal":
            lines += [f"  {line}" for line in accepted[a:b]]
        else:
            lines += [f"- {line}" for line in accepted[a:b]]
            lines += [f"+ {line}" for line in given[c:d]]
    return tuple(lines)


def _renamed(answer: Mapping[str, Any], handler: Handler) -> Mapping[str, Any]:
    if not handler.underscore_to_dot:
        return answer
    return {name.replace(".", "_"): accepted for name, accepted in answer.items()}


def nearest_calls(
    answers: Sequence[Mapping[str, Any]],
    given: Sequence[Mapping[str, Any]],
    functions: Sequence[Mapping[str, Any]],
) -> list[dict[str, dict[str, Any]]]:
    """One accepted form of each answer, as near to the given calls as there is.

    Answers take the calls of their name in order. A parameter that may be left out is there only
    if it was given, or if the function requires it all the same.
    """
    required: dict[str, Sequence[str]] = {}
    for doc in functions:
        for name in (doc["name"], doc["name"].replace(".", "_")):
            required[name] = doc["parameters"].get("required", ())
    free = list(given)
    found = []
    for answer in answers:
        ((name, accepted),) = answer.items()
        call = next((call for call in free if name in call), None)
        if call is not None:
            free.remove(call)
        arguments: Mapping[str, Any] = call[name] if call is not None else {}
        # In the order in which they were given, as a difference in order is none.
        order = [key for key in arguments if key in accepted]
        order += [key for key in accepted if key not in arguments]
        chosen = {}
        for key in order:
            due = "" not in accepted[key] or key in required.get(name, ())
            if key in arguments or due:
                chosen[key] = _nearest(accepted[key], arguments.get(key))
        found.append({name: chosen})
    return found


def _nearest(alternatives: Sequence[Any], given: Any) -> Any:
    for alternative in alternatives:
        if _accepts(alternative, given):
            return given
    real = [alternative for alternative in alternatives if alternative != ""]
    return _first_form(real[0]) if real else ""


def _accepts(alternative: Any, given: Any) -> bool:
    """Whether a value is an alternative. Objects have a list of choices for each of their keys."""
    if isinstance(alternative, dict) and isinstance(given, dict):
        return given.keys() <= alternative.keys() and all(
            any(_same(choice, given[key]) for choice in choices) if key in given else "" in choices
            for key, choices in alternative.items()
        )
    if isinstance(alternative, list) and isinstance(given, list | tuple):
        return len(alternative) == len(given) and all(map(_accepts, alternative, given))
    return _same(alternative, given)


def _same(choice: Any, given: Any) -> bool:
    if isinstance(choice, str) and isinstance(given, str):
        return normal(choice) == normal(given)
    same: bool = type(choice) is type(given) and choice == given
    return same


def _first_form(alternative: Any) -> Any:
    """The first accepted form of an object, or of a list of objects; else the value itself."""
    if isinstance(alternative, list):
        return [_first_form(item) for item in alternative]
    if not isinstance(alternative, dict):
        return alternative
    real = {
        key: [choice for choice in choices if choice != ""]
        for key, choices in alternative.items()
        if "" not in choices
    }
    return {key: choices[0] for key, choices in real.items() if choices}


def _call_lines(calls: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Each call with one argument a line, so that a difference shows the argument."""
    lines = []
    for call in calls:
        for name, arguments in call.items():
            if not arguments:
                lines.append(f"{name}()")
                continue
            lines.append(f"{name}(")
            lines += [f"    {key}={value!r}," for key, value in arguments.items()]
            lines.append(")")
    return tuple(lines)


def _turn_lines(turns: object) -> tuple[str, ...]:
    if not isinstance(turns, list):
        return (f"no list of turns: {turns!r}"[:200],)
    lines = []
    for number, steps in enumerate(turns):
        lines.append(f"turn {number}:")
        lines += [f"    {_one_spelling(call)}" for step in steps for call in step]
    return tuple(lines)


def _one_spelling(call: str) -> str:
    """A call with blanks and quotes as Python's own writer has them, so that only values differ."""
    if len(call) > _LONG_CALL:
        return call
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as an unknown escape in the model's string
            return ast.unparse(ast.parse(call, mode="eval"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return call


def _agentic_lines(result: object, handler: Handler) -> tuple[str, ...]:
    lines = []
    turns = result if isinstance(result, list) else []
    for step in turns[0] if turns and isinstance(turns[0], list) else []:
        try:
            calls = decode_step(step, handler)
        except DecodeError:
            calls = []
        lines.append(f"call: {', '.join(calls)}" if calls else f"message: {step}")
    return tuple(lines)
