"""`callsmith template PATH`: what a chat template is, and what it loses."""

from __future__ import annotations

from pathlib import Path

import click

from callsmith import ConfigError
from callsmith_jinja.config import DATE, JinjaConfig
from callsmith_jinja.probes import probe
from callsmith_jinja.revisions import digest_of
from callsmith_jinja.template import JinjaTemplate


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", default="", help="Of a model with several templates: which.")
@click.option("--date", default="", help="What the template takes for today, as 2026-07-26.")
def template(path: Path, name: str, date: str) -> None:
    """Look at the chat template of a model's folder (or a template's file).

    Says which revision it is and what that one does wrong, which parser reads its calls, and what
    of a conversation with tools never reaches the prompt.
    """
    if date and not DATE.fullmatch(date):
        raise ConfigError("a day is written as 2026-07-26", path="--date")
    config = JinjaConfig(path=str(path), name=name, date=date, control_text="allow")
    made = JinjaTemplate(config)
    try:
        _print(made)
    finally:
        made.close()


def _print(made: JinjaTemplate) -> None:
    source, revision = made.source, made.revision
    findings = probe(made)
    click.echo(f"template  {source.place}")
    click.echo(f"sha256    {digest_of(source.text)}")
    click.echo(f"revision  {revision.name if revision else 'not one that Callsmith knows'}")
    if revision is not None:
        click.echo(f"parser    {revision.parser}")
        if not revision.faults:
            click.echo("faults    none known; it is the current one")
        for fault in revision.faults:
            click.echo(f"fault     {fault}")
    click.echo(f"ends with {source.end or 'no end token beside this template'}")
    click.echo(f"markers   {' '.join(sorted(source.markers())) or 'none'}")
    for finding in findings:
        if finding.problem:
            click.echo(f"refused   {finding.asked}: {finding.problem}")
        elif finding.lost:
            click.echo(f"lost      {finding.asked}: {', '.join(finding.lost)}")
        else:
            click.echo(f"kept      {finding.asked}")
