"""`callsmith`: the command group. Each command is imported only when it is used."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from callsmith.errors import CallsmithError

if TYPE_CHECKING:
    from callsmith.catalog import Catalog

COMMANDS = {
    "run": ("callsmith.cli.run:run", "Run a run file, or finish a run that was stopped."),
    "check": ("callsmith.cli.run:check", "Validate a run file without running it."),
    "show": ("callsmith.cli.show:show", "Show a run folder: the table, or one episode."),
    "plugins": ("callsmith.cli.plugins:plugins", "List plugins and what they offer."),
    "schema": ("callsmith.cli.schema:schema", "Print the JSON Schema of run files."),
    "render": ("callsmith.cli.text:render", "Render a conversation through a template."),
    "parse": ("callsmith.cli.text:parse", "Parse a completion through a template."),
    "new-plugin": ("callsmith.cli.new_plugin:new_plugin", "Write a working plugin package."),
}
"""The framework's own commands: where each is, and its line in `callsmith --help`."""


class LazyGroup(click.Group):
    """A group whose commands are imported on use, so that `--help` and completion stay fast.

    Plugins add commands of their own (hook `callsmith_commands`); they are looked for only when
    the framework has none of that name, so no plugin can take a name from it.
    """

    def catalog(self, ctx: click.Context) -> Catalog:
        """What is installed; found when this invocation first needs it."""
        from callsmith.catalog import load

        found: Catalog = ctx.meta.setdefault("callsmith.catalog", None) or load()
        ctx.meta["callsmith.catalog"] = found
        return found

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The framework's own names in the order of `COMMANDS`, then those of plugins."""
        return list(self._lines(ctx))

    def _lines(self, ctx: click.Context) -> dict[str, str]:
        lines = {name: line for name, (_, line) in COMMANDS.items()}
        for offer in self.catalog(ctx).offers("command"):
            lines.setdefault(offer.component.name, offer.component.summary)
        return lines

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports one command. Raises `CallsmithError` for a plugin's command that is broken."""
        if cmd_name not in COMMANDS:
            if cmd_name.rpartition("/")[2] not in self._lines(ctx):
                return None
            catalog = self.catalog(ctx)
            found = catalog.target(catalog.find("command", cmd_name))
            return found if isinstance(found, click.Command) else None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with "did you mean" for an unknown command."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            from callsmith.catalog import did_you_mean

            hint = did_you_mean(args[0], self._lines(ctx))
            ctx.fail(f"No such command {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._lines(ctx).items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="callsmith", prog_name="callsmith")
def cli() -> None:
    """Make self-hosted language models call tools reliably, and prove it."""


def main(arguments: list[str] | None = None) -> None:
    """The console script. Exit codes: 0 done, 1 a check failed, 2 bad input, 130 interrupted.

    Whatever is wrong with the input is one line on stderr, a mistyped option of the command line
    included.
    """
    try:
        code = cli.main(args=arguments, prog_name="callsmith", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "callsmith"
        _fail(f"{error.format_message()} (see {command} --help)", 2)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except CallsmithError as error:
        _fail(str(error), 2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
