"""Which way of serving an adapter is the model that was trained, and what `merge` writes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from callsmith import Checkpoint, ConfigError, PromptTokens, dumps, load
from train_suite import models

pytestmark = pytest.mark.train
models.need_libraries()

DEAD = ("<tool_call>", "</tool_call>")
NF4: Mapping[str, Any] = {"quantization": "nf4", "rank": 4, "alpha": 8}
TEMPLATE: Mapping[str, Any] = {"use": "qwen3", "options": {"thinking": False}}
"""Not the template's defaults: what is recorded has to be used."""


def train(base: Checkpoint, output: Path, **options: Any) -> Checkpoint:
    """A few steps with a large learning rate: the adapter must matter."""
    from callsmith_trl.config import SftConfig
    from callsmith_trl.sft import SftTrainer

    config = SftConfig(
        **{
            **NF4,
            "batch_size": 4,
            "accumulation": 1,
            "max_steps": 12,
            "learning_rate": 2e-2,
            "probe": {"samples": 0},
            **options,
        }
    )
    template = load().build("template", "qwen3", TEMPLATE["options"])
    job = models.job(base, output, template=template, template_reference=TEMPLATE)
    return SftTrainer(config).train(job)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A tiny Qwen 3 with a tied head and dead call tokens, trained in 4 bits."""
    folder = tmp_path_factory.mktemp("parity")
    return train(models.qwen3(folder / "base", dead=DEAD), folder / "out")


@pytest.fixture(scope="module")
def tasks_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("tasks") / "tasks.jsonl"
    file.write_text("".join(dumps(task) + "\n" for task in models.tasks()), encoding="utf-8")
    return file


def measured(checkpoint: Checkpoint, dtype: str = "") -> dict[str, Any]:
    """Likenesses by name, of all ways of merging."""
    from callsmith_trl import variants
    from callsmith_trl.parity import Probes, compare
    from callsmith_trl.recipe import read_recipe
    from callsmith_trl.rows import training_rows

    template = models.template("qwen3")
    recipe = read_recipe(Path(str(checkpoint.adapter)))
    assert recipe is not None
    config = recipe.trainer_config()
    tokens = PromptTokens.read(Path(checkpoint.path) / "tokenizer.json")
    rows, refused = training_rows(models.tasks(), template, tokens)
    assert refused == []
    found = compare(
        lambda: variants.as_trained(config, checkpoint, template),
        [
            (
                name,
                lambda dequantise=dequantise: variants.merged(
                    config, checkpoint, template, dequantise=dequantise
                ),
            )
            for name, dequantise in ((variants.DEQUANTISED, True), (variants.ORIGINAL, False))
        ],
        Probes(
            rows=tuple(rows),
            template=template,
            verifier=load().build("verifier", "calls-match"),
            max_new_tokens=24,
        ),
        variants.released,
    )
    return {one.name: one for one in found}


def test_only_the_dequantised_weights_give_the_trained_model(trained: Checkpoint) -> None:
    from callsmith_trl.comparing import Limits
    from callsmith_trl.variants import DEQUANTISED, ORIGINAL

    found = measured(trained)
    exact, lossy = found[DEQUANTISED], found[ORIGINAL]
    assert exact.divergence < 1e-6
    assert exact.agreement == 1.0
    assert exact.same == exact.tasks
    assert exact.is_the_trained_model(Limits())
    assert lossy.divergence > 1000 * max(exact.divergence, 1e-9)
    assert lossy.positions == exact.positions > 0


def run(command: str, *arguments: object) -> Result:
    from callsmith_trl import commands

    return CliRunner().invoke(getattr(commands, command), [str(item) for item in arguments])


def common(trained: Checkpoint, tasks_file: Path) -> list[object]:
    return ["--base", trained.path, "--tasks", tasks_file, "--max-new-tokens", 24]


def test_merge_writes_a_folder_that_is_the_trained_model(
    trained: Checkpoint, tasks_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "merged"
    done = run("merge", trained.adapter, folder, *common(trained, tasks_file))
    assert done.exit_code == 0, done.output
    assert f"written: {folder}" in done.output
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert "quantization_config" not in config
    for name in ("tokenizer.json", "generation_config.json"):
        assert (folder / name).read_bytes() == (Path(trained.path) / name).read_bytes()
    again = run("parity", trained.adapter, *common(trained, tasks_file), "--merged", folder)
    assert again.exit_code == 0, again.output
    assert again.output.count("yes") >= 3
    taken = run("merge", trained.adapter, folder, *common(trained, tasks_file))
    assert isinstance(taken.exception, ConfigError)
    assert "exists" in str(taken.exception)


def test_a_lossy_merge_is_refused_and_leaves_nothing(
    trained: Checkpoint, tasks_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "lossy"
    strict = [*common(trained, tasks_file), "--original", "--max-kl", "1e-9"]
    refused = run("merge", trained.adapter, folder, *strict)
    assert isinstance(refused.exception, ConfigError)
    assert "is not the one that was trained" in str(refused.exception)
    assert list(tmp_path.iterdir()) == []
    allowed = run("merge", trained.adapter, folder, *strict, "--allow-lossy")
    assert allowed.exit_code == 0, allowed.output
    assert (folder / "config.json").is_file()


def test_parity_with_another_model_exits_with_one(
    trained: Checkpoint, tasks_file: Path, tmp_path: Path
) -> None:
    other = models.qwen3(tmp_path / "other", seed=9)
    done = run("parity", trained.adapter, *common(trained, tasks_file), "--merged", other.path)
    assert done.exit_code == 1
    (line,) = [line for line in done.output.splitlines() if "│ the folder other" in line]
    assert " no " in line


def ask(trained: Checkpoint, tasks_file: Path, folder: Path, **options: Any) -> tuple[int, str]:
    """Exit code of `parity` with an arm `hf` over the trained base, and the arm's row."""
    known = {"model": "qwen3-tiny", "path": trained.path, "adapter": trained.adapter}
    arm = {"use": "hf", "template": TEMPLATE, "options": {**known, **options}}
    file = folder / "arms.yaml"
    made = {"kind": "bakeoff", "name": "arms", "tasks": "tiny-tasks", "arms": {"served": arm}}
    file.write_text(json.dumps(made), encoding="utf-8")
    done = run("parity", trained.adapter, *common(trained, tasks_file), "--arms", file)
    (line,) = [line for line in done.output.splitlines() if "│ arm served" in line]
    return done.exit_code, line


