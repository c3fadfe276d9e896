"""Preflight on real models: dead rows, lengths, ends, templates, memory, the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from callsmith import Checkpoint, ConfigError, TrainJob, dumps
from callsmith_trl.config import SftConfig
from train_suite import models

models.need_libraries()

pytestmark = pytest.mark.train
CALLS = ("<tool_call>", "</tool_call>")


def options(**changes: Any) -> SftConfig:
    """Options for a tiny model on the CPU."""
    given = {"quantization": "", "rank": 4, "device": "cpu", **changes}
    return SftConfig.model_validate(given)


def look(base: Checkpoint, job: TrainJob, config: SftConfig | None = None, **given: Any) -> Any:
    """The preflight of a job on a base; `given` are further arguments of it."""
    from callsmith_trl.loading import load_for_training
    from callsmith_trl.preflight import preflight

    config = config or options()
    assert job.template is not None
    loaded = load_for_training(config, base, job.template)
    change: Callable[[Any], None] | None = given.pop("change", None)
    if change is not None:
        change(loaded)
    return preflight(config, job, loaded, **given)


def said(checked: Any, check: str) -> list[tuple[str, str]]:
    return [(one.level, one.text) for one in checked.findings if one.check == check]


@pytest.fixture
def dead_base(tmp_path: Path) -> Callable[[bool], Checkpoint]:
    """A Qwen 3 whose call tokens were never trained, tied or not."""
    return lambda tied: models.qwen3(tmp_path / f"dead-{tied}", tied=tied, dead=CALLS)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_dead_rows_are_found_and_trained_by_the_default_recipe(
    dead_base: Callable[[bool], Checkpoint], tied: bool, tmp_path: Path
) -> None:
    base = dead_base(tied)
    checked = look(base, models.job(base, tmp_path / "out"))
    assert checked.rows.tied is tied
    rows = {row.token: row for row in checked.rows.embedding}
    assert rows["<tool_call>"].dead
    assert rows["<tool_call>"].norm == pytest.approx(0.3, abs=0.01)
    assert rows["<tool_call>"].alike == "</tool_call>"
    assert not rows["<|im_start|>"].dead
    found = said(checked, "token rows")
    assert {level for level, _ in found} == {"info"}
    assert all("trained by this recipe" in text for _, text in found)
    checked.check()


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_dead_rows_that_stay_frozen_stop_the_training(
    dead_base: Callable[[bool], Checkpoint], tied: bool, tmp_path: Path
) -> None:
    base = dead_base(tied)
    job = models.job(base, tmp_path / "out")
    checked = look(base, job, options(token_rows="off"))
    assert "error" in {level for level, _ in said(checked, "token rows")}
    with pytest.raises(ConfigError, match=r"token rows: .*<tool_call>") as raised:
        checked.record(job)
    assert "\n" not in str(raised.value)
    # What stopped it is on record all the same.
    written = json.loads((tmp_path / "out" / "preflight.json").read_text(encoding="utf-8"))
    assert written["findings"][0]["level"] == "error"


def test_the_embedding_alone_of_an_untied_model_is_refused(
    qwen3_untied: Checkpoint, tmp_path: Path
) -> None:
    """PEFT takes it without a word, and the head never moves."""

    def embedding_alone(loaded: Any) -> None:
        from peft import LoraConfig, get_peft_model

        network = loaded.model.unload()
        rows = {"embed_tokens": loaded.tokens.find(CALLS)}
        loaded.model = get_peft_model(
            network,
            LoraConfig(target_modules=["q_proj"], trainable_token_indices=rows),
        )

    checked = look(
        qwen3_untied,
        models.job(qwen3_untied, tmp_path / "out"),
        options(token_rows="off"),
        change=embedding_alone,
    )
    (found,) = said(checked, "token rows")
    assert found[0] == "error"
    assert "lm_head" in found[1]


def test_a_copied_head_of_a_tied_model_is_refused(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    def copied_head(loaded: Any) -> None:
        from peft import LoraConfig, get_peft_model

        loaded.model = get_peft_model(
            loaded.model.unload(),
            LoraConfig(target_modules=["q_proj"], modules_to_save=["lm_head"]),
        )

    job = models.job(qwen3_base, tmp_path / "out")
    with pytest.warns(UserWarning, match="tie"):
        checked = look(qwen3_base, job, options(token_rows="off"), change=copied_head)
    assert ("error", True) in [
        (level, "unties" in text) for level, text in said(checked, "token rows")
    ]


def test_long_rows_are_counted_and_named(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    job = models.job(qwen3_base, tmp_path / "out")
    whole = look(qwen3_base, job)
    assert said(whole, "length") == []
    longest = whole.lengths["all"]["max"]
    checked = look(qwen3_base, job, options(max_length=longest - 1))
    ((level, text),) = said(checked, "length")
    assert level == "warning"
    assert f"the longest has {longest} tokens" in text
    checked.check()
    with pytest.raises(ConfigError, match="length"):
        look(qwen3_base, job, options(max_length=16)).check()


def test_refused_rows_are_counted_and_named(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    bad = replace(models.tasks(1)[0], id="no-target", target={})
    job = models.job(qwen3_base, tmp_path / "out", tasks=[*models.tasks(), bad])
    ((level, text),) = said(look(qwen3_base, job), "rows")
    assert level == "warning"
    assert "no-target" in text


def test_an_end_at_which_serving_does_not_stop_is_an_error(
    qwen3_base: Checkpoint, tmp_path: Path
) -> None:
    def forget(loaded: Any) -> None:
        loaded.ends = frozenset(loaded.tokens.find(["<|endoftext|>"]))

    checked = look(qwen3_base, models.job(qwen3_base, tmp_path / "out"), change=forget)
    ((level, text),) = said(checked, "ends")
    assert level == "error"
    assert "<|im_end|>" in text


def test_an_end_that_only_the_template_knows_is_a_warning(tmp_path: Path) -> None:
    """A base model's generation config ends at <|endoftext|>, its chat format at <|im_end|>."""
    base = models.qwen3(tmp_path / "base")
    file = Path(base.path, "generation_config.json")
    settings = json.loads(file.read_text(encoding="utf-8"))
    settings["eos_token_id"] = settings["pad_token_id"]
    file.write_text(json.dumps(settings), encoding="utf-8")
    ((level, text),) = said(look(base, models.job(base, tmp_path / "out")), "ends")
    assert level == "warning"
    assert "<|im_end|>" in text


