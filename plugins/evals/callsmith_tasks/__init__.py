"""Task sets and toolboxes: the assistant bake-off, tasks of the embedded model's size, files."""

from __future__ import annotations

from callsmith import Component, hookimpl


@hookimpl
def callsmith_tasksets() -> list[Component]:
    """Tasks."""
    return [
        Component(
            name="assistant",
            target="callsmith_tasks.assistant:AssistantTasks",
            summary="a homelab assistant with eight tools, from one call to seven steps",
        ),
        Component(
            name="tiny-tasks",
            target="callsmith_tasks.tiny:TinyTasks",
            summary="short requests with one to four simple tools, for very small models",
        ),
        Component(
            name="jsonl",
            target="callsmith_tasks.jsonl:JsonlTasks",
            config="callsmith_tasks.config:JsonlConfig",
            summary="a file of tasks, one JSON object per line",
        ),
    ]


@hookimpl
def callsmith_toolboxes() -> list[Component]:
    """The tools that the tasks need."""
    return [
        Component(
            name="assistant",
            target="callsmith_tasks.assistant:AssistantToolbox",
            summary="the eight tools of the homelab assistant, with state per episode",
        ),
        Component(
            name="tiny",
            target="callsmith_tasks.tiny_toolbox:TinyToolbox",
            summary="the simple tools of tiny-tasks: small tables, always the same answers",
        ),
    ]


@hookimpl
def callsmith_commands() -> list[Component]:
    """`callsmith data`."""
    return [
        Component(
            name="data",
            target="callsmith_tasks.cli_data:data",
            summary="Training data: look at it, check it, convert it.",
        )
    ]
