"""`callsmith bfcl export`: a run folder's answers as official result folders."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import click

from callsmith import ConfigError, RunFolder
from callsmith_bfcl.categories import category_of
from callsmith_bfcl.data import load_entries
from callsmith_bfcl.results import result_path, write_results
from callsmith_bfcl.traces import record_of
from callsmith_bfcl.wheel import open_wheel


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--arm", help="Only this arm.")
@click.option(
    "--model",
    help="With --arm: the name to write under; one of the benchmark's registry, if its own tool is "
    "to score the folder. [default: the arm's name]",
)
def export(run: Path, root: Path, arm: str | None, model: str | None) -> None:
    """Write the answers of RUN below ROOT/result, one folder for each arm.

    `callsmith bfcl score ROOT` scores them, and so does `bfcl evaluate`. The first sample of each
    entry is written.
    """
    folder = RunFolder(run)
    config = folder.header["config"]
    source = config["tasks"]
    if source["use"].rpartition("/")[2] != "bfcl":
        raise ConfigError(
            f"was not made with the eval bfcl but with {source['use']}", path=str(run)
        )
    if model and not arm:
        raise ConfigError("--model needs --arm: one name is for one arm")
    if arm and arm not in config["arms"]:
        raise ConfigError(f"{run} has no arm {arm!r}; there are: {', '.join(config['arms'])}")
    wheel_option = source["options"]["wheel"]
    wheel = open_wheel(Path(wheel_option) if wheel_option else None)
    mode = source["options"]["mode"]
    records: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    entries: dict[str, dict[str, Any]] = {}
    for trace in folder.traces():
        if trace.sample or (arm and trace.arm != arm):
            continue
        category = category_of(trace.task)
        if category not in entries:
            entries[category] = {entry.id: entry for entry in load_entries(wheel, category)}
        record = record_of(entries[category][trace.task], trace, mode)
        records[trace.arm, category].append(record)
    for (name, category), lines in records.items():
        path = result_path(root / "result", model or name, category)
        write_results(path, lines)
        click.echo(f"{path}: {len(lines)} entries")
    if not records:
        raise ConfigError("has no episodes yet", path=str(run))
