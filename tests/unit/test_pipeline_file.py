"""Pipeline files: every reference of every step is checked, and what is wrong is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsmith import Catalog, Checkpoint, ConfigError, load
from callsmith.hookspecs import HOOKS
from callsmith.pipeline import PipelinePlan, plan_pipeline
from callsmith.pipeline.checkpoints import hub_checkpoint
from callsmith.pipeline.frames import PipelineFile, parse_any_run_file
from callsmith.pipeline.plan import ScorePlan, TrainPlan
from callsmith.registry import Plugin
from fixtures import toy_trainers

GOOD = """
kind: pipeline
name: toy
seed: 7
template: gemma4
sampling: {max_tokens: 99}
steps:
  table:
    score:
      arms: {dpo: {use: folder, checkpoint: dpo}, before: {use: folder, checkpoint: sft}}
      eval: benchmark
  base: {train: learner}
  sft: {train: {use: learner, options: {units: 4}, base: base, tasks: numbers, dev: numbers}}
  samples:
    score:
      arms: {sft: {use: folder, checkpoint: sft}}
      tasks: numbers
      samples: 2
      verifiers: [units]
      sampling: {temperature: 1.0}
  dpo:
    train:
      use: learner
      options: {adapter: true}
      base: sft
      tasks: numbers
      traces: [samples, {path: runs/production}]
      verifiers: [units]
      seed: 8
