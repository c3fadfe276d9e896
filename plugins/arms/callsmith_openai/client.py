"""One aiohttp session to one server: requests, streams, time limits, retries.

Retries follow a transport error only, and only while not a byte of an answer has arrived.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import aiohttp

from callsmith import ArmError, ArmTimeoutError, JsonValue
from callsmith_openai.address import address_of
from callsmith_openai.attempts import Attempts
from callsmith_openai.config import ServerConfig
from callsmith_openai.credentials import Credentials
from callsmith_openai.failures import (
    UnreachableError,
    failed_midway,
    is_error_event,
    one_line,
    refused,
)
from callsmith_openai.sse import EventDecoder, MalformedEventError, ServerEvent

_BODY_LIMIT = 64 * 1024 * 1024
"""Bytes of an answer that is not streamed, at most."""


class OpenAIClient:
    """What both arms use to talk to the server. Opens its session at the first request."""

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.address = address_of(config.url)
        self._credentials = Credentials(config)
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address.api!r})"

    async def aclose(self) -> None:
        """Closes the session. Later requests are refused."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(self, url: str, *, retries: int | None = None) -> Any:
        """A JSON value from a GET of a whole URL. Raises `ArmError`."""
        async with self._answer("GET", url, None, (), retries) as (response, _):
            return await self._value(response, url)

    async def post(
        self, url: str, body: Mapping[str, JsonValue], *, optional: Collection[str] = ()
    ) -> Any:
        """A JSON value from a POST that does not stream. Raises `ArmError`."""
        async with self._answer("POST", url, body, optional, None) as (response, _):
            value = await self._value(response, url)
        if is_error_event(value):
            raise self._clean(failed_midway(value, url=url, events=0))
        return value

    async def status(self, url: str) -> int | None:
        """The status of a GET; None when no answer came."""
        try:
            response, _ = await self._send("GET", url, None, 0)
        except ArmError:
            return None
        async with response:
            return response.status

    async def stream(
        self,
        url: str,
        body: Mapping[str, JsonValue],
        attempts: Attempts,
        *,
        optional: Collection[str] = (),
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The JSON objects of a streamed answer, or the one object of an answer in one piece.

        `attempts` is filled in as soon as an answer has begun, and `attempts.complete` when it
        said that it is over. Raises `ArmError` when the server refuses, reports an error in
        mid-stream, sends something else than JSON objects, or falls silent.
        """
        async with self._answer("POST", url, body, optional, None) as (response, made):
            attempts.count, attempts.causes = made.count, made.causes
            attempts.lost, attempts.sent = made.lost, made.sent
            if response.content_type == "application/json":
                value = await self._value(response, url)
                if is_error_event(value):
                    raise self._clean(failed_midway(value, url=url, events=0))
                if not isinstance(value, dict):
                    raise ArmError(f"{url} did not answer with a JSON object")
                attempts.complete = True
                attempts.events = 1
                yield value
                return
            if response.content_type != "text/event-stream":
                raise ArmError(
                    f"{url} answered {response.content_type or 'without a content type'} instead "
                    "of text/event-stream; check that it is an OpenAI-compatible server"
                )
            async with aclosing(self._events(response, url, attempts)) as events:
                async for event in events:
                    if event.data.strip() == "[DONE]":
                        attempts.complete = True
                        await _drain(response)
                        return
                    value = self._object(event, url, attempts)
                    attempts.events += 1
                    yield value

    def _object(self, event: ServerEvent, url: str, attempts: Attempts) -> dict[str, Any]:
        try:
            value = json.loads(event.data)
        except (ValueError, RecursionError):
            if event.type != "error":
                raise ArmError(
                    f"{url}: event {attempts.events + 1} is not JSON: {event.data[:120]!r}"
                ) from None
            value = {"error": event.data}
        if event.type == "error" and not is_error_event(value):
            value = {"error": value}
        if is_error_event(value):
            raise self._clean(failed_midway(value, url=url, events=attempts.events))
        if not isinstance(value, dict):
            raise ArmError(
                f"{url}: event {attempts.events + 1} is not an object: {event.data[:120]!r}"
            )
        return value

    async def _events(
        self, response: aiohttp.ClientResponse, url: str, attempts: Attempts
    ) -> AsyncGenerator[ServerEvent, None]:
        """The events of the body, each piece of it under the idle limit."""
        idle = self.config.idle_timeout
        decoder = EventDecoder()
        try:
            while True:
                async with asyncio.timeout(idle):
                    data = await response.content.readany()
                if not data:
                    break
                for event in decoder.feed(data):
                    yield event
            for event in decoder.close():
                yield event
        except TimeoutError:
            raise ArmTimeoutError(
                f"nothing came from {url} for {idle:g} s after {attempts.events} events "
                "(idle_timeout)"
            ) from None
        except MalformedEventError as error:
            raise ArmError(f"the stream from {url} is malformed: {error}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ArmError(
                f"the stream from {url} broke off after {attempts.events} events: "
                f"{_describe(error)}; see the server's log"
            ) from None

    async def _value(self, response: aiohttp.ClientResponse, url: str) -> Any:
        try:
            async with asyncio.timeout(self.config.idle_timeout):
                body = await _limited(response, _BODY_LIMIT)
        except TimeoutError:
            raise ArmTimeoutError(f"{url} did not finish its answer (idle_timeout)") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ArmError(f"{url} broke off: {_describe(error)}") from None
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise ArmError(
                f"{url} did not answer with JSON; check that it is an OpenAI-compatible server"
            ) from None

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        url: str,
        body: Mapping[str, JsonValue] | None,
        optional: Collection[str],
        retries: int | None,
    ) -> AsyncIterator[tuple[aiohttp.ClientResponse, Attempts]]:
        """An answer that has begun with status 200, and how it was got. Raises `ArmError`."""
        response, attempts = await self._send(method, url, body, retries)
        async with response:
            if response.status != 200:
                text = ""
                with suppress(TimeoutError, aiohttp.ClientError, OSError):
                    async with asyncio.timeout(self.config.idle_timeout):
                        data = await _limited(response, 65536)
                        text = data.decode("utf-8", errors="replace")
                raise refused(
                    response.status,
                    self._credentials.blotted(text),
                    url=url,
                    model=self.config.model,
                    optional=optional,
                    sends_key=self._credentials.sends_key,
                    location=self._credentials.blotted(response.headers.get("Location", "")),
                )
            yield response, attempts

    async def _send(
        self, method: str, url: str, body: Mapping[str, JsonValue] | None, retries: int | None
    ) -> tuple[aiohttp.ClientResponse, Attempts]:
        session = self._open()
        data = None if body is None else _encoded(body, url)
        allowed = self.config.retries if retries is None else retries
        began = time.perf_counter()
        causes: list[str] = []
        while True:
            sent = time.perf_counter()
            try:
                async with asyncio.timeout(self.config.first_byte_timeout):
                    response = await session.request(method, url, data=data, allow_redirects=False)
                made = Attempts(count=len(causes) + 1, causes=tuple(causes), sent=sent)
                made.lost = sent - began if causes else 0.0
                return response, made
            except aiohttp.ClientConnectionError as error:
                causes.append(_describe(error))
                if _has_begun(error) or len(causes) > allowed:
                    raise self._unreachable(url, causes) from None
            except TimeoutError:
                raise ArmTimeoutError(
                    f"{url} did not begin an answer within {self.config.first_byte_timeout:g} s "
                    "(first_byte_timeout)"
                ) from None
            except aiohttp.ClientError as error:
                raise ArmError(f"{url} did not answer in HTTP: {_describe(error)}") from None
            await asyncio.sleep(self.config.retry_wait * 2 ** (len(causes) - 1))

    def _unreachable(self, url: str, causes: list[str]) -> UnreachableError:
        tries = f" after {len(causes)} attempts" if len(causes) > 1 else ""
        return UnreachableError(
            f"no answer from {url}{tries}: {causes[-1]}; start the server, or set `url`"
        )

    def _clean(self, error: ArmError) -> ArmError:
        """The same error with secrets blotted out of its message."""
        error.args = tuple(self._credentials.blotted(str(item)) for item in error.args)
        return error

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise ArmError("this arm was closed; build another one")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=self._credentials.headers,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=self.config.connect_timeout, sock_read=None
                ),
            )
        return self._session


def _encoded(body: Mapping[str, JsonValue], url: str) -> bytes:
    """ASCII JSON: a lone surrogate, which UTF-8 has no bytes for, goes through as an escape."""
    try:
        return json.dumps(body, allow_nan=False).encode("ascii")
    except (ValueError, TypeError, RecursionError) as error:
        raise ArmError(f"the request for {url} is not JSON: {error}") from None


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


def _has_begun(error: aiohttp.ClientConnectionError) -> bool:
    """Whether part of an answer had come: then the server has been working on the request."""
    if not isinstance(error, aiohttp.ServerDisconnectedError):
        return False
    return not isinstance(error.message, str)


def _describe(error: BaseException) -> str:
    return one_line(str(error), 160) or type(error).__name__
