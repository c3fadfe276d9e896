"""Arms that are served elsewhere, asked the probe set: greedily, then as they would draw."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from callsmith import ChatArm, Completion, Sampling, Task, Trace, run_episode
from callsmith_trl.comparing import Said

if TYPE_CHECKING:
    from callsmith_trl.parity import Probes


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What an arm wrote to the tasks of the probe set, in their order.

    `said` are its greedy answers, `right` of which the verifier passed. `greedy` are the
    completions behind them, None where the arm shows no token ids; `drawn` are others, drawn at
    temperature 1 from all tokens, where the arm also shows the logarithms of their probabilities.
    """

    name: str
    said: tuple[Said, ...]
    right: int
    greedy: tuple[Completion | None, ...]
    drawn: tuple[Completion | None, ...] = ()

    @property
    def note(self) -> str:
        """How many requests failed, and the first reason; "" if none did."""
        failed = [one.problem for one in self.said if one.problem]
        return f"{len(failed)} failed: {failed[0]:.80}" if failed else ""


def ask_arms(plan: Any, probes: Probes, *, thinking: bool) -> list[Served]:
    """Asks the arms of a bake-off (what `plan_bakeoff` made), each closed before the next."""
    return [asyncio.run(_ask(arm.name, plan.build_arm(arm), probes, thinking)) for arm in plan.arms]


async def _ask(name: str, arm: ChatArm, probes: Probes, thinking: bool) -> Served:
    greedily = Sampling(temperature=0.0, max_tokens=probes.max_new_tokens, thinking=thinking)
    drawn: list[Completion | None] = []
    try:
        traces = [await _answer(arm, row.task, greedily) for row in probes.rows]
        greedy = [_shown(trace) for trace in traces]
        if any(one is not None and one.logprobs for one in greedy):
            for seed, row in enumerate(probes.rows):
                sampling = replace(greedily, temperature=1.0, top_p=1.0, top_k=0, seed=seed)
                one = _shown(await _answer(arm, row.task, sampling))
                drawn.append(one if one is not None and one.logprobs else None)
    finally:
        await arm.aclose()
    return Served(
        name=name,
        said=tuple(_said(trace) for trace in traces),
        right=sum(
            probes.verifier.verify(row.task, trace).passed
            for row, trace in zip(probes.rows, traces, strict=True)
        ),
        greedy=tuple(greedy),
        drawn=tuple(drawn),
    )


async def _answer(arm: ChatArm, task: Task, sampling: Sampling) -> Trace:
    return await run_episode(arm, task, None, sampling=sampling, steps=1)


def _said(trace: Trace) -> Said:
    reply = trace.turns[0].reply if trace.turns else None
    if reply is None:
        return Said(problem=trace.error or "no reply")
    return Said(calls=reply.calls, text=reply.content or "")


def _shown(trace: Trace) -> Completion | None:
    """The completion of a trace, if its token ids are known."""
    reply = trace.turns[0].reply if trace.turns else None
    completion = reply.completion if reply is not None else None
    return completion if completion is not None and completion.token_ids else None
