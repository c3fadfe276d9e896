"""`grpo` as a stage: rewards rise, what teaches nothing is counted, a killed job goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from callsmith import (
    Checkpoint,
    ConfigError,
    JsonValue,
    Reply,
    Task,
    Trace,
    TrainJob,
    Turn,
    Verdict,
    load,
)
from fixtures.tiny_gemma4_episodes import TOOLS
from train_suite import models

pytestmark = pytest.mark.train
models.need_libraries()

import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from callsmith_trl.folders import WHOLE  # noqa: E402
from callsmith_trl.grpo import GrpoTrainer  # noqa: E402
from callsmith_trl.grpo_config import GrpoConfig  # noqa: E402

SMALL: Mapping[str, Any] = {
    "quantization": "",
    "adapter": "none",
    "group": 8,
    "batch_size": 16,
    "accumulation": 1,
    "max_new_tokens": 8,
    "max_length": 1024,
    "max_steps": 3,
    "probe": {"samples": 0},
}


@dataclass
class Vowels:
    """A trivial task: the share of the completion's characters that are `e`."""

    seen: list[tuple[Task, Trace]] = field(default_factory=list)

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """Passes when all of them are."""
        self.seen.append((task, trace))
        text = completion(trace)
        share = text.count("e") / max(1, len(text))
        if share == 1.0:
            return Verdict(verifier="vowels", passed=True, score=1.0)
        return Verdict(verifier="vowels", passed=False, score=share, reasons=("not all are e",))


@dataclass
class Constant:
    """Says the same about everything."""

    score: float

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """Passed or not by its score."""
        reasons = () if self.score == 1.0 else ("no",)
        return Verdict(
            verifier="constant", passed=self.score == 1.0, score=self.score, reasons=reasons
        )


def completion(trace: Trace) -> str:
    """The text that the model wrote."""
    reply = trace.turns[-1].reply
    assert reply is not None
    assert reply.completion is not None
    return reply.completion.text


def train(
    base: Checkpoint, output: Path, verifiers: Mapping[str, Any], **options: Any
) -> tuple[Checkpoint, list[Mapping[str, JsonValue]], TrainJob]:
    """One stage; what it reported, and its job."""
    reported: list[Mapping[str, JsonValue]] = []
    changes = {name: options.pop(name) for name in ("tasks", "dev", "traces") if name in options}
    job = models.job(base, output, verifiers=verifiers, report=reported.append, **changes)
    config = GrpoConfig.model_validate({**SMALL, **options})
    return GrpoTrainer(config).train(job), reported, job


def steps(reported: list[Mapping[str, JsonValue]]) -> list[Mapping[str, Any]]:
    return [one for one in reported if one.get("event") == "step"]


