"""Score files in the official layout, and their headers read back.

A score file's first line is the header; each further line is an entry that is not valid.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from callsmith_bfcl.aggregate import Score
from callsmith_bfcl.categories import CATEGORIES
from callsmith_bfcl.data import Entry
from callsmith_bfcl.decoding import DecodeError
from callsmith_bfcl.outcome import Outcome
from callsmith_bfcl.results import PREFIX, Problem, ResultRow, write_results
from callsmith_bfcl.scoring import Handler, decode_calls, decode_turns

SCORE_SUFFIX = "_score.json"


def score_path(root: Path, model: str, category: str) -> Path:
    """Where the official tool keeps the scores of a category. `model` is the folder's name."""
    return root / model / CATEGORIES[category].folder / f"{PREFIX}{category}{SCORE_SUFFIX}"


def write_score_file(
    path: Path,
    model: str,
    score: Score,
    outcomes: Iterable[tuple[Entry, ResultRow | None, Outcome]],
    handler: Handler,
) -> None:
    """Writes the score file of one category.

    The fields are the official ones; the messages and `rule`, which names what decided, are ours.
    """
    failed = (
        failed_record(entry, row, outcome, model, handler)
        for entry, row, outcome in outcomes
        if not outcome.valid
    )
    write_results(path, _with_header(score.header(), failed))


def _with_header(
    header: Mapping[str, Any], records: Iterable[Mapping[str, Any]]
) -> Iterable[Mapping[str, Any]]:
    yield header
    yield from records


def failed_record(
    entry: Entry, row: ResultRow | None, outcome: Outcome, model: str, handler: Handler
) -> dict[str, Any]:
    """The line of a score file about an entry that is not valid."""
    record: dict[str, Any] = {
        "id": entry.id,
        "model_name": model,
        "test_category": entry.category,
        "valid": False,
    }
    messages = list(outcome.messages)
    result = row.result if row is not None else None
    checker = CATEGORIES[entry.category].checker
    if checker in ("multi_turn", "agentic"):
        record["error"] = {"error_type": outcome.error_type, "error_message": messages}
    else:
        record |= {"error": messages, "error_type": outcome.error_type}
    record |= {"rule": outcome.rule, "prompt": _prompt(entry), "model_result_raw": result}
    if checker == "multi_turn":
        record["model_result_decoded"] = decode_turns(result, handler)
    elif checker != "agentic":
        with contextlib.suppress(DecodeError):  # then the error says so
            record["model_result_decoded"] = decode_calls(entry, result, handler)
    if entry.ground_truth is not None:
        record["possible_answer"] = entry.ground_truth
    if checker in ("multi_turn", "agentic") and row is not None:
        record["inference_log"] = row.record.get("inference_log", "")
    return record


def _prompt(entry: Entry) -> dict[str, Any]:
    """What was asked; functions of conversations are left out, as they are many."""
    prompt: dict[str, Any] = {"id": entry.id, "question": entry.question}
    if CATEGORIES[entry.category].kind in ("single", "format_sensitivity"):
        return {**prompt, "function": entry.functions}
    if entry.initial_config:
        prompt["initial_config"] = entry.initial_config
    return {**prompt, "involved_classes": entry.involved_classes}


def read_scores(root: Path) -> tuple[dict[str, dict[str, Score]], list[Problem]]:
    """The headers of all score files under a score folder: model folder -> category -> score.

    The official tables are made of all of them, whenever they were written.
    """
    found: dict[str, dict[str, Score]] = {}
    problems: list[Problem] = []
    for path in sorted(root.glob(f"*/**/{PREFIX}*{SCORE_SUFFIX}")):
        category = path.name.removeprefix(PREFIX).removesuffix(SCORE_SUFFIX)
        model = path.relative_to(root).parts[0]
        try:
            with path.open("rb") as file:
                header = json.loads(file.readline())
            extra = dict(header)
            del extra["accuracy"]
            score = Score(int(extra.pop("correct_count")), int(extra.pop("total_count")), extra)
        except (OSError, ValueError, KeyError, TypeError):
            problems.append(
                Problem(str(path), 1, "is no header of a score file; not in the tables")
            )
            continue
        if category in CATEGORIES:
            found.setdefault(model, {})[category] = score
        else:
            problems.append(Problem(str(path), 1, f"BFCL V4 has no category {category!r}"))
    return found, problems
