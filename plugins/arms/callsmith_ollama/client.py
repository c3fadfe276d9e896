"""One aiohttp session to one Ollama server: requests, streams, time limits, retries.

Retries follow a transport error only, and only while not a byte of an answer has arrived; what
was lost with them is reported with the answer. An answer that has begun is never asked for again.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp

from callsmith import ArmError, ArmTimeoutError, ConfigError, JsonValue
from callsmith_ollama.address import base_url
from callsmith_ollama.config import OllamaConfig
from callsmith_ollama.failures import failed_midway, one_line, refused
from callsmith_ollama.ndjson import LineDecoder, MalformedLineError

_BODY_LIMIT = 64 * 1024 * 1024
"""Bytes of an answer that is not streamed, at most: `/api/show` with all tokens is the largest."""


class UnreachableError(ArmError):
    """No answer came at all: there is no server, or it hung up."""


@dataclass(slots=True)
class Attempts:
    """How a request got through: attempts made, why they failed, seconds lost with them."""

    count: int = 1
    causes: tuple[str, ...] = ()
    lost: float = 0.0
    sent: float = 0.0
    """`time.perf_counter()` when the attempt that got through was sent."""

    @property
    def note(self) -> str | None:
        """One line for the trace, if anything was sent again."""
        if not self.causes:
            return None
        return (
            f"the request was sent {self.count} times; before any answer had begun, it failed "
            f"with: {'; '.join(self.causes)}"
        )


class OllamaClient:
    """What both arms use to talk to the server. Opens its session at the first request."""

    def __init__(self, config: OllamaConfig) -> None:
        self.config = config
        self.url = base_url(config.url, os.environ.get("OLLAMA_HOST"))
        self._headers = _headers(config)
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def aclose(self) -> None:
        """Closes the session. Later requests are refused."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(self, path: str) -> dict[str, Any]:
        """A JSON object from a GET. Raises `ArmError`."""
        async with self._answer("GET", path, None) as (response, _):
            return await self._object(response, path)

    async def post(self, path: str, body: Mapping[str, JsonValue]) -> dict[str, Any]:
        """A JSON object from a POST that does not stream. Raises `ArmError`."""
        async with self._answer("POST", path, body) as (response, _):
            return await self._object(response, path)

    async def stream(
        self, path: str, body: Mapping[str, JsonValue], attempts: Attempts
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The lines of a streamed answer, up to and with the one that says `done`.

        `attempts` is filled in as soon as an answer has begun. Raises `ArmError` when the server
        refuses, reports an error in mid-stream, sends something else than lines of JSON objects,
        falls silent, or ends the stream without its last line.
        """
        async with self._answer("POST", path, body) as (response, made):
            attempts.count, attempts.causes = made.count, made.causes
            attempts.lost, attempts.sent = made.lost, made.sent
            kind = response.content_type
            if kind not in ("application/x-ndjson", "application/json"):
                raise ArmError(
                    f"{self.url}{path} answered {kind or 'without a content type'} instead of "
                    "application/x-ndjson; check that it is an Ollama server"
                )
            decoder = LineDecoder()
            lines = 0
            async with aclosing(self._lines(response, path, decoder)) as found:
                async for line in found:
                    if "error" in line:
                        raise failed_midway(
                            line["error"],
                            url=self.url,
                            path=path,
                            lines=lines,
                            num_ctx=self.config.num_ctx,
                        )
                    lines += 1
                    done = line.get("done") is True
                    if done:  # before the line is handed on: who has it may not come back
                        await _drain(response)
                    yield line
                    if done:
                        return
            raise ArmError(
                f"the stream from {self.url}{path} ended after {decoder.lines} lines without its "
                "last one (done): the server aborted the answer, as it does for a runaway "
                "repetition; see its log"
            )

    async def _lines(
        self, response: aiohttp.ClientResponse, path: str, decoder: LineDecoder
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The objects of the body, each piece of it under the idle limit."""
        idle = self.config.idle_timeout
        try:
            while True:
                async with asyncio.timeout(idle):
                    data = await response.content.readany()
                if not data:
                    break
                for line in decoder.feed(data):
                    yield line
            for line in decoder.close():
                yield line
        except TimeoutError:
            raise ArmTimeoutError(
                f"nothing came from {self.url}{path} for {idle:g} s after {decoder.lines} lines "
                "(idle_timeout)"
            ) from None
        except MalformedLineError as error:
            raise ArmError(f"the stream from {self.url}{path} is malformed: {error}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ArmError(
                f"the stream from {self.url}{path} broke off after {decoder.lines} lines: "
                f"{_describe(error)}; see the server's log"
            ) from None

    async def _object(self, response: aiohttp.ClientResponse, path: str) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self.config.idle_timeout):
                body = await _limited(response, _BODY_LIMIT)
        except TimeoutError:
            raise ArmTimeoutError(f"{self.url}{path} did not finish its answer") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ArmError(f"{self.url}{path} broke off: {_describe(error)}") from None
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise ArmError(
                f"{self.url}{path} did not answer with a JSON object; check that it is an Ollama "
                "server"
            )
        return value

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, body: Mapping[str, JsonValue] | None
    ) -> AsyncIterator[tuple[aiohttp.ClientResponse, Attempts]]:
        """An answer that has begun with status 200, and how it was got. Raises `ArmError`."""
        response, attempts = await self._send(method, path, body)
        async with response:
            if response.status != 200:
                text = ""
                with suppress(TimeoutError, aiohttp.ClientError, OSError):
                    async with asyncio.timeout(self.config.idle_timeout):
                        data = await _limited(response, 65536)
                        text = data.decode("utf-8", errors="replace")
                raise refused(
                    response.status,
                    text,
                    url=self.url,
                    path=path,
                    model=self.config.model,
                    num_ctx=self.config.num_ctx,
                )
            yield response, attempts

    async def _send(
        self, method: str, path: str, body: Mapping[str, JsonValue] | None
    ) -> tuple[aiohttp.ClientResponse, Attempts]:
        session = self._open()
        data = None if body is None else _encoded(body, path)
        began = time.perf_counter()
        causes: list[str] = []
        while True:
            sent = time.perf_counter()
            try:
                async with asyncio.timeout(self.config.first_byte_timeout):
                    response = await session.request(
                        method, self.url + path, data=data, allow_redirects=False
                    )
                made = Attempts(count=len(causes) + 1, causes=tuple(causes), sent=sent)
                made.lost = sent - began if causes else 0.0
                return response, made
            except aiohttp.ClientConnectionError as error:
                causes.append(_describe(error))
                if _has_begun(error) or len(causes) > self.config.retries:
                    raise self._unreachable(path, causes) from None
            except TimeoutError:
                raise ArmTimeoutError(
                    f"{self.url}{path} did not begin an answer within "
                    f"{self.config.first_byte_timeout:g} s (first_byte_timeout; it includes "
                    "loading the model)"
                ) from None
            except aiohttp.ClientError as error:
                raise ArmError(
                    f"{self.url}{path} did not answer in HTTP: {_describe(error)}"
                ) from None
            await asyncio.sleep(self.config.retry_wait * 2 ** (len(causes) - 1))

    def _unreachable(self, path: str, causes: list[str]) -> UnreachableError:
        tries = f" after {len(causes)} attempts" if len(causes) > 1 else ""
        return UnreachableError(
            f"no answer from {self.url}{path}{tries}: {causes[-1]}; start the server "
            "(`ollama serve`), or set `url` or OLLAMA_HOST"
        )

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise ArmError("this arm was closed; build another one")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=self.config.connect_timeout, sock_read=None
                ),
            )
        return self._session