def test_the_reward_rises_on_a_trivial_task(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    vowels = Vowels()
    made, reported, job = train(
        qwen3_base,
        tmp_path,
        {"vowels": vowels},
        max_steps=12,
        learning_rate=3e-2,
        warmup=0.0,
        batch_size=64,
        group=16,
    )
    rewards = [float(one["reward"]) for one in steps(reported)]
    assert sum(rewards[:3]) / 3 < 0.12
    assert sum(rewards[-3:]) / 3 > 0.25
    assert [one["rewards/vowels/mean"] for one in steps(reported)] == pytest.approx(rewards)
    assert made.path == str(tmp_path / "model")
    before = load_file(Path(qwen3_base.path, "model.safetensors"))
    after = load_file(Path(made.path, "model.safetensors"))
    assert any(not torch.equal(before[name], after[name]) for name in before)

    # Rewards saw each row's own tools in the prompt, and control tokens in what was written.
    added = ("<tool_call>", "</tool_call>", "<think>", "</think>", "<tool_response>")
    assert any(name in completion(trace) for _, trace in vowels.seen for name in added)
    ids = {task.id for task in job.tasks}
    for task, trace in vowels.seen:
        assert task.id in ids
        reply = trace.turns[-1].reply
        assert reply is not None
        assert reply.prompt is not None
        assert [f'"name": "{tool.name}"' in reply.prompt.text for tool in TOOLS] == [True] * 2


def test_groups_that_teach_nothing_are_counted_and_change_nothing(
    qwen3_base: Checkpoint, tmp_path: Path
) -> None:
    verifiers = {"constant": Constant(1.0), "half": Constant(0.5)}
    made, reported, _ = train(qwen3_base, tmp_path, verifiers, weights={"half": 0.0})
    for one in steps(reported):
        assert (one["reward_groups/equal"], one["reward_groups/solved"]) == (2, 2)
        assert one["rewards/half/mean"] == 0.5  # logged, and no part of the reward
        assert one["reward"] == 1.0
    data = made.details["data"]
    assert isinstance(data, dict)
    assert data["groups"] == {"all": 6, "equal rewards": 6, "solved": 6, "hopeless": 0}
    assert data["completions"]["share in updates"] == 0.0  # type: ignore[index, call-overload]
    before = load_file(Path(qwen3_base.path, "model.safetensors"))
    after = load_file(Path(made.path, "model.safetensors"))
    for name in before:
        torch.testing.assert_close(before[name], after[name], rtol=0, atol=0)


def test_rewards_are_weighted_by_name_and_time_is_reported(
    qwen3_base: Checkpoint, tmp_path: Path
) -> None:
    made, reported, _ = train(
        qwen3_base,
        tmp_path,
        {"vowels": Vowels(), "constant": Constant(0.5)},
        weights={"vowels": 2.0},
    )
    for one in steps(reported):
        assert one["reward"] == pytest.approx(2 * one["rewards/vowels/mean"] + 0.5, abs=1e-5)
        assert one["reward_groups/hopeless"] == 0
    data: Any = made.details["data"]
    assert data["rewards"] == {"vowels": 2.0, "constant": 1.0}
    assert set(data["seconds"]) == {"generation", "rewards", "update"}
    card = Path(made.adapter or made.path, "README.md").read_text(encoding="utf-8")
    assert "equal rewards" in card


@pytest.mark.parametrize("quantization", ["", "nf4"], ids=["float", "nf4"])
def test_an_adapter_is_trained_further_with_a_reference(
    quantization: str, qwen3_untied: Checkpoint, tmp_path: Path
) -> None:
    options = {
        "adapter": "lora",
        "quantization": quantization,
        "token_rows": ("<tool_call>",),
        "learning_rate": 1e-2,
        "warmup": 0.0,
    }
    first, _, _ = train(qwen3_untied, tmp_path / "1", {"vowels": Vowels()}, **options)
    assert first.path == qwen3_untied.path
    assert first.adapter == str(tmp_path / "1" / "adapter")
    second, reported, _ = train(first, tmp_path / "2", {"vowels": Vowels()}, beta=0.05, **options)
    divergences = [float(one["kl"]) for one in steps(reported)]
    # At the first step the model is its own reference: the adapter, its token rows included.
    assert divergences[0] == pytest.approx(0.0, abs=1e-5)
    assert divergences[-1] > 1e-4
    before, after = (
        load_file(Path(str(one.adapter), "adapter_model.safetensors")) for one in (first, second)
    )
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    "options",
    [
        {"iterations": 2, "accumulation": 2, "batch_size": 8, "scale_rewards": "none"},
        {"loss": "dr_grpo", "scale_rewards": "batch", "completions_at_once": 3, "mask_cut": True},
        {"adapter": "lora", "dropout": 0.1, "gradient_checkpointing": True, "loss": "grpo"},
    ],
    ids=["iterations", "in portions", "checkpointing"],
)
def test_other_ways_to_train(
    options: dict[str, Any], qwen3_base: Checkpoint, tmp_path: Path
) -> None:
    made, reported, _ = train(
        qwen3_base, tmp_path, {"vowels": Vowels()}, **{"warmup": 0.0, "max_steps": 4, **options}
    )
    assert len(steps(reported)) == 4
    assert any(float(one["grad_norm"]) > 0 for one in steps(reported))
    data: Any = made.details["data"]
    # Two steps share the completions that are updated with twice.
    assert data["completions"]["all"] == 64 // options.get("iterations", 1)


def test_the_best_checkpoint_is_chosen_by_right_completions(
    qwen3_base: Checkpoint, tmp_path: Path
) -> None:
    made, reported, _ = train(
        qwen3_base,
        tmp_path,
        {"calls-match": load().build("verifier", "calls-match"), "vowels": Vowels()},
        probe={"samples": 4, "every": 2, "max_new_tokens": 8},
    )
    probes = [one for one in reported if one.get("event") == "probe"]
    assert [one["step"] for one in probes] == [0, 2, 3]
    best: Any = made.details["probe"]
    assert best["best"]["right"] == max(float(str(one["right"])) for one in probes)


