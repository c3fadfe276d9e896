"""One entry and what a model gave for it: decoded, checked, and never an exception.

This is the one door to all checkers. `Handler` says how results are read; `score_entry` picks the
decoder and the checker by the entry's category.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, cast

from callsmith_bfcl.categories import CATEGORIES
from callsmith_bfcl.checking.calls import check_calls
from callsmith_bfcl.checking.relevance import check_relevance, has_calls
from callsmith_bfcl.checking.rules import DECODE
from callsmith_bfcl.data import Entry
from callsmith_bfcl.decoding import (
    DecodeError,
    ReturnFormat,
    decode_execute,
    decode_function_calls,
    decode_text,
    render_function_calls,
)
from callsmith_bfcl.outcome import Outcome, shown

if TYPE_CHECKING:
    from callsmith import Reply
    from callsmith_bfcl.multi_turn import MultiTurnChecker

DECODER_FAILED = "ast_decoder:decoder_failed"
SCORER_ERROR = "scorer_error"
"""The error type of an entry whose scoring raised. Not official: that scorer stops there."""
MISSING_RESULT = "missing_result"
"""The error type of an entry without a result. Not official: that scorer stops there."""

Mode = Literal["prompting", "fc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """How a model's results are read.

    - `mode`: "prompting" for text in the format that the prompt asks for, "fc" for lists of
      `{name: JSON text}` (which `official_result` makes of a `Reply`).
    - `underscore_to_dot`: the model was shown `_` for each `.` of a function's name.
    - `fixes`: official behaviours that are turned off; `callsmith_bfcl.strict` lists them.
    - `multi_turn`: carries out multi-turn calls; needed for these categories only.
    """

    mode: Mode
    underscore_to_dot: bool = False
    fixes: frozenset[str] = frozenset()
    multi_turn: MultiTurnChecker | None = None


def score_entry(entry: Entry, result: object, handler: Handler) -> Outcome:
    """The verdict on the result of one entry, as it stands in a result file. Never raises.

    Whatever goes wrong here becomes an outcome of the type `scorer_error`.
    """
    return score_and_decode(entry, result, handler)[0]


def score_and_decode(entry: Entry, result: object, handler: Handler) -> tuple[Outcome, object]:
    """`score_entry`, with what the output was decoded to.

    That is a value of any form for single-turn entries, None when it could not be decoded, and
    None for conversations.
    """
    decoded: object = None
    try:
        checker = CATEGORIES[entry.category].checker
        if checker == "multi_turn":
            return _score_multi_turn(entry, result, handler), None
        if checker == "agentic":
            return _score_agentic(entry, result, handler), None
        try:
            decoded = decode_calls(entry, result, handler)
        except DecodeError as error:
            if checker == "ast":
                return Outcome(False, DECODER_FAILED, (str(error),), DECODE), None
            return _score_relevance(entry, result, None, handler), None
        if checker == "ast":
            return _score_calls(entry, decoded, handler), decoded
        return _score_relevance(entry, result, decoded, handler), decoded
    except Exception as error:
        said = f"scoring stopped: {type(error).__name__}: {shown(str(error))}"
        return Outcome(False, SCORER_ERROR, (said,), SCORER_ERROR), decoded


def decode_calls(entry: Entry, result: object, handler: Handler) -> object:
    """What the output of a single-turn entry says, for the checkers. Raises `DecodeError`.

    Normally a list of `{name: arguments}`, but a decoder may give any value.
    """
    if handler.mode == "fc":
        return decode_function_calls(result)
    if entry.category == "format_sensitivity":
        return_format, tagged = _requested(entry.prompt_format)
        return decode_text(result, return_format, tool_call_tag=tagged, fixes=handler.fixes)
    return decode_text(result, CATEGORIES[entry.category].language, fixes=handler.fixes)


@lru_cache(maxsize=64)
def _requested(prompt_format: str) -> tuple[ReturnFormat, bool]:
    """The return format of a configuration, and whether it asks for the tool-call tag."""
    options = dict(part.split("=", 1) for part in prompt_format.split("&"))
    return cast(ReturnFormat, options["ret_fmt"]), options["tool_call_tag"] == "True"


def decode_step(step: object, handler: Handler) -> list[str]:
    """The calls of one step of a conversation, each as source text. Raises `DecodeError`."""
    if handler.mode == "fc":
        return render_function_calls(step)
    return decode_execute(step, fixes=handler.fixes)


def decode_turns(result: object, handler: Handler) -> object:
    """The result of a conversation with every step decoded; steps without calls are dropped.

    What is no list of turns is returned as it is.
    """
    if not isinstance(result, list):
        return result
    return [_decode_turn(turn, handler) for turn in result]


def _decode_turn(turn: object, handler: Handler) -> list[list[str]]:
    steps: list[list[str]] = []
    for step in turn if isinstance(turn, list) else ():
        try:
            calls = decode_step(step, handler)
        except DecodeError:
            continue
        if calls and calls != [""]:
            steps.append(calls)
    return steps


def _score_calls(entry: Entry, decoded: object, handler: Handler) -> Outcome:
    return check_calls(
        entry.functions,
        decoded,
        entry.ground_truth,
        CATEGORIES[entry.category].language,
        # Officially the last part of the id stands for the category here.
        entry.original_id if entry.category == "format_sensitivity" else entry.category,
        handler.underscore_to_dot,
        fixes=handler.fixes,
    )


def _score_relevance(entry: Entry, result: object, decoded: object, handler: Handler) -> Outcome:
    if not handler.fixes:
        return check_relevance(has_calls(decoded), entry.category, decoded)
    from callsmith_bfcl.strict import relevance_verdict

    dots = handler.underscore_to_dot
    return relevance_verdict(
        result, decoded, entry.functions, entry.category, dots, fixes=handler.fixes
    )


def _score_multi_turn(entry: Entry, result: object, handler: Handler) -> Outcome:
    if handler.multi_turn is None:
        raise ValueError("the handler has no multi-turn checker")
    checker = handler.multi_turn.literal() if "M3" in handler.fixes else handler.multi_turn
    return checker.check(entry, decode_turns(result, handler))


def _score_agentic(entry: Entry, result: object, handler: Handler) -> Outcome:
    from callsmith_bfcl.agentic import check_agentic

    return check_agentic(entry.ground_truth, result, lambda step: decode_step(step, handler))


def official_result(reply: Reply) -> list[dict[str, str]] | str:
    """A reply of one of our arms in the form that a function-calling result file holds.

    That is a list of `{name: JSON text of the arguments}`, or the text when there is no call. A
    reply with a call that could not be read is text too: what cannot be read is not scored by the
    part of it that can.
    """
    if reply.faults or not reply.calls:
        return "".join([reply.content, *(fault.raw for fault in reply.faults)])
    return [{call.name: _argument_text(call.arguments)} for call in reply.calls]


def _argument_text(arguments: Any) -> str:
    return json.dumps(arguments, ensure_ascii=False)
