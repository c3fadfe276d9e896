"""A bake-off: arms × tasks × samples, bounded concurrency per arm, resumable.

Every episode ends in the run folder before it counts; starting the same run again does what is
missing and nothing twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from callsmith.agent import run_episode
from callsmith.codec import dumps, to_json
from callsmith.errors import ConfigError, StoreError
from callsmith.protocols import ChatArm, Toolbox, Verifier
from callsmith.runs.store import Key, RunFolder, RunWriter, digest
from callsmith.types import Task, Trace, Verdict
from callsmith.wiring import ArmPlan, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a bake-off is: episodes done and in all, and the one that just finished."""

    done: int
    total: int
    resumed: int
    arm: str = ""
    trace: Trace | None = None
    verdicts: tuple[Verdict, ...] = ()


async def run_bakeoff(
    plan: Plan,
    path: Path,
    progress: Callable[[Progress], None] | None = None,
    *,
    retry_errors: bool = False,
) -> RunFolder:
    """Runs what is missing of `plan` in the run folder `path` and returns the folder.

    With `retry_errors`, episodes that ended with an error are run again; what they were before
    stays in `retried.jsonl`. Nothing else is ever run twice.

    Raises `ConfigError` when something cannot be built and `StoreError` when the folder holds
    another run. A failing episode is a trace with an error and stops nothing.
    """
    tasks, verifiers = plan.build_tasks()
    toolboxes = plan.build_toolboxes(tasks)
    tasks = tuple(with_tools(task, toolboxes.get(task.toolbox or "")) for task in tasks)
    folder = RunFolder(path)
    arms: dict[str, ChatArm] = {}
    try:
        for arm in plan.arms:
            try:
                arms[arm.name] = plan.build_arm(arm)
            except ConfigError as error:
                raise error.at(f"arms.{arm.name}") from None
        with folder.writing() as writer:
            header = _open_header(plan, folder, tasks)
            fidelity: dict[str, Any] = {}
            header["sessions"].append(_session(plan, fidelity))
            folder.write_header(header)
            if retry_errors:
                writer.take_out_errors()
            together = plan.frame.together
            for group in [plan.arms] if together else [(arm,) for arm in plan.arms]:
                probes = [_probe(arms[arm.name], arm.timeout) for arm in group]
                found = await asyncio.gather(*probes)
                fidelity.update({arm.name: item for arm, item in zip(group, found, strict=True)})
                folder.write_header(header)
                await _run_missing(plan, group, writer, arms, tasks, verifiers, toolboxes, progress)
                if not together:
                    await arms[group[0].name].aclose()
    finally:
        for chat in arms.values():
            await chat.aclose()
    return folder


def episode_seed(seed: int, task: str, sample: int) -> int:
    """The seed of one episode: the same in all arms, another one for every task and sample.

    With one seed for all tasks, all of them would begin with the same draw: a run at temperature 1
    would be one sample of the model and not hundreds. Below 2**31, which all servers take.
    """
    own = int.from_bytes(hashlib.sha256(task.encode("utf-8", "surrogatepass")).digest()[:4], "big")
    return (seed + own + sample) % 2**31


def with_tools(task: Task, toolbox: Toolbox | None) -> Task:
    """The task with its toolbox's tools if it lists none, so that verifiers know them too."""
    if task.tools or toolbox is None:
        return task
    return replace(task, tools=tuple(toolbox.tools()))


def _open_header(plan: Plan, folder: RunFolder, tasks: tuple[Task, ...]) -> dict[str, Any]:
    """A new header, or the folder's own if it holds this very run."""
    config = plan.describe()
    identity = {"config": config, "tasks": digest(to_json(tasks))}
    if not (folder.path / "run.json").exists():
        traces = folder.path / "traces.jsonl"
        if traces.exists() and traces.stat().st_size:
            raise StoreError(
                f"{folder.path} has traces but no run.json that says of what; name another folder "
                "with --out"
            )
        return {
            "name": plan.frame.name,
            "digest": digest(identity),
            "config": config,
            "tasks_digest": identity["tasks"],
            "episodes": len(plan.arms) * len(tasks) * plan.frame.samples,
            "sessions": [],
        }
    header = folder.header
    if header["digest"] != digest(identity):
        where = first_difference(header["config"], config)
        raise StoreError(
            f"{folder.path} holds another run ({where or 'its tasks changed'}); "
            "name another folder with --out"
        )
    return header