def test_gemma_agrees_with_its_own_chat_template(gemma4_base: Checkpoint, tmp_path: Path) -> None:
    checked = look(gemma4_base, models.job(gemma4_base, tmp_path / "out", shape="gemma4"))
    ((level, text),) = said(checked, "template")
    assert (level, "the same 8 prompts" in text) == ("info", True)
    assert said(checked, "ends") == []
    # The table of per-layer embeddings is one of the parts.
    assert any(part.name == "per-layer embeddings" for part in checked.estimate.parts)


def test_another_chat_template_in_the_checkpoint_is_a_warning(
    gemma4_base: Checkpoint, tmp_path: Path
) -> None:
    def other(loaded: Any) -> None:
        loaded.tokenizer.chat_template = "{{ messages[0].content }}"

    job = models.job(gemma4_base, tmp_path / "out", shape="gemma4")
    ((level, text),) = said(look(gemma4_base, job, change=other), "template")
    assert level == "warning"
    assert "8 of 8 prompts" in text


def test_memory_over_the_limit_is_a_warning_and_weights_over_it_an_error(
    qwen3_base: Checkpoint, tmp_path: Path
) -> None:
    job = models.job(qwen3_base, tmp_path / "out")
    checked = look(qwen3_base, job)
    ((level, _),) = said(checked, "memory")
    assert level == "info"
    parts = {part.name: part.size for part in checked.estimate.parts}
    network = dict.fromkeys(parts, 0)
    assert network.keys() >= {"linear layers", "embedding", "adapter", "gradients"}
    peak = checked.estimate.gib
    (over,) = said(look(qwen3_base, job, options(memory_gib=peak * 0.9)), "memory")
    assert over[0] == "warning"
    assert "what helps most" in over[1].lower()
    with pytest.raises(ConfigError, match="memory"):
        look(qwen3_base, job, options(memory_gib=peak * 0.01)).check()


