"""Which result files a folder holds, whose they are, and what is only nearly one."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsmith import ConfigError
from callsmith_bfcl.result_folders import find_result_files
from callsmith_bfcl.results import result_path, write_results


def folder(root: Path, model: str, *categories: str) -> None:
    for category in categories:
        write_results(result_path(root, model, category), [])


@pytest.mark.parametrize("start", ["", "result", "result/m", "result/m/non_live"])
def test_a_folder_is_found_from_wherever_one_starts(tmp_path: Path, start: str) -> None:
    folder(tmp_path / "result", "m", "simple_python", "multiple")
    (model,), problems = find_result_files(tmp_path / start)
    assert (model.name, list(model.files), problems) == ("m", ["multiple", "simple_python"], [])


def test_groups_and_backends_have_folders_of_their_own(tmp_path: Path) -> None:
    names = ["memory_rec_sum", "multi_turn_base", "web_search_base", "live_simple"]
    folder(tmp_path, "maker/m", *names, "format_sensitivity")
    (model,), _ = find_result_files(tmp_path)
    assert model.name == "maker_m"
    assert set(model.files) == {*names, "format_sensitivity"}
    assert model.files["memory_rec_sum"] == [
        tmp_path / "maker_m/agentic/memory/rec_sum/BFCL_v4_memory_rec_sum_result.json"
    ]


def test_an_unknown_category_is_named_with_the_nearest(tmp_path: Path) -> None:
    folder(tmp_path, "m", "simple_python")
    wrong = tmp_path / "m/non_live/BFCL_v4_simple_pyton_result.json"
    wrong.write_text("")
    (model,), (problem,) = find_result_files(tmp_path)
    assert list(model.files) == ["simple_python"]
    assert str(problem) == (
        f"{wrong}:1: BFCL V4 has no category 'simple_pyton', the file is not scored; did you mean "
        "'simple_python'?"
    )


def test_conversations_before_memory_questions_are_no_category(tmp_path: Path) -> None:
    folder(tmp_path, "m", "memory_kv")
    (tmp_path / "m/agentic/memory/kv/BFCL_v4_memory_kv_prereq_result.json").write_text("")
    (model,), problems = find_result_files(tmp_path)
    assert (list(model.files), problems) == (["memory_kv"], [])


def test_other_files_are_no_result_files(tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text("")
    with pytest.raises(ConfigError, match="holds no BFCL_v4_<category>_result"):
        find_result_files(tmp_path)
    with pytest.raises(ConfigError, match="there is no such folder"):
        find_result_files(tmp_path / "gone")
    with pytest.raises(ConfigError, match="is a file, not a folder"):
        find_result_files(tmp_path / "notes.json")


def test_what_only_looks_like_a_result_file_is_named(tmp_path: Path) -> None:
    folder(tmp_path, "m", "simple_python")
    home = tmp_path / "m/non_live"
    (home / "BFCL_v4_multiple_result.json").mkdir()
    (home / "BFCL_v4_parallel_result.json").symlink_to(tmp_path / "gone")
    for name in ("BFCL_v3_simple_result.json", "multiple_result.json"):
        (home / name).write_text("")
    (home / "BFCL_v4_simple_java_result.jsonl").write_text("")
    (home / ".BFCL_v4_simple_java_result.json.partial").write_text("")
    (model,), problems = find_result_files(tmp_path)
    assert list(model.files) == ["simple_python"]
    misnamed = "is not named BFCL_v4_<category>_result.json, the file is not scored"
    assert {Path(item.path).name: item.message for item in problems} == {
        "BFCL_v4_multiple_result.json": "is a folder, expected a file; it is not scored",
        "BFCL_v4_parallel_result.json": "is a link to nothing; it is not scored",
        "BFCL_v3_simple_result.json": misnamed,
        "multiple_result.json": misnamed,
        "BFCL_v4_simple_java_result.jsonl": misnamed,
    }


def test_a_link_to_a_models_folder_is_a_model_under_its_own_name(tmp_path: Path) -> None:
    folder(tmp_path / "elsewhere", "stored", "simple_python")
    folder(tmp_path / "result", "m", "simple_python")
    (tmp_path / "result/linked").symlink_to(tmp_path / "elsewhere/stored")
    models, problems = find_result_files(tmp_path)
    assert ({model.name for model in models}, problems) == ({"m", "linked"}, [])


def test_a_name_that_is_no_utf_8_is_escaped(tmp_path: Path) -> None:
    try:
        folder(tmp_path, "m\udcff", "simple_python")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (model,), _ = find_result_files(tmp_path)
    assert model.name == "m\\xff"
    assert len(model.files["simple_python"]) == 1
