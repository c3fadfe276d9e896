"""Training rows: a prompt as serving sends it, and what the model must write after it. Pure.

Rows are token ids from here on. No data-set library sees tools or arguments as structures (it
would give every tool every other tool's properties), and no trainer tokenises text again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from callsmith import (
    CallsmithError,
    JsonValue,
    Message,
    Prompt,
    PromptTokens,
    RenderError,
    Task,
    Template,
    ToolCall,
    completion_after,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRow:
    """One row. `completion` is the text of `completion_ids`, its end token included."""

    task: Task
    prompt: Prompt
    completion: str
    prompt_ids: list[int]
    completion_ids: list[int]

    def __len__(self) -> int:
        """Tokens of prompt and completion together."""
        return len(self.prompt_ids) + len(self.completion_ids)


def training_rows(
    tasks: Iterable[Task], template: Template, tokens: PromptTokens, *, thinking: bool = False
) -> tuple[list[TrainRow], list[tuple[Task, str]]]:
    """The rows of tasks, and the tasks that were refused, each with one line that says why."""
    rows: list[TrainRow] = []
    refused: list[tuple[Task, str]] = []
    for task in tasks:
        try:
            rows.append(training_row(task, template, tokens, thinking=thinking))
        except CallsmithError as error:
            refused.append((task, " ".join(str(error).split())))
    return rows, refused


def training_row(
    task: Task, template: Template, tokens: PromptTokens, *, thinking: bool = False
) -> TrainRow:
    """The row of one task. Raises `RenderError` for what cannot be learnt as it is."""
    message = target_message(task)
    prompt = prompt_of(task, template, thinking=thinking)
    completion = completion_prompt(task, template, message, thinking=thinking)
    _check_reading(task, template, message, prompt, completion.text)
    return TrainRow(
        task=task,
        prompt=prompt,
        completion=completion.text,
        prompt_ids=tokens.encode(prompt),
        completion_ids=tokens.encode(completion),
    )


def prompt_of(task: Task, template: Template, *, thinking: bool = False) -> Prompt:
    """The prompt of a task: what a run with this template sends. `thinking` as in `Sampling`."""
    return template.render(task.messages, task.tools, thinking=thinking)


def target_message(task: Task) -> Message:
    """The assistant message that a task's target describes. Raises `RenderError` if there is none.

    `calls` are written as they stand; where the target accepts several values, the first is
    learnt, and what may be left out is. `answer` is text, alone or before the calls. `reasoning`
    is the thought that stands first.
    """
    target = task.target
    answer, reasoning = target.get("answer"), target.get("reasoning")
    calls = target.get("calls") or []
    if not isinstance(calls, list):
        raise RenderError("the target's `calls` is no list")
    if calls and target.get("answer_only") is True:
        raise RenderError("the target has calls and says answer_only; leave one out")
    made = tuple(_call(row) for row in calls if not _optional(row))
    if not made and not (isinstance(answer, str) and answer):
        raise RenderError(
            "the target has nothing to learn; give it `calls`, or `answer` with the text"
        )
    return Message(
        role="assistant",
        content=answer if isinstance(answer, str) and answer else None,
        reasoning=reasoning if isinstance(reasoning, str) and reasoning else None,
        tool_calls=made,
    )


def completion_of(
    task: Task, template: Template, message: Message, *, thinking: bool = False
) -> str:
    """What the template writes for an assistant message after the task's prompt.

    Up to and including the first stop string behind it. Raises `RenderError` where the template
    refuses the message, writes no stop string, or changes the prompt once an answer follows (then
    nothing would be what serving lets the model write).
    """
    return completion_prompt(task, template, message, thinking=thinking).text


def completion_prompt(
    task: Task, template: Template, message: Message, *, thinking: bool = False
) -> Prompt:
    """The same, with the origin of its characters, so that content forms no control tokens."""
    return completion_after(template, task.messages, task.tools, message, thinking=thinking)


def _optional(row: JsonValue) -> bool:
    return isinstance(row, Mapping) and row.get("optional") is True


def _call(row: JsonValue) -> ToolCall:
    if isinstance(row, Mapping) and isinstance(options := row.get("any_of"), list) and options:
        row = options[0]
    if not isinstance(row, Mapping) or not isinstance(name := row.get("name"), str) or not name:
        raise RenderError(f"a gold call has no name: {row!r:.80}")
    arguments = row.get("arguments", {})
    if not isinstance(arguments, Mapping):
        raise RenderError(f"the arguments of the gold call {name} are no object")
    return ToolCall(
        name=name, arguments={key: _value(name, value) for key, value in arguments.items()}
    )


def _value(name: str, value: JsonValue) -> JsonValue:
    """A concrete value where the target accepts several, at any depth; see `calls-match`."""
    if isinstance(value, list):
        return [_value(name, one) for one in value]
    if not isinstance(value, Mapping):
        return value
    if len(value) == 1:
        if value.get("anything") is True:
            raise RenderError(
                f"the gold call {name} accepts anything for an argument; a row to learn needs a "
                "value"
            )
        if "exactly" in value:
            return value["exactly"]
        options = value.get("any_of")
        if isinstance(options, list) and options:
            return _value(name, options[0])
    return {key: _value(name, one) for key, one in value.items()}


def _check_reading(
    task: Task, template: Template, message: Message, prompt: Prompt, completion: str
) -> None:
    """Refuses what the template's own parser does not read back: it could never be judged right."""
    for stop in template.stop:
        completion = completion.removesuffix(stop)
    reply = template.parse(completion, task.tools, after=prompt)
    if reply.faults or reply.repairs:
        kind = [*(one.kind for one in reply.faults), *(one.kind for one in reply.repairs)][0]
        raise RenderError(f"the template's parser cannot read its own text as it is: {kind}")
    wanted = [(call.name, call.arguments) for call in message.tool_calls]
    found = [(call.name, call.arguments) for call in reply.calls]
    if wanted != found:
        raise RenderError(f"written as {wanted!r:.120}, the template's parser reads {found!r:.120}")
