"""`callsmith new-plugin`: a working third-party package, to start from.

The package's files stand in `plugin_templates/`: those of every plugin in `common/`, those of one
kind in a folder of its own. They are filled in with `string.Template`.
"""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from callsmith.catalog import did_you_mean, load
from callsmith.component import Kind
from callsmith.errors import ConfigError
from callsmith.hookspecs import HOOKS

LONGEST_NAME = 30
"""Characters; keeps the lines of the generated code short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaffold:
    """What differs between the kinds: where the work is done, and what the class is called."""

    module: str
    suffix: str
    summary: str
    extra: str = ""


SCAFFOLDS: dict[str, Scaffold] = {
    "arm": Scaffold(
        module="arm",
        suffix="Engine",
        summary="echoes what was said",
        extra='            provides="text",\n',
    ),
    "arm-chat": Scaffold(
        module="arm",
        suffix="Arm",
        summary="calls the first tool, then echoes its result",
        extra='            provides="chat",\n',
    ),
    "template": Scaffold(
        module="template",
        suffix="Template",
        summary="turns in im_start and im_end, calls as JSON",
        extra='            models=("$name-*",),\n',
    ),
    "verifier": Scaffold(
        module="verifier", suffix="Verifier", summary="at most so many calls in an episode"
    ),
    "taskset": Scaffold(module="tasks", suffix="Tasks", summary="sums, to be done with a tool"),
    "toolbox": Scaffold(
        module="toolbox", suffix="Toolbox", summary="notes that can be written and read"
    ),
    "eval": Scaffold(
        module="eval", suffix="Benchmark", summary="calls a tool when it must, and only then"
    ),
    "command": Scaffold(module="commands", suffix="Command", summary="prints a greeting"),
    "trainer": Scaffold(module="trainer", suffix="Trainer", summary="counts the words of its rows"),
}
"""By folder in `plugin_templates/`: the kind, or the kind and its variant."""


def _kinds(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [kind for kind in HOOKS.values() if kind.startswith(incomplete)]


@click.command()
@click.argument("name")
@click.option(
    "--kind",
    required=True,
    metavar="KIND",
    shell_complete=_kinds,
    help=f"What it offers: {', '.join(HOOKS.values())}.",
)
@click.option("--chat", is_flag=True, help="With arm: an arm that renders and parses by itself.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    help="Where to put the new folder [default: here].",
)
def new_plugin(name: str, kind: str, chat: bool, directory: Path) -> None:
    """Write a working plugin package, callsmith-NAME, with its test.

    It offers one component of the KIND, called NAME, and needs no change to be installed and to
    pass its tests. Nothing is overwritten.
    """
    found = _checked_kind(kind, chat=chat)
    _check_name(name, found)
    folder = directory / f"callsmith-{name}"
    write_plugin(folder, name, found, chat=chat)
    # Without the dot, pip would take a relative folder for the name of a project.
    place = str(folder) if folder.is_absolute() else f"./{folder}"
    click.echo(f"wrote {folder}: {_article(kind)} {kind} called {name}")
    click.echo("next:")
    click.echo(f"  pip install -e {shlex.quote(f'{place}[test]')}")
    click.echo(f"  pytest {shlex.quote(place)}")
    click.echo(f"  callsmith plugins --kind {kind}")


def _checked_kind(kind: str, *, chat: bool) -> Kind:
    kinds = {known: known for known in HOOKS.values()}
    if kind not in kinds:
        hint = did_you_mean(kind, kinds) or f"; there are: {', '.join(kinds)}"
        raise ConfigError(f"there is no kind {kind!r}{hint}")
    if chat and kind != "arm":
        raise ConfigError(f"--chat is for --kind arm, got --kind {kind}")
    return kinds[kind]


def _check_name(name: str, kind: Kind) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or len(name) > LONGEST_NAME:
        raise ConfigError(
            f"{name!r} is no name for a plugin: it must begin with a letter and have lower-case "
            f"letters, digits and single dashes, {LONGEST_NAME} characters at most, such as "
            "'weather-report'"
        )
    if name.partition("-")[0] == "callsmith":
        raise ConfigError(f"{name!r} begins with 'callsmith', which is added: leave it out")
    catalog = load()
    for plugin in catalog.plugins:
        if plugin.name == name or plugin.module.partition(".")[0] == _package(name):
            raise ConfigError(
                f"the name {name!r} is taken by the plugin {plugin.name!r} of "
                f"{plugin.distribution or plugin.module}; choose another"
            )
    for offer in catalog.offers(kind):
        if offer.component.name == name:
            raise ConfigError(
                f"there is {_article(kind)} {kind} {name!r} already: {offer.full_name}"
            )


def write_plugin(folder: Path, name: str, kind: Kind, *, chat: bool = False) -> None:
    """Writes the package into `folder`, which must not exist. Raises `ConfigError`."""
    variant = f"{kind}-chat" if chat else kind
    values = _values(name, kind, variant)
    source = files("callsmith.cli").joinpath("plugin_templates")
    written = {
        path: text
        for part in ("common", variant)
        for path, text in _files(source.joinpath(part), "", values)
    }
    written["src/$package/py.typed"] = ""
    try:
        folder.mkdir(parents=True)
        for path, text in written.items():
            target = folder / string.Template(path).substitute(values)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="\n")
    except FileExistsError:
        raise ConfigError("exists already; nothing was written", path=str(folder)) from None
    except OSError as error:
        problem = error.strerror or str(error)
        raise ConfigError(f"cannot be written: {problem}", path=str(folder)) from None


def _package(name: str) -> str:
    return f"callsmith_{name.replace('-', '_')}"


def _article(kind: str) -> str:
    return "an" if kind[0] in "aeiou" else "a"


def _values(name: str, kind: Kind, variant: str) -> dict[str, str]:
    """What stands for each `$variable` of the templates."""
    scaffold = SCAFFOLDS[variant]
    stem = "".join(part.capitalize() for part in name.split("-"))
    hook = next(hook for hook, offered in HOOKS.items() if offered == kind)
    values = {
        "name": name,
        "kind": kind,
        "article": _article(kind),
        "article_capital": _article(kind).capitalize(),
        "package": _package(name),
        "distribution": f"callsmith-{name}",
        "callsmith": ".".join(version("callsmith").split(".")[:2]),
        "hook": hook,
        "module": scaffold.module,
        "class_name": stem if stem.endswith(scaffold.suffix) else f"{stem}{scaffold.suffix}",
        "config": f"{stem}Config",
        "decoder": f"{stem}Decoder",
        "judge": f"{stem}Judge",
        "session": f"{stem}Session",
        "summary": scaffold.summary,
    }
    values["extra"] = string.Template(scaffold.extra).substitute(values)
    usage = files("callsmith.cli").joinpath("plugin_templates", variant, "usage.md.tmpl")
    values["usage"] = string.Template(usage.read_text(encoding="utf-8")).substitute(values)
    return values


def _files(folder: Traversable, prefix: str, values: dict[str, str]) -> Iterator[tuple[str, str]]:
    """(path in the package, text) of every file below `folder`."""
    for item in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if item.is_dir():
            inner = "src/$package" if (prefix, item.name) == ("", "package") else item.name
            yield from _files(item, f"{prefix}{inner}/", values)
        elif item.name != "usage.md.tmpl":
            name = item.name.removesuffix(".tmpl")
            text = string.Template(item.read_text(encoding="utf-8")).substitute(values)
            yield f"{prefix}{'.gitignore' if name == 'gitignore' else name}", text
