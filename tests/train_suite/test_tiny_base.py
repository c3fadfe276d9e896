"""`tiny-base`: a base that loads anywhere, was made to forget the call tokens, and resumes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from callsmith import Checkpoint, ConfigError, JsonValue, TrainJob, load
from callsmith_tiny.training.base_config import TinyBaseConfig
from callsmith_tiny.training.generator import Generator
from callsmith_tiny.training.mixes import FULL, QUICK
from train_suite import models

pytestmark = pytest.mark.train
models.need_libraries()

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")
base_batches = pytest.importorskip("callsmith_tiny.training.base_batches")
base_model = pytest.importorskip("callsmith_tiny.training.base_model")
base_trainer = pytest.importorskip("callsmith_tiny.training.base")

SMALL: Mapping[str, Any] = {
    "width": 32, "layers": 2, "heads": 2, "hidden": 48, "batch_tokens": 512, "save_every": 4,
}  # fmt: skip
TEXT = tokenizers.Tokenizer.from_file(str(base_model.TOKENIZER))


class Killed(Exception):
    """The process ended here."""


def options(**more: Any) -> TinyBaseConfig:
    return TinyBaseConfig.model_validate({**SMALL, **more})


def trained(folder: Path, config: TinyBaseConfig, stop_at: int = 0, seed: int = 3) -> Checkpoint:
    """Trains into `folder`; with `stop_at`, dies in the report of that step."""

    def report(progress: Mapping[str, JsonValue]) -> None:
        if progress["step"] == stop_at:
            raise Killed

    folder.mkdir(parents=True, exist_ok=True)
    return base_trainer.TinyBase(config).train(
        TrainJob(output=str(folder), seed=seed, report=report)
    )


def weights(checkpoint: Checkpoint) -> dict[str, Any]:
    return safetensors.load_file(Path(checkpoint.path) / "model.safetensors")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return trained(tmp_path_factory.mktemp("base"), options(steps=20))


def test_it_learns(tmp_path: Path) -> None:
    seen: list[Mapping[str, JsonValue]] = []
    base_trainer.TinyBase(options(steps=30, warmup=5)).train(
        TrainJob(output=str(tmp_path), seed=3, report=seen.append)
    )
    assert [line["step"] for line in seen] == [10, 20, 30]
    losses = [line["loss"] for line in seen]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[-1] + 0.5
    assert all(line["tokens_per_second"] > 0 and line["seconds_left"] >= 0 for line in seen)


def test_a_folder_that_transformers_loads(base: Checkpoint) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(base.path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(base.path)
    assert type(model).__name__ == "Qwen3ForCausalLM"
    assert model.dtype == torch.float32
    assert tokenizer.eos_token == "<turn|>"
    assert tokenizer.pad_token == "<pad>"
    assert tokenizer.chat_template is None
    ends = {TEXT.id_to_token(i) for i in model.generation_config.eos_token_id}
    assert {"<turn|>", "<turn|>\n", "<|tool_response>", "<eos>"} <= ends
    example = Generator("heldout", 1).example(0, FULL)
    text = example.prompt + example.completion
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert ids == TEXT.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids) == text
    assert base.adapter is None
    assert base.details["parameters"] == sum(p.numel() for p in model.parameters())


def test_the_tokens_of_calls_have_one_short_row(base: Checkpoint) -> None:
    rows = weights(base)["model.embed_tokens.weight"]
    ids = base_model.untrained_ids(TEXT, options())
    names = [TEXT.id_to_token(i) for i in ids]
    assert {"<|tool_call>", "<tool_call|>", "<|tool_call>call:", "}<tool_call|>"} <= set(names)
    assert base.details["untrained_tokens"] == names
    assert all(torch.equal(rows[i], rows[ids[0]]) for i in ids)
    assert float(rows[ids[0]].norm() / rows.norm(dim=1).median()) == pytest.approx(0.3, abs=0.02)
    others = [i for i in range(len(rows)) if i not in ids]
    assert not any(torch.equal(rows[i], rows[ids[0]]) for i in others)


def test_an_untied_head_is_shortened_too() -> None:
    config = options(tied=False)
    model = base_model.new_model(config, TEXT)
    base_model.shorten_rows(model, base_model.untrained_ids(TEXT, config), 0.3, seed=1)
    assert model.lm_head.weight is not model.model.embed_tokens.weight
    for matrix in (model.lm_head.weight, model.model.embed_tokens.weight):
        assert torch.equal(matrix[7], matrix[8])


@pytest.mark.parametrize(
    ("asked", "forgotten"), [("none", []), (("<|tool_call>call:",), ["<|tool_call>call:"])]
)
def test_which_tokens_are_forgotten(tmp_path: Path, asked: object, forgotten: list[str]) -> None:
    checkpoint = trained(tmp_path, options(steps=1, untrained_tokens=asked))
    assert checkpoint.details["untrained_tokens"] == forgotten


def test_the_same_seed_gives_the_same_weights(tmp_path: Path, base: Checkpoint) -> None:
    ours, again = weights(base), weights(trained(tmp_path / "a", options(steps=20)))
    assert all(torch.equal(ours[name], again[name]) for name in ours)
    other = weights(trained(tmp_path / "b", options(steps=1), seed=4))
    first = weights(trained(tmp_path / "c", options(steps=1)))
    assert not any(torch.equal(first[name], other[name]) for name in first if "proj" in name)


def test_a_killed_run_goes_on_and_ends_with_the_same_weights(
    tmp_path: Path, base: Checkpoint
) -> None:
    with pytest.raises(Killed):
        trained(tmp_path, options(steps=20), stop_at=10)
    assert (tmp_path / base_trainer.STATE).exists()
    assert not (tmp_path / "model").exists()
    resumed = trained(tmp_path, options(steps=20))
    ours, theirs = weights(base), weights(resumed)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert resumed.details["tokens"] == base.details["tokens"]
    assert not (tmp_path / base_trainer.STATE).exists()
    # Killed again after its end: it is not trained a second time.
    assert trained(tmp_path, options(steps=20), stop_at=10) == resumed


def test_other_options_do_not_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        trained(tmp_path, options(steps=20), stop_at=10)
    with pytest.raises(ConfigError, match="begun with other options"):
        trained(tmp_path, options(steps=21))
    (tmp_path / base_trainer.STATE).write_bytes(b"half a file")
    with pytest.raises(ConfigError, match="no checkpoint of tiny-base; delete it"):
        trained(tmp_path, options(steps=20))


def test_a_finished_folder_is_not_another_jobs(tmp_path: Path) -> None:
    trained(tmp_path, options(steps=1))
    with pytest.raises(ConfigError, match="begun with other options"):
        trained(tmp_path, options(steps=1), seed=9)


def test_the_card_says_what_it_is(base: Checkpoint) -> None:
    text = (Path(base.path) / "README.md").read_text(encoding="utf-8")
    assert "Not a pretrained model" in text
    assert "`'<|tool_call>call:'`" in text
    assert f"{base.details['parameters']:,} weights" in text


def test_completions_are_learnt_as_a_template_writes_them() -> None:
    template = models.template("gemma4")
    sorted_ones = 0
    for index in range(60):
        example = Generator("train", 5).example(index, QUICK)
        ids, start = base_batches.encode(TEXT, example)
        text = TEXT.decode(ids[start:], skip_special_tokens=False)
        reply = template.parse(text.removesuffix("<|tool_response>"))
        assert [(c.name, c.arguments) for c in reply.calls] == example.calls
        names = list(reply.calls[0].arguments)
        assert names == sorted(names, key=str.lower)
        sorted_ones += names != list(example.calls[0][1])
        batch, mask = base_batches.collate([(ids, start), (ids[:-3], start)])
        assert mask[0].tolist() == [0] + [1] * (start - 1) + [2] * (len(ids) - start)
        assert batch[1, -3:].tolist() == mask[1, -3:].tolist() == [0, 0, 0]
    assert sorted_ones > 5


def test_what_it_cannot_do_is_said(tmp_path: Path, base: Checkpoint) -> None:
    job = TrainJob(output=str(tmp_path), base=base)
    with pytest.raises(ConfigError, match="leave `base` out"):
        base_trainer.TinyBase().train(job)
    with pytest.raises(ConfigError, match="no token '<tool_call>'"):
        trained(tmp_path, options(untrained_tokens=("<tool_call>",)))
    with pytest.raises(ConfigError, match="no even multiple of `heads`"):
        load().build("trainer", "tiny-base", {"width": 100, "heads": 3})
