"""A server that answers a request with given bytes, HTTP or not, or never."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass


@dataclass(slots=True)
class ByteServer:
    """Where it listens, and how many connections it had."""

    url: str = ""
    connections: int = 0


@asynccontextmanager
async def byte_server(answer: bytes | None) -> AsyncIterator[ByteServer]:
    """Answers every connection's first request with `answer` and closes; None: never answers."""
    state = ByteServer()
    handlers: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        state.connections += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(length.group(1)) if length else 0)
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = listener.sockets[0].getsockname()
    state.url = f"http://{host}:{port}"
    try:
        yield state
    finally:
        listener.close()
        await asyncio.gather(*handlers, return_exceptions=True)
        await listener.wait_closed()
