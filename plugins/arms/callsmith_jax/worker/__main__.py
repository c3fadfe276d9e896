"""Starts the worker from its folder, as a package under a name that no library has."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

NAME = "callsmith_jax_worker"


def start() -> int:
    """Imports the package and runs it; returns the exit code."""
    folder = Path(__file__).resolve().parent
    # The folder itself must not be searched: its modules have everyday names.
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != folder]
    spec = importlib.util.spec_from_file_location(
        NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = package
    spec.loader.exec_module(package)
    server = importlib.import_module(f"{NAME}.server")
    channel = importlib.import_module(f"{NAME}.channel")
    code: int = server.serve(channel.Channel.of_this_process())
    return code


if __name__ == "__main__":
    sys.exit(start())
