"""The final-answer check of memory and web search: local text matching.

Running these categories needs a search service or embedding models; scoring a final answer needs
neither.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from callsmith_bfcl.outcome import Outcome, shown

INFERENCE_ERROR = "agentic:inference_error"
NO_LAST_MESSAGE = "agentic:no_last_message"
ANSWER_NOT_FOUND = "agentic:answer_not_found"

RULES: Mapping[str, str] = {
    "answer": "An accepted answer must occur in the final message, between word boundaries.",
    "not-one-turn": "The result must be a list of one turn; else generation has failed.",
    "last-message": "Some step must be a message without a call: the final answer.",
}
"""What `Outcome.rule` says of a memory or web search entry."""

_DROPPED = str.maketrans("'", '"', ",./-_*^()")


def normalized(text: str) -> str:
    """The text without `, . / - _ * ^ ( )`, in lower case, with double quotes. Spaces stay."""
    # Lower case first or last is the same here: no letter becomes one of the dropped characters.
    return text.translate(_DROPPED).lower()


def check_answer(answers: Sequence[str], message: object) -> Outcome:
    """Whether an accepted answer occurs in the final message, between word boundaries.

    A list stands for its first item, and what is no text for its `str`, as officially.
    """
    if isinstance(message, list) and message:
        message = message[0]
    said = normalized(message if isinstance(message, str) else str(message))
    for answer in answers:
        if _occurs(normalized(answer), said):
            return Outcome(True, None, (), "answer")
    wanted = " or ".join(shown(answer) for answer in answers)
    return Outcome(
        False,
        ANSWER_NOT_FOUND,
        (f"the final answer {shown(message)} does not hold {wanted}",),
        "answer",
    )


def check_agentic(
    answers: Sequence[str],
    result: object,
    decode: Callable[[object], Sequence[str]],
) -> Outcome:
    """The verdict on the result of an entry: one turn, a list of steps as the model said them.

    `decode` turns a step into call strings and raises `ValueError` (or a subclass, such as
    `DecodeError`) when it is no call. The last step that holds no call is the final answer.
    """
    if not isinstance(result, list) or len(result) != 1:
        said = f"the result is no list of one turn but {shown(result)}"
        return Outcome(False, INFERENCE_ERROR, (said,), "not-one-turn")
    last: object = None
    steps = result[0] if isinstance(result[0], (list, str)) else []
    for step in steps:
        try:
            calls = decode(step)
        except ValueError:
            last = step
        else:
            if not calls or (len(calls) == 1 and not calls[0]):
                last = step
    if not last:
        said = "no step is a message without a call"
        return Outcome(False, NO_LAST_MESSAGE, (said,), "last-message")
    return check_answer(answers, last)


def _occurs(answer: str, text: str) -> bool:
    return re.search(rf"\b{re.escape(answer)}\b", text) is not None
