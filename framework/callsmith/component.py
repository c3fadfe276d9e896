"""`Component`: what a plugin declares. Declaring builds nothing and imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["arm", "template", "trainer", "verifier", "eval", "taskset", "toolbox", "command"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One thing that a plugin offers, as an address instead of an object.

    `target` is `module:attribute` of a class or function; it is called with the validated config
    (an instance of the pydantic model at `config`), or with nothing when `config` is "". (The
    target of a command is the click command itself; it takes its options from the command line.)
    The kernel validates options against `config` before it imports `target`, so that module of
    `config` must import no heavy library. `extra` is the extra of this distribution (or, with
    `requirement`, what to `pip install`) that brings the target's libraries. `models` are globs
    of model names that a template is meant for. `provides` is needed for arms: `text` for a text
    engine (it is given a template), `chat` for an arm that renders and parses by itself. A template
    with `provides="render"` only renders (`Renderer`): run files name a parser beside it.
    """

    name: str
    target: str
    config: str = ""
    extra: str = ""
    requirement: str = ""
    models: tuple[str, ...] = ()
    provides: Literal["", "text", "chat", "render"] = ""
    summary: str = ""
