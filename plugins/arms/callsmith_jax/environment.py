"""Making the worker's environment, and comparing one with the pins."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from callsmith import ConfigError
from callsmith_jax.interpreters import OLDEST, find_interpreter, version_of
from callsmith_jax.location import python_in

REQUIREMENTS = Path(__file__).parent / "requirements.txt"
CONSTRAINTS = Path(__file__).parent / "constraints.txt"
NEEDED_BYTES = 4 << 30
"""Disk that the environment needs: 3.1 GB installed, and what unpacking takes."""

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What has to be run to make the environment in `folder`, in order."""

    folder: Path
    python: Path
    commands: tuple[tuple[str, ...], ...]


def pins() -> dict[str, str]:
    """The pinned versions by distribution name."""
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    found = (_PIN.match(line.strip()) for line in lines)
    return {match.group(1).lower(): match.group(2) for match in found if match}


def differences(versions: Mapping[str, str | None]) -> list[str]:
    """What an environment that reports `versions` has missing or different, one line each."""
    out: list[str] = []
    for name, wanted in pins().items():
        if name not in versions:
            continue
        found = versions[name]
        if found is None:
            out.append(f"{name} is missing (tested with {wanted})")
        elif found != wanted:
            out.append(f"{name} is {found} (tested with {wanted})")
    return out


def uv_command() -> tuple[str, ...] | None:
    """How uv is called: on PATH, or as a module of this interpreter; None without it."""
    found = shutil.which("uv")
    if found:
        return (found,)
    if importlib.util.find_spec("uv") is not None:
        return (sys.executable, "-m", "uv")
    return None


def plan(
    folder: Path,
    python: str = "",
    *,
    cuda: bool = False,
    uv: tuple[str, ...] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Setup:
    """The commands that make the environment. Raises `ConfigError` for what is missing."""
    uv = uv or uv_command()
    if uv is None:
        raise ConfigError(
            "uv is not installed, and pip does not find a consistent set of the gemma library's "
            "180 packages in reasonable time: pip install 'callsmith[jax]' (or: pip install uv)"
        )
    base = _base(python, environment)
    if folder.exists() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").is_file():
        raise ConfigError(
            f"{folder} is not empty and no virtual environment; name another folder with --dir"
        )
    target = python_in(folder)
    wanted: tuple[str, ...] = ("-r", str(REQUIREMENTS), "-c", str(CONSTRAINTS))
    if cuda:
        wanted += (f"jax[cuda12]=={pins()['jax']}",)
    make = (*uv, "venv", "--allow-existing", "--python", base, str(folder))
    install = (*uv, "pip", "install", "--python", str(target), *wanted)
    return Setup(folder=folder, python=target, commands=(make, install))


def _base(python: str, environment: Mapping[str, str] | None) -> str:
    oldest = ".".join(map(str, OLDEST))
    if not python:
        found = find_interpreter(environment)
        # uv can get one by itself, where it is allowed to download.
        return str(found) if found else oldest
    path = shutil.which(python) or python
    version = version_of(path)
    if version is None:
        raise ConfigError(f"--python {python}: this interpreter does not run")
    if version < OLDEST:
        raise ConfigError(
            f"--python {python} is Python {version[0]}.{version[1]}; the gemma library with "
            f"Gemma 4 needs {oldest} or newer"
        )
    return path


def check_space(folder: Path) -> None:
    """Raises `ConfigError` where the disk is too full."""
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < NEEDED_BYTES:
        raise ConfigError(
            f"{place} has {free / 1e9:.1f} GB free and the environment needs "
            f"{NEEDED_BYTES / 1e9:.1f} GB; name another folder with --dir"
        )
