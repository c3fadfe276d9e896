"""The simulated APIs of multi-turn entries as a toolbox: state of its own for every episode.

A task that declares no tools is one of mode prompting: its calls are read out of the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from callsmith import ConfigError, Task, TextToolSession, ToolSession, ToolSpec
from callsmith_bfcl.categories import category_of
from callsmith_bfcl.config import ToolboxConfig
from callsmith_bfcl.data import Entry, load_entries
from callsmith_bfcl.multi_turn import LiveApis
from callsmith_bfcl.spoken_calls import SpokenCalls
from callsmith_bfcl.wheel import open_wheel


class BfclToolbox:
    """Finds an episode's APIs and their initial state by the task's id."""

    def __init__(self, config: ToolboxConfig) -> None:
        self._wheel = open_wheel(Path(config.wheel) if config.wheel else None)
        self._apis = LiveApis(self._wheel)
        self._entries: dict[str, dict[str, Entry]] = {}

    def tools(self) -> Sequence[ToolSpec]:
        """None of its own: every task lists the tools that its entry offers."""
        return ()

    def session(self, task: Task) -> ToolSession | TextToolSession:
        """Fresh state for one episode. Raises `ConfigError` for a task of something else."""
        category = category_of(task.id)
        if category not in self._entries:
            found = load_entries(self._wheel, category)
            self._entries[category] = {entry.id: entry for entry in found}
        entry = self._entries[category].get(task.id)
        if entry is None or not entry.involved_classes:
            raise ConfigError(f"{task.id!r} is no multi-turn entry of BFCL")
        apis = self._apis.session(entry)
        return apis if task.tools else SpokenCalls(apis)
