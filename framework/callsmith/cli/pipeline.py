"""Pipelines on the command line: running, checking and showing them."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from types import TracebackType
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from callsmith.cli.show import make_console, print_rows, print_table
from callsmith.pipeline import (
    PipelineFolder,
    PipelinePlan,
    StepEvent,
    StepRecord,
    StepResult,
    run_pipeline,
)
from callsmith.pipeline.plan import TrainPlan
from callsmith.runs import RunFolder, summarize

SHOWN_DETAILS = 12
"""How many of a checkpoint's details a table shows."""


def run_and_show(
    plan: PipelinePlan,
    folder: Path,
    *,
    only: str,
    until: str,
    retry_errors: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Runs a pipeline with its progress on stderr, and prints its tables."""
    with _terminated_as_interrupted(), StepLine(quiet=quiet) as line:
        try:
            run_pipeline(
                plan, folder, line.update, only=only, until=until, retry_errors=retry_errors
            )
        except KeyboardInterrupt:
            click.echo(f"\ninterrupted; the same command goes on with {folder}", err=True)
            sys.exit(130)
    show_pipeline(PipelineFolder(folder), as_json=as_json)
    if not as_json:
        click.echo(f"\nrun folder: {folder}    the steps' folders: {folder}/steps")


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends the run as Ctrl-C does, so that the step's process is ended in good order."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def describe_pipeline(file: Path, plan: PipelinePlan) -> None:
    """What `callsmith check` says about a pipeline: its steps in the order in which they run."""
    click.echo(f"{file}: ok")
    for step in plan.steps:
        after = f", after {', '.join(step.uses)}" if step.uses else ""
        if isinstance(step, TrainPlan):
            parts = [step.trainer.offer.full_name]
            if step.base is not None and not step.base.step:
                folder = step.base.folder
                parts.append(f"from {folder.path if folder else step.base.hub}")
            if step.tasks is not None:
                parts.append(f"on {step.tasks.offer.full_name}")
            if step.template is not None:
                parts.append(f"through {step.template.names}")
            click.echo(f"  {step.name}: train {' '.join(parts)}{after}")
            continue
        arms = ", ".join(f"{arm.name} ({arm.engine.offer.full_name})" for arm in step.plan.arms)
        source = step.plan.source.offer.full_name
        click.echo(f"  {step.name}: score {arms} on {source}{after}")


def show_pipeline(folder: PipelineFolder, *, as_json: bool) -> None:
    """The steps of a pipeline and the tables of its score steps, from its folder alone."""
    steps = [(step, folder.result(step)) for step in folder.steps()]
    if as_json:
        click.echo(json.dumps(_as_json(folder, steps), indent=2))
        return
    print_steps(folder.header["name"], steps)
    for step, result in steps:
        path = folder.step_path(step)
        if step.kind != "score" or not (path / "run.json").exists():
            continue
        click.echo()
        run = RunFolder(path)
        print_table(run, summarize(run))
        if result is not None:
            found = [{"arm": arm, **row} for arm, rows in result.benchmark.items() for row in rows]
            print_rows(f"{step.name}: benchmark", found)


def print_steps(name: str, steps: list[tuple[StepRecord, StepResult | None]]) -> None:
    """The table of steps: what each is, how long it took, and what a checkpoint says of itself."""
    table = Table("step", "what", "seconds", "details", title=escape(name), title_justify="left")
    for step, result in steps:
        what = f"train {step.use}" if step.kind == "train" else "score"
        if result is None:
            table.add_row(escape(step.name), escape(what), "", "not done", style="dim")
            continue
        checkpoint = result.checkpoint
        details = dict(checkpoint.details) if checkpoint else {}
        seconds = f"{result.seconds:.1f}"
        if result.attempts > 1:
            details = {"attempts": result.attempts, **details}
        table.add_row(escape(step.name), escape(what), seconds, escape(facts(details)))
    make_console().print(table)


def _as_json(
    folder: PipelineFolder, steps: list[tuple[StepRecord, StepResult | None]]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for step, result in steps:
        path = folder.step_path(step)
        found[step.name] = item = {
            "kind": step.kind,
            "use": step.use,
            "folder": str(path),
            "done": result is not None,
            "seconds": result and result.seconds,
        }
        if step.kind == "train":
            checkpoint = result.checkpoint if result else None
            item["checkpoint"] = checkpoint and {
                "path": checkpoint.path,
                "base": checkpoint.base,
                "adapter": checkpoint.adapter,
                "details": dict(checkpoint.details),
            }
        elif (path / "run.json").exists():
            summary = summarize(RunFolder(path))
            item["arms"] = {name: arm.as_json() for name, arm in summary.items()}
            item["benchmark"] = dict(result.benchmark) if result else {}
    return {"run": str(folder.path), "name": folder.header["name"], "steps": found}


def facts(values: Mapping[str, Any], most: int = SHOWN_DETAILS) -> str:
    """The plain values of a mapping in one line: `loss 0.42, rows 512`."""
    plain = [
        f"{str(key).replace('_', ' ')} {_short(value)}"
        for key, value in values.items()
        if value is not None and not isinstance(value, dict | list)
    ]
    return ", ".join(plain[:most])


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class StepLine:
    """Steps on stderr as they happen; reports in one line that is updated, in a terminal.

    Elsewhere a report is a line, at most one in `SECONDS_BETWEEN_LINES`.
    """

    SECONDS_BETWEEN_LINES = 10.0

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._status: Any = None
        self._said = 0.0

    def __enter__(self) -> StepLine:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.status import Status

            self._status = Status("", console=Console(stderr=True, highlight=False))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def update(self, event: StepEvent) -> None:
        """Shows what happened."""
        if self._quiet:
            return
        name = f"[{event.number}/{event.total}] {event.step}"
        if event.what == "report":
            self._report(name, event)
            return
        if self._status is not None:
            self._status.stop()
        if event.what == "started":
            self._say(f"{name}: {event.reason}" if event.reason else name)
            self._said = time.monotonic()
            if self._status is not None:
                self._status.update(escape(name))
                self._status.start()
        elif event.what == "skipped":
            self._say(f"{name}: done before, in {_clock(event.seconds)}")
        else:
            self._say(f"{name}: done in {_clock(event.seconds)}")

    def _report(self, name: str, event: StepEvent) -> None:
        for line in _told(event.report):
            self._say(f"{name}: {line}")
        text = _line_of(event.report)
        if not text:
            return
        line = f"{name} {_clock(event.seconds)}: {text}"
        if self._status is not None:
            self._status.update(escape(line))
        elif time.monotonic() - self._said > self.SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            self._say(line)

    def _say(self, text: str) -> None:
        if self._status is not None:
            self._status.console.print(text, markup=False, soft_wrap=True)
        else:
            click.echo(text, err=True)


def _line_of(report: Mapping[str, Any]) -> str:
    """A report in a few words: `step 40 of 300`, what it measures, and how long it will take."""
    rest = dict(report)
    words: list[str] = []
    event = rest.pop("event", "step")
    if event != "step":
        words.append(str(event))
    rest.pop("stage", None)
    for done, total in (("step", "steps"), ("episodes", "of")):
        if done in rest and total in rest:
            words.append(f"{done} {rest.pop(done)} of {rest.pop(total)}")
    left = rest.pop("seconds_left", None)
    more = facts({key: value for key, value in rest.items() if value != ""}, most=6)
    if more:
        words.append(more)
    if isinstance(left, int | float):
        words.append(f"{_clock(left)} left")
    return ", ".join(words)


def _told(report: Mapping[str, Any]) -> list[str]:
    """What stays on the screen: a trainer's warnings, and all that its preflight found."""
    preflight = report.get("preflight")
    found = preflight.get("findings") if isinstance(preflight, dict) else None
    if isinstance(found, list) and all(isinstance(row, list) for row in found):
        return [f"preflight\n{_rows(found)}"] if found else ["preflight: nothing to say"]
    found = report.get("warnings")
    if found is None and isinstance(preflight, dict):
        found = preflight.get("warnings")
    return [f"warning: {item}" for item in found] if isinstance(found, list) else []


def _rows(rows: list[list[Any]]) -> str:
    """Rows of text below each other, all cells but the last as wide as the widest."""
    cells = [[" ".join(str(cell).split()) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip_longest(*cells, fillvalue="")]
    return "\n".join(
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in cells
    )
