"""The process of one step: `python -m callsmith.pipeline.child JOBFILE`.

A process of its own gives its memory back, may crash, and can be killed. It ends when the process
that started it is gone, so that a pipeline that is started again never meets its own predecessor.
Under a launcher of several processes (`torchrun`, `accelerate launch`) all of them train, and the
one of rank 0 reports and writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import filelock

from callsmith.catalog import load
from callsmith.codec import dumps
from callsmith.errors import BrokenPluginError, CallsmithError, StepError
from callsmith.pipeline.episodes import episodes_of
from callsmith.pipeline.folder import PROGRESS, RESULT, StepResult, write_result
from callsmith.pipeline.job import Job, read_job
from callsmith.pipeline.keys import build_tasks, tasks_digest
from callsmith.pipeline.plan import PipelinePlan, ScorePlan, TrainPlan, plan_pipeline
from callsmith.pipeline.reports import DISK_FULL, FAILURE, PARENT, Reporter, is_disk_full, line_of
from callsmith.protocols import Trainer, TrainJob, Verifier
from callsmith.runs import Progress, benchmark_rows, run_bakeoff, summarize
from callsmith.runs.store import replace_json
from callsmith.types import Checkpoint, Task
from callsmith.wiring import checked, plan_bakeoff

SECONDS_FOR_PREDECESSOR = 60
"""How long to wait for the process of a killed pipeline to end."""
SECONDS_BETWEEN_REPORTS = 0.5
"""Of a score step: not every episode is a line."""


def main(arguments: list[str]) -> int:
    """Does the step of a job file. Returns 0, or 1 after it has written why it failed."""
    _end_with_parent()
    signal.signal(signal.SIGTERM, _stop)
    job = read_job(Path(arguments[0]))
    if int(os.environ.get("RANK") or 0):
        _train(job, report=None)
        return 0
    try:
        with _only_one(job.folder), Reporter(job.folder / PROGRESS) as report:
            if (job.folder / RESULT).exists() and not job.retry_errors:
                return 0  # its predecessor outlived the pipeline's process and came to its end
            print(f"--- {job.step}, attempt {report.attempt}, {_now()}", flush=True)
            _do(job, report)
    except Exception as error:  # whatever a trainer raises is one line, and in the log as a whole
        with contextlib.suppress(OSError):
            traceback.print_exc()
        if is_disk_full(error):
            return DISK_FULL
        try:
            known = isinstance(error, CallsmithError)
            replace_json(job.folder / FAILURE, {"message": line_of(error), "known": known})
        except OSError as problem:
            return DISK_FULL if is_disk_full(problem) else 1
        return 1
    return 0


def _do(job: Job, report: Reporter) -> None:
    checkpoint = None
    benchmark: dict[str, Any] = {}
    if job.pipeline.steps[job.step].train is not None:
        checkpoint = _train(job, report)
        _flush_files(job.folder)
    else:
        benchmark = _score(job, report)
    result = StepResult(
        seconds=report.seconds,
        attempts=report.attempt,
        finished=_now(),
        checkpoint=checkpoint,
        benchmark=benchmark,
    )
    write_result(job.folder, job.run, result)


def _plan(job: Job) -> PipelinePlan:
    return plan_pipeline(job.pipeline, load())


def _train(job: Job, report: Reporter | None) -> Checkpoint:
    plan = _plan(job)
    step = next(step for step in plan.steps if step.name == job.step)
    assert isinstance(step, TrainPlan)
    catalog = plan.catalog
    trainer = checked(catalog.construct(step.trainer), Trainer, step.trainer)
    tasks = {
        name: build_tasks(resolved, catalog) if resolved else ()
        for name, resolved in (("tasks", step.tasks), ("dev", step.dev))
    }
    for name, found in tasks.items():
        _check_unchanged(found, job.inputs.get(name), name)
    output = job.folder / "output"
    output.mkdir(exist_ok=True)
    train_job = TrainJob(
        output=str(output),
        base=job.base,
        tasks=tasks["tasks"],
        dev=tasks["dev"],
        traces=[pair for path in job.traces for pair in episodes_of(path, catalog)],
        template=step.template.build(catalog) if step.template else None,
        template_reference=step.template.reference() if step.template else {},
        verifiers={
            name: checked(catalog.construct(item), Verifier, item) for name, item in step.verifiers
        },
        seed=step.seed,
        report=report or (lambda progress: None),
    )
    made = trainer.train(train_job)
    return _checked_checkpoint(made, step.trainer.offer.full_name)


def _checked_checkpoint(made: object, trainer: str) -> Checkpoint:
    if not isinstance(made, Checkpoint):
        raise BrokenPluginError(f"{trainer} returned {type(made).__name__}, not a Checkpoint")
    for name in ("path", "adapter"):
        folder = getattr(made, name)
        if folder is not None and not (os.path.isabs(folder) and os.path.isdir(folder)):
            raise BrokenPluginError(
                f"{trainer} returned a checkpoint whose {name} is no folder's full path: {folder!r}"
            )
    try:
        dumps(made)
    except (TypeError, ValueError) as error:
        raise BrokenPluginError(f"{trainer}: the checkpoint's details: {error}") from None
    return made


def _score(job: Job, report: Reporter) -> dict[str, Any]:
    """Runs what is missing of the bake-off; returns the benchmark's own rows by arm."""
    pipeline = _plan(job)
    step = next(step for step in pipeline.steps if step.name == job.step)
    assert isinstance(step, ScorePlan)
    plan = plan_bakeoff(pipeline.score_frame(job.step, job.checkpoints), pipeline.catalog)
    tasks, _ = plan.build_tasks()
    _check_unchanged(tasks, job.inputs.get("tasks"), "tasks")
    said = 0.0

    def progress(now: Progress) -> None:
        nonlocal said
        if now.done == now.total or time.monotonic() - said > SECONDS_BETWEEN_REPORTS:
            said = time.monotonic()
            report({"episodes": now.done, "of": now.total, "arm": now.arm})

    folder = asyncio.run(run_bakeoff(plan, job.folder, progress, retry_errors=job.retry_errors))
    for name, arm in summarize(folder).items():
        if arm.episodes and arm.halts["error"] == arm.episodes:
            error, count = arm.errors.most_common(1)[0]
            raise StepError(
                f"every episode of the arm {name!r} ended with an error ({count} x {error}); "
                "--retry-errors runs them again"
            )
    return {arm: [dict(row) for row in rows] for arm, rows in benchmark_rows(plan, folder).items()}


