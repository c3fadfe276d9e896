"""`callsmith bfcl questions`: what is asked, for keeping it out of training data."""

from __future__ import annotations

import json

import click

from callsmith_bfcl.categories import CATEGORIES, select_categories
from callsmith_bfcl.data import load_entries
from callsmith_bfcl.wheel import open_wheel


@click.command()
@click.argument("categories", nargs=-1, metavar="[CATEGORY]...")
def questions(categories: tuple[str, ...]) -> None:
    """Print every question of the benchmark, or of some categories or groups of them.

    One JSON object with `id` and `question` per line, for `callsmith data convert --questions`,
    which removes training rows that resemble one.
    """
    wheel = open_wheel()
    seen: set[str] = set()
    for category in select_categories(categories) if categories else CATEGORIES:
        for entry in load_entries(wheel, category):
            if entry.original_id in seen:
                continue  # format sensitivity asks other categories' questions again
            seen.add(entry.original_id)
            line = {"id": entry.id, "question": [list(turn) for turn in entry.question]}
            click.echo(json.dumps(line, ensure_ascii=False))
