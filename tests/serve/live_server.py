"""`transformers serve` as a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from fixtures import tiny_gemma4

HOST = "127.0.0.1"
START_LIMIT = 180.0
"""Seconds until the server must answer: eight on an idle core, far more on a busy one."""
STOP_LIMIT = 20.0


def need_transformers() -> None:
    """Skips the calling module where the server or what trains its model is not installed."""
    missing = tiny_gemma4.missing()
    missing += [name for name in ("fastapi", "uvicorn", "accelerate") if find_spec(name) is None]
    if missing:
        reason = f"needs {', '.join(missing)}, not installed here: make test-serve"
        pytest.skip(reason, allow_module_level=True)


class ServerError(Exception):
    """The server did not start; the message ends with the last lines of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveServer:
    """A running server. `model` is the name that requests must give, `hub` the folder of its
    downloaded models."""

    url: str
    model: str
    log: Path
    hub: Path

    @property
    def base_url(self) -> str:
        """What clients of the OpenAI API are given."""
        return f"{self.url}/v1"


@contextmanager
def transformers_serve(
    folder: Path, model: Path, *, pinned: bool = True, hub: bool = True
) -> Iterator[LiveServer]:
    """Starts the server on a free port, waits until it answers, and ends it afterwards.

    `folder` takes its log and its caches. A `pinned` server loads `model` before it answers and
    serves nothing else; the other loads what a request names. Without `hub` there is no folder
    for downloaded models yet, as on a new machine.
    """
    home = folder / "huggingface"
    home.mkdir()
    cache = home / "hub"
    if hub:
        cache.mkdir()
    log = folder / "server.log"
    port = _free_port()
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve"]
    command += [str(model)] if pinned else []
    command += ["--device", "cpu", "--host", HOST, "--port", str(port)]
    environment = {
        **os.environ,
        "HF_HOME": str(home),
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        url = f"http://{HOST}:{port}"
        _wait(process, url, log)
        yield LiveServer(url=url, model=str(model), log=log, hub=cache)
    finally:
        process.terminate()
        try:
            process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Until `/health` says ok. Raises `ServerError` if the process ends or the time is up."""
    end = time.monotonic() + START_LIMIT
    while time.monotonic() < end:
        if process.poll() is not None:
            raise ServerError(f"the server ended with {process.returncode}\n{_tail(log)}")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.2)
    raise ServerError(f"no answer from {url} within {START_LIMIT:g} s\n{_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-4000:]
