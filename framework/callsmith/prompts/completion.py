"""What a model should write: the part of a rendered conversation that follows its own prompt.

One rule for looking at data and for training on it, so that what is shown is what is trained.
"""

from __future__ import annotations

from collections.abc import Sequence

from callsmith.errors import RenderError
from callsmith.protocols import Template
from callsmith.types import Message, Prompt, Segment, ToolSpec


def completion_after(
    template: Template,
    messages: Sequence[Message],
    tools: Sequence[ToolSpec],
    answer: Message,
    *,
    thinking: bool = False,
) -> Prompt:
    """What the template writes for the assistant message `answer` after the prompt of `messages`.

    Up to and including the first stop string that the template itself writes behind it; the
    segments say which characters are content. `thinking` as in `Sampling`. Raises `RenderError`
    where the template refuses the message, writes no stop string, or changes the prompt once an
    answer follows (then nothing would be what serving lets the model write).
    """
    prompt = template.render(messages, tools, thinking=thinking).text
    whole = template.render(
        (*messages, answer), tools, thinking=thinking, add_generation_prompt=False
    )
    start = len(prompt)
    if not whole.text.startswith(prompt):
        history = template.render(
            messages, tools, thinking=thinking, add_generation_prompt=False
        ).text
        start = _behind_opening(prompt, history, whole.text)
    tail = cut_prompt(whole, start, len(whole.text))
    end = _end(tail, template.stop)
    if end is None:
        raise RenderError(
            "the template ends the turn with none of its stop strings "
            f"({', '.join(map(repr, template.stop)) or 'it has none'}), so a model trained on it "
            "would never stop"
        )
    return cut_prompt(tail, 0, end)


def cut_prompt(prompt: Prompt, start: int, end: int) -> Prompt:
    """The characters [start, end) of a prompt, with their origins."""
    found: list[Segment] = []
    place = 0
    for segment in prompt.segments:
        text = segment.text[max(0, start - place) : max(0, end - place)]
        if text:
            found.append(Segment(text=text, origin=segment.origin))
        place += len(segment.text)
    return Prompt(segments=tuple(found), changes=prompt.changes)


def _behind_opening(prompt: str, history: str, whole: str) -> int:
    """Where the answer begins in `whole`, which does not begin with the prompt."""
    if not (whole.startswith(history) and prompt.startswith(history)):
        raise RenderError(
            "the template changes the prompt once an answer follows, so the completion cannot be "
            "told apart"
        )
    # The generation prompt has lines that a finished turn has not (an empty thought): the turn
    # still opens with the same line, and what follows it is the completion.
    opening, turn = prompt[len(history) :], whole[len(history) :]
    line = opening[: opening.find("\n") + 1]
    if not line or not turn.startswith(line):
        raise RenderError("a turn does not open as the prompt for one does")
    return len(history) + len(line)


def _end(tail: Prompt, stops: Sequence[str]) -> int | None:
    """Where the turn ends: behind the first stop string that the template itself wrote."""
    place = 0
    for segment in tail.segments:
        if segment.origin == "control":
            ends = [
                (found, found + len(stop))
                for stop in stops
                if stop and (found := segment.text.find(stop)) >= 0
            ]
            if ends:
                return place + min(ends)[1]
        place += len(segment.text)
    return None
