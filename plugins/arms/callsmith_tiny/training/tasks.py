"""`generated-conversations`: the generator's conversations as tasks and training rows.

A task's prompt is an example's conversation, and its target what the model is to do: `calls`, or
`answer_only` with the text in `answer`. Rendered by Gemma 4's template (variant `small`) a task is
byte for byte the generator's prompt, so that training and the embedded model's own see one text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from callsmith import Message, Task, ToolCall, ToolSpec

from .conversations import ConversationsConfig, Part
from .generator import Example, Generator
from .mixes import DOCUMENTED, EASY, EVERYDAY, FIRST, FULL, HARD, MIDDLE, NATURAL, PLAIN, QUICK, Mix

MIXES: dict[str, Mix] = {
    "first": FIRST,
    "quick": QUICK,
    "easy": EASY,
    "middle": MIDDLE,
    "full": FULL,
    "natural": NATURAL,
    "plain": PLAIN,
    "hard": HARD,
    "everyday": EVERYDAY,
    "documented": DOCUMENTED,
}


class GeneratedConversations:
    """Conversations by seed and index: the same options give the same tasks on every machine.

    Indices run on through the parts, so that no two tasks come from one draw, and a part that is
    added at the end changes none before it. Conversations of `train` and `heldout` share no word
    in names and values, but the fixed sentences of small talk and system prompts are the same.
    """

    def __init__(self, config: ConversationsConfig | None = None) -> None:
        self.config = config or ConversationsConfig()

    def tasks(self) -> Iterable[Task]:
        """The tasks, part by part."""
        return [as_task(example, id, part.mix) for example, id, part in self._examples()]

    def examples(self) -> list[Example]:
        """The generator's own examples that `tasks` are made of, in the same order."""
        return [example for example, _, _ in self._examples()]

    def _examples(self) -> Iterator[tuple[Example, str, Part]]:
        config = self.config
        generator = Generator(config.split, config.seed)
        index = config.start
        for part in config.all_parts:
            mix = mix_of(part)
            place = f"{config.split}-{config.seed}-{name_of(part)}"
            for at in range(index, index + part.count):
                yield generator.example(at, mix), f"{place}-{at}", part
            index += part.count


def mix_of(part: Part) -> Mix:
    """The mix of a part, narrowed to what the part asks for."""
    mix = MIXES[part.mix]
    if part.kinds:
        # A kind that the mix never draws is asked for by name: it gets the weight of the full mix.
        weights: dict[str, float] = {
            kind: mix.kinds.get(kind) or FULL.kinds[kind] for kind in part.kinds
        }
        mix = replace(mix, kinds=weights)
    if part.arguments:
        mix = replace(mix, argument_counts=dict.fromkeys(part.arguments, 1.0))
    if part.tools:
        mix = replace(mix, tool_counts=part.tools)
    return mix


def name_of(part: Part) -> str:
    """What tells two parts apart in ids: the mix, and what narrows it."""
    names: list[str] = [part.mix, *part.kinds]
    if part.arguments:
        names.append("a" + "".join(map(str, part.arguments)))
    if part.tools:
        names.append("t" + "".join(map(str, part.tools)))
    return "-".join(names)


def as_task(example: Example, id: str, mix: str) -> Task:
    """One example as a task.

    Its tags are the kind, the cell (mix and kind; mix and number of arguments for a single call)
    and, where a request was phrased, how: `named`, `value_first`, `bare`, `mixed`.
    """
    messages: list[Message] = []
    open_calls: list[ToolCall] = []
    for number, message in enumerate(example.messages):
        calls = tuple(
            ToolCall(name=call["name"], arguments=call["arguments"], id=f"call_{number}_{place}")
            for place, call in enumerate(message.get("tool_calls", ()))
        )
        open_calls += calls
        answered = open_calls.pop(0) if message["role"] == "tool" else None
        messages.append(
            Message(
                role=message["role"],
                content=message.get("content"),
                tool_calls=calls,
                tool_call_id=answered.id if answered else None,
                name=answered.name if answered else None,
            )
        )
    cell = f"{mix}/{example.kind}"
    if example.kind == "single":
        cell = f"{mix}/{len(example.calls[0][1])}"
    return Task(
        id=id,
        messages=tuple(messages),
        tools=tuple(
            ToolSpec(
                name=tool["name"], description=tool["description"], parameters=tool["parameters"]
            )
            for tool in example.tools
        ),
        target=(
            {"calls": [{"name": name, "arguments": values} for name, values in example.calls]}
            if example.calls
            else {"answer_only": True, "answer": example.answer}
        ),
        tags=(example.kind, cell, *([example.phrase] if example.phrase else ())),
    )
