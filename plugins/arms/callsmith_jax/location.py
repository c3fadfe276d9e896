"""Where the worker's environment is."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

HOME_VARIABLE = "CALLSMITH_JAX_HOME"
PYTHON_VARIABLE = "CALLSMITH_JAX_PYTHON"


def default_home(environment: Mapping[str, str] | None = None, platform: str = "") -> Path:
    """The folder for the environment: `CALLSMITH_JAX_HOME`, or one in the user's data folder.

    The platform's convention: `XDG_DATA_HOME` or `~/.local/share` on Linux, `~/Library/Application
    Support` on macOS, `LOCALAPPDATA` on Windows.
    """
    environment = os.environ if environment is None else environment
    platform = platform or sys.platform
    if environment.get(HOME_VARIABLE):
        return Path(environment[HOME_VARIABLE]).expanduser()
    if platform == "win32":
        base = environment.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif platform == "darwin":
        base = str(Path.home() / "Library" / "Application Support")
    else:
        base = environment.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "callsmith" / "jax"


def python_in(folder: Path, platform: str = "") -> Path:
    """The interpreter of the virtual environment in `folder`."""
    if (platform or sys.platform) == "win32":
        return folder / "Scripts" / "python.exe"
    return folder / "bin" / "python"


def worker_python(option: str = "", environment: Mapping[str, str] | None = None) -> Path:
    """The worker's interpreter: the option, `CALLSMITH_JAX_PYTHON`, the default environment.

    It need not exist: whoever uses it says so.
    """
    environment = os.environ if environment is None else environment
    given = option or environment.get(PYTHON_VARIABLE, "")
    if given:
        # Not resolved: a virtual environment's interpreter is a link, and the link is what counts.
        return Path(os.path.abspath(Path(given).expanduser()))
    return python_in(default_home(environment))
