"""Which server it is: found by the endpoints that only one kind of server has.

An endpoint counts only if its answer has the fields that it should have: LM Studio answers any
path with status 200 and an error object, SGLang and llama.cpp have endpoints of other servers.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from callsmith import ArmError
from callsmith_openai.client import OpenAIClient
from callsmith_openai.failures import LoadingError, UnauthorizedError, UnreachableError, error_text
from callsmith_openai.kinds import KINDS, Kind

_UNEXPECTED = re.compile(r"Unexpected (keys|fields) in the request")
"""What `transformers serve` says of unknown fields: "keys" before version 5.23, then "fields"."""


@dataclass(slots=True, kw_only=True)
class Facts:
    """What the endpoints told. `models` is None when there is no list of models."""

    kind: Kind
    models: list[Mapping[str, Any]] | None = None
    version: str | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""

    def entry(self, model: str) -> Mapping[str, Any]:
        """The model's entry in the list; empty if it is not there."""
        names = {model, f"{model}:latest"} if self.kind.name == "ollama" else {model}
        for item in self.models or ():
            aliases = item.get("aliases")
            known = {item.get("id"), *(aliases if isinstance(aliases, list) else ())}
            if known & names:
                return item
        return {}

    @property
    def names(self) -> list[str]:
        """The names of the listed models."""
        return [str(item.get("id")) for item in self.models or ()]


async def wait_until_ready(client: OpenAIClient, seconds: float) -> None:
    """Returns when the server answers, at most after `seconds`. Raises `ArmError` when it doesn't.

    Not there yet: no connection, 502 or 503 on the list of models, or 503 on `/health`, which
    llama.cpp and SGLang answer while they load (llama.cpp lists its models already then).
    """
    deadline = time.monotonic() + seconds
    pause = 0.25
    while True:
        problem = await _not_ready(client)
        if problem is None:
            return
        left = deadline - time.monotonic()
        if left <= 0:
            if seconds <= 0:
                raise problem
            raise type(problem)(f"{problem} (waited {seconds:g} s for it: wait_for_server)")
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.5, 2.0)


async def _not_ready(client: OpenAIClient) -> ArmError | None:
    try:
        await client.get(f"{client.address.api}/models", retries=0)
    except (UnreachableError, LoadingError) as error:
        return error
    except ArmError as error:
        if "answered 503" in str(error) or "answered 502" in str(error):
            return error
    health = f"{client.address.root}/health"
    if await client.status(health) == 503:
        return LoadingError(
            f"{health} answered 503: the server is still loading, or its engine has died; see its "
            "log"
        )
    return None


async def detect(client: OpenAIClient) -> Facts:
    """What the endpoints tell. Raises `UnauthorizedError` and `UnreachableError`."""
    models, problem = await _models(client)
    wanted = client.config.server
    facts = Facts(kind=KINDS["other"], models=models, problem=problem)
    if wanted in ("openai", "other"):
        facts.kind = KINDS[wanted]
        return facts
    if wanted == "auto" and ".openai.com" in f".{client.address.root.partition('://')[2]}":
        facts.kind = KINDS["openai"]
        return facts
    looks = {
        "sglang": _sglang,
        "llama.cpp": _llama_cpp,
        "vllm": _vllm,
        "lmstudio": _lmstudio,
        "transformers": _transformers,
        "ollama": _ollama,
    }
    for name, look in looks.items():
        if wanted not in ("auto", name):
            continue
        if await look(client, facts) or wanted == name:
            facts.kind = KINDS[name]
            break
    return facts


async def _models(client: OpenAIClient) -> tuple[list[Mapping[str, Any]] | None, str]:
    url = f"{client.address.api}/models"
    try:
        value = await client.get(url)
    except (UnauthorizedError, UnreachableError):
        raise
    except ArmError as error:
        return None, str(error)
    data = value.get("data") if isinstance(value, Mapping) else None
    if not isinstance(data, list):
        return None, f"{url} did not answer with a list of models"
    return [item for item in data if isinstance(item, Mapping)], ""


async def _object(client: OpenAIClient, path: str) -> Mapping[str, Any]:
    """The object at a path of the server's own; empty if there is none."""
    try:
        value = await client.get(client.address.root + path)
    except ArmError:
        return {}
    return value if isinstance(value, Mapping) else {}


async def _vllm(client: OpenAIClient, facts: Facts) -> bool:
    version = (await _object(client, "/version")).get("version")
    if not isinstance(version, str):
        return False
    facts.version = version
    return True


async def _sglang(client: OpenAIClient, facts: Facts) -> bool:
    for path in ("/server_info", "/get_server_info"):
        info = await _object(client, path)
        if "tokenizer_path" in info or "mem_fraction_static" in info:
            facts.info = info
            version = info.get("version")
            facts.version = version if isinstance(version, str) else None
            return True
    return False


async def _llama_cpp(client: OpenAIClient, facts: Facts) -> bool:
    props = await _object(client, "/props")
    if "default_generation_settings" not in props:
        return False
    facts.info = props
    build = props.get("build_info")
    facts.version = build if isinstance(build, str) else None
    return True


async def _lmstudio(client: OpenAIClient, facts: Facts) -> bool:
    data = (await _object(client, "/api/v0/models")).get("data")
    if not isinstance(data, list):
        return False
    rows = [row for row in data if isinstance(row, Mapping)]
    if not any("max_context_length" in row for row in rows):
        return False
    named = (row for row in rows if row.get("id") == client.config.model)
    facts.info = next(named, {})
    return True


async def _ollama(client: OpenAIClient, facts: Facts) -> bool:
    version = (await _object(client, "/api/version")).get("version")
    if not isinstance(version, str):
        return False
    facts.version = version
    return True


async def _transformers(client: OpenAIClient, facts: Facts) -> bool:
    """`transformers serve` refuses unknown fields before anything else, in words of its own.

    The request lacks everything that a server needs to generate, so no server acts on it.
    """
    url = f"{client.address.api}/chat/completions"
    try:
        value = await client.post(url, {"callsmith_probe": True})
    except ArmError as error:
        return bool(_UNEXPECTED.search(str(error)))
    return bool(_UNEXPECTED.search(error_text(value) or ""))
