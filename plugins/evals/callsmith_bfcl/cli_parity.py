"""`callsmith bfcl parity`: replays verdict corpora and prints the agreement."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click

from callsmith import ConfigError
from callsmith_bfcl.outcome import shown
from callsmith_bfcl.parity import Replay, Replayer
from callsmith_bfcl.text_table import aligned, percent
from callsmith_bfcl.wheel import open_wheel


@click.command()
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--mutations", is_flag=True, help="List all mutations, also where all rows agree.")
@click.option("--rows", default=20, show_default=True, help="Disagreeing rows to print per file.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with all disagreeing rows.")
def parity(files: tuple[Path, ...], mutations: bool, rows: int, as_json: bool) -> None:
    """Replay corpora of official verdicts and print how often ours are the same.

    FILE is JSON lines, also gzipped: rows with an entry's id, an output, and the official verdict
    and error type. The exit code is 1 when a row disagrees.
    """
    replayer = Replayer(open_wheel())
    bodies: list[dict[str, Any]] = []
    disagreed = False
    for path in files:
        counts: dict[str, Counter[tuple[str, bool]]] = {}
        counts |= {"category": Counter(), "mutation": Counter()}
        wrong: list[Replay] = []
        total = 0
        for replay in replayer.replay(path):
            total += 1
            counts["category"][replay.category, replay.agrees] += 1
            counts["mutation"][replay.family, replay.agrees] += 1
            if not replay.agrees:
                wrong.append(replay)
        if not total:
            raise ConfigError("holds no row, so nothing agrees", path=str(path))
        disagreed = disagreed or bool(wrong)
        if as_json:
            tables = {kind: _json_table(table) for kind, table in counts.items()}
            body = {"file": str(path), "rows": total, "agree": total - len(wrong), **tables}
            bodies.append(body | {"disagreeing": [_json_row(replay) for replay in wrong]})
            continue
        rate = percent((total - len(wrong)) / total)
        click.echo(f"{path.name}: {total - len(wrong)} of {total} rows agree ({rate})")
        _print_table(counts["category"], "category", everything=True)
        _print_table(counts["mutation"], "mutation", everything=mutations)
        for replay in wrong[:rows]:
            click.echo(_line(replay))
        if len(wrong) > rows:
            click.echo(f"and {len(wrong) - rows} more rows (--rows, --json)")
    if as_json:
        click.echo(json.dumps(bodies, indent=2, ensure_ascii=False))
    if disagreed:
        sys.exit(1)


def _table(counts: Counter[tuple[str, bool]]) -> list[tuple[str, int, int]]:
    names = sorted({name for name, _ in counts})
    return [(name, counts[name, True], counts[name, True] + counts[name, False]) for name in names]


def _json_table(counts: Counter[tuple[str, bool]]) -> dict[str, dict[str, int]]:
    return {name: {"agree": agree, "rows": total} for name, agree, total in _table(counts)}


def _print_table(counts: Counter[tuple[str, bool]], title: str, *, everything: bool) -> None:
    table = _table(counts)
    shown_rows = [row for row in table if everything or row[1] < row[2]]
    if not shown_rows:
        click.echo(f"  {len(table)} kinds of {title}, all agree (--{title}s lists them)")
        return
    lines = [[title, "agree", "rows", ""]]
    lines += [[name, str(a), str(n), percent(a / n)] for name, a, n in shown_rows]
    for line in aligned(lines):
        click.echo(f"  {line}")


def _json_row(replay: Replay) -> dict[str, Any]:
    found = replay.found
    return {"line": replay.line, "row": replay.row, "expected": replay.expected, "found": found}


def _line(replay: Replay) -> str:
    row = replay.row
    said = row.get("raw", row.get("output", row.get("last_message", row.get("turns"))))
    return (
        f"  line {replay.line}: {row.get('id')} {replay.mutation}: official "
        f"{shown(replay.expected)}, ours {shown(replay.found)}, on {shown(said)}"
    )
