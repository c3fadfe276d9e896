"""The process in which a stranger's template runs: `python -m callsmith_jinja.worker`.

One JSON object per line. The first one is empty: its answer says that the process has started. The
second says the template and the limits; each further one has the variables of one rendering and is
answered by `{"text": …}` or `{"problem": …, "detail": …}`. The parent kills the process when a
rendering takes too long: nothing inside of it could be trusted to.

The environment is set up as transformers does it (blocks trimmed, `tojson` without escapes,
`raise_exception`, `strftime_now`, loop controls, the `generation` tag), and immutable.
"""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Callable
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

NO_DATE = "the template writes today's date; give the option `date`, so that it can be repeated"


class Refusal(jinja2.TemplateError):
    """The template itself refused the conversation."""


class GenerationTag(Extension):
    """`{% generation %}`: marks what is trained in some templates; its body is written as it is."""

    tags = {"generation"}  # noqa: RUF012 - jinja2 wants a set

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The nodes between the tags."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def environment(date: str) -> ImmutableSandboxedEnvironment:
    """The sandbox. `date` is what a template takes for today, "" for none."""

    def refuse(message: object) -> None:
        raise Refusal(str(message))

    def now(form: str) -> str:
        if not date:
            raise Refusal(NO_DATE)
        return datetime.datetime.fromisoformat(date).strftime(form)

    def tojson(
        value: object,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: Any = None,
        sort_keys: bool = False,
    ) -> str:
        return json.dumps(
            value,
            ensure_ascii=ensure_ascii,
            indent=indent,
            separators=separators,
            sort_keys=sort_keys,
        )

    made = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[GenerationTag, "jinja2.ext.loopcontrols"],
    )
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = refuse
    made.globals["strftime_now"] = now
    return made


def render(template: jinja2.Template, variables: dict[str, Any], limit: int) -> dict[str, str]:
    """The text of one rendering, or what was wrong."""
    parts: list[str] = []
    size = 0
    try:
        for piece in template.generate(**variables):
            size += len(piece)
            if size > limit:
                return {"problem": "size", "detail": f"writes more than {limit} characters"}
            parts.append(piece)
    except Refusal as error:
        return {"problem": "refused", "detail": str(error.message)}
    except MemoryError:
        return {"problem": "memory", "detail": "needs more memory than it may have"}
    except RecursionError:
        return {"problem": "depth", "detail": "nests too deep"}
    except Exception as error:  # a template can provoke anything
        return {"problem": "failed", "detail": f"{type(error).__name__}: {error}"}
    return {"text": "".join(parts)}


def limit_memory(mib: int) -> None:
    """Bounds this process's address space, where the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    try:
        resource.setrlimit(resource.RLIMIT_AS, (mib << 20, mib << 20))
    except (ValueError, OSError):  # macOS refuses some limits
        return


def serve(read: Callable[[], bytes], write: Callable[[dict[str, str]], None]) -> None:
    """Answers lines until there are no more."""
    if not read():
        return
    write({"text": ""})
    line = read()
    if not line:
        return
    first = json.loads(line)
    limit_memory(first["memory_mib"])
    try:
        template = environment(first["date"]).from_string(first["template"])
    except jinja2.TemplateSyntaxError as error:
        write({"problem": "syntax", "detail": f"line {error.lineno}: {error.message}"})
        return
    except MemoryError:
        write({"problem": "memory", "detail": "needs more memory than it may have"})
        return
    except Exception as error:
        write({"problem": "syntax", "detail": f"{type(error).__name__}: {error}"})
        return
    write({"text": ""})
    while line := read():
        write(render(template, json.loads(line), first["max_characters"]))


def main() -> None:
    """Reads standard input, writes standard output."""

    def write(answer: dict[str, str]) -> None:
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()

    serve(sys.stdin.buffer.readline, write)


if __name__ == "__main__":
    main()
