"""The hooks that a plugin implements: each returns the components that the plugin offers.

A plugin is a module (or package) named by an entry point in the group `callsmith`. It implements
any of these functions with `@callsmith.hookimpl`; there is nothing to subclass.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from callsmith.component import Component, Kind

PROJECT = "callsmith"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def callsmith_arms() -> Iterable[Component]:  # type: ignore[empty-body]
    """Text engines (`provides="text"`, `TextArm`) and chat arms (`"chat"`, `ChatArm`)."""


@hookspec
def callsmith_templates() -> Iterable[Component]:  # type: ignore[empty-body]
    """Chat templates with their parsers (`Template`)."""


@hookspec
def callsmith_trainers() -> Iterable[Component]:  # type: ignore[empty-body]
    """Training stages (`Trainer`)."""


@hookspec
def callsmith_verifiers() -> Iterable[Component]:  # type: ignore[empty-body]
    """Judges of traces (`Verifier`)."""


@hookspec
def callsmith_evals() -> Iterable[Component]:  # type: ignore[empty-body]
    """Benchmarks (`Eval`): tasks, verifiers and their summary."""


@hookspec
def callsmith_tasksets() -> Iterable[Component]:  # type: ignore[empty-body]
    """Sets of tasks (`TaskSet`)."""


@hookspec
def callsmith_toolboxes() -> Iterable[Component]:  # type: ignore[empty-body]
    """Tools that can be called (`Toolbox`)."""


@hookspec
def callsmith_commands() -> Iterable[Component]:  # type: ignore[empty-body]
    """Commands of the command line: `callsmith NAME …` (click commands or groups)."""


HOOKS: dict[str, Kind] = {
    "callsmith_arms": "arm",
    "callsmith_templates": "template",
    "callsmith_trainers": "trainer",
    "callsmith_verifiers": "verifier",
    "callsmith_evals": "eval",
    "callsmith_tasksets": "taskset",
    "callsmith_toolboxes": "toolbox",
    "callsmith_commands": "command",
}
"""Every hook, and the kind of component that it offers."""
