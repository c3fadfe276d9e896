"""Rewards: the job's verifiers, asked about completions as token ids. Pure, imports no PyTorch.

Nothing here knows what a right call is. A completion is decoded with its control tokens, read by
the template after its own prompt, and made into the trace that a run would have made of it; what
it is worth is the score that each verifier gives that trace.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from callsmith import (
    CallsmithError,
    ConfigError,
    Prompt,
    PromptTokens,
    Task,
    Template,
    Trace,
    Verifier,
)
from callsmith_trl.reading import trace_of_ids
from callsmith_trl.rows import prompt_of

SAME = 1e-6
"""Rewards that differ by less are the same: they are compared as 32-bit numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRow:
    """A task, and its prompt as serving sends it."""

    task: Task
    prompt: Prompt
    prompt_ids: list[int]


def prompt_rows(
    tasks: Sequence[Task],
    template: Template,
    tokens: PromptTokens,
    *,
    room: int,
    thinking: bool = False,
) -> tuple[list[PromptRow], list[tuple[Task, str]]]:
    """The rows of tasks, and the tasks that were refused, each with one line that says why.

    `room` is how many tokens a prompt may have.
    """
    rows: list[PromptRow] = []
    refused: list[tuple[Task, str]] = []
    for task in tasks:
        try:
            prompt = prompt_of(task, template, thinking=thinking)
            ids = tokens.encode(prompt)
        except CallsmithError as error:
            refused.append((task, " ".join(str(error).split())))
            continue
        if len(ids) > room:
            why = f"its prompt has {len(ids)} tokens; max_length less max_new_tokens leaves {room}"
            refused.append((task, why))
        else:
            rows.append(PromptRow(task=task, prompt=prompt, prompt_ids=ids))
    return rows, refused


def weights_of(verifiers: Mapping[str, Verifier], weights: Mapping[str, float]) -> list[float]:
    """The weight of each verifier, in their order.

    Raises `ConfigError` where there is no verifier, a weight is for none, or all are 0.
    """
    if not verifiers:
        raise ConfigError(
            "rewards are verifiers, and the step has none; name some, such as arguments-match",
            path="verifiers",
        )
    strange = [name for name in weights if name not in verifiers]
    if strange:
        raise ConfigError(
            f"there is no verifier {strange[0]!r} in this step, only {', '.join(verifiers)}",
            path="weights",
        )
    found = [weights.get(name, 1.0) for name in verifiers]
    if not any(found):
        raise ConfigError("every weight is 0, so there is no reward", path="weights")
    return found


class Rewards:
    """Scores of completions, by verifier."""

    def __init__(
        self,
        rows: Sequence[PromptRow],
        template: Template,
        tokens: PromptTokens,
        ends: frozenset[int],
        verifiers: Mapping[str, Verifier],
        *,
        thinking: bool = False,
    ) -> None:
        self._rows, self._template, self._tokens, self._ends = rows, template, tokens, ends
        self._verifiers, self._thinking = verifiers, thinking
        self._known: dict[tuple[int, tuple[int, ...]], dict[str, float]] = {}

    def scores(
        self, name: str, rows: Sequence[int], completions: Sequence[Sequence[int]]
    ) -> list[float]:
        """What one verifier says about completions; `rows` are the places of their prompts.

        All verifiers are asked at once about a completion, and once: a group often holds the same
        completion several times. What was asked last is remembered.
        """
        keys = [(row, tuple(ids)) for row, ids in zip(rows, completions, strict=True)]
        known: dict[tuple[int, tuple[int, ...]], dict[str, float]] = {}
        for key in keys:
            if key not in known:
                known[key] = self._known.get(key) or self._judge(*key)
        self._known = known
        return [known[key][name] for key in keys]

    def trace(self, row: int, ids: Sequence[int]) -> Trace:
        """The trace that a completion makes."""
        one = self._rows[row]
        return trace_of_ids(
            one.task,
            self._template,
            self._tokens,
            ids,
            self._ends,
            prompt=one.prompt,
            thinking=self._thinking,
        )

    def _judge(self, row: int, ids: tuple[int, ...]) -> dict[str, float]:
        task, trace = self._rows[row].task, self.trace(row, ids)
        return {name: judge.verify(task, trace).score for name, judge in self._verifiers.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCounts:
    """How many groups taught something. `solved` and `hopeless` are among the `equal`.

    In a group that is `equal` all completions have the same reward, so none is better than
    another: the whole reward (`solved`), none (`hopeless`), or something in between.
    """

    groups: int = 0
    equal: int = 0
    solved: int = 0
    hopeless: int = 0

    def __add__(self, other: GroupCounts) -> GroupCounts:
        return GroupCounts(
            groups=self.groups + other.groups,
            equal=self.equal + other.equal,
            solved=self.solved + other.solved,
            hopeless=self.hopeless + other.hopeless,
        )


def count_groups(rewards: Sequence[float], size: int, most: float) -> GroupCounts:
    """Counts the groups of `size` in a row; `most` is the reward of a completion without fault."""
    found = GroupCounts()
    for start in range(0, len(rewards), size):
        group = rewards[start : start + size]
        low, high = min(group), max(group)
        equal = high - low <= SAME
        found += GroupCounts(
            groups=1,
            equal=int(equal),
            solved=int(equal and math.isclose(low, most, abs_tol=SAME)),
            hopeless=int(equal and math.isclose(high, 0.0, abs_tol=SAME)),
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """Tasks by what their samples say. `unknown` are those without samples; they are kept."""

    kept: list[Task]
    counts: GroupCounts
    unknown: int


def undecided(
    tasks: Sequence[Task],
    traces: Sequence[tuple[Task, Trace]],
    verifiers: Mapping[str, Verifier],
    weights: Sequence[float],
) -> Undecided:
    """Leaves out the tasks whose samples all have the same reward.

    A task's samples are those of a task with its id, messages and tools; the verifiers judge them
    by the task's own target. One sample says nothing: there is no other to compare it with.
    """
    samples: dict[str, list[tuple[Task, Trace]]] = {}
    for task, trace in traces:
        samples.setdefault(task.id, []).append((task, trace))
    kept: list[Task] = []
    counts, unknown = GroupCounts(), 0
    for task in tasks:
        mine = [
            trace
            for other, trace in samples.get(task.id, ())
            if other.messages == task.messages and other.tools == task.tools
        ]
        if len(mine) < 2:
            unknown += 1
            kept.append(task)
            continue
        rewards = [
            sum(
                weight * verifier.verify(task, trace).score
                for weight, verifier in zip(weights, verifiers.values(), strict=True)
            )
            for trace in mine
        ]
        found = count_groups(rewards, len(rewards), sum(weights))
        counts += found
        if not found.equal:
            kept.append(task)
    return Undecided(kept=kept, counts=counts, unknown=unknown)
