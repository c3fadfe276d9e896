"""Whether a server puts a BOS before a prompt that is sent as text, and doubles one that is there.

Measured by token counts of prompts whose length is known: a single letter is one token, so a
count of 2 says that something was put before it. Two prompts tell all: `a`, and `a` behind the
BOS token. A server that puts the prompt into a template of its own counts many more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from callsmith import ArmError, JsonValue, Sampling
from callsmith_openai.assembly import usage_of
from callsmith_openai.config import CompletionsConfig
from callsmith_openai.detection import Facts
from callsmith_openai.server import Server


@dataclass(frozen=True, slots=True)
class Bos:
    """`adds`: a BOS is put before the text (None: could not be told); `doubles`: also before a
    text that begins with one; `wraps`: the prompt is put into a template, by its token count."""

    adds: bool | None = None
    doubles: bool = False
    wraps: int = 0


def read_counts(bare: int | None, with_bos: int | None) -> Bos:
    """What the token counts of `a` and of `<bos>a` say."""
    if bare is None:
        return Bos()
    if bare > 3:
        return Bos(wraps=bare)
    if bare == 1:
        return Bos(adds=False)
    if bare == 2 and with_bos is not None:
        return Bos(adds=True, doubles=with_bos == 3)
    return Bos()


async def measure_bos(
    server: Server, facts: Facts, fields: Mapping[str, JsonValue], config: CompletionsConfig
) -> Bos:
    """Two requests of one token each. What fails is unknown; never raises an `ArmError`."""
    bare = await _count(server, facts, fields, "a")
    if bare is None or not config.bos_token:
        return read_counts(bare, None)
    return read_counts(bare, await _count(server, facts, fields, f"{config.bos_token}a"))


async def _count(
    server: Server, facts: Facts, fields: Mapping[str, JsonValue], prompt: str
) -> int | None:
    body = server.body(facts, Sampling(max_tokens=1), {**fields, "prompt": prompt}, stream=False)
    try:
        usage = usage_of((await server.post("/completions", body)).get("usage"))
    except ArmError:
        return None
    return usage.prompt_tokens if usage else None
