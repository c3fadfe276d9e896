"""From a completion to the trace that a run would have made of it. Pure, imports no PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from callsmith import Completion, Halt, Prompt, PromptTokens, Task, Template, ToolCall, Trace, Turn


def trace_of(
    task: Task,
    template: Template,
    text: str,
    *,
    prompt: Prompt | None = None,
    cut: bool = False,
    thinking: bool = False,
) -> Trace:
    """The one-turn trace of a completion's text, as an arm and the agent loop would make it.

    `text` may end with what ends a turn; as an engine does, it is read up to the first of the
    template's stop strings. `cut` says that the token limit ended it. `prompt` is the task's, if
    it is at hand.
    """
    places = [place for stop in template.stop if stop and (place := text.find(stop)) >= 0]
    text = text[: min(places)] if places else text
    prompt = prompt or template.render(task.messages, task.tools, thinking=thinking)
    reply = template.parse(text, task.tools, after=prompt)
    completion = Completion(text=text, stop_reason="length" if cut else "stop")
    reply = replace(
        reply,
        calls=with_ids(reply.calls),
        completion=completion,
        prompt=prompt,
        notes=reply.notes + prompt.changes,
    )
    halt: Halt = "cut" if cut else "calls" if reply.calls else "answered"
    turn = Turn(sent=task.messages, reply=reply)
    return Trace(arm="training", task=task.id, sample=0, turns=(turn,), halt=halt)


def trace_of_ids(
    task: Task,
    template: Template,
    tokens: PromptTokens,
    ids: Sequence[int],
    ends: frozenset[int],
    *,
    prompt: Prompt | None = None,
    thinking: bool = False,
) -> Trace:
    """The same from token ids; without one of `ends` at the end, the limit cut the completion."""
    ended = bool(ids) and ids[-1] in ends
    text = tokens.decode(ids[:-1] if ended else ids)
    return trace_of(task, template, text, prompt=prompt, cut=not ended, thinking=thinking)


def with_ids(calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    """Calls with the ids that the agent loop gives them in the first step of an episode."""
    seen: set[str] = set()
    made: list[ToolCall] = []
    for index, call in enumerate(calls):
        if call.id is None or call.id in seen:
            call = replace(call, id=f"call_0_{index}")
        seen.add(call.id or "")
        made.append(call)
    return tuple(made)
