"""`callsmith plugins`."""

from __future__ import annotations

import json
import typing

import click

from callsmith.catalog import Catalog, load
from callsmith.component import Kind


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option(
    "--kind", type=click.Choice(typing.get_args(Kind)), help="Only components of this kind."
)
def plugins(as_json: bool, kind: str | None) -> None:
    """List all plugins, what they offer, and what is broken and why."""
    catalog = load()
    if as_json:
        click.echo(json.dumps(_as_json(catalog), indent=2))
        return
    from rich.markup import escape
    from rich.table import Table

    from callsmith.cli.show import make_console

    table = Table("kind", "name", "plugin", "needs", "summary")
    for plugin in catalog.plugins:
        for component_kind, component in plugin.components:
            if kind in (None, component_kind):
                needs = f"callsmith[{component.extra}]" if component.extra else ""
                table.add_row(
                    component_kind,
                    escape(component.name),
                    escape(plugin.name),
                    escape(needs or component.requirement),
                    escape(component.summary),
                )
    console = make_console()
    console.print(table)
    for plugin in catalog.plugins:
        if plugin.cause:
            console.print(f"broken: {plugin.name} ({plugin.module}): {plugin.cause}", markup=False)
        elif plugin.disabled:
            console.print(f"switched off: {plugin.name}", markup=False)


def _as_json(catalog: Catalog) -> list[dict[str, object]]:
    return [
        {
            "name": plugin.name,
            "module": plugin.module,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "status": "broken" if plugin.cause else "disabled" if plugin.disabled else "ok",
            "cause": plugin.cause,
            "components": [
                {
                    "kind": kind,
                    "name": component.name,
                    "extra": component.extra,
                    "requirement": component.requirement,
                    "models": list(component.models),
                    "provides": component.provides,
                    "summary": component.summary,
                }
                for kind, component in plugin.components
            ],
        }
        for plugin in catalog.plugins
    ]
