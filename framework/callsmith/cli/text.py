"""`callsmith render` and `callsmith parse`: a template by hand."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from callsmith.catalog import load
from callsmith.codec import to_json
from callsmith.errors import ConfigError
from callsmith.protocols import Template
from callsmith.types import Prompt, Segment, ToolSpec
from callsmith.wire import messages_from_openai, tool_from_openai

TEMPLATE = click.option("--template", required=True, help="Name of a template, such as gemma4.")
OPTION = click.option(
    "--option",
    "-o",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the template; the value is JSON, or else text. May be repeated.",
)


def _read(file: str) -> str:
    """A file's text, or stdin's for `-`. Bytes that are not UTF-8 are an error."""
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return data.decode("utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", path=file) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not UTF-8 (byte {error.start})", path=file) from None


def _read_json(file: str) -> Any:
    try:
        return json.loads(_read(file))
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"line {error.lineno}, column {error.colno}: not JSON: {error.msg}", path=file
        ) from None


def read_options(pairs: Sequence[str]) -> dict[str, Any]:
    """Options from `KEY=VALUE` pairs; a value is JSON, or else text. Raises `ConfigError`."""
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--option takes KEY=VALUE, got {pair!r}")
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    return options


def _template(name: str, pairs: tuple[str, ...]) -> Template:
    template: Template = load().build("template", name, read_options(pairs))
    return template


def _tools(data: Any, file: str) -> tuple[ToolSpec, ...]:
    if not isinstance(data, list):
        raise ConfigError("expected a list of tools", path=file)
    return tuple(tool_from_openai(item) for item in data)


@click.command()
@click.argument("file", default="-")
@TEMPLATE
@OPTION
@click.option("--thinking/--no-thinking", default=None, help="Ask the model to think.")
@click.option("--no-generation-prompt", is_flag=True, help="Do not open the model's turn.")
@click.option("--segments", is_flag=True, help="Mark what is control and what is content.")
@click.option("--json", "as_json", is_flag=True, help="The segments as JSON.")
def render(
    file: str,
    template: str,
    pairs: tuple[str, ...],
    thinking: bool | None,
    no_generation_prompt: bool,
    segments: bool,
    as_json: bool,
) -> None:
    """Render the conversation in FILE (or stdin): the exact bytes that a model is given.

    FILE is JSON: a list of messages, or an object with `messages` and `tools`, in the OpenAI
    shape.
    """
    built = _template(template, pairs)  # before a person is asked to type into stdin
    data = _read_json(file)
    if isinstance(data, list):
        data = {"messages": data}
    if not isinstance(data, dict) or not isinstance(data.get("messages"), list):
        raise ConfigError("expected a list of messages, or an object with `messages`", path=file)
    prompt = built.render(
        messages_from_openai(data["messages"]),
        _tools(data.get("tools") or [], file),
        thinking=thinking,
        add_generation_prompt=not no_generation_prompt,
    )
    if as_json:
        click.echo(json.dumps(to_json(prompt), ensure_ascii=False, indent=2))
    elif segments:
        _print_segments(prompt)
    else:
        sys.stdout.buffer.write(prompt.text.encode("utf-8", errors="surrogatepass"))
        sys.stdout.buffer.flush()
    for change in prompt.changes:
        click.echo(f"note: {change}", err=True)


def _print_segments(prompt: Prompt) -> None:
    from rich.text import Text

    from callsmith.cli.show import make_console

    text = Text()
    for segment in prompt.segments:
        text.append(segment.text, style="magenta" if segment.origin == "control" else "bold")
    console = make_console()
    if console.is_terminal:
        console.print(text, soft_wrap=True)
        return
    for segment in prompt.segments:
        click.echo(f"{segment.origin:7} {segment.text!r}")


@click.command()
@click.argument("file", default="-")
@TEMPLATE
@OPTION
@click.option("--tools", "tools_file", help="JSON list of tools, where a schema decides.")
@click.option("--after", help="File with the rendered prompt that the text continues.")
@click.option("--strict", is_flag=True, help="Exit with 1 if there was a fault or a repair.")
def parse(
    file: str,
    template: str,
    pairs: tuple[str, ...],
    tools_file: str | None,
    after: str | None,
    strict: bool,
) -> None:
    """Parse the completion in FILE (or stdin) and print what was read out of it, as JSON."""
    built = _template(template, pairs)
    text = _read(file)
    tools = _tools(_read_json(tools_file), tools_file) if tools_file else ()
    prompt = None
    if after is not None:
        prompt = Prompt(segments=(Segment(text=_read(after), origin="control"),))
    reply = built.parse(text, tools, after=prompt)
    found = {
        "content": reply.content,
        "reasoning": reply.reasoning,
        "calls": to_json(reply.calls),
        "faults": to_json(reply.faults),
        "repairs": to_json(reply.repairs),
    }
    click.echo(json.dumps(found, ensure_ascii=False, indent=2))
    if strict and (reply.faults or reply.repairs):
        sys.exit(1)
