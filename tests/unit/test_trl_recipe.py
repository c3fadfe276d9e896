"""What stands beside a checkpoint, and where checkpoints are found. No torch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from callsmith import ConfigError, load
from callsmith_trl.comparing import Likeness, Limits, Said, same_answers
from callsmith_trl.config import SftConfig
from callsmith_trl.recipe import FILE, Recipe, find_checkpoint, read_recipe, recipe_of


def test_a_recipe_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    config = SftConfig(quantization="", dtype="float32", control_tokens=("<x>",), thinking=True)
    recipe = recipe_of(config, load().build("template", "qwen3"))
    assert recipe.template.startswith("qwen3:")
    (tmp_path / FILE).write_text(json.dumps({"recipe": recipe.as_json()}), encoding="utf-8")
    assert read_recipe(tmp_path) == recipe
    again = recipe.trainer_config()
    assert (again.quantization, again.dtype, again.thinking) == ("", "float32", True)
    assert again.control_tokens == ("<x>",)


def test_no_recipe_and_a_damaged_one(tmp_path: Path) -> None:
    assert read_recipe(tmp_path) is None
    (tmp_path / FILE).write_text("{}", encoding="utf-8")
    assert read_recipe(tmp_path) is None
    for text in ("{", '{"recipe": {"strange": 1}}', "[]"):
        (tmp_path / FILE).write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match="damaged"):
            read_recipe(tmp_path)


def test_checkpoints_of_steps_adapters_and_models(tmp_path: Path) -> None:
    step = tmp_path / "steps" / "sft-1"
    step.mkdir(parents=True)
    result = {"checkpoint": {"path": "elsewhere", "adapter": "$run/steps/sft-1/output/adapter"}}
    (step / "result.json").write_text(json.dumps(result), encoding="utf-8")
    found = find_checkpoint(step)
    assert found.path == "elsewhere"
    assert found.adapter == str(step.resolve() / "output" / "adapter")
    adapter = tmp_path / "a" / "adapter"
    adapter.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text("{}", encoding="utf-8")
    assert find_checkpoint(adapter.parent) == find_checkpoint(adapter)
    assert find_checkpoint(adapter).path == ""
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}", encoding="utf-8")
    assert find_checkpoint(tmp_path / "m").path == str(tmp_path / "m")


@pytest.mark.parametrize(
    ("name", "line"), [("none", "there is no folder"), ("empty", "holds no checkpoint")]
)
def test_folders_without_a_checkpoint(tmp_path: Path, name: str, line: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=line):
        find_checkpoint(tmp_path / name)


def test_a_damaged_result_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"checkpoint": null}', encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be read"):
        find_checkpoint(tmp_path)


def likeness(**changes: object) -> Likeness:
    given = {"name": "x", "tasks": 100, "right": 1, "same": 100, "agreement": 1.0}
    return Likeness(**{**given, "divergence": 0.0, **changes})  # type: ignore[arg-type]


def test_what_counts_as_the_trained_model() -> None:
    limits = Limits()
    assert likeness().is_the_trained_model(limits)
    assert not likeness(divergence=0.0044).is_the_trained_model(limits)
    assert not likeness(agreement=0.98).is_the_trained_model(limits)
    # A server that shows no probabilities is judged by its answers.
    hidden = {"agreement": None, "divergence": None}
    assert likeness(**hidden, same=95).is_the_trained_model(limits)
    assert not likeness(**hidden, same=94).is_the_trained_model(limits)


def test_answers_that_failed_are_equal_to_nothing() -> None:
    failed = Said(problem="no reply")
    assert same_answers([Said(text="a"), failed], [Said(text="a"), failed]) == 1
    assert Recipe().as_json()["control_tokens"] == []
