"""The GPU benchmarks, on the CPU with toy sizes: the same code, and what they say without a GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from train_suite import models

models.need_libraries()

pytestmark = pytest.mark.train
FOLDER = Path(__file__).parents[2] / "benchmarks" / "gpu"


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FOLDER / script), *arguments],
        capture_output=True,
        text=True,
        env=None,
    )


def results(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["results"]
    return found


@pytest.mark.parametrize(
    ("model", "method", "recipes"),
    [
        ("qwen3-4b", "sft", ("ours", "plain")),
        ("gemma4-e2b", "dpo", ("ours",)),
        ("qwen3-4b", "grpo", ("ours",)),
    ],
    ids=["qwen3-sft", "gemma4-dpo", "qwen3-grpo"],
)
def test_the_code_runs_at_toy_sizes(
    model: str, method: str, recipes: tuple[str, ...], tmp_path: Path
) -> None:
    out = tmp_path / "results.json"
    given = ["--shrink", "--steps", "2", "--model", model, "--method", method, "--out", str(out)]
    done = run("train_memory.py", *given, "--recipe", *recipes)
    found = results(out)
    assert done.returncode == 0, found[0].get("stderr", done.stderr)
    assert [row["recipe"] for row in found] == list(recipes)
    for row in found:
        assert "error" not in row
        assert row["steps"] == 2
        # The estimate beside it is that of the true size.
        assert row["estimate"]["peak"] > 1 << 30
    assert "There is no GPU" in done.stdout or json.loads(out.read_text())["gpu"]


def test_generation_runs_at_toy_sizes(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    given = ["--shrink", "--model", "gemma4-e2b", "--batch", "2", "--precision", "nf4"]
    done = run("generation.py", *given, "--prompt", "16", "--tokens", "4", "--out", str(out))
    (row,) = results(out)
    assert done.returncode == 0, row.get("stderr", done.stderr)
    assert 2 <= row["tokens"] <= 8


def test_without_a_gpu_the_estimates_are_printed() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU, so it would be measured")
    done = run("train_memory.py", "--recipe", "ours")
    assert done.returncode == 0
    assert "There is no GPU here, so nothing is measured" in done.stdout
    assert done.stdout.count("| ours |") == 9
