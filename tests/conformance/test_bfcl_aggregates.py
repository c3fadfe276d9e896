"""The three official runs of the shared folder: every header and every CSV number.

Needs the corpora beside the repository and the benchmark's wheel; skips without them.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from callsmith_bfcl.folder_report import leaderboard, summarize_model
from callsmith_bfcl.registry import registry
from callsmith_bfcl.result_folders import find_result_files
from callsmith_bfcl.score_files import read_scores
from callsmith_bfcl.score_folder import Options, score_models
from fixtures.small_bfcl import find_wheel

SHARED = Path(__file__).resolve().parents[3] / "shared" / "bfcl"
RUNS = {"runA": "result", "runB": "result", "runC_partial": "resultP"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = SHARED / "synthetic_results.tar.gz"
    if not archive.is_file():
        pytest.skip("needs ../shared/bfcl")
    folder = tmp_path_factory.mktemp("bfcl")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize("run", RUNS)
def test_an_official_run(run: str, results: Path, tmp_path: Path) -> None:
    wheel = find_wheel()
    wanted: dict[str, Any] = json.loads((SHARED / "AGGREGATES.json").read_text())[run]
    registered = {entry.folder: entry for entry in registry(wheel).values()}
    models, problems = find_result_files(results / RUNS[run])
    models = [model for model in models if model.name == wanted["model_dir"]]
    options = Options(out=tmp_path, partial=run == "runC_partial")
    reports = score_models(wheel, models, registered, options)
    tables, notes, unreadable = leaderboard(
        tmp_path, [(report, summarize_model(report)) for report in reports], registered
    )
    assert (problems, notes, unreadable) == ([], [], [])
    found = read_scores(tmp_path)[0][wanted["model_dir"]]
    for name, header in wanted["category_headers"].items():
        category = name.partition("BFCL_v4_")[2].removesuffix("_score.json")
        failed = header.pop("failed_ids_lines")
        assert found[category].header() == header, category
        with (tmp_path / wanted["model_dir"] / name).open("rb") as file:
            assert sum(1 for _ in file) == failed + 1
    assert len(found) == len(wanted["category_headers"])
    for name, (row,) in wanted["csv"].items():
        columns, values = (line.split(",") for line in tables[name].split("\n"))
        assert dict(zip(columns, values, strict=True)) == row, name


def test_no_entry_of_an_official_run_stops_the_scorer(results: Path) -> None:
    wheel = find_wheel()
    models, _ = find_result_files(results / "result")
    registered = {entry.folder: entry for entry in registry(wheel).values()}
    for model in models:
        # Conversations are covered above; here both modes read what was meant for the other.
        model.files = {
            name: paths for name, paths in model.files.items() if not name.startswith("multi_turn")
        }
    for mode in ("fc", "prompting"):
        options = Options(mode="fc" if mode == "fc" else "prompting")
        for report in score_models(wheel, models, registered, options):
            for item in report.categories.values():
                assert item.error_types["scorer_error"] == 0, item.category
