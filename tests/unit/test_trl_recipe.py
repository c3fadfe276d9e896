"""What stands beside a checkpoint, and where checkpoints are found. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import log
from pathlib import Path
from random import Random

import pytest

from callsmith import ConfigError, JsonValue, Template, load
from callsmith_trl.comparing import (
    Drawn,
    Likeness,
    Limits,
    Said,
    estimated_divergence,
    same_answers,
)
from callsmith_trl.config import SftConfig
from callsmith_trl.recipe import FILE, Recipe, find_checkpoint, read_recipe, recipe_of
from callsmith_trl.template_choice import chosen_template


def test_a_recipe_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    config = SftConfig(quantization="", dtype="float32", control_tokens=("<x>",), thinking=True)
    recipe = recipe_of(config, load().build("template", "qwen3"))
    assert recipe.template.startswith("qwen3:")
    (tmp_path / FILE).write_text(json.dumps({"recipe": recipe.as_json()}), encoding="utf-8")
    assert read_recipe(tmp_path) == recipe
    again = recipe.trainer_config()
    assert (again.quantization, again.dtype, again.thinking) == ("", "float32", True)
    assert again.control_tokens == ("<x>",)


def test_a_recipe_says_what_the_template_was_made_from(tmp_path: Path) -> None:
    template = load().build("template", "qwen3", {"thinking": False})
    reference: Mapping[str, JsonValue] = {"use": "qwen3", "options": {"thinking": False}}
    recipe = recipe_of(SftConfig(), template, reference)
    (tmp_path / FILE).write_text(json.dumps({"recipe": recipe.as_json()}), encoding="utf-8")
    found = read_recipe(tmp_path)
    assert found is not None
    assert found.template_reference == reference
    # What was written before that was recorded is read as well.
    (tmp_path / FILE).write_text(
        '{"recipe": {"template": "qwen3:0", "control_tokens": []}}', encoding="utf-8"
    )
    old = read_recipe(tmp_path)
    assert old is not None
    assert old.template_reference == {}


def choose(
    recipe: Recipe, name: str | None = None, given: tuple[str, ...] = ()
) -> tuple[str, list[str]]:
    """The digest of the template that is compared with, and what is said about it."""
    said: list[str] = []
    return chosen_template(load(), recipe, name, given, said.append).digest, said


def digest(name: str, **options: object) -> str:
    template: Template = load().build("template", name, options)
    return template.digest


def test_the_recorded_template_is_made_again_unless_another_is_named() -> None:
    plain, tuned = digest("qwen3"), digest("qwen3", thinking=False)
    assert plain != tuned
    reference: Mapping[str, JsonValue] = {"use": "qwen3", "options": {"thinking": False}}
    recipe = Recipe(template=tuned, template_reference=reference)
    assert choose(recipe) == (tuned, [])
    made, (line,) = choose(recipe, given=("thinking=true",))
    assert made == digest("qwen3", thinking=True)
    assert tuned in line
    assert "\n" not in line
    # Another template takes nothing of the recorded options.
    assert choose(recipe, "qwen3")[0] == plain
    assert choose(recipe, "gemma4")[0] == digest("gemma4")


def test_a_recipe_that_knows_the_name_alone_needs_the_options() -> None:
    recipe = Recipe(template=digest("qwen3", thinking=False))
    made, (line,) = choose(recipe)
    assert made == digest("qwen3")
    assert "--template-option" in line
    assert choose(recipe, given=("thinking=false",)) == (recipe.template, [])


def test_a_template_that_became_another_is_said() -> None:
    recipe = Recipe(
        template="qwen3:0123", template_reference={"use": "qwen3", "options": {"thinking": False}}
    )
    _, (line,) = choose(recipe)
    assert "qwen3:0123" in line
    assert "another version" in line


def test_a_recorded_template_with_its_parser_and_a_file_that_moved(tmp_path: Path) -> None:
    file = tmp_path / "chat.jinja"
    file.write_text("{% for m in messages %}{{ m.content }}{% endfor %}", encoding="utf-8")
    reference: dict[str, JsonValue] = {
        "use": "jinja",
        "options": {"path": str(file), "stop": ["<end>"]},
        "parser": {"use": "qwen3", "options": {}},
    }
    made, _ = choose(Recipe(template_reference=reference))
    assert made.startswith("jinja+qwen3:")
    file.rename(tmp_path / "moved.jinja")
    with pytest.raises(ConfigError, match=r"chat\.jinja.*--template-option"):
        choose(Recipe(template_reference=reference))
    moved = (f"path={tmp_path / 'moved.jinja'}",)
    assert choose(Recipe(template=made, template_reference=reference), given=moved)[0] == made


def test_no_recipe_and_a_damaged_one(tmp_path: Path) -> None:
    assert read_recipe(tmp_path) is None
    (tmp_path / FILE).write_text("{}", encoding="utf-8")
    assert read_recipe(tmp_path) is None
    named = '{"recipe": {"control_tokens": [], "template_reference": {"use": 1}}}'
    for text in ("{", '{"recipe": {"strange": 1}}', "[]", named):
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


def test_an_arm_is_judged_by_its_answers_and_by_what_it_shows() -> None:
    limits = Limits()
    assert likeness(served=True).is_the_trained_model(limits)
    # What failed shows no token: the agreement is that of the others.
    assert not likeness(served=True, same=94).is_the_trained_model(limits)
    assert not likeness(served=True, divergence=0.0044).is_the_trained_model(limits)
    tokens_alone = {"served": True, "divergence": None}
    assert likeness(**tokens_alone).is_the_trained_model(limits)
    assert not likeness(**tokens_alone, agreement=0.98).is_the_trained_model(limits)


def drawn(arm: Sequence[float], trained: Sequence[float], count: int) -> list[Drawn]:
    """Completions of 4 tokens, drawn from `arm`, as both distributions find them."""
    random = Random(3)
    made = []
    for _ in range(count):
        ids = random.choices(range(len(arm)), arm, k=4)
        made.append(
            Drawn(arm=[log(arm[one]) for one in ids], trained=[log(trained[one]) for one in ids])
        )
    return made


def test_the_estimate_is_the_divergence_within_its_error() -> None:
    arm, trained = (0.7, 0.2, 0.1), (0.5, 0.3, 0.2)
    exact = sum(p * log(p / q) for p, q in zip(arm, trained, strict=True))
    found = estimated_divergence(drawn(arm, trained, 2000))
    assert found is not None
    mean, error = found
    assert mean == pytest.approx(exact, abs=4 * error)
    assert 0 < error < exact / 20
    assert estimated_divergence(drawn(arm, arm, 10)) == (0.0, 0.0)
    assert estimated_divergence([]) is None


def test_answers_that_failed_are_equal_to_nothing() -> None:
    failed = Said(problem="no reply")
    assert same_answers([Said(text="a"), failed], [Said(text="a"), failed]) == 1
    assert Recipe().as_json()["control_tokens"] == []
