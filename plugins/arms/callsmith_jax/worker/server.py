"""Requests in, answers out, one at a time, until the other side closes."""

from __future__ import annotations

import importlib
import os
import platform
import sys
import traceback
from collections import OrderedDict
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from . import PROTOCOL
from .channel import Channel
from .failures import RequestError, one_line

if TYPE_CHECKING:
    from .engine import Engine
    from .toolloop import ToolLoop

LIBRARIES = (
    "gemma",
    "jax",
    "jaxlib",
    "flax",
    "orbax-checkpoint",
    "sentencepiece",
    "dialog",
    "mcp",
    "fastmcp",
    "numpy",
    "protobuf",
)


def versions() -> dict[str, str | None]:
    """The installed versions, without importing anything; None where one is missing."""
    found: dict[str, str | None] = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


class Server:
    """The state of a worker: one loaded model and the tool loops that wait for results."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._loops: OrderedDict[str, ToolLoop] = OrderedDict()
        self._started = 0

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The result of a request. Raises `RequestError` and whatever the libraries raise."""
        do = request.get("do")
        if do == "imports":
            return self._imports()
        if do == "load":
            return self._load(request)
        if do == "probe":
            return self._probe()
        if do == "sample":
            segments = [(str(text), bool(control)) for text, control in request["segments"]]
            return self._ready().sample(segments, request["sampling"])
        if do == "chat":
            return self._chat(request)
        if do == "step":
            return self._step(request)
        if do == "close":
            return self._close(request)
        raise RequestError("request", f"there is no request {do!r}")

    def _ready(self) -> Engine:
        if self._engine is None:
            raise RequestError("request", "nothing is loaded; `load` comes first")
        return self._engine

    def _imports(self) -> dict[str, Any]:
        """Imports everything that the worker uses; what is installed may still not fit together."""
        self._check_installed()
        import jax

        importlib.import_module(".toolloop", __package__)  # which imports all the others
        return {"devices": [f"{d.platform}:{d.device_kind}" for d in jax.devices()]}

    def _check_installed(self) -> None:
        missing = [name for name, found in versions().items() if found is None]
        if missing:
            raise RequestError(
                "configuration",
                f"{sys.executable} has no {', '.join(missing)}; run: callsmith jax setup",
            )

    def _load(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._check_installed()
        from .engine import Engine  # the heavy import, after what can be said without it
        from .loading import load

        loaded = load(request["checkpoint"], request["tokenizer"], request["model"])
        self._engine = Engine(
            loaded,
            cache_length=int(request["cache_length"]),
            max_out_length=int(request["max_out_length"]),
            pad_lengths=[int(length) for length in request["pad_lengths"]],
            logprobs=bool(request["logprobs"]),
        )
        return loaded.facts

    def _probe(self) -> dict[str, Any]:
        engine = self._ready()
        return {**engine.loaded.facts, **engine.counters(), "open_sessions": len(self._loops)}

    def _chat(self, request: Mapping[str, Any]) -> dict[str, Any]:
        from .toolloop import ToolLoop

        loop = ToolLoop(self._ready(), request)
        while len(self._loops) >= int(
            request["max_sessions"]
        ):  # each keeps a cache: the oldest goes
            self._loops.popitem(last=False)[1].abandon()
        self._started += 1
        # Never the number of another process: a request may outlive the worker that it meant.
        return self._kept(f"{os.getpid()}.{self._started}", loop, loop.start())

    def _step(self, request: Mapping[str, Any]) -> dict[str, Any]:
        key = str(request["session"])
        loop = self._loops.pop(key, None)
        if loop is None:
            raise RequestError("session", f"there is no tool loop {key}")
        results = [str(text) for text in request["results"]]
        return self._kept(key, loop, loop.go_on(results))

    def _kept(self, key: str, loop: ToolLoop, turn: dict[str, Any]) -> dict[str, Any]:
        """The answer, with the name of the loop where it waits for results."""
        if loop.open:
            self._loops[key] = loop
        return {**turn, "session": key if loop.open else None}

    def _close(self, request: Mapping[str, Any]) -> dict[str, Any]:
        named = request.get("session")
        gone = list(self._loops) if named is None else [str(named)]
        for key in gone:
            loop = self._loops.pop(key, None)
            if loop is not None:
                loop.abandon()
        return {}


def serve(channel: Channel, server: Server | None = None) -> int:
    """Says hello and answers requests; returns the exit code."""
    hello = {
        "hello": "callsmith-jax",
        "protocol": PROTOCOL,
        "python": platform.python_version(),
        "pid": os.getpid(),
        "versions": versions(),
    }
    channel.write(hello)
    server = server or Server()
    for request in channel.lines():
        answer: dict[str, Any] = {"id": request.get("id")}
        try:
            answer["ok"] = server.answer(request)
        except RequestError as error:
            answer["error"] = {"kind": error.kind, "message": str(error)}
        except Exception as error:  # a library may raise anything; the worker lives on
            traceback.print_exc()
            answer["error"] = {"kind": "failed", "message": one_line(error)}
        channel.write(answer)
        if request.get("do") == "close" and request.get("session") is None:
            break
    return 0
