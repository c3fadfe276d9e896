"""The parts of `grpo` that have to be exact: what is drawn, what is masked, what is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from callsmith import Checkpoint, PromptTokens, Task, Trace, TrainJob, Verdict, Verifier
from train_suite import models

pytestmark = pytest.mark.train
models.need_libraries()

import torch  # noqa: E402
from transformers import GenerationConfig  # noqa: E402

from callsmith_trl.group_batches import batches, rows_of  # noqa: E402
from callsmith_trl.group_generation import write_groups  # noqa: E402
from callsmith_trl.group_trainer import GroupTrainer  # noqa: E402
from callsmith_trl.grpo import build_trainer  # noqa: E402
from callsmith_trl.grpo_config import GrpoConfig  # noqa: E402
from callsmith_trl.loading import Loaded  # noqa: E402
from callsmith_trl.rewards import Rewards, prompt_rows  # noqa: E402
from callsmith_trl.stage import Stage  # noqa: E402

SMALL: Mapping[str, Any] = {
    "quantization": "",
    "adapter": "none",
    "group": 4,
    "batch_size": 4,
    "accumulation": 4,
    "max_new_tokens": 12,
    "max_length": 1024,
    "probe": {"samples": 0},
}


@dataclass
class Lengths:
    """Rewards what differs between random completions: how often the letter e stands in them."""

    seen: list[tuple[Task, Trace]] = field(default_factory=list)

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """At most 0.9."""
        self.seen.append((task, trace))
        reply = trace.turns[-1].reply
        assert reply is not None
        assert reply.completion is not None
        text = reply.completion.text
        score = min(0.9, text.count("e") / 10)
        return Verdict(verifier="lengths", passed=False, score=score, reasons=("never enough",))


@dataclass
class Constant:
    """Says the same about everything."""

    score: float = 0.5

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """Not passed."""
        return Verdict(verifier="constant", passed=False, score=self.score, reasons=("no",))


@dataclass
class Built:
    """A trainer before its first step."""

    trainer: GroupTrainer
    loaded: Loaded
    job: TrainJob
    data: list[dict[str, Any]]

    def draw(self, count: int = 4) -> dict[str, Any]:
        """A step's completions, scored; of the first `count` prompts."""
        self.trainer.model.train()
        torch.manual_seed(0)
        rows = [row for row in self.data[:count] for _ in range(self.trainer.num_generations)]
        found: dict[str, Any] = self.trainer._generate_and_score_completions(rows)
        return found


def build(
    base: Checkpoint,
    output: Path,
    *,
    shape: str = "qwen3",
    verifiers: Mapping[str, Verifier] | None = None,
    ends: frozenset[int] | None = None,
    tasks: Sequence[Task] | None = None,
    **options: Any,
) -> Built:
    """The trainer as the stage builds it; `ends` in place of those of the checkpoint."""
    config = GrpoConfig.model_validate({**SMALL, **options})
    judges = verifiers or {"lengths": Lengths()}
    job = models.job(base, output, shape=shape, verifiers=judges, tasks=tasks or models.tasks())
    stage = Stage("grpo", config, job)
    loaded = stage.load()
    loaded.ends = loaded.ends if ends is None else ends
    rows, refused = prompt_rows(job.tasks, stage.template, loaded.tokens, room=1000)
    assert not refused
    rewards = Rewards(rows, stage.template, loaded.tokens, loaded.ends, judges)
    trainer = build_trainer(stage, config, loaded, rows, rewards, [1.0] * len(judges))
    data = [{"prompt": row.prompt_ids, "row": place} for place, row in enumerate(rows)]
    return Built(trainer=trainer, loaded=loaded, job=job, data=data)


@pytest.fixture(params=["qwen3", "gemma4"])
def any_base(request: pytest.FixtureRequest) -> tuple[str, Checkpoint]:
    """A base of each family, with its template's name."""
    return request.param, request.getfixturevalue(f"{request.param}_base")


def test_the_model_is_given_exactly_the_ids_that_the_arm_sends(
    any_base: tuple[str, Checkpoint], tmp_path: Path
) -> None:
    shape, base = any_base
    built = build(base, tmp_path, shape=shape)
    made = built.draw()
    arm = PromptTokens.read(Path(base.path, "tokenizer.json"))
    for place, task in enumerate(built.job.tasks[:4]):
        prompt = models.template(shape).render(task.messages, task.tools, thinking=False)
        for row in range(place * 4, place * 4 + 4):
            ids, mask = made["prompt_ids"][row], made["prompt_mask"][row].bool()
            assert ids[mask].tolist() == arm.encode(prompt)