def first_difference(
    old: Any, new: Any, path: str = "", words: tuple[str, str] = ("there", "here")
) -> str:
    """Where two configurations differ first, with both values; "" where they do not."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(k for k in new if k not in old)]:
            place = f"{path}.{key}" if path else str(key)
            if key not in old or key not in new:
                return f"{place} is in only one of them"
            found = first_difference(old[key], new[key], place, words)
            if found:
                return found
        return ""
    if isinstance(old, tuple | list) and isinstance(new, tuple | list):
        same = list(old) == list(new)
    else:
        same = old == new
    return "" if same else f"{path}: {old!r:.60} {words[0]}, {new!r:.60} {words[1]}"


def _session(plan: Plan, fidelity: Mapping[str, Any]) -> dict[str, Any]:
    """What was installed and probed when this process worked on the run."""
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "callsmith": version("callsmith"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "plugins": {
            plugin.name: f"{plugin.distribution} {plugin.version}"
            for plugin in plan.catalog.plugins
            if plugin.components
        },
        "fidelity": fidelity,
        "pid": os.getpid(),
    }


async def _probe(arm: ChatArm, timeout: float) -> Any:
    # Probing may load a model, so it has as long as an episode.
    try:
        async with asyncio.timeout(timeout):
            return to_json(await arm.probe())
    except Exception as error:  # a probe must never stop a run
        return {"error": f"{type(error).__name__}: {error}"}


async def _run_missing(
    plan: Plan,
    group: Sequence[ArmPlan],
    writer: RunWriter,
    arms: Mapping[str, ChatArm],
    tasks: tuple[Task, ...],
    verifiers: Mapping[str, Verifier],
    toolboxes: Mapping[str, Toolbox],
    progress: Callable[[Progress], None] | None,
) -> None:
    by_id = {task.id: task for task in tasks}
    judged = writer.folder.verdicts()
    finished: set[Key] = set()
    for trace in writer.folder.traces():
        key = (trace.arm, trace.task, trace.sample)
        finished.add(key)
        if key not in judged and trace.task in by_id:
            writer.add_verdicts(key, judge(verifiers, by_id[trace.task], trace))
    samples = range(plan.frame.samples)
    total = len(plan.arms) * len(tasks) * plan.frame.samples
    done = resumed = len(finished)
    if progress:
        progress(Progress(done=done, total=total, resumed=resumed))

    async def episode(arm: ArmPlan, task: Task, sample: int) -> None:
        nonlocal done
        trace = await run_episode(
            arms[arm.name],
            task,
            toolboxes.get(task.toolbox or ""),
            sampling=replace(arm.sampling, seed=episode_seed(arm.sampling.seed, task.id, sample)),
            steps=plan.frame.steps,
            timeout=arm.timeout,
            tool_timeout=plan.frame.tool_timeout,
            name=arm.name,
            sample=sample,
        )
        verdicts = judge(verifiers, task, trace)
        if plan.frame.record == "replies":
            trace = without_prompts(trace)
        trace = _storable(trace)
        # No await between the two: another episode cannot come in between.
        writer.add_trace(trace)
        writer.add_verdicts((arm.name, task.id, sample), verdicts)
        done += 1
        if progress:
            progress(
                Progress(
                    done=done,
                    total=total,
                    resumed=resumed,
                    arm=arm.name,
                    trace=trace,
                    verdicts=verdicts,
                )
            )

    async def work(arm: ArmPlan) -> None:
        missing = iter(
            [
                (task, sample)
                for sample in samples
                for task in tasks
                if (arm.name, task.id, sample) not in finished
            ]
        )

        async def worker() -> None:
            for task, sample in missing:
                await episode(arm, task, sample)

        async with asyncio.TaskGroup() as workers:
            for _ in range(arm.concurrency):
                workers.create_task(worker())

    async with asyncio.TaskGroup() as running:
        for arm in group:
            running.create_task(work(arm))


def judge(verifiers: Mapping[str, Verifier], task: Task, trace: Trace) -> tuple[Verdict, ...]:
    """All verdicts on one trace, under the names of the run; a verifier that fails is a verdict."""
    verdicts: list[Verdict] = []
    for name, verifier in verifiers.items():
        try:
            verdict = replace(verifier.verify(task, trace), verifier=name)
            dumps(verdict)
        except Exception as error:  # a stranger's verifier may raise anything
            reason = f"the verifier failed: {type(error).__name__}: {error}"
            verdict = Verdict(verifier=name, passed=False, score=0.0, reasons=(reason,))
        verdicts.append(verdict)
    return tuple(verdicts)


def _storable(trace: Trace) -> Trace:
    """The trace, or one that says why it cannot be written: a reply may hold anything."""
    try:
        dumps(trace)
    except (TypeError, ValueError, RecursionError) as error:
        reason = f"the reply cannot be stored as JSON: {error}"
        return replace(trace, turns=(), halt="error", error=reason)
    return trace


def without_prompts(trace: Trace) -> Trace:
    """The trace without its rendered prompts (`record: replies`): much smaller, not replayable."""
    turns = tuple(
        replace(turn, reply=replace(turn.reply, prompt=None)) if turn.reply else turn
        for turn in trace.turns
    )
    return replace(trace, turns=turns)
