"""Merging: what is written is the trained model, as a whole, or is not written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from callsmith import Checkpoint, ConfigError, dumps, load
from callsmith_trl.comparing import Limits
from callsmith_trl.config import TrainerConfig
from train_suite import models

models.need_libraries()

pytestmark = pytest.mark.train


def options(**changes: Any) -> TrainerConfig:
    given = {"quantization": "", "rank": 4, "device": "cpu", "token_rows": "off", **changes}
    return TrainerConfig.model_validate(given)


def trained(base: Checkpoint, shape: str, config: TrainerConfig, folder: Path) -> Checkpoint:
    """An adapter with numbers as if it had been trained."""
    import torch

    from callsmith_trl.loading import load_for_training
    from callsmith_trl.weights import write_weights

    loaded = load_for_training(config, base, models.template(shape))
    torch.manual_seed(5)
    with torch.no_grad():
        for name, parameter in loaded.model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
    adapter = write_weights(loaded, folder / "adapter")
    return Checkpoint(path=base.path, base=base.base, adapter=str(adapter))


def probes(base: Checkpoint, shape: str) -> Any:
    from callsmith import PromptTokens
    from callsmith_trl.parity import Probes
    from callsmith_trl.rows import training_rows

    tokens = PromptTokens.read(Path(base.path) / "tokenizer.json")
    rows, _ = training_rows(models.tasks(4), models.template(shape), tokens)
    return Probes(
        rows=tuple(rows),
        template=models.template(shape),
        verifier=load().build("verifier", "calls-match"),
        max_new_tokens=8,
    )


@pytest.mark.parametrize("shape", ["qwen3", "gemma4"])
def test_a_merged_folder_is_the_trained_model_and_whole(
    request: pytest.FixtureRequest, shape: str, tmp_path: Path
) -> None:
    """Gemma's table too, although it was kept apart while the model was trained."""
    from callsmith_trl.merge import merge

    base: Checkpoint = request.getfixturevalue(f"{shape}_base")
    config = options(table_on_cpu=True)
    checkpoint = trained(base, shape, config, tmp_path)
    found = merge(
        config,
        checkpoint,
        models.template(shape),
        tmp_path / "merged",
        probes=probes(base, shape),
        limits=Limits(),
    )
    assert found[-1].agreement == 1.0
    assert found[-1].divergence == pytest.approx(0.0, abs=1e-5)
    assert found[-1].same == 4
    assert (tmp_path / "merged" / "tokenizer.json").read_bytes() == Path(
        base.path, "tokenizer.json"
    ).read_bytes()


def test_parity_finds_the_template_of_two_parts_again(
    qwen3_base: Checkpoint, tmp_path: Path
) -> None:
    """A model's own chat template with a parser beside it, as `callsmith.json` records it."""
    from callsmith import Paired
    from callsmith_trl.commands import parity
    from callsmith_trl.loading import load_for_training
    from callsmith_trl.weights import write_weights

    file = tmp_path / "chat_template.jinja"
    file.write_text(
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{% for c in m.tool_calls or [] %}<tool_call>\n{{ c.function | tojson }}\n</tool_call>"
        "{% endfor %}{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
        encoding="utf-8",
    )
    catalog = load()
    given = {"path": str(file), "stop": ["<|im_end|>"]}
    template = Paired(catalog.build("template", "jinja", given), catalog.build("template", "qwen3"))
    loaded = load_for_training(options(), qwen3_base, template)
    adapter = write_weights(loaded, tmp_path / "adapter")
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text("".join(dumps(task) + "\n" for task in models.tasks(2)), encoding="utf-8")
    command = [str(adapter), "--base", qwen3_base.path, "--tasks", str(tasks)]
    command += ["--max-new-tokens", "4", "--template-option", f"path={file}"]
    done = CliRunner().invoke(
        parity,
        [*command, "--template-option", "stop=['<|im_end|>']"],
        standalone_mode=False,
    )
    assert done.exception is None, done.exception
    assert "as trained" in done.output
    assert "note:" not in done.output
    wrong = CliRunner().invoke(parity, [*command, "--template", "jinja"], standalone_mode=False)
    assert isinstance(wrong.exception, ConfigError)
    assert "jinja+PARSER" in str(wrong.exception)
