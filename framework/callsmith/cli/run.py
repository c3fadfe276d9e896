"""`callsmith run` and `callsmith check`."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import click

from callsmith.catalog import load
from callsmith.cli.show import print_rows, print_table
from callsmith.config import BakeoffFile
from callsmith.errors import ConfigError
from callsmith.pipeline import PipelinePlan, plan_pipeline, read_any_run_file
from callsmith.runs import Progress, benchmark_rows, run_bakeoff, summarize
from callsmith.runs.store import digest
from callsmith.wiring import Plan, plan_bakeoff

RUN_FILE = click.argument("file", type=click.Path(path_type=Path))


def read_plan(file: Path) -> Plan | PipelinePlan:
    """Reads and resolves a run file; what is wrong with it is said with the file's name."""
    frame = read_any_run_file(file)
    try:
        if isinstance(frame, BakeoffFile):
            return plan_bakeoff(frame, load())
        return plan_pipeline(frame, load())
    except ConfigError as error:
        error.path = f"{file}: {error.path}"
        raise


@click.command()
@RUN_FILE
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The run folder [default: runs/NAME-DIGEST, the same for the same run file; "
    "runs/NAME for a pipeline].",
)
@click.option("--only", metavar="STEP", help="Only this step of a pipeline.")
@click.option("--until", metavar="STEP", help="This step of a pipeline, and what it needs.")
@click.option(
    "--retry-errors", is_flag=True, help="Run the episodes again that ended with an error."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON on stdout.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def run(
    file: Path,
    out: Path | None,
    only: str | None,
    until: str | None,
    retry_errors: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run FILE, or finish it if it was stopped before.

    Every episode is in the run folder as soon as it is done: starting the same run again does
    what is missing and nothing twice. Steps of a pipeline are run again when their inputs changed.
    """
    plan = read_plan(file)
    if isinstance(plan, PipelinePlan):
        from callsmith.cli.pipeline import run_and_show

        run_and_show(
            plan,
            out or Path("runs") / plan.frame.name,
            only=only or "",
            until=until or "",
            retry_errors=retry_errors,
            as_json=as_json,
            quiet=quiet,
        )
        return
    if only or until:
        raise ConfigError(
            "--only and --until are for pipelines, and it is a bake-off", path=str(file)
        )
    folder = out or Path("runs") / f"{plan.frame.name}-{digest(plan.describe())[:8]}"
    with ProgressLine(quiet=quiet) as progress:
        try:
            done = asyncio.run(
                run_bakeoff(plan, folder, progress.update, retry_errors=retry_errors)
            )
        except KeyboardInterrupt:
            click.echo(f"\ninterrupted; the same command goes on with {folder}", err=True)
            sys.exit(130)
    summary = summarize(done)
    if as_json:
        arms = {name: arm.as_json() for name, arm in summary.items()}
        found = {"run": str(folder), "arms": arms}
        tables = benchmark_rows(plan, done)
        click.echo(json.dumps({**found, "benchmark": tables} if tables else found, indent=2))
        return
    print_table(done, summary)
    for name, rows in benchmark_rows(plan, done).items():
        print_rows(name, rows)
    errors = sum(arm.halts["error"] for arm in summary.values())
    if errors:
        click.echo(
            f"\n{errors} episodes ended with an error; the same command with --retry-errors runs "
            "them again"
        )
    click.echo(f"\nrun folder: {folder}    look closer: callsmith show {folder} --failed")


@click.command()
@RUN_FILE
@click.option("--json", "as_json", is_flag=True, help="Print the resolved configuration as JSON.")
def check(file: Path, as_json: bool) -> None:
    """Validate FILE: names, options and combinations. Needs no server, GPU or extra."""
    plan = read_plan(file)
    if as_json:
        click.echo(json.dumps(plan.describe(), indent=2))
    elif isinstance(plan, PipelinePlan):
        from callsmith.cli.pipeline import describe_pipeline

        describe_pipeline(file, plan)
    else:
        _describe(file, plan)


def _describe(file: Path, plan: Plan) -> None:
    click.echo(f"{file}: ok")
    for arm in plan.arms:
        through = f" through {arm.template.names}" if arm.template else ""
        click.echo(f"  arm {arm.name}: {arm.engine.offer.full_name}{through}")
    click.echo(f"  tasks: {plan.source.offer.full_name}")
    names = ", ".join(name for name, _ in plan.verifiers)
    click.echo(f"  verifiers: {names or 'none of the run file'}")


class ProgressLine:
    """Counts, rate and time left on stderr: a bar in a terminal, else a line now and then."""

    SECONDS_BETWEEN_LINES = 10.0

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        self._began = self._said = time.monotonic()

    def __enter__(self) -> ProgressLine:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._bar.start()
            self._task = self._bar.add_task("episodes", total=None, rate="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, progress: Progress) -> None:
        """Shows one more episode."""
        now = time.monotonic()
        fresh = progress.done - progress.resumed
        rate = fresh / (now - self._began) if fresh and now > self._began else 0.0
        if self._bar is not None:
            self._bar.update(
                self._task,
                completed=progress.done,
                total=progress.total,
                description=f"episodes ({progress.arm})" if progress.arm else "episodes",
                rate=f"{rate:.1f}/s" if rate else "",
            )
        elif not self._quiet and (
            now - self._said > self.SECONDS_BETWEEN_LINES or progress.trace is None
        ):
            self._said = now
            left = f", {(progress.total - progress.done) / rate:.0f} s left" if rate else ""
            resumed = f" ({progress.resumed} from before)" if progress.resumed else ""
            speed = f", {rate:.1f}/s{left}" if rate else ""
            click.echo(f"{progress.done}/{progress.total} episodes{resumed}{speed}", err=True)
