"""The checkpoint, trained once, and the servers that run it, started once per session."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fixtures import tiny_gemma4
from serve.live_server import LiveServer, transformers_serve


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    """The folder of the tiny Gemma 4."""
    try:
        return tiny_gemma4.checkpoint()
    except subprocess.CalledProcessError as error:
        pytest.fail(f"the tiny Gemma 4 could not be trained:\n{error.stderr[-4000:]}")


@pytest.fixture(scope="session")
def server(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """`transformers serve CHECKPOINT`."""
    with transformers_serve(tmp_path_factory.mktemp("serve"), checkpoint) as running:
        yield running


@pytest.fixture(scope="session")
def open_server(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """`transformers serve`, which loads what a request names, on a machine without downloads.

    `model` is a checkpoint without a response template, whose generation config has `top_k: 1`.
    """
    folder = tmp_path_factory.mktemp("open")
    plain = folder / "plain"
    shutil.copytree(checkpoint, plain)
    with edited(plain / "tokenizer_config.json") as config:
        del config["response_template"]
    with edited(plain / "generation_config.json") as config:
        config["top_k"] = 1
    with transformers_serve(folder, plain, pinned=False, hub=False) as running:
        yield running


@contextmanager
def edited(file: Path) -> Iterator[dict[str, Any]]:
    """The object in a JSON file; what is done to it is written back."""
    value = json.loads(file.read_text(encoding="utf-8"))
    yield value
    file.write_text(json.dumps(value), encoding="utf-8")
