"""The checkpoint, trained once, and the arms of a test, closed at its end."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures import tiny_gemma4
from hf_suite import models


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    """The folder of the tiny Gemma 4."""
    try:
        return tiny_gemma4.checkpoint()
    except subprocess.CalledProcessError as error:
        pytest.fail(f"the tiny Gemma 4 could not be trained:\n{error.stderr[-4000:]}")


@pytest.fixture(scope="session")
def adapter(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter for it, with random weights."""
    folder = tmp_path_factory.mktemp("adapter") / "lora"
    models.random_adapter(folder, checkpoint)
    return folder


@pytest.fixture
async def build(checkpoint: Path) -> AsyncIterator[Callable[..., Any]]:
    """Arms on the checkpoint, or on `folder`, with options."""
    built: list[Any] = []

    def make(folder: Path = checkpoint, **options: Any) -> Any:
        built.append(models.arm(folder, **options))
        return built[-1]

    yield make
    for one in built:
        await one.aclose()
