"""Any model's own chat template, in a sandbox, as a Callsmith plugin."""

from __future__ import annotations

import callsmith


@callsmith.hookimpl
def callsmith_templates() -> list[callsmith.Component]:
    """The template `jinja`, which renders; it is read by another template's parser."""
    return [
        callsmith.Component(
            name="jinja",
            target="callsmith_jinja.template:JinjaTemplate",
            config="callsmith_jinja.config:JinjaConfig",
            provides="render",
            summary="The model's own chat template, sandboxed; name a parser beside it.",
        )
    ]


@callsmith.hookimpl
def callsmith_commands() -> list[callsmith.Component]:
    """`callsmith template`: what a chat template file is, and what it loses."""
    return [
        callsmith.Component(
            name="template",
            target="callsmith_jinja.command:template",
            summary="Looks at a model's chat template: its revision, its faults, what it drops.",
        )
    ]
