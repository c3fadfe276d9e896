"""What each kind of component can do. Nothing here is subclassed: matching methods are enough.

Arms and tool sessions are async. Rendering, parsing, verifying are pure and synchronous.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from callsmith.types import (
    Checkpoint,
    Completion,
    Event,
    Fidelity,
    JsonValue,
    Message,
    Prompt,
    Reply,
    Sampling,
    Task,
    ToolCall,
    ToolResult,
    ToolSpec,
    Trace,
    Verdict,
)


@runtime_checkable
class TextArm(Protocol):
    """A text engine: prompt in, completion out, control tokens kept in the text."""

    async def complete(self, prompt: Prompt, sampling: Sampling) -> Completion:
        """One completion. Raises `ArmError` (or a subclass) when the request failed."""
        ...

    def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncIterator[str | Completion]:
        """Pieces of text as they come; the last item is the whole `Completion`."""
        ...

    async def probe(self) -> Fidelity:
        """What is known about the runtime and the model."""
        ...

    async def aclose(self) -> None:
        """Gives back sessions, processes and memory. May be called twice."""
        ...


@runtime_checkable
class ChatArm(Protocol):
    """An arm that renders and parses by itself, or is given a template (`Templated`)."""

    async def generate(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> Reply:
        """One reply. Raises `ArmError` (or a subclass) when the request failed."""
        ...

    def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> AsyncIterator[Event | Reply]:
        """Events as they come; the last item is the whole `Reply`."""
        ...

    async def probe(self) -> Fidelity:
        """What is known about the runtime and the model."""
        ...

    async def aclose(self) -> None:
        """Gives back sessions, processes and memory. May be called twice."""
        ...


class Decoder(Protocol):
    """Reads one completion incrementally; any chunking of the same text gives the same result."""

    def feed(self, text: str) -> list[Event]:
        """Takes the next piece (any length, also "") and returns what became certain."""
        ...

    def close(self) -> Reply:
        """The end of the text was reached. Returns everything that was read. Never raises."""
        ...


@runtime_checkable
class Renderer(Protocol):
    """A chat template: it renders, and something else reads what the model says."""

    @property
    def stop(self) -> tuple[str, ...]:
        """Strings at which an engine should stop, beyond its own end-of-turn tokens."""
        ...

    @property
    def digest(self) -> str:
        """Identifies the template and its options, as `name:hex`; recorded in the run."""
        ...

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec] = (),
        *,
        thinking: bool | None = None,
        add_generation_prompt: bool = True,
    ) -> Prompt:
        """The prompt. `thinking` None leaves it to the template's options.

        Raises `RenderError` for a conversation that cannot be rendered, and `ControlTextError`
        (policy `refuse`) when content holds control text.
        """
        ...


@runtime_checkable
class Template(Renderer, Protocol):
    """A chat template with its parser."""

    def decoder(self, tools: Sequence[ToolSpec] = (), after: Prompt | None = None) -> Decoder:
        """A decoder for what follows `after`, whose tail decides whether generation starts in
        content or inside a thought. `tools` are used only where a schema decides a reading."""
        ...

    def parse(
        self, text: str, tools: Sequence[ToolSpec] = (), after: Prompt | None = None
    ) -> Reply:
        """Feed all and close. Total: never raises."""
        ...


@runtime_checkable
class Verifier(Protocol):
    """A judge: pure, so that a verdict can be repeated from a run folder."""

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """The verdict on one trace of `task`."""
        ...


@runtime_checkable
class TaskSet(Protocol):
    """A set of tasks, in a fixed order, with unique ids."""

    def tasks(self) -> Iterable[Task]:
        """All tasks."""
        ...


class ToolSession(Protocol):
    """The tools of one episode, with that episode's state."""

    async def call(self, name: str, arguments: Mapping[str, JsonValue]) -> JsonValue:
        """Runs one tool. Raises `ToolError` with the text that the model is told.

        `name` is one of the toolbox's tools: the agent loop answers unknown ones by itself."""
        ...


@runtime_checkable
class TextToolSession(Protocol):
    """In place of a `ToolSession` where no tools are declared, and calls stand in the text."""

    def read_calls(self, reply: Reply) -> Sequence[ToolCall] | None:
        """The calls that a reply makes in its text; none, and it is an answer. `run_call` gets
        them with the ids that they lack; whether a cut reply is read is decided here, too."""
        ...

    async def run_call(self, call: ToolCall) -> JsonValue:
        """Carries out one of them. Raises `ToolError` with the text that the model is told."""
        ...

    def tell_results(self, calls: Sequence[ToolCall], results: Sequence[ToolResult]) -> Message:
        """What is said to the model after its own text: the results of all calls of a reply."""
        ...


@runtime_checkable
class Toolbox(Protocol):
    """Tools that can be called."""

    def tools(self) -> Sequence[ToolSpec]:
        """What a model is shown when a task lists no tools of its own."""
        ...

    def session(self, task: Task) -> ToolSession | TextToolSession:
        """Fresh state for one episode of `task`."""
        ...


@runtime_checkable
class Eval(Protocol):
    """A benchmark: tasks with their own verifiers and their own table."""

    def tasks(self) -> Iterable[Task]:
        """All tasks."""
        ...

    def verifiers(self) -> Mapping[str, Verifier]:
        """The judges, by name."""
        ...

    def summarize(
        self, verdicts: Sequence[tuple[Task, Verdict]]
    ) -> Sequence[Mapping[str, JsonValue]]:
        """Rows of the benchmark's table."""
        ...


def unreported(progress: Mapping[str, JsonValue]) -> None:
    """Takes progress that nobody wants to see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainJob:
    """One stage of training: what to start from, what to learn, and where to write.

    `tasks` are the training rows: the prompt is `messages` and `tools`, the gold is `target`
    (`calls`, or `answer` for text to learn). `dev` are rows that are never trained on; `traces`
    are episodes of `tasks` to learn from (pairs are mined from them). `template` renders and
    parses; `template_reference` is what it was made from, as in a run file (`use`, `options`,
    `parser`), empty where nobody says. `verifiers` judge, by the names in the run file. `output`
    is a folder that exists; a job that was killed is given again with the same one, and resumes.
    `report` takes what a progress display shows, as JSON objects.
    """

    output: str
    base: Checkpoint | None = None
    tasks: Sequence[Task] = ()
    dev: Sequence[Task] = ()
    traces: Sequence[tuple[Task, Trace]] = ()
    template: Template | None = None
    template_reference: Mapping[str, JsonValue] = field(default_factory=dict)
    verifiers: Mapping[str, Verifier] = field(default_factory=dict)
    seed: int = 0
    report: Callable[[Mapping[str, JsonValue]], None] = unreported


@runtime_checkable
class Trainer(Protocol):
    """One training stage; blocking, run in a child process."""

    def train(self, job: TrainJob) -> Checkpoint:
        """Trains and returns what it wrote."""
        ...
