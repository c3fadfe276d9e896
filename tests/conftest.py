"""Shared by all tests: hypothesis profiles and the folder of shared vectors."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile(
    "default", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("long", parent=settings.get_profile("default"), max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of vectors beside the repository; tests that need it skip without it."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder ../shared with the vectors")
    return folder


@pytest.fixture
def make_plugin(tmp_path: Path) -> Callable[..., Path]:
    """Writes a plugin distribution (module and metadata) into a folder that belongs on the path.

    `make_plugin(name, source)` is what `pip install` of a third-party package leaves behind, with
    one entry point in the group `callsmith`; returns the folder.
    """
    folder = tmp_path / "site"

    def make(name: str, source: str, module: str = "") -> Path:
        module = module or f"{name.replace('-', '_')}_plugin"
        folder.mkdir(exist_ok=True)
        (folder / f"{module}.py").write_text(source, encoding="utf-8")
        info = folder / f"{module}-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[callsmith]\n{name} = {module}\n")
        return folder

    return make


@pytest.fixture
def callsmith(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line in a process of its own, in `tmp_path`, with plugins on its path."""

    def run(*arguments: str, stdin: str = "", **environment: str) -> Any:
        return subprocess.run(
            [sys.executable, "-m", "callsmith.cli.main", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), **environment},
            timeout=120,
        )

    return run
