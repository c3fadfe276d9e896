"""`callsmith bfcl explain`: one entry in full, and why a model's result is right or wrong."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console, Group
from rich.json import JSON
from rich.panel import Panel
from rich.text import Text

from callsmith import ConfigError, UnknownNameError
from callsmith_bfcl.categories import CATEGORIES, category_of
from callsmith_bfcl.data import Entry, load_entries
from callsmith_bfcl.explanation import Explanation, explain_result, rule_text
from callsmith_bfcl.registry import registry
from callsmith_bfcl.result_folders import ModelFolder, find_result_files
from callsmith_bfcl.results import read_results
from callsmith_bfcl.score_folder import Options, choose_handler
from callsmith_bfcl.scoring import Handler
from callsmith_bfcl.wheel import Wheel, open_wheel

_STYLES = {"-": "green", "+": "red"}
_FEW = 8
"""So many tools are shown in full."""
_LONG = 20_000
"""Characters of a text that are shown."""
_CONTROLS = {code: f"\\x{code:02x}" for code in [*range(32), *range(127, 160)]}
del _CONTROLS[ord("\n")], _CONTROLS[ord("\t")]


def visible(text: str) -> str:
    """Text of a model or the data for a terminal: without control characters, and not endless."""
    shown = text[:_LONG].translate(_CONTROLS)
    return shown if len(text) <= _LONG else f"{shown}\n… and {len(text) - _LONG} more characters"


@click.command()
@click.argument("entry_id", metavar="ID")
@click.option("--result", "folder", type=click.Path(path_type=Path), help="A result folder.")
@click.option("--model", help="Only this model of the result folder.")
@click.option("--handler", "mode", type=click.Choice(["prompting", "fc"]), help="As for score.")
@click.option("--strict", is_flag=True, help="Judge without the official tool's bugs.")
def explain(
    entry_id: str, folder: Path | None, model: str | None, mode: str | None, strict: bool
) -> None:
    """Show the entry ID: question, tools and accepted answers.

    With --result also what a model said to it, the verdict with the rule that decided, and the
    difference to the nearest accepted answer.
    """
    wheel = open_wheel()
    entry = find_entry(wheel, entry_id)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=100)
    _print_entry(console, entry)
    if folder is None:
        if model is not None:
            raise ConfigError("--model needs --result, the folder that holds the model's results")
        return
    found, _ = find_result_files(folder)
    chosen = [item for item in found if model in (None, item.name, item.name.replace("_", "/"))]
    if not chosen:
        known = ", ".join(item.name for item in found)
        raise ConfigError(f"has no model {model!r}; there are: {known}", path=str(folder))
    options = Options(mode="fc" if mode == "fc" else "prompting" if mode else None)
    for item in chosen:
        _print_result(console, wheel, entry, item, options, strict)


def find_entry(wheel: Wheel, entry_id: str) -> Entry:
    """The entry of that id. Raises `UnknownNameError`, with the nearest ids."""
    category = category_of(entry_id)
    entries = {entry.id: entry for entry in load_entries(wheel, category)}
    if entry_id in entries:
        return entries[entry_id]
    close = difflib.get_close_matches(entry_id, entries, n=3)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise UnknownNameError(f"{category} has no entry {entry_id!r}{hint}")


def _print_entry(console: Console, entry: Entry) -> None:
    lines = Text()
    for number, turn in enumerate(entry.question):
        if len(entry.question) > 1:
            lines.append(f"turn {number}\n", style="dim")
        for message in turn:
            lines.append(f"{message['role']}: ", style="bold")
            lines.append(visible(f"{message['content']}\n"))
    console.print(Panel(lines, title=f"{entry.id}: question", title_align="left"))
    count = len(entry.functions)
    form = _tool_text if count <= _FEW else _tool_line
    tools = Group(*(form(doc) for doc in entry.functions))
    title = "1 tool" if count == 1 else f"{count} tools"
    console.print(Panel(tools, title=title, title_align="left"))
    if entry.ground_truth is not None:
        gold = JSON(json.dumps(entry.ground_truth, ensure_ascii=False))
        console.print(Panel(gold, title="accepted answers", title_align="left"))
    else:
        due = CATEGORIES[entry.category].checker == "relevance"
        said = "any call is right" if due else "no call is right"
        console.print(Panel(said, title="accepted answers", title_align="left"))


def _tool_line(doc: dict[str, Any]) -> Text:
    """Name and parameters in one line, for conversations with dozens of tools."""
    parameters = doc["parameters"]
    names = [
        name if name in parameters.get("required", ()) else f"{name}?"
        for name in parameters.get("properties", {})
    ]
    text = Text(doc["name"], style="bold")
    return text.append(f"({', '.join(names)})", style="not bold")


def _tool_text(doc: dict[str, Any]) -> Text:
    parameters = doc["parameters"]
    text = Text(f"{doc['name']}", style="bold")
    text.append(f"  {doc['description']}", style="not bold")
    for name, schema in parameters.get("properties", {}).items():
        needed = "required" if name in parameters.get("required", ()) else "optional"
        text.append(f"\n    {name}: {schema.get('type', 'any')}, {needed}", style="not bold")
        if "enum" in schema:
            text.append(f", one of {schema['enum']}", style="not bold")
        if "default" in schema:
            text.append(f", default {schema['default']!r}", style="not bold")
    return text


def _print_result(
    console: Console,
    wheel: Wheel,
    entry: Entry,
    model: ModelFolder,
    options: Options,
    strict: bool,
) -> None:
    paths = model.files.get(entry.category, [])
    row = read_results(paths, entry.category, [entry.id]).rows.get(entry.id)
    if row is None:
        console.print(Text(visible(f"{model.name} has no result for {entry.id}")))
        return
    registered = {item.folder: item for item in registry(wheel).values()}
    handler, _, notes = choose_handler(model, registered, options)
    for note in notes:
        console.print(Text(visible(f"note: {model.name}: {note}")))
    said = row.result if isinstance(row.result, str) else json.dumps(row.result, indent=1)
    title = f"{model.name} said ({handler.mode})"
    console.print(Panel(Text(visible(said) or "(nothing)"), title=title, title_align="left"))
    handler = _ready(wheel, entry, handler, model.name)
    if strict:
        from callsmith_bfcl.strict import STRICT_FIXES

        handler = dataclasses.replace(handler, fixes=STRICT_FIXES)
    _print_explanation(console, explain_result(entry, row.result, handler))


def _ready(wheel: Wheel, entry: Entry, handler: Handler, name: str) -> Handler:
    if CATEGORIES[entry.category].kind != "multi_turn":
        return handler
    from callsmith_bfcl.multi_turn import MultiTurnChecker

    checker = MultiTurnChecker(wheel, model_name=name, cached_entries=1)
    return dataclasses.replace(handler, multi_turn=checker)


def _print_explanation(console: Console, explanation: Explanation) -> None:
    console.print(_panel("read as", explanation.calls or ("no call",)))
    if explanation.diff:
        lines = Text()
        for line in explanation.diff:
            lines.append(visible(line) + "\n", style=_STYLES.get(line[0], ""))
        console.print(Panel(lines, title="- accepted, + given", title_align="left"))
    outcome = explanation.outcome
    verdict = Text("right" if outcome.valid else "wrong")
    verdict.stylize("bold green" if outcome.valid else "bold red")
    if outcome.error_type:
        verdict.append(f"  {outcome.error_type}", style="not bold")
    for message in outcome.messages:
        verdict.append("\n" + visible(message), style="not bold default")
    verdict.append(f"\nrule: {rule_text(outcome.rule)}", style="not bold default")
    console.print(Panel(verdict, title="verdict", title_align="left"))


def _panel(title: str, lines: Sequence[str]) -> Panel:
    return Panel(Text(visible("\n".join(lines))), title=title, title_align="left")
