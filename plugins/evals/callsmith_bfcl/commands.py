"""`callsmith bfcl`: the group, and `fetch`. Other commands are listed here and imported on use."""

from __future__ import annotations

from pathlib import Path

import click

from callsmith_bfcl.cli_lazy import LazyGroup

COMMANDS: dict[str, tuple[str, str]] = {
    "score": ("callsmith_bfcl.cli_score:score", "Score a result folder as the official tool does."),
    "compare": (
        "callsmith_bfcl.cli_compare:compare",
        "Compare two result folders, entry by entry.",
    ),
    "explain": (
        "callsmith_bfcl.cli_explain:explain",
        "Show one entry: question, tools, gold, answer, rule.",
    ),
    "export": (
        "callsmith_bfcl.cli_export:export",
        "Write a run folder's answers as an official result folder.",
    ),
    "questions": (
        "callsmith_bfcl.cli_questions:questions",
        "Print every question, to keep them out of training data.",
    ),
    "parity": (
        "callsmith_bfcl.cli_parity:parity",
        "Replay verdict corpora and print the agreement.",
    ),
}
"""The commands that stand in modules of their own: "module:attribute" and the line in --help."""


@click.group(cls=LazyGroup, lazy=COMMANDS)
def bfcl() -> None:
    """The Berkeley Function Calling Leaderboard (BFCL V4): data, scores, comparisons."""


@bfcl.command()
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    help="The wheel, or the folder that holds it, instead of a download.",
)
def fetch(source: Path | None) -> None:
    """Put the benchmark's data (one wheel, 1.9 MB) into the cache.

    pip downloads exactly that wheel, without dependencies, and nothing is installed. The file is
    used only if its sha256 is the expected one. CALLSMITH_CACHE chooses another folder, and
    CALLSMITH_BFCL_WHEEL uses a file where it lies.
    """
    from callsmith_bfcl.wheel import WHEEL_VARIABLE, fetch_wheel, wheel_path

    path = fetch_wheel(source, say=lambda text: click.echo(text, err=True))
    click.echo(str(path))
    if wheel_path() != path:
        click.echo(f"note: {WHEEL_VARIABLE} is set, so {wheel_path()} is read instead", err=True)
