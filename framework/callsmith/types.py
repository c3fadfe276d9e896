"""The values that every part of Callsmith speaks in.

All of them are frozen, slotted, keyword-only dataclasses of the standard library. What a model
emitted is *data* here: arguments of the wrong type, unreadable calls and cut answers are values,
never exceptions. `callsmith.codec` turns any of them into JSON and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
"""Anything that JSON can say."""

Role: TypeAlias = str
"""`system`, `developer`, `user`, `assistant` or `tool`; others pass through to the template."""

Halt = Literal["answered", "calls", "step_budget", "cut", "error"]
"""Why an episode ended: the model answered in text; it asked for calls and the task has no
toolbox to run them; the step budget was used up; the completion hit its token limit; or something
failed (the trace's `error` says what)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as the model is shown it.

    `parameters` is JSON Schema and is never rebuilt through another model of it; None means that
    the tool was declared without any. `response` is the schema of the result, for the few formats
    that declare one.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, JsonValue] | None = None
    response: JsonValue = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call that was read out of a model's output, or that stands in a conversation.

    `arguments` is whatever JSON value was read and is never validated: a list, a string or null
    is a finding, not an exception. `raw` is the text it was read from ("" if there was none).
    `id` is the server's id, or the one that the agent loop gave it.
    """

    name: str
    arguments: JsonValue = field(default_factory=dict)
    raw: str = ""
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Text that began as a call (or a channel) and could not be read. Never dropped, never raised.

    `span` is the half-open character range [start, end) in the completion's text.
    """

    kind: str
    raw: str
    detail: str = ""
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """A place where the reading had to mend the text; strict users refuse replies that have any.

    `kind` is a stable name of the rule, `detail` says what was done, `span` as in `Fault`.
    """

    kind: str
    detail: str = ""
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message that goes in.

    `content` is text, None, a list of content parts in the OpenAI shape
    (`{"type": "text", "text": …}`, `{"type": "image", …}`), or, for role `tool`, any JSON value.
    For role `tool`, `tool_call_id` anchors the result to its call and `name` is the tool's name.
    """

    role: Role
    content: JsonValue = None
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None


Origin = Literal["control", "content"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A piece of a rendered prompt: written by the template (`control`) or by someone else."""

    text: str
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A rendered prompt that remembers who wrote which characters.

    `changes` has a line for everything in the conversation that the prompt does not hold as it
    was: what the control-text policy `neutralise` broke, and what the template leaves out.
    """

    segments: tuple[Segment, ...]
    changes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The prompt as one string, byte-identical to what the model is given."""
        return "".join([segment.text for segment in self.segments])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are drawn: one set for all arms of a run.

    `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 are off; `max_tokens` bounds one completion;
    `stop` are strings that end a completion and are not part of its text. `thinking` says whether
    the model is asked to think first: it stands here because arms are comparable only if all of
    them ask for the same thing, always explicitly.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 512
    seed: int = 0
    stop: tuple[str, ...] = ()
    thinking: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Token counts as the runtime reported them; None where it did not."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What an engine returned, verbatim.

    `stop_reason` is the runtime's own word (`stop`, `length`, …); `length` means cut at the token
    limit. `timings` are seconds by name. `logprobs` are natural logarithms, one per token id.
    """

    text: str
    stop_reason: str | None = None
    usage: Usage = Usage()
    timings: Mapping[str, float] = field(default_factory=dict)
    token_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What was read out of a completion, and where the reading had to mend the text.

    `completion` is None when the server parsed and showed no text; `prompt` is None when the
    server rendered and did not show it. `notes` are degradations that the arm reports.
    """

    content: str = ""
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    faults: tuple[Fault, ...] = ()
    repairs: tuple[Repair, ...] = ()
    completion: Completion | None = None
    prompt: Prompt | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentDelta:
    """Visible text, as it streams."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningDelta:
    """A piece of a thought, as it streams."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallParsed:
    """A whole call, as soon as its end was read; `index` is its ordinal in the reply."""

    index: int
    call: ToolCall


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultFound:
    """A fault, as soon as it is certain."""

    fault: Fault


Event: TypeAlias = ContentDelta | ReasoningDelta | CallParsed | FaultFound


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """What the user says after an answer. `tools` are offered from then on; None: as before."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One question, or several in a row: each of `follow_ups` is said after an answer.

    `target` holds what verifiers check, by conventional keys: `calls` (gold calls, a list of
    `{"name": …, "arguments": {…}}`), `answer_contains` (a list of strings), `answer_only` (true
    when no tool should be called). `toolbox` names the tools' implementation; None means that
    the episode ends at the first calls.
    """

    id: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    target: Mapping[str, JsonValue] = field(default_factory=dict)
    toolbox: str | None = None
    tags: tuple[str, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What came back for one call: `content` is a JSON value; `error` marks a failed call."""

    call_id: str
    name: str
    content: JsonValue
    error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One request to an arm and what followed.

    `sent` are the messages that were new in this request (the whole conversation is the sum over
    the turns). `interventions` are what a guard did. `seconds` is wall time of the request.
    """

    sent: tuple[Message, ...]
    reply: Reply | None = None
    results: tuple[ToolResult, ...] = ()
    interventions: tuple[str, ...] = ()
    error: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Everything that happened in one episode; a failed episode is a trace with an error."""

    arm: str
    task: str
    sample: int
    turns: tuple[Turn, ...]
    halt: Halt
    error: str | None = None
    seconds: float = 0.0

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """All calls of the episode, in order."""
        return tuple(c for turn in self.turns if turn.reply for c in turn.reply.calls)

    @property
    def answer(self) -> str:
        """The visible text of the last turn ("" if there was none)."""
        last = self.turns[-1].reply if self.turns else None
        return last.content if last else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One verifier's judgement of one trace; `score` in [0, 1] is usable as a reward as it is."""

    verifier: str
    passed: bool
    score: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """What is known about how an arm runs its model; None means unknown, never a guess.

    Two arms may be ranked only if what both know agrees. `quantization` is a precision where
    nothing is quantised ("Q4_K_M", "nf4", "bf16"). `history` says how a conversation reaches the
    model: "prompt" (the whole rendered prompt at every step), "messages" (the whole conversation
    as messages, rendered by the runtime) or "continuation" (only what is new, on kept state).
    `sampling` says for names of `Sampling` what happens to them, "applied" or "ignored"; a name
    that is missing is unknown. `deviations` are known differences from what was asked for,
    `warnings` degradations that a reader must see; `details` is whatever else the runtime told.
    """

    runtime: str
    runtime_version: str | None = None
    model: str | None = None
    model_digest: str | None = None
    quantization: str | None = None
    context_length: int | None = None
    renderer: str | None = None
    parser: str | None = None
    template_digest: str | None = None
    tokenizer_digest: str | None = None
    history: Literal["prompt", "messages", "continuation"] | None = None
    sampling: Mapping[str, Literal["applied", "ignored"]] = field(default_factory=dict)
    deviations: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    details: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A trained model: a local folder, and the adapter on top of it if there is one."""

    path: str
    base: str | None = None
    adapter: str | None = None
    details: Mapping[str, JsonValue] = field(default_factory=dict)