def _encoded(body: Mapping[str, JsonValue], path: str) -> bytes:
    """ASCII JSON: a lone surrogate, which UTF-8 has no bytes for, goes through as an escape."""
    try:
        return json.dumps(body, allow_nan=False).encode("ascii")
    except (ValueError, TypeError, RecursionError) as error:
        raise ArmError(f"the request for {path} is not JSON: {error}") from None


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Reads the end of a body that is complete, so that the connection can be used again."""
    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(1):
            await response.read()


async def _limited(response: aiohttp.ClientResponse, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size < limit and (data := await response.content.readany()):
        parts.append(data)
        size += len(data)
    return b"".join(parts)[:limit]


def _headers(config: OllamaConfig) -> dict[str, str]:
    """The headers of every request; secrets come from the environment, by variable name."""
    named = dict(config.headers_env)
    headers = {"Content-Type": "application/json"}
    for header, variable in named.items():
        headers[header] = _secret(variable, f"options.headers_env.{header}")
    if config.api_key_env:
        headers["Authorization"] = f"Bearer {_secret(config.api_key_env, 'options.api_key_env')}"
    return headers


def _secret(variable: str, path: str) -> str:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ConfigError(f"the environment variable {variable} is not set", path=path)
    return value


def _has_begun(error: aiohttp.ClientConnectionError) -> bool:
    """Whether part of an answer had come: then the server has been working on the request."""
    if not isinstance(error, aiohttp.ServerDisconnectedError):
        return False
    return not isinstance(error.message, str)


def _describe(error: BaseException) -> str:
    return one_line(str(error), 160) or type(error).__name__