def test_greedy_groups_are_what_the_library_generates(any_base: tuple[str, Checkpoint]) -> None:
    """Prompts read once, rows dropped when they are done: the same ids."""
    shape, base = any_base
    loaded = build_loaded(base, shape)
    rows, _ = prompt_rows(models.tasks(5), models.template(shape), loaded.tokens, room=1000)
    prompts = [row.prompt_ids for row in rows]
    assert len({len(prompt) for prompt in prompts}) > 1
    torch.manual_seed(0)
    with torch.no_grad():  # random weights repeat one token for ever; larger ones do not
        for one in loaded.model.parameters():
            one += 0.2 * torch.randn_like(one)
    # What some rows write early ends a completion, so that rows end at different places.
    whole = [generated(loaded.model, prompt, frozenset()) for prompt in prompts]
    ends = frozenset({whole[0][2], whole[1][7]})
    expected = [generated(loaded.model, prompt, ends) for prompt in prompts for _ in range(3)]
    assert len({len(ids) for ids in expected}) > 1
    for at_once in (0, 1, 2, 3, 7):
        found = write_groups(
            loaded.model, prompts, 3, max_new_tokens=12, temperature=0.0, ends=ends, pad=0,
            at_once=at_once,
        )  # fmt: skip
        assert found == expected


def test_the_embedded_models_own_cache_is_shared_as_well() -> None:
    """Another architecture than those of transformers: convolutions and a pointer in its cache."""
    from callsmith_tiny.training.huggingface import TinyConfig, TinyForCausalLM

    torch.manual_seed(0)
    model = TinyForCausalLM(
        TinyConfig(vocab_size=64, hidden_size=16, num_hidden_layers=2, intermediate_size=32)
    )
    prompts = [[int(n) for n in torch.randint(3, 64, (size,))] for size in (9, 4, 6)]
    whole = [generated(model, prompt, frozenset()) for prompt in prompts]
    ends = frozenset({whole[0][3]})
    expected = [generated(model, prompt, ends) for prompt in prompts for _ in range(2)]
    found = write_groups(model, prompts, 2, max_new_tokens=12, temperature=0.0, ends=ends, pad=0)
    assert found == expected


def test_completions_are_drawn_from_the_models_distribution(qwen3_base: Checkpoint) -> None:
    loaded = build_loaded(qwen3_base, "qwen3")
    row = prompt_rows(models.tasks(1), models.template("qwen3"), loaded.tokens, room=1000)[0][0]
    torch.manual_seed(0)
    with torch.no_grad():
        loaded.model.get_output_embeddings().weight *= 20  # a distribution with a shape
        logits = loaded.model(torch.tensor([row.prompt_ids])).logits[0, -1]
    draws = 6000
    for temperature in (1.0, 0.5):
        found = write_groups(
            loaded.model, [row.prompt_ids], draws, max_new_tokens=1, temperature=temperature,
            ends=frozenset(), pad=0,
        )  # fmt: skip
        counts = torch.bincount(torch.tensor(found)[:, 0], minlength=len(logits))
        shares = (logits / temperature).softmax(-1)
        assert shares.max() > 0.02
        # Five standard deviations of a binomial share, for every token.
        room = 5 * (shares * (1 - shares) / draws).sqrt() + 2 / draws
        assert ((counts / draws - shares).abs() <= room).all()


def test_a_completion_ends_at_our_ends_and_nothing_behind_counts(
    any_base: tuple[str, Checkpoint], tmp_path: Path
) -> None:
    shape, base = any_base
    half = frozenset(range(0, 500, 3))
    built = build(base, tmp_path, shape=shape, ends=half)
    made = built.draw()
    cut = 0
    for ids, mask in zip(
        made["completion_ids"].tolist(), made["completion_mask"].tolist(), strict=True
    ):
        length = sum(mask)
        assert mask == [1] * length + [0] * (len(mask) - length)
        assert not half & set(ids[: length - 1])
        assert ids[length - 1] in half or length == 12
        cut += ids[length - 1] not in half
    assert made["num_items_in_batch"] == made["completion_mask"].sum()
    assert built.trainer.cut == cut


