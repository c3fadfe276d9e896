"""What is checked before any step of training: one table, errors stop, warnings are recorded.

A trainer calls it between loading and training, with the rows *before* the long ones are left out:

    loaded = load_for_training(config, base, template)
    rows, refused = training_rows(job.tasks, job.template, loaded.tokens)
    checked = preflight(config, job, loaded, examples=examples_of(rows), refused=refused)
    checked.record(job)          # preflight.json and job.report; ConfigError if there is an error
    with clear_failures("training", job.output, estimate=checked.memory), narrow_rows(model):
        trainer.train()

DPO gives `method="dpo"` and one `Example` per pair with (chosen, rejected); GRPO `method="grpo"`,
examples without completions, `group` and `new_tokens`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from callsmith import (
    CallsmithError,
    ConfigError,
    JsonValue,
    Task,
    TrainJob,
)
from callsmith_trl import checks
from callsmith_trl.chat_templates import compare_templates
from callsmith_trl.checks import Example
from callsmith_trl.findings import Finding
from callsmith_trl.memory import Estimate, Method, Recipe, estimate, resident
from callsmith_trl.memory_plan import memory_limit, recipe_of
from callsmith_trl.rows import TrainRow, training_rows
from callsmith_trl.savings import savings
from callsmith_trl.shapes import shape_of
from callsmith_trl.token_rows import Matrices, read_model, row_findings

if TYPE_CHECKING:
    from callsmith_trl.config import TrainerConfig
    from callsmith_trl.loading import Loaded

FILE = "preflight.json"
GOLD = 50
"""Tasks whose gold stands for what GRPO's completions will hold."""
COLOURS = {"error": "bold red", "warning": "yellow", "info": "green"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What was found: `findings` in the order of the checks, errors first.

    `lengths` are in tokens; `estimate` and `rows` are None where the model's config does not say
    enough, or the model has no embedding and head of the usual kind.
    """

    method: Method
    findings: tuple[Finding, ...]
    lengths: Mapping[str, JsonValue] = field(default_factory=dict)
    estimate: Estimate | None = None
    helps: tuple[str, ...] = ()
    rows: Matrices | None = None

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What stops the training."""
        return tuple(one for one in self.findings if one.level == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What does not, and must be known."""
        return tuple(one for one in self.findings if one.level == "warning")

    @property
    def memory(self) -> str:
        """One line about the peak and the three changes that lower it most; "" if not known."""
        if self.estimate is None:
            return ""
        return f"{self.estimate.text()}; what helps most: {'; '.join(self.helps) or 'nothing'}"

    def to_json(self) -> dict[str, JsonValue]:
        """Everything, for preflight.json."""
        return {
            "method": self.method,
            "findings": [
                {
                    "level": one.level,
                    "check": one.check,
                    "text": one.text,
                    "details": dict(one.details),
                }
                for one in self.findings
            ],
            "lengths": dict(self.lengths),
            "memory": None
            if self.estimate is None
            else {
                "peak": self.estimate.size,
                "moment": self.estimate.moment,
                "parts": {part.name: part.size for part in self.estimate.parts},
                "helps": list(self.helps),
            },
            "token_rows": None if self.rows is None else self.rows.details(),
        }

    def table(self) -> Table:
        """All findings as one table of rich."""
        table = Table(title=f"preflight: {self.method}", title_justify="left", show_lines=False)
        for name in ("", "check", "found"):
            table.add_column(name, overflow="fold")
        for one in self.findings:
            table.add_row(f"[{COLOURS[one.level]}]{one.level}[/]", one.check, _plain(one.text))
        return table

    def check(self) -> None:
        """Raises `ConfigError`, one line, if there is an error."""
        if self.errors:
            more = f" ({len(self.errors) - 1} more in {FILE})" if len(self.errors) > 1 else ""
            first = self.errors[0]
            raise ConfigError(f"preflight, {first.check}: {first.text}{more}")

    def record(self, job: TrainJob) -> None:
        """Writes preflight.json into the output and reports it, then `check`."""
        whole = self.to_json()
        text = json.dumps(whole, ensure_ascii=False, indent=2, sort_keys=True)
        Path(job.output, FILE).write_text(text + "\n", encoding="utf-8")
        job.report(
            {
                "preflight": {
                    "errors": len(self.errors),
                    "warnings": [f"{one.check}: {one.text}" for one in self.warnings],
                    "findings": [[one.level, one.check, one.text] for one in self.findings],
                    "memory": self.memory,
                }
            }
        )
        self.check()


def examples_of(rows: Sequence[TrainRow]) -> list[Example]:
    """The examples of SFT."""
    return [
        Example(id=row.task.id, prompt_ids=row.prompt_ids, completions=(row.completion_ids,))
        for row in rows
    ]


def preflight(
    config: TrainerConfig,
    job: TrainJob,
    loaded: Loaded,
    *,
    method: Method = "sft",
    examples: Sequence[Example] | None = None,
    refused: Sequence[tuple[Task, str]] = (),
    group: int = 1,
    new_tokens: int = 0,
) -> Preflight:
    """Looks at rows, ends, templates, token rows and memory. Changes nothing, raises nothing.

    Without `examples`, those of SFT are made from `job.tasks`. `group` and `new_tokens` are for
    GRPO: completions of one prompt, and tokens of each.
    """
    if examples is None:
        if job.template is None:
            raise ConfigError("the step has no template; name one")
        made, refused = training_rows(
            job.tasks, job.template, loaded.tokens, thinking=config.thinking
        )
        examples = examples_of(made)
    tokenizer = loaded.tokenizer
    found = checks.refusals([(task.id, why) for task, why in refused], len(examples))
    found += checks.lengths(examples, config.max_length, new_tokens)
    found += checks.ends(
        examples,
        loaded.ends,
        _own_ends(loaded.model),
        lambda number: str(tokenizer.convert_ids_to_tokens(number)),
    )
    if job.template is not None:
        found += compare_templates(tokenizer, job.template, job.tasks, thinking=config.thinking)
    written = _written(config, examples, job, loaded, method)
    matrices = _rows(loaded, examples, written)
    if matrices is not None:
        found += row_findings(matrices, written)
    recipe = recipe_of(config, loaded, method=method, group=group, new_tokens=new_tokens)
    peak, helps, about = _memory(config, loaded, recipe)
    order = {"error": 0, "warning": 1, "info": 2}
    return Preflight(
        method=method,
        findings=tuple(sorted((*found, *about), key=lambda one: order[one.level])),
        lengths={
            "prompt": checks.percentiles([len(one.prompt_ids) for one in examples]),
            "all": checks.percentiles([one.length(new_tokens) for one in examples]),
        },
        estimate=peak,
        helps=helps,
        rows=matrices,
    )


def _rows(loaded: Loaded, examples: Sequence[Example], written: set[int]) -> Matrices | None:
    """The rows of all added tokens that are read or written; None for a model of another build."""
    model = loaded.model
    if model.get_input_embeddings() is None or model.get_output_embeddings() is None:
        return None
    names = {number: text for text, number in loaded.tokens.added.items()}
    seen = {
        number for one in examples for ids in (one.prompt_ids, *one.completions) for number in ids
    }
    tokens = sorted((number, names[number]) for number in seen | written if number in names)
    return read_model(model, tokens) if tokens else None


def _written(
    config: TrainerConfig,
    examples: Sequence[Example],
    job: TrainJob,
    loaded: Loaded,
    method: Method,
) -> set[int]:
    """The ids that the model has to write: what completions hold."""
    if method == "grpo" and job.template is not None:
        # There are none yet; those of the gold are of the same kind.
        gold, _ = training_rows(
            job.tasks[:GOLD], job.template, loaded.tokens, thinking=config.thinking
        )
        ends = {number for one in examples for number in one.prompt_ids} & loaded.ends
        return {number for row in gold for number in row.completion_ids} | ends
    return {number for one in examples for ids in one.completions[:1] for number in ids}


def _own_ends(model: Any) -> set[int]:
    settings = getattr(model, "generation_config", None)
    value = getattr(settings, "eos_token_id", None)
    return set() if value is None else set(value) if isinstance(value, list) else {int(value)}


def _memory(
    config: TrainerConfig, loaded: Loaded, recipe: Recipe
) -> tuple[Estimate | None, tuple[str, ...], list[Finding]]:
    base = loaded.model.get_base_model() if recipe.lora_rank else loaded.model
    try:
        shape = shape_of(base.config)
    except CallsmithError as error:
        text = f"the peak is not estimated: {error}"
        return None, (), [Finding(level="info", check="memory", text=text)]
    found, options = estimate(shape, recipe), savings(shape, recipe)
    helps = tuple(one.text() for one in options[:3])
    limit = memory_limit(config, str(loaded.model.device))
    return found, helps, checks.memory(found, resident(shape, recipe), limit, options)


def _plain(text: str) -> str:
    """Without rich's markup: tokens and ids have brackets."""
    return text.replace("[", r"\[")
