"""Checkpoints for a machine that has vLLM; everything here skips where it is not installed."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def installed() -> None:
    """Skips without vLLM. On a CPU, keeps its cache and its threads few."""
    missing = [name for name in ("vllm", "torch", "transformers") if find_spec(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}, not installed here: pip install vllm")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from vllm_suite.tiny_checkpoint import write_model

    folder = tmp_path_factory.mktemp("tiny") / "model"
    write_model(folder)
    return folder
