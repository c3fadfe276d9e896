"""`callsmith bfcl score`, `compare`, `parity` and `explain` on results made from the answers.

They need the benchmark's wheel and skip without it.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from callsmith import CallsmithError, ConfigError, UnknownNameError
from callsmith_bfcl.categories import CATEGORIES
from callsmith_bfcl.cli_lazy import LazyGroup
from callsmith_bfcl.data import load_entries
from callsmith_bfcl.explanation import nearest_calls
from callsmith_bfcl.results import json_line, result_path, write_results
from fixtures.small_bfcl import find_wheel

COMMANDS = {
    name: (f"callsmith_bfcl.cli_{name}:{name}", f"Does {name}.")
    for name in ("score", "compare", "parity", "explain")
}


def group() -> LazyGroup:
    return LazyGroup(name="bfcl", lazy=COMMANDS)


def run(*arguments: object) -> Result:
    """A command that must not raise anything but `SystemExit`."""
    result = CliRunner().invoke(group(), [str(item) for item in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def refused(*arguments: object) -> str:
    with pytest.raises(CallsmithError) as caught:
        run(*arguments)
    return str(caught.value)


def calls(category: str) -> dict[str, list[dict[str, str]]]:
    """A right result of every entry, as far as there is one."""
    found = {}
    for entry in load_entries(find_wheel(), category):
        accepted = nearest_calls(entry.ground_truth, [], entry.functions)
        found[entry.id] = [
            {name: json.dumps(arguments) for name, arguments in call.items()} for call in accepted
        ]
    return found


def folder(root: Path, model: str, category: str, results: dict[str, Any]) -> Path:
    rows = [{"id": name, "result": result, "latency": 1.0} for name, result in results.items()]
    write_results(result_path(root, model, category), rows)
    return root


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All entries of `parallel` right, by a model of our own."""
    return folder(tmp_path_factory.mktemp("right"), "own", "parallel", calls("parallel"))


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every other entry of `parallel` without its calls."""
    results: dict[str, Any] = calls("parallel")
    for entry_id in list(results)[::2]:
        results[entry_id] = "I do not know."
    return folder(tmp_path_factory.mktemp("half"), "own", "parallel", results)


def test_a_folder_is_scored(right: Path) -> None:
    result = run("score", right, "--keep-dots")
    assert result.exit_code == 0
    row = next(line.split() for line in result.stdout.splitlines() if line[:9] == "parallel ")
    assert row[:4] == ["parallel", "200", "200", "100.00%"]
    assert "Non-Live *" in result.stdout


def test_the_form_of_names_is_told(right: Path) -> None:
    # Names with dots are wrong for a model that was shown underscores.
    found = json.loads(run("score", right, "--json").stdout)
    assert found["models"][0]["underscore_to_dot"] is True
    types = found["models"][0]["categories"]["parallel"]["error_types"]
    assert set(types) == {"parallel_function_checker_no_order:cannot_find_match"}


def test_score_files_and_tables_are_written(half: Path, tmp_path: Path) -> None:
    result = run("score", half, "--keep-dots", "--out", tmp_path)
    assert result.exit_code == 0
    names = {path.name for path in tmp_path.glob("*.csv")}
    assert len(names) == 6
    header, row = (tmp_path / "data_non_live.csv").read_text().split("\n")
    assert dict(zip(header.split(","), row.split(","), strict=True))["Parallel AST"] == "50.00%"
    lines = (tmp_path / "own/non_live/BFCL_v4_parallel_score.json").read_text().splitlines()
    assert len(lines) == 101


def test_problems_name_file_and_line_and_the_rest_is_scored(half: Path, tmp_path: Path) -> None:
    source = result_path(half, "own", "parallel").read_bytes().splitlines(keepends=True)
    target = result_path(tmp_path, "own", "parallel")
    target.parent.mkdir(parents=True)
    lines = [*source[:5], source[3], b'{"id": "parallel_\xff"}\n', *source[5:-1], source[-1][:20]]
    target.write_bytes(b"".join(lines))
    (target.parent / "BFCL_v4_paralel_result.json").write_text("")
    result = run("score", tmp_path, "--keep-dots")
    assert result.exit_code == 1
    told = [line.rpartition("BFCL_v4_")[2] for line in result.stderr.splitlines()]
    assert [line.partition(": ")[0] for line in told] == [
        "paralel_result.json:1",
        *(f"parallel_result.json:{number}" for number in (6, 7, 202, 202)),
    ]
    for line, said in zip(
        told, ("no category", "duplicate", "not UTF-8", "cut off", "missing"), strict=True
    ):
        assert said in line
    assert " 200     99 " in result.stdout


def test_a_partial_run_counts_what_is_there(half: Path, tmp_path: Path) -> None:
    source = result_path(half, "own", "parallel").read_bytes().splitlines(keepends=True)
    target = result_path(tmp_path, "own", "parallel")
    target.parent.mkdir(parents=True)
    target.write_bytes(b"".join(source[:10]))
    result = run("score", tmp_path, "--keep-dots", "--partial", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)["models"][0]["categories"]["parallel"]
    assert (found["correct_count"], found["total_count"]) == (5, 10)
    assert len(found["missing"]) == 190


def test_two_processes_find_what_one_finds(half: Path, tmp_path: Path) -> None:
    root = folder(tmp_path, "own", "multiple", calls("multiple"))
    folder(root, "own", "parallel", calls("parallel"))
    arguments = ("score", root, "--keep-dots", "--json")
    assert run(*arguments, "--jobs", 2).stdout == run(*arguments).stdout


def test_strict_verdicts_are_laid_beside_the_official_ones(tmp_path: Path) -> None:
    # The empty string for a text that may be left out: right officially (A3), wrong strictly.
    entries = load_entries(find_wheel(), "live_simple")
    results: dict[str, Any] = calls("live_simple")
    for entry in entries:
        ((name, accepted),) = entry.ground_truth[0].items()
        properties = entry.functions[0]["parameters"]["properties"]
        for key, values in accepted.items():
            given = json.loads(results[entry.id][0][name])
            if "" in values and len(values) > 1 and properties[key]["type"] == "string":
                results[entry.id] = [{name: json.dumps({**given, key: ""})}]
    root = folder(tmp_path, "own", "live_simple", results)
    official = json.loads(run("score", root, "--keep-dots", "--json").stdout)
    strict = json.loads(run("score", root, "--keep-dots", "--strict", "--json").stdout)
    category = strict["models"][0]["categories"]["live_simple"]
    assert set(category["unsatisfiable"]) == {"live_simple_106-63-0", "live_simple_112-68-0"}
    lost = official["models"][0]["categories"]["live_simple"]["correct_count"]
    lost -= category["correct_count"]
    differences = category["differences"]
    assert lost == sum(1 if item["official"]["valid"] else -1 for item in differences) > 0
    assert {"A3"} <= {fix for item in differences for fix in item["fixes"]}
    text = run("score", root, "--keep-dots", "--strict").stdout
    assert f"official and strict verdicts differ on {len(differences)} entries" in text
    assert "no output can satisfy\n  live_simple_106-63-0: " in text


def test_folders_are_compared_in_pairs(right: Path, half: Path) -> None:
    found = json.loads(run("compare", right, half, "--json").stdout)
    pair = found["categories"]["parallel"]
    # Read with underscores for dots, so that only names without a dot can be right.
    assert pair["pairs"] == 200
    assert pair["only_second"] == []
    assert pair["difference"] == pytest.approx(-len(pair["only_first"]) / 200)
    assert pair["interval"][0] < pair["difference"] < pair["interval"][1] < 0
    assert pair["p_mid_holm"] < pair["p_exact"] < 0.001
    text = run("compare", right, half, "--flips").stdout
    assert "only A: parallel_" in text
    assert "* below 0.05" in text


def test_a_folder_and_itself_do_not_differ(half: Path) -> None:
    pair = json.loads(run("compare", half, half, "--json").stdout)["categories"]["parallel"]
    assert (pair["difference"], pair["p_mid"], pair["only_first"]) == (0.0, 1.0, [])


def test_what_cannot_be_compared(right: Path, tmp_path: Path) -> None:
    other = folder(tmp_path / "x", "own", "multiple", {"multiple_0": "no"})
    folder(tmp_path / "two", "one", "parallel", {})
    two = folder(tmp_path / "two", "two", "parallel", {})
    assert "no entry in common" in refused("compare", right, other)
    assert "choose one model with --model-b; there are: one, two" in refused("compare", right, two)
    assert "has no model 'three'" in refused("compare", two, two, "--model-a", "three")


def test_a_wrong_entry_is_explained(half: Path) -> None:
    result = run("explain", "parallel_0", "--result", half)
    assert result.exit_code == 0
    for said in (
        "spotify.play",
        "accepted answers",
        "I do not know.",
        "ast_decoder:decoder_failed",
    ):
        assert said in result.stdout
    assert "rule: The output could not be read as calls" in result.stdout


def test_a_conversation_is_explained(tmp_path: Path) -> None:
    (entry, *_) = load_entries(find_wheel(), "multi_turn_base")
    turns = [["Done."] for _ in entry.ground_truth]
    root = folder(tmp_path, "own", "multi_turn_base", {entry.id: turns})
    text = run("explain", entry.id, "--result", root, "--handler", "fc").stdout
    assert "multi_turn:empty_turn_model_response" in text
    assert "-     cd(folder='document')" in text


def test_control_characters_of_a_model_do_not_reach_the_terminal(tmp_path: Path) -> None:
    find_wheel()
    root = folder(tmp_path, "own", "multiple", {"multiple_0": "\x1b]0;title\x07 [b]x[/b]"})
    text = run("explain", "multiple_0", "--result", root).stdout
    assert "\x1b" not in text
    assert r"\x1b]0;title\x07 [b]x[/b]" in text


def test_an_entry_alone_and_one_without_a_result(half: Path) -> None:
    assert "no call is right" in run("explain", "irrelevance_0").stdout
    assert (
        "own has no result for multiple_0" in run("explain", "multiple_0", "--result", half).stdout
    )


def test_what_cannot_be_explained(half: Path) -> None:
    find_wheel()
    assert "did you mean parallel_1" in refused("explain", "parallel_1000")
    assert "begins with no category" in refused("explain", "nonsense")
    assert "has no model 'x'; there are: own" in refused(
        *("explain", "parallel_0", "--result", half, "--model", "x")
    )
    assert "--model needs --result" in refused("explain", "parallel_0", "--model", "x")


def corpus(path: Path, rows: list[dict[str, Any]]) -> Path:
    with gzip.open(path, "wb") as file:
        file.writelines(map(json_line, rows))
    return path


def test_a_corpus_is_replayed(tmp_path: Path) -> None:
    find_wheel()
    row = {
        "category": "parallel",
        "id": "parallel_0",
        "kind": "decoded",
        "underscore_to_dot": False,
    }
    wrong = {"valid": False, "error_type": "parallel_function_checker_no_order:wrong_count"}
    rows = [
        {**row, "mutation": "empty_list", "output": [], **wrong},
        {**row, "mutation": "rename_arg_0_artist", "output": [], "valid": True, "error_type": None},
        {"category": "misc", "id": None, "kind": "prompt", "raw": "f(a=1)", "decoded": ["f(a=1)"]}
        | {"decode_failed": False},
        {"category": "memory", "id": "memory_0-customer-0", "kind": "half", "last_message": "?"}
        | {"valid": False},
    ]
    path = corpus(tmp_path / "rows.jsonl.gz", rows)
    result = run("parity", path)
    assert result.exit_code == 1
    assert "rows.jsonl.gz: 3 of 4 rows agree (75.00%)" in result.stdout
    assert "line 2: parallel_0 rename_arg_0_artist: official ['valid']" in result.stdout
    (body,) = json.loads(run("parity", path, "--json").stdout)
    assert body["mutation"]["rename_arg"] == {"agree": 0, "rows": 1}
    assert body["category"]["misc"] == {"agree": 1, "rows": 1}
    assert [item["line"] for item in body["disagreeing"]] == [2]
    assert run("parity", corpus(tmp_path / "good.gz", rows[:1])).exit_code == 0


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{}\n", "line 1: no row about this data"),
        (b'{"category": "parallel", "id": "parallel_x"}', "no entry 'parallel_x'"),
        (b"\n[]\n", "line 1: no row of a corpus"),
        (b"nonsense", "line 1: no row of a corpus"),
    ],
    ids=["empty", "id", "blank", "text"],
)
def test_what_is_no_corpus(tmp_path: Path, data: bytes, said: str) -> None:
    find_wheel()
    path = tmp_path / "rows.jsonl"
    path.write_bytes(data)
    assert said in refused("parity", path)


def test_a_corpus_that_is_cut_off_or_gone(tmp_path: Path) -> None:
    find_wheel()
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"")[:-4])
    assert "cannot be read after line 0" in refused("parity", tmp_path / "cut.gz")
    assert "there is no such file" in refused("parity", tmp_path / "gone.jsonl")
    (tmp_path / "empty.jsonl").touch()
    assert "holds no row" in refused("parity", tmp_path / "empty.jsonl")


def test_one_absurd_count_of_tokens_stops_nothing(tmp_path: Path) -> None:
    right = calls("simple_python")
    spoilt = (10**4000, float("nan"), 1e200, "many")
    rows = [
        {"id": entry, "result": right[entry], "input_token_count": n, "latency": n}
        for entry, n in zip(right, (*spoilt, 5, 6), strict=False)
    ]
    write_results(result_path(tmp_path, "gpt-4o-2024-11-20-FC", "simple_python"), rows)
    result = run("score", tmp_path, "--partial", "--json")
    assert result.exit_code == 0, result.output
    assert "NaN" not in result.stdout
    (model,) = json.loads(result.stdout)["models"]
    assert model["categories"]["simple_python"]["total_count"] == len(rows)
    assert model["cost"]["latency_mean_s"] == 5.5


def test_folders_that_cannot_be_scored(right: Path, tmp_path: Path) -> None:
    assert "there is no such folder" in refused("score", tmp_path / "gone")
    assert "holds no BFCL_v4_<category>_result.json" in refused("score", tmp_path)
    assert "has no model 'x'; there are: own" in refused("score", right, "--model", "x")
    with pytest.raises(UnknownNameError, match="did you mean 'parallel'"):
        run("score", right, "--category", "paralel")
    with pytest.raises(ConfigError, match="has no results of live"):
        run("score", right, "--category", "live")


def test_the_data_is_asked_for_when_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLSMITH_BFCL_WHEEL", str(tmp_path / "none.whl"))
    write_results(result_path(tmp_path, "own", "parallel"), [])
    for arguments in (("score", tmp_path), ("explain", "parallel_0"), ("parity", tmp_path)):
        assert "run `callsmith bfcl fetch`" in refused(*arguments)


def test_help_lists_commands_without_importing_them() -> None:
    code = (
        "import sys; from callsmith_bfcl.cli_lazy import LazyGroup\n"
        f"group = LazyGroup(name='bfcl', lazy={COMMANDS!r})\n"
        "group(['--help'], standalone_mode=False)\n"
        "found = [m for m in ('callsmith_bfcl.scoring', 'numpy', 'rich') if m in sys.modules]\n"
        "print('imported', found)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True
    )
    assert "Does score." in done.stdout
    assert "imported []" in done.stdout


def test_an_unknown_command_is_told_with_the_nearest() -> None:
    result = CliRunner().invoke(group(), ["scor"])
    assert result.exit_code == 2
    assert "did you mean 'score'?" in result.stderr


def test_ordinary_commands_stand_beside_those_of_the_table() -> None:
    lazy = group()

    @lazy.command()
    def fetch() -> None:
        """Put it there."""
        click.echo("fetched")

    assert CliRunner().invoke(lazy, ["fetch"]).stdout == "fetched\n"
    assert "Put it there." in CliRunner().invoke(lazy, ["--help"]).stdout


def test_every_category_can_be_scored_from_an_empty_file(tmp_path: Path) -> None:
    find_wheel()
    for category in CATEGORIES:
        folder(tmp_path, "own", category, {})
    result = run("score", tmp_path, "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)["models"][0]["categories"]
    assert {name: item["total_count"] for name, item in found.items()} == {
        name: category.count for name, category in CATEGORIES.items()
    }
    assert {kind for item in found.values() for kind in item["error_types"]} == {"missing_result"}
