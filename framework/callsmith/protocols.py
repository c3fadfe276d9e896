"""What each kind of component can do. Nothing here is subclassed: matching methods are enough.

Arms and tool sessions are async. Rendering, parsing, verifying are pure and synchronous.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
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
class Template(Protocol):
    """A chat template with its parser."""

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
class Toolbox(Protocol):
    """Tools that can be called."""

    def tools(self) -> Sequence[ToolSpec]:
        """What a model is shown when a task lists no tools of its own."""
        ...

    def session(self, task: Task) -> ToolSession:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainJob:
    """One stage of training: what to start from, the rows, and where to write."""

    base: Checkpoint
    rows: str
    output: str
    seed: int = 0
    options: Mapping[str, JsonValue] = field(default_factory=dict)


@runtime_checkable
class Trainer(Protocol):
    """One training stage; blocking, run in a child process."""

    def train(self, job: TrainJob) -> Checkpoint:
        """Trains and returns what it wrote."""
        ...
