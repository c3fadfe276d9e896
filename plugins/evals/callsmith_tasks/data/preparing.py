"""The whole way of a data set, as one pure function: check, clean, split, augment, check again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from callsmith import JsonValue, RenderError, Template
from callsmith_tasks.data.checking import RowChecker
from callsmith_tasks.data.cleaning import seal, split_rows, without_duplicates, without_repeats
from callsmith_tasks.data.contamination import DEFAULT_NGRAM, ContaminationIndex, decontaminate
from callsmith_tasks.data.options import augment
from callsmith_tasks.data.rendering import Rendered, parse_problem, render_row
from callsmith_tasks.data.row import Rejected, Row, row_to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked of `prepare`; recorded in the manifest.

    `shares` is the share of training rows that each augmentation is tried on.
    """

    fractions: Mapping[str, float] = field(default_factory=dict)
    salt: str = ""
    ngram: int = DEFAULT_NGRAM
    shares: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Rows by split, what failed a check (`quarantine`), and what was taken out as a repeat of
    another row or of a benchmark's question (`removed`)."""

    splits: Mapping[str, tuple[Row, ...]]
    quarantine: tuple[Rejected, ...]
    removed: tuple[Rejected, ...]

    def summary(self) -> dict[str, JsonValue]:
        """Counts per source and reason, and the seal of every split."""
        return {
            "splits": {
                name: {
                    "rows": len(rows),
                    "seal": seal(rows),
                    "sources": dict(sorted(Counter(row.source for row in rows).items())),
                }
                for name, rows in self.splits.items()
            },
            "quarantine": counts(self.quarantine),
            "removed": counts(self.removed),
        }


def counts(items: Sequence[Rejected]) -> dict[str, JsonValue]:
    """source → reason → number."""
    found: dict[str, JsonValue] = {}
    for (source, reason), number in sorted(Counter((i.source, i.reason) for i in items).items()):
        of_source = found.setdefault(source, {})
        assert isinstance(of_source, dict)
        of_source[reason] = number
    return found


def prepare(
    rows: Sequence[Row],
    unread: Sequence[Rejected],
    plan: Plan,
    checker: RowChecker,
    questions: ContaminationIndex | None = None,
) -> Prepared:
    """Checked, deduplicated, decontaminated and split rows; only training rows are augmented.

    Every augmented row is checked like the others and loses to a row that it happens to equal.
    """
    checked = checker.check(rows)
    kept, removed = without_duplicates(checked.rows)
    if questions is not None:
        kept, contaminated = decontaminate(kept, questions)
        removed += contaminated
    splits = split_rows(kept, plan.fractions, plan.salt)
    train = splits["train"]
    made = checker.check(augment(train, dict(plan.shares), plan.seed))
    both, again = without_repeats((*train, *made.rows))
    if questions is not None:
        both, contaminated = decontaminate(both, questions)
        again += contaminated
    return Prepared(
        splits={**splits, "train": both},
        quarantine=(*unread, *checked.rejected, *made.rejected),
        removed=(*removed, *again),
    )


def render_all(
    rows: Sequence[Row], template: Template, *, thinking: bool = False
) -> tuple[list[tuple[Row, Rendered]], list[Rejected]]:
    """Rows with their texts, and the rows that cannot be trained with this template.

    Reasons: `not-rendered` (the template refuses the row) and `not-parsed` (its own parser does
    not read the gold calls back: a model that learnt them would be judged wrong for them).
    """
    done: list[tuple[Row, Rendered]] = []
    refused: list[Rejected] = []
    for row in rows:
        try:
            rendered = render_row(row, template, thinking=thinking)
        except RenderError as error:
            refused.append(_refused(row, "not-rendered", str(error)))
            continue
        problem = parse_problem(row, rendered, template, thinking=thinking)
        if problem:
            refused.append(_refused(row, "not-parsed", problem))
        else:
            done.append((row, rendered))
    return done, refused


def without_equal_texts(
    done: Sequence[tuple[Row, Rendered]],
) -> tuple[list[tuple[Row, Rendered]], list[Rejected]]:
    """Rendered rows without those of equal text (reason `duplicate-text`).

    A template that sorts arguments, as Gemma 4's does, undoes their shuffling: the row would be
    trained twice.
    """
    seen: dict[tuple[str, str], str] = {}
    kept: list[tuple[Row, Rendered]] = []
    removed: list[Rejected] = []
    for row, text in done:
        first = seen.setdefault((text.prompt, text.completion), row.id)
        if first == row.id:
            kept.append((row, text))
            continue
        detail = f"is rendered like the row {first}, which stays"
        removed.append(
            Rejected(id=row.id, source=row.source, reason="duplicate-text", detail=detail)
        )
    return kept, removed


def _refused(row: Row, reason: str, detail: str) -> Rejected:
    record = row_to_json(row)
    return Rejected(id=row.id, source=row.source, reason=reason, detail=detail, record=record)