def test_cut_completions_may_be_masked(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    ends = frozenset(range(0, 500, 12))
    plain = build(qwen3_base, tmp_path / "a", ends=ends).draw()
    masked = build(qwen3_base, tmp_path / "b", ends=ends, mask_cut=True).draw()
    assert torch.equal(plain["completion_ids"], masked["completion_ids"])
    whole = torch.tensor(
        [
            ids[sum(mask) - 1] in ends
            for ids, mask in zip(
                plain["completion_ids"].tolist(), plain["completion_mask"].tolist(), strict=True
            )
        ]
    )
    assert whole.any()
    assert not whole.all()
    assert torch.equal(masked["completion_mask"], plain["completion_mask"] * whole[:, None])
    assert masked["num_items_in_batch"] == masked["completion_mask"].sum()


def test_padding_that_the_model_wrote_is_no_end(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    """TRL would take a completion for whole whose last token happens to be the padding's."""
    built = build(qwen3_base, tmp_path, ends=frozenset({3}), mask_cut=True)
    pad = int(built.loaded.tokenizer.pad_token_id)
    assert pad not in built.loaded.ends
    with torch.no_grad():  # the model writes padding only
        weight = built.loaded.model.get_output_embeddings().weight
        weight.zero_()
        built.loaded.model.model.norm.weight.zero_()
        built.loaded.model.lm_head.bias = torch.nn.Parameter(
            torch.nn.functional.one_hot(torch.tensor(pad), len(weight)).float() * 100
        )
    made = built.draw()
    assert set(made["completion_ids"].flatten().tolist()) == {pad}
    assert not made["completion_mask"].any()


@pytest.mark.parametrize("loss", ["dapo", "grpo", "dr_grpo"])
def test_leaving_out_and_trimming_keeps_the_gradient(
    loss: str, qwen3_base: Checkpoint, tmp_path: Path
) -> None:
    # Two of four prompts are shorter, for they have fewer tools.
    tasks = [
        replace(task, tools=task.tools[: 1 + place % 2])
        for place, task in enumerate(models.tasks(4))
    ]
    ends = frozenset(range(0, 500, 9))
    built = build(qwen3_base, tmp_path, loss=loss, ends=ends, tasks=tasks)
    trainer, whole = built.trainer, built.draw()
    trainer.current_gradient_accumulation_steps = 4
    whole["advantages"][3:9] = 0.0  # as of groups whose rewards are equal
    kept = batches(whole, size=4, count=4, drop=True)
    assert sum(map(rows_of, kept)) == 10
    assert rows_of(kept[-1]) == 0
    narrow = {one["prompt_ids"].shape[1] for one in kept if rows_of(one)}
    assert min(narrow) < whole["prompt_ids"].shape[1]
    plain = [
        {
            name: value[at * 4 : at * 4 + 4] if torch.is_tensor(value) and value.dim() else value
            for name, value in whole.items()
        }
        for at in range(4)
    ]

    def gradients(parts: Sequence[dict[str, Any]]) -> list[torch.Tensor]:
        trainer.model.zero_grad()
        for part in parts:
            trainer._compute_loss(trainer.model, part).backward()
        return [one.grad.clone() for one in trainer.model.parameters()]

    ours, theirs = gradients(kept), gradients(plain)
    assert max(float(one.abs().max()) for one in theirs) > 1e-4
    for left, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(left, right, atol=1e-6, rtol=1e-4)


def test_the_reference_is_what_the_stage_began_with(
    qwen3_untied: Checkpoint, tmp_path: Path
) -> None:
    """With rows of trained tokens, which TRL's own reference lacks."""
    options = {"adapter": "lora", "token_rows": ("<tool_call>", "</tool_call>"), "beta": 0.1}
    built = build(qwen3_untied, tmp_path, **options)
    assert built.loaded.token_rows
    trainer = built.trainer
    with torch.no_grad():  # as if a stage before had trained it
        for one in trainer.model.parameters():
            if one.requires_grad:
                one += 0.1 * torch.randn_like(one)
        trainer.reference = [(one, one.detach().clone()) for one, _ in trainer.reference]
    made = built.draw()

    def now() -> torch.Tensor:
        ids = torch.cat((made["prompt_ids"], made["completion_ids"]), dim=1)
        mask = torch.cat((made["prompt_mask"], made["completion_mask"]), dim=1)
        with torch.no_grad():
            found: torch.Tensor = trainer._get_per_token_logps_and_entropies(
                trainer.model, ids, mask, made["completion_ids"].shape[1]
            )[0]
        return found * made["completion_mask"]

    reference = made["ref_per_token_logps"] * made["completion_mask"]
    torch.testing.assert_close(reference, now())
    with torch.no_grad():
        for one, _ in trainer.reference:
            one += 0.5 * torch.randn_like(one)
    moved = now()
    assert (moved - reference).abs().max() > 0.01
    again = trainer._reference_logps(made) * made["completion_mask"]
    torch.testing.assert_close(again, reference)
    torch.testing.assert_close(now(), moved)  # and the weights are back


def build_loaded(base: Checkpoint, shape: str) -> Loaded:
    """The model alone."""
    from callsmith_trl.loading import load_for_training

    config = GrpoConfig.model_validate(SMALL)
    return load_for_training(config, base, models.template(shape))


def generated(model: Any, prompt: list[int], ends: frozenset[int]) -> list[int]:
    """The library's own greedy completion of one prompt, up to its end."""
    settings = GenerationConfig(
        max_new_tokens=12, do_sample=False, eos_token_id=sorted(ends) or None, pad_token_id=0
    )
    model.generation_config = GenerationConfig()
    model.eval()
    with torch.no_grad():
        out = model.generate(
            input_ids=torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            generation_config=settings,
        )
    found: list[int] = out[0, len(prompt) :].tolist()
    return found
