"""`callsmith show`: a run folder as a table, its failures, or one episode in full."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from callsmith.codec import to_json
from callsmith.errors import StoreError
from callsmith.pipeline.folder import PipelineFolder
from callsmith.runs import RunFolder, fidelity_rows, summarize, wilson_interval
from callsmith.runs.summary import ArmSummary
from callsmith.types import JsonValue, Trace, Verdict


def make_console() -> Console:
    """The console for tables and episodes: as wide as it is, at least 100 columns in a pipe."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=100)
    return console


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--task", help="Only episodes of this task, in full.")
@click.option("--arm", help="Only episodes of this arm.")
@click.option("--failed", is_flag=True, help="One line for each episode that failed a verifier.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(folder: Path, task: str | None, arm: str | None, failed: bool, as_json: bool) -> None:
    """Show the run in FOLDER: of a bake-off, a pipeline, or a pipeline's score step."""
    pipeline = PipelineFolder(folder)
    if pipeline.exists():
        from callsmith.cli.pipeline import show_pipeline

        if task is not None or arm is not None or failed:
            raise StoreError(
                f"{folder} is a pipeline; show one of its score steps in {folder}/steps"
            )
        show_pipeline(pipeline, as_json=as_json)
        return
    run = RunFolder(folder)
    header = run.header
    if arm is not None and arm not in header["config"]["arms"]:
        known = ", ".join(header["config"]["arms"])
        raise StoreError(f"{folder} has no arm {arm!r}; there are: {known}")
    if task is None and not failed:
        summary = summarize(run)
        if as_json:
            arms = {name: item.as_json() for name, item in summary.items()}
            rows = [
                {"field": row.field, "values": row.values, "state": row.state}
                for row in fidelity_rows(header)
            ]
            shown = {"run": str(folder), "header": header, "arms": arms, "fidelity": rows}
            click.echo(json.dumps(shown, indent=2))
        else:
            print_table(run, summary)
            print_fidelity(header)
        return
    verdicts = run.verdicts()
    found = False
    for trace in run.traces():
        judged = verdicts.get((trace.arm, trace.task, trace.sample), ())
        if (task is not None and trace.task != task) or (arm is not None and trace.arm != arm):
            continue
        if failed and all(verdict.passed for verdict in judged):
            continue
        found = True
        if as_json:
            click.echo(json.dumps({"trace": to_json(trace), "verdicts": to_json(judged)}))
        elif task is not None:
            print_episode(trace, judged)
        else:
            print_failure(trace, judged)
    if not found and task is not None:
        raise StoreError(f"{folder} has no episode of the task {task!r}")


def print_table(folder: RunFolder, summary: Mapping[str, ArmSummary]) -> None:
    """The table of a run: a column for each arm, a row for each verifier."""
    console = make_console()
    header = folder.header
    episodes = sum(arm.episodes for arm in summary.values())
    title = f"{header['name']}: {episodes} of {header['episodes']} episodes"
    table = Table(title=escape(title), title_justify="left")
    table.add_column("passed (95 % interval)")
    for name in summary:
        table.add_column(escape(name), justify="right")
    rows = list(dict.fromkeys(name for arm in summary.values() for name in arm.rates))
    for row in rows:
        cells = []
        for arm in summary.values():
            rate = arm.rates.get(row)
            if rate is None:
                cells.append("-")
                continue
            low, high = wilson_interval(rate.passed, rate.total)
            cells.append(f"{rate.passed}/{rate.total}  {low:.0%} to {high:.0%}")
        table.add_row(escape(row), *cells)
    table.add_section()
    halts = list(dict.fromkeys(halt for arm in summary.values() for halt in arm.halts))
    for halt in halts:
        table.add_row(
            f"ended: {halt.replace('_', ' ')}",
            *(str(arm.halts.get(halt, 0)) for arm in summary.values()),
        )
    table.add_row("calls", *(str(arm.calls) for arm in summary.values()))
    table.add_row("repairs", *(str(arm.repairs) for arm in summary.values()))
    table.add_row("faults", *(str(arm.faults) for arm in summary.values()))
    table.add_row("tokens generated", *(str(arm.completion_tokens) for arm in summary.values()))
    seconds = [arm.as_json()["median_seconds"] for arm in summary.values()]
    table.add_row("median seconds", *("-" if s is None else f"{s:.2f}" for s in seconds))
    console.print(table)
    for name, arm in summary.items():
        for error, count in arm.errors.most_common(3):
            console.print(f"{name}: {count} × {error}", markup=False)
    sessions = header.get("sessions") or [{}]
    for name, fidelity in (sessions[-1].get("fidelity") or {}).items():
        for warning in [*fidelity.get("warnings", ()), *filter(None, [fidelity.get("error")])]:
            console.print(f"{name}: warning: {warning}", markup=False)


def print_fidelity(header: Mapping[str, Any]) -> None:
    """What is known about each arm, side by side; what differs is marked."""
    console = make_console()
    arms = list(header["config"]["arms"])
    table = Table(title="what ran", title_justify="left")
    table.add_column("")
    table.add_column("field")
    for name in arms:
        table.add_column(escape(name), overflow="fold")
    marks = {"same": "", "differs": "≠", "unknown": "?"}
    rows = fidelity_rows(header)
    for row in rows:
        known = [value for value in row.values if value is not None]
        if not known and not row.field.startswith("sampling."):
            continue
        surprising = row.state == "differs" and not row.expected
        table.add_row(
            marks[row.state],
            row.field.replace("_", " "),
            *("unknown" if value is None else escape(_short(value)) for value in row.values),
            style="yellow" if surprising else "dim" if row.state == "unknown" else "",
        )
    console.print(table)
    nobody = [row.field for row in rows if not any(row.values) and "sampling" not in row.field]
    if nobody:
        console.print(f"unknown for every arm: {', '.join(nobody)}", markup=False)
    if len(arms) > 1 and any(row.state != "same" for row in rows):
        console.print("≠ differs   ? not known for every arm", style="dim")
    sessions = header.get("sessions") or [{}]
    for name, fidelity in (sessions[-1].get("fidelity") or {}).items():
        for deviation in fidelity.get("deviations", ()):
            console.print(f"{name}: deviation: {deviation}", markup=False)


_DIGEST = re.compile(r"[0-9a-f]{16,}")


def _short(value: str) -> str:
    """A value with its digest cut to 12 digits."""
    return _DIGEST.sub(lambda found: found[0][:12], value)


def print_rows(title: str, rows: Sequence[Mapping[str, JsonValue]]) -> None:
    """A benchmark's own table: a row for each mapping, a column for each key."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    if not columns:
        return
    table = Table(title=escape(title), title_justify="left")
    for column in columns:
        table.add_column(escape(column))
    for row in rows:
        table.add_row(*(escape(_cell(row.get(column))) for column in columns))
    make_console().print(table)


def _cell(value: JsonValue) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list):
        return " to ".join(map(_cell, value))
    return "" if value is None else str(value)


def print_failure(trace: Trace, verdicts: tuple[Verdict, ...]) -> None:
    """One line: what failed and why."""
    console = make_console()
    failures = "; ".join(
        f"{verdict.verifier}: {verdict.reasons[0] if verdict.reasons else 'failed'}"
        for verdict in verdicts
        if not verdict.passed
    )
    where = f"{trace.arm} {trace.task} #{trace.sample} ({trace.halt})"
    console.print(f"{where}: {trace.error or failures}", markup=False, soft_wrap=True)


def print_episode(trace: Trace, verdicts: tuple[Verdict, ...]) -> None:
    """One episode in full: messages, what the model emitted, what was read, what came back."""
    console = make_console()
    console.rule(escape(f"{trace.arm} · {trace.task} · sample {trace.sample}"), align="left")

    def line(label: str, text: object, style: str = "") -> None:
        console.print(f"{label:>10}  ", style="dim", end="", markup=False)
        console.print(str(text), style=style, markup=False, soft_wrap=True)

    for turn in trace.turns:
        for message in turn.sent:
            if message.role != "assistant" or not message.tool_calls:
                line(message.role, message.content if message.content is not None else "")
        if turn.reply is None:
            line("error", turn.error, "red")
            continue
        reply = turn.reply
        if reply.completion is not None and reply.prompt is not None:
            line("completion", repr(reply.completion.text), "dim")
        if reply.reasoning:
            line("reasoning", reply.reasoning, "italic")
        if reply.content:
            line("content", reply.content, "bold")
        for call in reply.calls:
            line("call", f"{call.name}({json.dumps(call.arguments, ensure_ascii=False)})", "cyan")
        for fault in reply.faults:
            line("fault", f"{fault.kind}: {fault.detail} {fault.raw!r}", "red")
        for repair in reply.repairs:
            line("repair", f"{repair.kind}: {repair.detail}", "yellow")
        for note in reply.notes:
            line("note", note, "yellow")
    line("ended", trace.halt + (f": {trace.error}" if trace.error else ""))
    for verdict in verdicts:
        mark = "pass" if verdict.passed else "FAIL"
        reasons = f": {'; '.join(verdict.reasons)}" if verdict.reasons else ""
        line(mark, f"{verdict.verifier}{reasons}", "green" if verdict.passed else "red")
