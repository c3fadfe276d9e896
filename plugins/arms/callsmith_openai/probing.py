"""What both probes share: the endpoints' facts, the time limit, and what follows from them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping

from callsmith import ArmError, JsonValue
from callsmith_openai.detection import Facts
from callsmith_openai.findings import Findings, read_facts
from callsmith_openai.server import Server


async def within_limit(found: Findings, looking: Awaitable[None]) -> None:
    """Looks for `probe_timeout` at most; what was found by then stays, a failure is a warning."""
    try:
        async with asyncio.timeout(found.config.probe_timeout):
            await looking
    except TimeoutError:
        found.warnings.append(
            f"probing was not done within {found.config.probe_timeout:g} s (probe_timeout), so "
            "some facts are unknown"
        )
    except ArmError as error:
        found.warnings.append(f"the model could not be probed: {error}")


async def common(server: Server, found: Findings) -> Facts | None:
    """What the endpoints told; None if there is no server or it wants another key."""
    found.details["url"] = server.client.address.api
    try:
        facts = await server.ready()
    except ArmError as error:
        found.warnings.append(str(error))
        return None
    read_facts(facts, found)
    return facts


def settle(server: Server, found: Findings) -> None:
    """What was found decides about later requests, and what is not sent has no effect."""
    server.context_length = found.context_length
    if found.context_length:
        found.details["context_length_checked"] = True
    for name in (*server.refused, *found.config.omit_fields):
        if name in ("temperature", "top_p", "top_k", "seed"):
            found.sampling[name] = "ignored"
    if found.config.top_k == "omit":
        found.sampling["top_k"] = "ignored"
    if server.refused:
        names = ", ".join(sorted(server.refused))
        found.details["refused_fields"] = list[JsonValue](sorted(server.refused))
        found.deviations.append(f"fields that the server refuses and that are not sent: {names}")


async def context_length(server: Server, facts: Facts, found: Findings) -> None:
    """Ollama tells the length of a loaded model only, so after the first request."""
    if facts.kind.name != "ollama":
        return
    try:
        value = await server.client.get(f"{server.client.address.root}/api/ps")
    except ArmError:
        return
    for row in value.get("models") or () if isinstance(value, Mapping) else ():
        names = {row.get("name"), row.get("model")} if isinstance(row, Mapping) else set()
        if names & {found.config.model, f"{found.config.model}:latest"}:
            length = row.get("context_length")
            found.context_length = length if isinstance(length, int) and length > 0 else None
