"""One server as the arms use it: waited for once, known by kind, asked with what it takes."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import aclosing
from typing import Any

from callsmith import ArmError, JsonValue, Sampling
from callsmith_openai.attempts import Attempts
from callsmith_openai.client import OpenAIClient
from callsmith_openai.config import ServerConfig
from callsmith_openai.detection import Facts, detect, wait_until_ready
from callsmith_openai.failures import NoSuchModelError, RefusedFieldError

logger = logging.getLogger(__name__)

_ESSENTIAL = frozenset(
    {"model", "messages", "tools", "prompt", "stream", "stop", "temperature", "top_p"}
)
"""Fields that no request can do without: a server that refuses one of them cannot be used."""

_TELLING = frozenset(
    {"top_k", "generation_config", "seed", "chat_template_kwargs", "reasoning_effort"}
)
"""Fields whose loss changes what a run asked for, and is told with every reply."""


class Server:
    """What both arms share. `facts` is known after `ready`."""

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.client = OpenAIClient(config)
        self.refused: dict[str, str] = {}
        """Fields that the server refused, and what it said."""
        self.context_length: int | None = None
        self._facts: Facts | None = None
        self._waited = False
        self._lock = asyncio.Lock()

    async def ready(self) -> Facts:
        """Waits for the server (once, bounded) and finds out which one it is. Raises `ArmError`."""
        async with self._lock:
            if self._facts is None:
                seconds = 0.0 if self._waited else self.config.wait_for_server
                self._waited = True
                await wait_until_ready(self.client, seconds)
                self._facts = await detect(self.client)
            return self._facts

    def sampling(self, sampling: Sampling, facts: Facts) -> dict[str, JsonValue]:
        """The fields that decide how tokens are drawn: everything is said explicitly."""
        kind = facts.kind
        body: dict[str, JsonValue] = {
            **kind.neutral,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            self.config.max_tokens_field: sampling.max_tokens,
        }
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        policy = self.config.top_k
        if kind.generation_config:
            if policy != "omit":
                body["generation_config"] = _generation_config(sampling)
            return body
        known = kind.top_k_off is not None
        refuses = kind.sampling.get("top_k") == "ignored"
        if sampling.top_k > 0:
            if policy == "send" or (policy == "auto" and not refuses):
                body["top_k"] = sampling.top_k
        elif policy != "omit" and (known or policy == "send"):
            body["top_k"] = 0 if kind.top_k_off is None else kind.top_k_off
        return body

    def sends_top_k(self, facts: Facts) -> bool:
        """Whether a top_k that is on reaches the server."""
        return bool({"top_k", "generation_config"} & self.sampling(Sampling(top_k=1), facts).keys())

    def body(
        self, facts: Facts, sampling: Sampling, fields: Mapping[str, JsonValue], *, stream: bool
    ) -> dict[str, JsonValue]:
        """A generating request: sampling, the arm's own fields, and the run file's `extra_body`."""
        body: dict[str, JsonValue] = {"model": self.config.model, "stream": stream}
        if stream and facts.kind.stream_options:
            body["stream_options"] = {"include_usage": True}
        body |= self.sampling(sampling, facts)
        body |= fields
        body = {
            key: value
            for key, value in body.items()
            if key not in self.refused and key not in self.config.omit_fields
        }
        return merged(body, self.config.extra_body)

    async def stream(
        self,
        path: str,
        body: dict[str, JsonValue],
        attempts: Attempts,
        *,
        keep: Collection[str] = (),
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The objects of one answer. Raises `ArmError`.

        Optional fields that the server refuses by name are left out, now and from then on;
        nothing had been generated then. `keep` are fields that the user asked for.
        """
        url = self.client.address.api + path
        while True:
            optional = self._optional(body, keep)
            try:
                async with aclosing(
                    self.client.stream(url, body, attempts, optional=optional)
                ) as values:
                    async for value in values:
                        yield value
                return
            except RefusedFieldError as error:
                self._drop(error, body)
            except NoSuchModelError as error:
                raise self._with_models(error) from None

    async def post(
        self, path: str, body: dict[str, JsonValue], *, keep: Collection[str] = ()
    ) -> Mapping[str, Any]:
        """The object of one answer that is not streamed, with fields left out as in `stream`."""
        url = self.client.address.api + path
        while True:
            try:
                value = await self.client.post(url, body, optional=self._optional(body, keep))
            except RefusedFieldError as error:
                self._drop(error, body)
                continue
            except NoSuchModelError as error:
                raise self._with_models(error) from None
            if not isinstance(value, Mapping):
                raise ArmError(f"{url} did not answer with a JSON object")
            return value

    def notes(self, wanted: Mapping[str, JsonValue], sampling: Sampling) -> list[str]:
        """What the run asked for in `wanted` and the server does not take."""
        lost = [
            f"{key}={wanted[key]}" for key in sorted(_TELLING & self.refused.keys() & wanted.keys())
        ]
        if not {"top_k", "generation_config"} & wanted.keys() and sampling.top_k > 0:
            lost.append(f"top_k={sampling.top_k}")
        return [f"not sent, because the server does not take it: {', '.join(lost)}"] if lost else []

    def _optional(self, body: Mapping[str, JsonValue], keep: Collection[str]) -> tuple[str, ...]:
        if self.config.refused_fields == "error":
            return ()
        fixed = {*_ESSENTIAL, *keep, *self.config.extra_body, self.config.max_tokens_field}
        return tuple(key for key in body if key not in fixed)

    def _drop(self, error: RefusedFieldError, body: dict[str, JsonValue]) -> None:
        for name in error.fields:
            body.pop(name, None)
            self.refused[name] = str(error)
        logger.warning("left out from now on: %s; %s", ", ".join(error.fields), error)

    def _with_models(self, error: NoSuchModelError) -> NoSuchModelError:
        names = self._facts.names if self._facts else []
        if not names:
            return error
        shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
        return NoSuchModelError(f"{error}; the server has: {shown}")


def _generation_config(sampling: Sampling) -> str:
    """What `transformers serve` lays over the checkpoint's own configuration.

    It has no field for top_k, and the checkpoint's (64 for Gemma 4) is in force unless it is
    replaced; a checkpoint that does not say `do_sample` is greedy at every temperature.
    """
    config: dict[str, JsonValue] = {"top_k": sampling.top_k}
    if sampling.temperature > 0:
        config["do_sample"] = True
    return json.dumps(config)


def merged(body: Mapping[str, JsonValue], extra: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """`body` with the fields of `extra`; objects are merged, anything else is replaced."""
    out = dict(body)
    for key, value in extra.items():
        old = out.get(key)
        out[key] = (
            merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
        )
    return out
