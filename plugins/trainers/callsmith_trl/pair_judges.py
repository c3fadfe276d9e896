"""What a completion says and whether it is right: the job's template and its verifiers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from callsmith import CallsmithError, Message, Reply, Task, Template, ToolCall, Trace, Verifier
from callsmith_trl.pairs import Dropped, Written
from callsmith_trl.reading import trace_of
from callsmith_trl.rows import completion_prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Judges:
    """The template and the verifiers of a job: what a completion says, and whether it is right."""

    template: Template
    verifiers: Mapping[str, Verifier]
    thinking: bool = False

    def refusals(self, task: Task, trace: Trace) -> tuple[str, ...]:
        """`verifier: reason` of every verifier that does not pass the trace; none: it is right."""
        found: list[str] = []
        for name, verifier in self.verifiers.items():
            verdict = verifier.verify(task, trace)
            if not verdict.passed:
                found.append(f"{name}: {'; '.join(verdict.reasons)}")
        return tuple(found)

    def read(self, task: Task, text: str, *, cut: bool = False) -> Trace:
        """The trace of a completion of the task's prompt."""
        return trace_of(task, self.template, text, cut=cut, thinking=self.thinking)

    def write(self, task: Task, message: Message) -> Written:
        """A message as the template writes it. Raises `RenderError`."""
        made = completion_prompt(task, self.template, message, thinking=self.thinking)
        return Written(text=made.text, end=self.end(made.text), prompt=made)

    def end(self, text: str) -> str:
        """The stop string with which a text ends; "" if there is none."""
        ends = [stop for stop in self.template.stop if stop and text.endswith(stop)]
        return max(ends, key=len, default="")


def as_written(
    task: Task, reply: Reply, judges: Judges, dropped: Dropped
) -> tuple[Written | None, bool]:
    """The model's own text with what ended it, and whether it was cut."""
    completion = reply.completion
    said = Message(
        role="assistant",
        content=reply.content or None,
        reasoning=reply.reasoning or None,
        tool_calls=tuple(replace(call, raw="") for call in reply.calls),
    )
    try:
        if completion is None or not completion.text:
            # A server that parsed by itself shows no text: what it read is written again.
            if not reply.calls and not reply.content:
                dropped.add("empty completion", task.id)
                return None, False
            return judges.write(task, said), False
        if completion.stop_reason == "length":
            return Written(text=completion.text, token_ids=completion.token_ids), True
        end = judges.end(completion.text) or _end(task, reply, judges)
    except CallsmithError as error:
        dropped.add(f"cannot be written: {line(error)}", task.id)
        return None, False
    if reply.calls and not same_calls(judges.read(task, completion.text).calls, reply.calls):
        dropped.add("the text is of another format", task.id)
        return None, False
    text = completion.text.removesuffix(end) + end
    return Written(text=text, end=end, token_ids=completion.token_ids), False


def _end(task: Task, reply: Reply, judges: Judges) -> str:
    """What the template puts behind a message of this kind: a call, or an answer."""
    calls = (ToolCall(name=task.tools[0].name),) if reply.calls and task.tools else ()
    message = Message(role="assistant", content=None if calls else "x", tool_calls=calls)
    return judges.end(judges.write(task, message).text)


def same_calls(left: Sequence[ToolCall], right: Sequence[ToolCall]) -> bool:
    """Whether two lists say the same, in the same order."""
    return [(one.name, one.arguments) for one in left] == [
        (one.name, one.arguments) for one in right
    ]


def line(error: BaseException) -> str:
    """What an exception says, on one line."""
    text = " ".join(str(error).split())
    return text if len(text) <= 120 else text[:119] + "…"