def test_the_weights_are_estimated_as_they_are(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    """Against the bytes of the loaded model: exact but for the norms."""
    from callsmith_trl.loading import load_for_training

    job = models.job(qwen3_base, tmp_path / "out")
    checked = look(qwen3_base, job)
    assert job.template is not None
    loaded = load_for_training(options(), qwen3_base, job.template)
    parts = {part.name: part.size for part in checked.estimate.parts}
    real = sum(one.nbytes for one in loaded.model.parameters())
    norms = sum(one.nbytes for one in loaded.model.parameters() if one.dim() == 1)
    assert parts["linear layers"] + parts["embedding"] + parts["adapter"] == real - norms
    assert parts["gradients"] == sum(
        one.nbytes for one in loaded.model.parameters() if one.requires_grad
    )


def test_generation_counts_in_the_length_of_grpo(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    from callsmith_trl.checks import Example

    job = models.job(qwen3_base, tmp_path / "out")
    prompts = [Example(id="p", prompt_ids=[1] * 100)]
    given: dict[str, Any] = {"method": "grpo", "examples": prompts, "group": 4}
    assert not said(
        look(qwen3_base, job, options(max_length=200), **given, new_tokens=100), "length"
    )
    assert said(look(qwen3_base, job, options(max_length=200), **given, new_tokens=101), "length")


def test_what_grpo_has_to_write_is_looked_at_although_no_prompt_holds_it(tmp_path: Path) -> None:
    base = models.gemma4(tmp_path / "dead", dead=("<|tool_call>", "<tool_call|>"))
    job = models.job(base, tmp_path / "out", shape="gemma4")
    checked = look(base, job, options(token_rows="off"), method="grpo", examples=prompts(base, job))
    assert ("error", True) in [
        (level, "<|tool_call>" in text) for level, text in said(checked, "token rows")
    ]


def test_a_reference_counts_in_the_memory_of_grpo(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    from callsmith_trl.grpo_config import GrpoConfig

    job = models.job(qwen3_base, tmp_path / "out")
    examples = prompts(qwen3_base, job)
    sizes = []
    for beta in (0.0, 0.1):
        given = {"quantization": "", "rank": 4, "device": "cpu", "beta": beta}
        config: Any = GrpoConfig.model_validate(given)
        checked = look(qwen3_base, job, config, method="grpo", examples=examples, new_tokens=64)
        sizes.append(checked.estimate.size)
    assert sizes[0] < sizes[1]


def prompts(base: Checkpoint, job: TrainJob) -> list[Any]:
    """What GRPO gives a preflight: prompts, and no completions."""
    from callsmith import PromptTokens
    from callsmith_trl.checks import Example
    from callsmith_trl.rows import training_rows

    assert job.template is not None
    tokens = PromptTokens.read(Path(base.path) / "tokenizer.json")
    rows, _ = training_rows(job.tasks, job.template, tokens)
    return [Example(id=row.task.id, prompt_ids=row.prompt_ids) for row in rows]


def test_what_was_found_is_written_and_reported(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    reports: list[Any] = []
    job = models.job(qwen3_base, tmp_path / "out", report=reports.append)
    checked = look(qwen3_base, job)
    checked.record(job)
    written = json.loads((tmp_path / "out" / "preflight.json").read_text(encoding="utf-8"))
    assert written["method"] == "sft"
    assert written["lengths"]["all"]["count"] == 8
    assert written["memory"]["peak"] == checked.estimate.size
    assert reports[0]["preflight"]["errors"] == 0
    assert "GiB" in reports[0]["preflight"]["memory"]


def test_the_command_shows_one_table(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    from callsmith_trl.preflight_command import preflight

    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text("".join(dumps(task) + "\n" for task in models.tasks()), encoding="utf-8")
    chat = tmp_path / "chat_template.jinja"
    chat.write_text(
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{% for c in m.tool_calls or [] %}<tool_call>\n{{ c.function | tojson }}\n</tool_call>"
        "{% endfor %}{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
        encoding="utf-8",
    )
    file = tmp_path / "pipeline.yaml"
    file.write_text(
        f"""
kind: pipeline
name: small
template: qwen3
steps:
  sft:
    train:
      use: sft
      options: {{quantization: "", device: cpu}}
      base: {{path: "{qwen3_base.path}"}}
      tasks: {{use: jsonl, options: {{path: "{tasks}"}}}}
  dpo:
    train:
      use: sft
      options: {{quantization: "", device: cpu, max_length: 16}}
      base: sft
      tasks: {{use: jsonl, options: {{path: "{tasks}"}}}}
  lost:
    train: {{use: sft, base: owner/model, tasks: assistant}}
  own:
    train:
      use: sft
      options: {{quantization: "", device: cpu}}
      base: sft
      tasks: {{use: jsonl, options: {{path: "{tasks}"}}}}
      template: {{use: jinja, parser: qwen3, options: {{path: "{chat}", stop: [<|im_end|>]}}}}
""",
        encoding="utf-8",
    )
    done = CliRunner().invoke(preflight, [str(file), "sft"], standalone_mode=False)
    assert done.exception is None
    assert done.return_value == 0
    assert "preflight: sft" in done.output
    assert "memory" in done.output
    # The later step is checked on the folder that the first one starts from.
    stopped = CliRunner().invoke(preflight, [str(file), "dpo"], standalone_mode=False)
    assert stopped.return_value == 1
    assert "max_length 16" in stopped.output
    # A model's own chat template, with a parser beside it.
    own = CliRunner().invoke(preflight, [str(file), "own"], standalone_mode=False)
    assert own.exception is None, own.exception
    assert "rows cannot be learnt" not in own.output
    for step, line in (("lost", "--base"), ("none", "there are: sft, dpo, lost, own")):
        wrong = CliRunner().invoke(preflight, [str(file), step], standalone_mode=False)
        assert isinstance(wrong.exception, ConfigError)
        assert line in str(wrong.exception)
