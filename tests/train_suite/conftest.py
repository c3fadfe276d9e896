"""The bases that the tests of this suite train, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsmith import Checkpoint
from train_suite import models

IGNORED = (
    # PEFT 0.21 asks transformers 5.23 for a name that is on its way out.
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Adds the marks that all tests of this folder share."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            for line in IGNORED:
                item.add_marker(pytest.mark.filterwarnings(line))


@pytest.fixture(scope="session")
def qwen3_base(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A tiny Qwen 3 with a tied head."""
    return models.qwen3(tmp_path_factory.mktemp("bases") / "qwen3-tied")


@pytest.fixture(scope="session")
def qwen3_untied(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A tiny Qwen 3 whose head is a matrix of its own."""
    return models.qwen3(tmp_path_factory.mktemp("bases") / "qwen3-untied", tied=False)


@pytest.fixture(scope="session")
def gemma4_base(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A tiny Gemma 4."""
    return models.gemma4(tmp_path_factory.mktemp("bases") / "gemma4")


@pytest.fixture(scope="session")
def taught(qwen3_base: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A tiny Qwen 3, all of whose weights were trained until it knew `tasks(2)` by heart."""
    from callsmith_trl.config import SftConfig
    from callsmith_trl.sft import SftTrainer

    config = SftConfig(
        adapter="none",
        quantization="",
        batch_size=2,
        accumulation=1,
        max_steps=60,
        learning_rate=1e-2,
        schedule="constant",
        warmup=0.1,
        probe={"samples": 2, "every": 15, "max_new_tokens": 40},  # type: ignore[arg-type]
    )
    known = models.tasks(2)
    output = tmp_path_factory.mktemp("taught") / "out"
    return SftTrainer(config).train(models.job(qwen3_base, output, tasks=known, dev=known))