def _check_unchanged(tasks: tuple[Task, ...], before: str | None, name: str) -> None:
    if tasks and before != tasks_digest(tasks):
        raise StepError(
            f"the {name} changed since the pipeline was started (or are others each time they are "
            "read); start it again"
        )


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Waits for the end of an earlier process of this step."""
    lock = filelock.FileLock(folder / "process.lock", timeout=SECONDS_FOR_PREDECESSOR)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise StepError(f"another process still works on {folder}; end it first") from None
    try:
        yield
    finally:
        lock.release()


def _flush_files(folder: Path) -> None:
    """What a step is marked done for must be on the disk before the mark."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            file = os.open(path, os.O_RDONLY)
            try:
                os.fsync(file)
            finally:
                os.close(file)


def _end_with_parent() -> None:
    """Ends this process, and those that it started, when its standard input is closed.

    Standard input is a pipe that only the pipeline's process holds open: the system closes it
    however that process ends. Where nothing says that a pipeline started it, nothing is done.
    """
    if PARENT not in os.environ:
        return
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def watch() -> NoReturn:
        while os.read(pipe, 1):
            pass
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError  # never reached

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _stop(number: int, frame: object) -> NoReturn:
    """SIGTERM ends the step as an exception does, so that what stands in `finally` is done."""
    raise SystemExit(128 + number)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
