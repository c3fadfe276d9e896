"""Result folders in the official layout: which files there are, and whose.

A folder holds `<model>/<group>/BFCL_v4_<category>_result.json` (for memory the group is
`agentic/memory/<backend>`). A file that looks like one and cannot be used is a `Problem`.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from callsmith import ConfigError
from callsmith_bfcl.categories import CATEGORIES
from callsmith_bfcl.results import PREFIX, RESULT_SUFFIX, Problem

_GROUP_FOLDERS = frozenset(
    part for category in CATEGORIES.values() for part in category.folder.split("/")
)


@dataclass(slots=True)
class ModelFolder:
    """The result files of one model: category -> files (one, unless something went wrong)."""

    name: str
    path: Path
    files: dict[str, list[Path]] = field(default_factory=dict)


def find_result_files(folder: Path) -> tuple[list[ModelFolder], list[Problem]]:
    """The models of a result folder with their files, and the files that are of no use.

    `folder` is a project folder (with `result` in it), a result folder, one model's folder in it,
    or any part of that. Raises `ConfigError` when it cannot be read or holds no result file.
    """
    if not folder.is_dir():
        reason = "is a file, not a folder" if folder.exists() else "there is no such folder"
        raise ConfigError(reason, path=str(folder))
    top = folder / "result" if (folder / "result").is_dir() else folder
    models: dict[Path, ModelFolder] = {}
    problems: list[Problem] = []
    for path in sorted(_candidates(top)):
        name = path.name
        if not (name.startswith(PREFIX) and name.endswith(RESULT_SUFFIX) and path.is_file()):
            problems.append(Problem(str(path), 1, _unusable(path)))
            continue
        category = name.removeprefix(PREFIX).removesuffix(RESULT_SUFFIX)
        if category.removesuffix("_prereq") in CATEGORIES and category not in CATEGORIES:
            continue  # the conversations before the memory questions: never scored
        if category not in CATEGORIES:
            problems.append(Problem(str(path), 1, _unknown_category(category)))
            continue
        home = _model_folder(path)
        model = models.setdefault(home, ModelFolder(_name(home), home))
        model.files.setdefault(category, []).append(path)
    if not models and not problems:
        raise ConfigError(
            f"holds no {PREFIX}<category>{RESULT_SUFFIX}; expected the official layout "
            f"<model>/<group>/{PREFIX}<category>{RESULT_SUFFIX}",
            path=str(folder),
        )
    return list(models.values()), problems


def _candidates(top: Path) -> Iterator[Path]:
    """What looks like a result file, links among them; links to folders are followed at the top."""
    pattern = f"*{RESULT_SUFFIX}*"
    for home in [top, *(entry for entry in top.glob("*") if entry.is_symlink())]:
        if home.is_dir():
            yield from (path for path in home.rglob(pattern) if not path.name.startswith("."))


def _name(home: Path) -> str:
    """What a folder is called, links as they are; bytes that are no UTF-8 as escapes."""
    name = os.path.basename(os.path.abspath(home))
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _unusable(path: Path) -> str:
    if path.is_dir():
        return "is a folder, expected a file; it is not scored"
    if not path.exists():
        return "is a link to nothing; it is not scored"
    return f"is not named {PREFIX}<category>{RESULT_SUFFIX}, the file is not scored"


def _model_folder(path: Path) -> Path:
    """The folder above the group folders of a result file."""
    home = path.parent
    while home.name in _GROUP_FOLDERS and home.parent != home:
        home = home.parent
    return home


def _unknown_category(name: str) -> str:
    close = difflib.get_close_matches(name, CATEGORIES, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"BFCL V4 has no category {name!r}, the file is not scored{hint}"