ROW = re.compile(r"([\d.]+)% of (\d+) │ *(\S+) ± (\S+) │")


def test_an_arm_that_serves_the_adapter_is_the_trained_model(
    trained: Checkpoint, tasks_file: Path, tmp_path: Path
) -> None:
    code, line = ask(trained, tasks_file, tmp_path, quantization="nf4")
    assert code == 0, line
    assert "8/8" in line
    assert "yes" in line
    found = ROW.search(line)
    assert found is not None, line
    assert float(found[1]) == 100.0
    assert int(found[2]) > 50  # tokens of its own answers
    assert float(found[3]) < 1e-6


def test_an_arm_over_other_weights_is_told_by_its_probabilities(
    trained: Checkpoint, tasks_file: Path, tmp_path: Path
) -> None:
    """The original weights in place of the 4 bits of the training: the answers look the same."""
    code, line = ask(trained, tasks_file, tmp_path)
    found = ROW.search(line)
    assert found is not None, line
    assert float(found[3]) > 1e-5
    assert float(found[4]) < float(found[3])
    assert (code == 0) == ("yes" in line)
    strict = run(
        *("parity", trained.adapter, *common(trained, tasks_file)),
        *("--arms", tmp_path / "arms.yaml", "--max-kl", 1e-6),
    )
    assert strict.exit_code == 1


def test_of_an_arm_without_probabilities_tokens_are_compared(
    trained: Checkpoint, tasks_file: Path, tmp_path: Path
) -> None:
    code, line = ask(trained, tasks_file, tmp_path, quantization="nf4", logprobs=False)
    assert code == 0, line
    assert re.search(r"100.00% of \d+ │ *not shown │", line)


def test_the_recorded_template_gives_way_to_a_named_one(
    trained: Checkpoint, tasks_file: Path
) -> None:
    given = common(trained, tasks_file)
    assert "note:" not in run("parity", trained.adapter, *given).output
    other = run("parity", trained.adapter, *given, "--template-option", "thinking=true")
    (note,) = [line for line in other.output.splitlines() if line.startswith("note:")]
    assert "trained with the template qwen3:" in note


def test_what_cannot_be_compared_is_one_line(
    trained: Checkpoint, tasks_file: Path, tmp_path: Path
) -> None:
    gone = run("parity", tmp_path / "gone", "--tasks", tasks_file)
    assert "there is no folder" in str(gone.exception)
    alone = run("parity", trained.adapter, "--tasks", tasks_file)
    assert "name its base's folder: --base" in str(alone.exception)
    (tmp_path / "empty").mkdir()
    empty = run("parity", tmp_path / "empty", "--tasks", tasks_file)
    assert "holds no checkpoint" in str(empty.exception)
    whole = run(
        "merge",
        trained.path,
        tmp_path / "out",
        *common(trained, tasks_file)[2:],
        "--quantization",
        "none",
        "--template",
        "qwen3",
    )
    assert "has no adapter" in str(whole.exception)
