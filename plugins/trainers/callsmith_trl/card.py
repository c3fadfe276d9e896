"""The model card: README.md beside the weights of a stage. Pure: values in, text out.

It names no folder of the machine: what is trained is published, where it was trained is not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from callsmith import JsonValue

CARD = "README.md"
"""What hubs look for in the folder of a model or an adapter."""
TITLES = {
    "sft": "supervised fine-tuning on gold calls",
    "dpo": "direct preference optimisation on pairs of completions",
    "grpo": "group-relative policy optimisation with verifiers as rewards",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What is said about a stage.

    `history` are the probes in the order of their steps, `best` the step whose weights these are
    (None: the last one's). `data` are counts and digests, `results` further numbers.
    """

    method: str
    base: str
    adapter: bool
    template: str
    seed: int
    data: Mapping[str, JsonValue]
    options: Mapping[str, JsonValue]
    results: Mapping[str, JsonValue]
    versions: Mapping[str, str]
    history: Sequence[Mapping[str, JsonValue]] = ()
    best: int | None = None
    notes: Sequence[str] = field(default=())


def write_card(card: Card) -> str:
    """The card as Markdown, with the header that model hubs read."""
    kind = "adapter" if card.adapter else "model"
    lines = [
        "---",
        f"base_model: {json.dumps(card.base)}",
        *(["library_name: peft"] if card.adapter else ["library_name: transformers"]),
        "tags:",
        "- tool-calling",
        "- callsmith",
        f"- {card.method}",
        "---",
        "",
        f"# {card.base}, after {card.method}",
        "",
        f"An {kind} made" if card.adapter else f"A {kind} made",
    ]
    lines[-1] += f" from {card.base} by {TITLES.get(card.method, card.method)}, with Callsmith."
    if card.adapter:
        lines += [
            "",
            "Serve it beside its base, in the precision that it was trained on, or measure first "
            "what merging changes (`callsmith parity`).",
        ]
    lines += ["", *_table("Data", card.data), "", *_results(card)]
    if card.notes:
        lines += ["", "## Notes", "", *(f"- {note}" for note in card.notes)]
    shown = json.dumps(dict(card.options), indent=2, ensure_ascii=False, sort_keys=True)
    lines += ["", "## Options", "", "```json", shown, "```"]
    known: dict[str, JsonValue] = {"template": card.template, "seed": card.seed, **card.versions}
    lines += ["", *_table("Made with", known)]
    return "\n".join(lines) + "\n"


def _results(card: Card) -> list[str]:
    lines = _table("Results", card.results)
    if not card.history:
        return lines
    names = [name for name in card.history[0] if name not in ("event", "stage", "seconds")]
    lines += [
        "",
        "Probes during training, on the same sample of tasks that were not trained on"
        + (f"; these are the weights of step {card.best}:" if card.best is not None else ":"),
        "",
        f"| {' | '.join(names)} |",
        f"|{'---|' * len(names)}",
    ]
    lines += [
        f"| {' | '.join(_cell(entry.get(name)) for name in names)} |" for entry in card.history
    ]
    return lines


def _table(title: str, values: Mapping[str, JsonValue]) -> list[str]:
    lines = [f"## {title}", "", "| | |", "|---|---|"]
    return lines + [f"| {name} | {_cell(value)} |" for name, value in values.items()]


def _cell(value: JsonValue) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str):
        return value.replace("|", "\\|").replace("\n", " ")
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_cell(one)}" for key, one in value.items())
    return json.dumps(value, ensure_ascii=False)