"""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    components = tuple(
        (kind, component)
        for hook, kind in HOOKS.items()
        for component in getattr(toy_trainers, hook, list)()
    )
    toy = Plugin(name="toy", module=toy_trainers.__name__, components=components)
    return Catalog([*load(environment={}).plugins, toy])


def plan(text: str, catalog: Catalog) -> PipelinePlan:
    frame = parse_any_run_file(text, "p.yaml")
    assert isinstance(frame, PipelineFile)
    return plan_pipeline(frame, catalog)


def test_steps_run_after_what_they_use(catalog: Catalog) -> None:
    found = plan(GOOD, catalog)
    names = [step.name for step in found.steps]
    assert sorted(names) == ["base", "dpo", "samples", "sft", "table"]
    for step in found.steps:
        assert all(names.index(used) < names.index(step.name) for used in step.uses)
    assert {step.name: step.uses for step in found.steps} == {
        "base": (),
        "sft": ("base",),
        "samples": ("sft",),
        "dpo": ("sft", "samples"),
        "table": ("dpo", "sft"),
    }


def test_what_is_not_said_is_the_pipelines(catalog: Catalog) -> None:
    steps = {step.name: step for step in plan(GOOD, catalog).steps}
    assert isinstance(steps["sft"], TrainPlan)
    assert isinstance(steps["dpo"], TrainPlan)
    assert (steps["sft"].seed, steps["dpo"].seed) == (7, 8)
    assert steps["sft"].template is not None
    assert steps["sft"].template.names == "gemma4/gemma4"
    assert isinstance(steps["samples"], ScorePlan)
    (arm,) = steps["samples"].plan.arms
    sampling = arm.sampling
    assert (sampling.seed, sampling.max_tokens, sampling.temperature) == (7, 99, 1.0)


def test_models_have_the_name_of_their_root(catalog: Catalog) -> None:
    def model(base: str) -> str:
        text = GOOD.replace("base: base", f"base: {base}")
        step = next(s for s in plan(text, catalog).steps if s.name == "dpo")
        assert isinstance(step, TrainPlan)
        return step.model

    assert model("base") == "base"
    assert model("Qwen/Qwen3-4B") == "Qwen/Qwen3-4B"
    assert model("{path: models/small}") == "small"
    assert model("{path: models/small, model: google/gemma-4-E2B-it}") == "google/gemma-4-E2B-it"


def test_an_arm_gets_what_its_step_made(catalog: Catalog) -> None:
    found = plan(GOOD, catalog)
    made = {
        "dpo": Checkpoint(path="/m/sft", adapter="/m/dpo"),
        "sft": Checkpoint(path="/m/sft"),
    }
    arms = found.score_frame("table", made).arms
    assert arms["dpo"].options == {"model": "base", "path": "/m/sft", "adapter": "/m/dpo"}
    assert arms["before"].options == {"model": "base", "path": "/m/sft"}
    text = GOOD.replace("folder, checkpoint: dpo", "folder, options: {model: x}, checkpoint: dpo")
    assert plan(text, catalog).score_frame("table", made).arms["dpo"].options["model"] == "x"


def test_an_adapter_needs_an_arm_that_takes_one(catalog: Catalog) -> None:
    found = plan(
        GOOD.replace("{use: folder, checkpoint: dpo}", "{use: full, checkpoint: dpo}"), catalog
    )
    with pytest.raises(ConfigError, match=r"^arms.dpo.checkpoint: the step 'dpo' made an adapter"):
        found.score_frame("table", {"dpo": Checkpoint(path="/m", adapter="/a")})
    assert found.score_frame("table", {"dpo": Checkpoint(path="/m")}).arms["dpo"].options == {
        "path": "/m"
    }


def test_the_pipelines_template_is_for_engines_without_one_of_their_own(catalog: Catalog) -> None:
    arms = (
        "{a: {use: engine, checkpoint: dpo}, "
        "b: {use: engine, options: {model: Qwen/Qwen3-4B, path: x}}, "
        "c: {use: engine, options: {model: unheard-of, path: x}}, "
        "d: {use: engine, template: qwen3, checkpoint: sft}}"
    )
    old = "{dpo: {use: folder, checkpoint: dpo}, before: {use: folder, checkpoint: sft}}"
    step = plan(GOOD.replace(old, arms), catalog).steps[-1]
    assert isinstance(step, ScorePlan)
    assert [arm.template and arm.template.names for arm in step.plan.arms] == [
        "gemma4/gemma4",
        "qwen3/qwen3",
        "gemma4/gemma4",
        "qwen3/qwen3",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: pipeline", "kind: pipelin", r"^p.yaml: kind: unknown .*did you mean 'pipeline'"),
        ("kind: pipeline", "kind: 3", r"^p.yaml: kind: unknown .*there are: bakeoff, pipeline"),
        ("name: toy", "nmae: toy", r"^p.yaml: unknown option 'nmae'; did you mean 'name'"),
        ("base: {train: l", "base: {trian: l", r"^p.yaml: steps.base: unknown option 'trian'"),
        ("{train: learner}", "{}", r"^p.yaml: steps.base: .*a step has either `train` or `score`"),
        ("use: learner, options: {u", "use: lerner, options: {u", r"^steps.sft.train: .*'learner'"),
        ("units: 4", "unit: 4", r"^steps.sft.train.options: unknown option 'unit'; did .*'units'"),
        ("units: 4", "units: x", r"^steps.sft.train.options.units: input should be a valid int"),
        ("base: base,", "bases: base,", r"^p.yaml: steps.sft.train: unknown .* mean 'base'"),
        ("base: base,", "base: bse,", r"^steps.sft.train.base: 'bse' is neither .* mean 'base'"),
        ("base: base,", "base: ./x,", r"^steps.sft.train.base: .*written {path: FOLDER}"),
        ("base: sft", "base: samples", r"^steps.dpo.train.base: 'samples' is a score step"),
        ("base: base,", "base: {pth: x},", r"^p.yaml: steps.sft.train.base: unknown option 'pth'"),
        ("tasks: numbers, dev", "tasks: nubers, dev", r"^steps.sft.train.tasks: .*'numbers'"),
        ("dev: numbers", "dev: nubers", r"^steps.sft.train.dev: there is no taskset"),
        ("[samples,", "[sample,", r"^steps.dpo.train.traces\[0\]: .*did you mean 'samples'"),
        ("[samples,", "[sft,", r"^steps.dpo.train.traces\[0\]: 'sft' is a train step, which has"),
        ("{path: runs/", "{pth: runs/", r"^p.yaml: steps.dpo.train.traces\[1\]: unknown option"),
        ("template: gemma4", "template: gema4", r"^template: there is no template 'gema4'"),
        ("checkpoint: dpo", "checkpoint: dpoo", r"^steps.table.score.arms.dpo.checkpoint: .*'dpo'"),
        ("checkpoint: dpo", "chekpoint: dpo", r"^p.yaml: steps.table.score.arms.dpo: unknown opt"),
        ("checkpoint: dpo", "checkpoint: table", r"'table' is a score step, which makes no model"),
        ("use: folder, checkpoint: dpo", "use: fixed, checkpoint: dpo", r"no option `path`"),
        (
            "use: folder, checkpoint: dpo",
            "use: folder, options: {path: x}, checkpoint: dpo",
            r"^steps.table.score.arms.dpo.options.path: comes from the checkpoint of 'dpo'",
        ),
        (
            "verifiers: [units]\n      sam",
            "verifiers: [unit]\n      sam",
            r"^steps.samples.score.v",
        ),
        (
            "      verifiers: [units]\n      seed",
            "      verifiers: [unit]\n      seed",
            r"verifiers\[0",
        ),
        ("eval: benchmark", "evl: benchmark", r"steps.table.score: unknown option 'evl'"),
        ("base: base,", "base: dpo,", r"steps: steps wait for each other: .*dpo -> s"),
        (
            "  base: {train: learner}",
            "  base: {train: {use: learner, base: base}}",
            r"base -> base",
        ),
        ("seed: 7", "seed: x", r"^p.yaml: seed: "),
        ("steps:", "seed2: 1\nsteps:", r"^p.yaml: unknown option 'seed2'; did you mean 'seed'"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(
    catalog: Catalog, old: str, new: str, message: str
) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError, match=message) as caught:
        plan(GOOD.replace(old, new, 1), catalog)
    assert "\n" not in str(caught.value)


def test_a_model_of_the_hub_is_looked_for_in_its_cache(tmp_path: Path) -> None:
    place = tmp_path / "hub" / "models--Qwen--Qwen3-4B"
    environment = {"HF_HOME": str(tmp_path)}
    with pytest.raises(ConfigError, match=r"^base: the model 'Qwen/Qwen3-4B' is not in the hub's"):
        hub_checkpoint("Qwen/Qwen3-4B", environment)
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("abc123")
    with pytest.raises(ConfigError, match="is not in the hub's cache"):
        hub_checkpoint("Qwen/Qwen3-4B", environment)
    (place / "snapshots" / "abc123").mkdir(parents=True)
    found = hub_checkpoint("Qwen/Qwen3-4B", environment)
    assert found == Checkpoint(
        path=str(place / "snapshots" / "abc123"),
        base="Qwen/Qwen3-4B",
        details={"commit": "abc123"},
    )
    assert hub_checkpoint("Qwen/Qwen3-4B", {"HF_HUB_CACHE": str(tmp_path / "hub")}) == found
