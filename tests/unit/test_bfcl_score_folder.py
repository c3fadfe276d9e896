"""A result folder scored with a small archive of our own: reports, score files, tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from callsmith_bfcl.cli_score import report_lines
from callsmith_bfcl.data import load_entries
from callsmith_bfcl.folder_report import leaderboard, model_json, summarize_model
from callsmith_bfcl.registry import registry
from callsmith_bfcl.result_folders import find_result_files
from callsmith_bfcl.results import result_path, write_results
from callsmith_bfcl.score_files import read_scores, score_path
from callsmith_bfcl.score_folder import ModelReport, Options, choose_handler, score_models
from callsmith_bfcl.wilson import wilson_interval
from fixtures.small_bfcl import small_wheel

WHEEL = small_wheel()
REGISTERED = {entry.folder: entry for entry in registry(WHEEL).values()}
RIGHT = [{"math_add": '{"a": 1}'}]
WRONG = [{"math_add": '{"a": 7}'}]


def results(folder: Path, model: str, category: str, **given: Any) -> None:
    """Results of `<category>_<n>` by `_<n>`."""
    rows = [
        {"id": category + key, "result": value, "latency": 2.0, "input_token_count": 100}
        | {"output_token_count": 50}
        for key, value in given.items()
    ]
    write_results(result_path(folder, model, category), rows)


def scored(folder: Path, **options: Any) -> dict[str, ModelReport]:
    models, problems = find_result_files(folder)
    assert problems == []
    reports = score_models(WHEEL, models, REGISTERED, Options(**options))
    return {report.name: report for report in reports}


def test_verdicts_error_types_and_usage_of_a_category(tmp_path: Path) -> None:
    results(tmp_path, "maker/alpha-FC", "simple_python", _0=RIGHT, _1=WRONG)
    report = scored(tmp_path)["maker_alpha-FC"]
    item = report.categories["simple_python"]
    assert item.verdicts == {"simple_python_0": True, "simple_python_1": False}
    assert item.score.header() == {"accuracy": 0.5, "correct_count": 1, "total_count": 2}
    assert item.error_types == {"value_error:others": 1}
    assert (item.metrics["right_names"].count, item.metrics["right_arguments"].count) == (2, 1)
    assert (item.usage.seconds, item.usage.input_tokens) == ([2.0, 2.0], [100, 100])
    assert (item.problems, item.missing, item.failed_generations) == ([], [], 0)


def test_an_entry_without_a_result_is_wrong_unless_the_run_is_partial(tmp_path: Path) -> None:
    results(tmp_path, "maker/alpha-FC", "simple_python", _0=RIGHT)
    item = scored(tmp_path)["maker_alpha-FC"].categories["simple_python"]
    assert (item.score.correct, item.score.total) == (1, 2)
    assert item.error_types == {"missing_result": 1}
    assert item.problems[0].is_missing
    item = scored(tmp_path, partial=True)["maker_alpha-FC"].categories["simple_python"]
    assert (item.score.correct, item.score.total, item.problems) == (1, 1, [])
    assert item.missing == ["simple_python_1"]


def test_a_category_without_any_usable_line_is_not_scored_when_partial(tmp_path: Path) -> None:
    results(tmp_path, "maker/alpha-FC", "simple_python")
    report = scored(tmp_path, partial=True, out=tmp_path / "score")["maker_alpha-FC"]
    assert report.scores == {}
    assert len(report.categories["simple_python"].problems) == 1
    assert not (tmp_path / "score").exists()


def test_failed_generations_are_scored_as_they_stand_and_counted(tmp_path: Path) -> None:
    failed = "Error during inference: timeout"
    results(tmp_path, "maker/alpha-FC", "simple_python", _0=failed, _1=RIGHT)
    report = scored(tmp_path)["maker_alpha-FC"]
    item = report.categories["simple_python"]
    assert item.failed_generations == 1
    assert item.error_types["ast_decoder:decoder_failed"] == 1
    text = "\n".join(report_lines(report, summarize_model(report)))
    assert "1 results are errors of the generation" in text


@pytest.mark.parametrize(
    ("model", "result", "mode", "dots"),
    [
        ("maker/alpha-FC", "text", "fc", True),
        ("beta", [{"f": "{}"}], "prompting", False),
        ("own", [{"f": "{}"}], "fc", True),
        ("own", "text", "prompting", False),
    ],
)
def test_the_registry_or_the_results_say_how_results_are_read(
    tmp_path: Path, model: str, result: Any, mode: str, dots: bool
) -> None:
    results(tmp_path, model, "simple_python", _0=result)
    ((found,), _) = find_result_files(tmp_path)
    handler, entry, notes = choose_handler(found, REGISTERED, Options())
    assert (handler.mode, handler.underscore_to_dot) == (mode, dots)
    assert (entry is None) is (model == "own")
    # The small registry's handlers are none of ours.
    assert len(notes) == 1
    assert ("registry" in notes[0]) is (model == "own")


def test_steps_of_conversations_say_how_results_are_read(tmp_path: Path) -> None:
    results(tmp_path, "one", "memory_kv", **{"_0-student-0": [["Hello"]]})
    results(tmp_path, "two", "memory_kv", **{"_0-student-0": [[[{"f": "{}"}], "Hello"]]})
    models, _ = find_result_files(tmp_path)
    modes = {m.name: choose_handler(m, REGISTERED, Options())[0].mode for m in models}
    assert modes == {"one": "prompting", "two": "fc"}


def test_options_are_above_the_registry(tmp_path: Path) -> None:
    results(tmp_path, "maker/alpha-FC", "simple_python", _0="[math.add(a=1)]", _1="[math_add(a=2)]")
    options = {"mode": "prompting", "underscore_to_dot": False}
    item = scored(tmp_path, **options)["maker_alpha-FC"].categories["simple_python"]
    assert item.verdicts == {"simple_python_0": True, "simple_python_1": False}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_score_file_has_a_header_and_the_entries_that_failed(tmp_path: Path) -> None:
    results(tmp_path / "r", "maker/alpha-FC", "simple_python", _0=RIGHT, _1=WRONG)
    scored(tmp_path / "r", out=tmp_path / "score")
    path = tmp_path / "score/maker_alpha-FC/non_live/BFCL_v4_simple_python_score.json"
    assert path == score_path(tmp_path / "score", "maker_alpha-FC", "simple_python")
    header, failed = lines(path)
    assert header == {"accuracy": 0.5, "correct_count": 1, "total_count": 2}
    assert (failed["id"], failed["model_name"]) == ("simple_python_1", "maker_alpha-FC")
    assert (failed["test_category"], failed["valid"]) == ("simple_python", False)
    assert failed["error_type"] == "value_error:others"
    assert failed["model_result_raw"] == WRONG
    assert failed["model_result_decoded"] == [{"math_add": {"a": 7}}]
    assert failed["possible_answer"] == [{"math.add": {"a": [2.0], "b": [""]}}]
    assert failed["prompt"]["function"][0]["name"] == "math.add"


def test_score_files_of_conversations_hold_the_error_as_an_object(tmp_path: Path) -> None:
    results(tmp_path / "r", "maker/alpha-FC", "memory_kv", **{"_0-student-0": [["Bye"]]})
    results(tmp_path / "r", "maker/alpha-FC", "multi_turn_miss_func", _0="stopped")
    scored(tmp_path / "r", out=tmp_path / "score")
    root = tmp_path / "score/maker_alpha-FC"
    _, failed = lines(root / "agentic/memory/kv/BFCL_v4_memory_kv_score.json")
    assert failed["error"]["error_type"] == "agentic:answer_not_found"
    assert (failed["possible_answer"], failed["inference_log"]) == (["Hello"], "")
    _, failed = lines(root / "multi_turn/BFCL_v4_multi_turn_miss_func_score.json")
    assert failed["error"]["error_type"] == "multi_turn:inference_error"
    assert "function" not in failed["prompt"]


def tables(folder: Path, out: Path) -> tuple[Mapping[str, str], list[str], list[str]]:
    reports = [(report, summarize_model(report)) for report in scored(folder, out=out).values()]
    written, notes, problems = leaderboard(out, reports, REGISTERED)
    return written, notes, [str(problem) for problem in problems]


def test_tables_hold_what_was_scored_before(tmp_path: Path) -> None:
    out = tmp_path / "score"
    results(tmp_path / "one", "maker/alpha-FC", "simple_python", _0=RIGHT, _1=WRONG)
    results(tmp_path / "one", "own", "irrelevance", _0="No.")
    tables(tmp_path / "one", out)
    results(tmp_path / "two", "maker/alpha-FC", "irrelevance", _0="No.")
    written, notes, problems = tables(tmp_path / "two", out)
    rows = [row.split(",") for row in written["data_non_live.csv"].split("\n")]
    assert [row[1] for row in rows] == ["Model", "Alpha (FC)", "own"]
    assert (rows[1][5], rows[1][-1], rows[2][-1]) == ("50.00%", "100.00%", "100.00%")
    assert notes == [
        "maker_alpha-FC: the tables also hold the scores there of simple_python",
        "own: the tables also hold the scores there of irrelevance",
    ]
    assert problems == []


def test_what_is_scored_now_replaces_what_lies_there(tmp_path: Path) -> None:
    out = tmp_path / "score"
    results(tmp_path, "maker/alpha-FC", "simple_python", _0=WRONG, _1=WRONG)
    tables(tmp_path, out)
    results(tmp_path, "maker/alpha-FC", "simple_python", _0=RIGHT, _1=WRONG)
    written, notes, _ = tables(tmp_path, out)
    assert "50.00%" in written["data_non_live.csv"]
    assert notes == []
    assert read_scores(out)[0]["maker_alpha-FC"]["simple_python"].correct == 1


def test_a_spoilt_score_file_is_named_and_left_out(tmp_path: Path) -> None:
    out = tmp_path / "score"
    results(tmp_path / "r", "maker/alpha-FC", "simple_python", _0=RIGHT, _1=RIGHT)
    spoilt = score_path(out, "beta", "multiple")
    spoilt.parent.mkdir(parents=True)
    spoilt.write_text("{}\n")
    (spoilt.parent / "BFCL_v4_nothing_score.json").write_text(
        '{"accuracy": 1, "correct_count": 1, "total_count": 1}'
    )
    _, _, problems = tables(tmp_path / "r", out)
    assert problems == [
        f"{spoilt}:1: is no header of a score file; not in the tables",
        f"{spoilt.parent}/BFCL_v4_nothing_score.json:1: BFCL V4 has no category 'nothing'",
    ]


def test_the_report_as_json(tmp_path: Path) -> None:
    results(tmp_path, "maker/alpha-FC", "simple_python", _0=RIGHT, _1=WRONG)
    results(tmp_path, "maker/alpha-FC", "irrelevance", _0="No.")
    report = scored(tmp_path)["maker_alpha-FC"]
    found = json.loads(json.dumps(model_json(report, summarize_model(report))))
    category = found["categories"]["simple_python"]
    assert category["interval"] == pytest.approx([0.0945, 0.9055], abs=1e-4)
    assert category["wrong"] == ["simple_python_1"]
    parseable = category["metrics"]["parseable"]
    assert (parseable["count"], parseable["total"], parseable["rate"]) == (2, 2, 1.0)
    assert parseable["interval"] == pytest.approx([0.3424, 1.0], abs=1e-4)
    irrelevance = found["categories"]["irrelevance"]["metrics"]
    assert irrelevance["parseable"]["interval"] is None  # no call is due
    overall = 0.5 / 3 / 4 / 10 + 1 / 2 / 10
    assert found["groups"]["overall"]["accuracy"] == pytest.approx(overall)
    assert not found["groups"]["overall"]["complete"]
    # 300 tokens in at 0.5 dollars and 150 out at 2, each per million.
    assert found["cost"]["dollars"] == 0.0
    assert found["cost"]["latency_mean_s"] == 2.0


def test_every_configuration_of_format_sensitivity_has_an_interval(tmp_path: Path) -> None:
    asked = load_entries(WHEEL, "format_sensitivity")
    rows = [{"id": entry.id, "result": "[math.add(a=2)]"} for entry in asked]
    write_results(result_path(tmp_path, "beta", "format_sensitivity"), rows)
    report = scored(tmp_path)["beta"]
    found = model_json(report, summarize_model(report))["categories"]["format_sensitivity"]
    configurations = {entry.prompt_format for entry in asked}
    assert len(configurations) > 1
    for name in configurations:
        right = found[name]["correct_count"]
        assert found[name]["interval"] == list(wilson_interval(right, found[name]["total_count"]))


def test_the_report_as_text(tmp_path: Path) -> None:
    results(tmp_path, "own", "simple_python", _0=RIGHT, _1=[{"sub": "{}"}])
    report = scored(tmp_path)["own"]
    text = report_lines(report, summarize_model(report))
    assert text[0] == "own (fc, with _ for .)"
    assert text[1].startswith("note: not in the benchmark's registry")
    (row,) = [line.split() for line in text if line.startswith("simple_python ")][:1]
    assert row[:4] == ["simple_python", "2", "1", "50.00%"]
    assert "* some of its categories have no results and count as 0" in text
    (rates,) = [line.split() for line in text if line.endswith("100.0% 21…100")]
    half = ["50.0%", "9…91"]
    assert rates == ["simple_python", "100.0%", "34…100", *half, *half, *half, "100.0%", "21…100"]