def trace(task: Task, *, right: bool) -> tuple[Task, Trace]:
    from callsmith import ToolCall

    calls: Any = task.target.get("calls", [])
    made = tuple(ToolCall(name=one["name"], arguments=one["arguments"]) for one in calls)
    turn = Turn(sent=task.messages, reply=Reply(calls=made if right else (), content="x"))
    return task, Trace(arm="a", task=task.id, sample=0, turns=(turn,), halt="calls")


def test_only_undecided_tasks_are_trained_on(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    tasks = [task for task in models.tasks(16) if "calls" in task.target][:6]
    traces = [trace(tasks[0], right=True)] * 3 + [trace(tasks[1], right=False)] * 3
    for task in tasks[2:]:
        traces += [trace(task, right=True), trace(task, right=False)]
    verifier = load().build("verifier", "calls-match")
    made, reported, _ = train(
        qwen3_base,
        tmp_path,
        {"calls-match": verifier},
        tasks=tasks,
        traces=traces,
        only_undecided=True,
        max_steps=1,
    )
    data: Any = made.details["data"]
    assert data["prompts"] == 4
    assert data["left out beforehand"]["solved"] == 1
    assert data["left out beforehand"]["hopeless"] == 1
    assert any(one.get("event") == "undecided" for one in reported)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"weights": {"strictt": 1.0}}, "there is no verifier 'strictt' in this step, only vowels"),
        ({"only_undecided": True}, "there are no samples to say which tasks are undecided"),
        ({"accumulation": 8}, "a step takes 16 prompts .* and there are 8; lower accumulation"),
        ({"memory_gib": 0.0001}, "more than memory_gib"),
        ({"vllm": "colocate"}, "vLLM"),
        ({"max_length": 16}, "0 of 8|nothing is left|rows"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_cannot_be_trained_is_refused_in_one_line(
    options: dict[str, Any], said: str, qwen3_base: Checkpoint, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        train(qwen3_base, tmp_path, {"vowels": Vowels()}, **options)
    assert "\n" not in str(caught.value)


def test_without_verifiers_there_is_no_reward(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="rewards are verifiers, and the step has none"):
        train(qwen3_base, tmp_path, {})


CHILD = """
import json, sys
from pathlib import Path
sys.path[:0] = json.loads(sys.argv[3])
from callsmith import Checkpoint
from train_suite.test_grpo import RESUMED, Vowels, train
train(Checkpoint(path=sys.argv[1], base="tiny/base"), Path(sys.argv[2]), {"vowels": Vowels()},
      **RESUMED)
"""
RESUMED: Mapping[str, Any] = {
    "max_steps": 16, "save_every": 2, "learning_rate": 1e-3, "keep_checkpoints": True,
}  # fmt: skip


def test_a_killed_job_goes_on_and_comes_to_the_same(qwen3_base: Checkpoint, tmp_path: Path) -> None:
    """Killed in the second epoch: four steps are one."""
    whole, _, _ = train(qwen3_base, tmp_path / "whole", {"vowels": Vowels()}, **RESUMED)
    output = tmp_path / "killed"
    output.mkdir()
    said = tmp_path / "stderr"
    with said.open("w") as stderr:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, qwen3_base.path, str(output), json.dumps(sys.path)],
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            stderr=stderr,
        )
        try:
            while not (output / "trainer" / "checkpoint-6" / WHOLE).exists():
                if child.poll() is not None:
                    pytest.fail(f"the child ended by itself: {said.read_text()[-2000:]}")
                time.sleep(0.01)
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
    made, reported, _ = train(qwen3_base, output, {"vowels": Vowels()}, **RESUMED)
    [resumed] = [one for one in reported if one.get("event") == "resumed"]
    assert 6 <= int(str(resumed["step"])) < 16
    assert steps(reported)[0]["step"] == int(str(resumed["step"])) + 1
    ours, theirs = (load_file(Path(one.path, "model.safetensors")) for one in (made, whole))
    for name in theirs:
        torch.testing.assert_close(ours[name], theirs[name])
