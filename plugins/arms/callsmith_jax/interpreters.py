"""Finding a Python that the gemma library runs on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

OLDEST = (3, 12)
"""gemma 4 does not parse on anything older."""

TESTED = (3, 12)

Version = tuple[int, int]


def version_of(python: str | Path) -> Version | None:
    """The version that an interpreter says it has; None if it does not run."""
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", "import sys; print(*sys.version_info[:2])"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        major, minor = done.stdout.split()
        return int(major), int(minor)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def candidates(environment: Mapping[str, str] | None = None) -> Iterator[Path]:
    """Interpreters by their place: on PATH, in pyenv's versions folder, those that uv manages."""
    environment = os.environ if environment is None else environment
    for minor in (12, 13, 14, 15):
        found = shutil.which(f"python3.{minor}", path=environment.get("PATH"))
        if found:
            yield Path(found)
    for name in ("python3", "python"):
        found = shutil.which(name, path=environment.get("PATH"))
        if found:
            yield Path(found)
    home = Path(environment.get("HOME") or Path.home())
    pyenv = Path(environment.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    managed = environment.get("UV_PYTHON_INSTALL_DIR")
    data = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share")
    uv = Path(managed) if managed else data / "uv" / "python"
    for folder in (pyenv, uv):
        if folder.is_dir():
            for place in sorted(folder.iterdir(), key=_by_version):
                python = place / "bin" / "python3"
                if python.exists():
                    yield python


def _by_version(place: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", place.name)[:3])


def find_interpreter(environment: Mapping[str, str] | None = None) -> Path | None:
    """An interpreter that is new enough; the tested version before newer ones."""
    newer: Path | None = None
    for python in candidates(environment):
        version = version_of(python)
        if version is None or version < OLDEST:
            continue
        if version == TESTED:
            return python
        newer = newer or python
    return newer
