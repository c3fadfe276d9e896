"""A worker without JAX: the real channel and server around answers that are made up from the text.

What a prompt says decides what happens: `die`, `hang`, `noise`, `garbage`, `fail`, `too long`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "plugins" / "arms" / "callsmith_jax" / "worker"


def worker_module(name: str) -> Any:
    """A module of the worker, imported as the worker itself does."""
    if "stand_in" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "stand_in", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
        )
        assert spec is not None
        assert spec.loader is not None
        package = importlib.util.module_from_spec(spec)
        sys.modules["stand_in"] = package
        spec.loader.exec_module(package)
    return importlib.import_module(f"stand_in.{name}")


server = worker_module("server")
stopping = worker_module("stopping")
RequestError = worker_module("failures").RequestError
EOS = 0


class Loop:
    """A tool loop that waits for results: only what the server does with it."""

    def __init__(self) -> None:
        self.open = True

    def go_on(self, results: list[str]) -> dict[str, Any]:
        """Repeats the results."""
        self.open = False
        return turn(f"The tool said: {'; '.join(results)}. That is all there is to say.")

    def abandon(self) -> None:
        """Is open no more."""
        self.open = False


class StandIn(server.Server):  # type: ignore[misc]
    """Answers of which each depends on the prompt alone."""

    def __init__(self) -> None:
        super().__init__()
        self.body: Mapping[str, Any] = {}

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The real server's answers, save for what needs a model."""
        if request["do"] == "sample":
            text = "".join(text for text, _ in request["segments"])
            trouble(text)
            return completion(say(text), request["sampling"])
        result: dict[str, Any] = super().answer(request)
        return result

    def _imports(self) -> dict[str, Any]:
        if os.environ.get("STAND_IN_CANNOT_IMPORT"):
            raise ImportError("gencode 7.36.1 runtime 6.33.6")
        return {"devices": ["cpu:cpu"]}

    def _load(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self.body = request
        if not Path(request["checkpoint"]).is_dir():
            raise RequestError("configuration", f"checkpoint {request['checkpoint']}: no folder")
        log = os.environ.get("STAND_IN_LOG")
        if log:
            with open(log, "a", encoding="utf-8") as file:
                file.write(json.dumps({"pid": os.getpid(), **request, **visible()}) + "\n")
        return self._probe()

    def _probe(self) -> dict[str, Any]:
        time.sleep(float(os.environ.get("STAND_IN_LOADING", "0")))
        return {
            "model": "Gemma4_E2B",
            "checkpoint": self.body["checkpoint"],
            "parameters": 12,
            "dtype": "bfloat16",
            "vocabulary": 262144,
            "tokenizer_digest": "sha256:01",
            "model_digest": None,
            "devices": ["cpu:cpu"],
        }

    def _chat(self, request: Mapping[str, Any]) -> dict[str, Any]:
        last = request["messages"][-1]
        trouble(last["content"])
        sampling = request["sampling"]
        if last["role"] == "tool":
            return {**turn(f"Read anew: {last['content']}"), "session": None}
        if "malformed" in last["content"]:
            bad = {"fault": {"raw": "<|tool_call>call:", "detail": "ValueError: no end"}}
            return {**turn(""), **bad, "session": None}
        if not request["tools"]:
            made = turn(say(last["content"]), sampling)
            return {**made, "session": None}
        names = re.findall(r"[A-Z][a-z]+", last["content"].removeprefix("Weather"))
        calls = [{"name": "get_weather", "arguments": {"city": n}} for n in names or ["Oslo"]]
        while len(self._loops) >= request["max_sessions"]:
            self._loops.popitem(last=False)[1].abandon()
        self._started += 1
        asked = {**turn(""), "calls": calls, "final": False, "stop_reason": "tool_response"}
        return self._kept(f"{os.getpid()}.{self._started}", Loop(), asked)


def visible() -> dict[str, str | None]:
    """What of the environment decides how JAX behaves."""
    names = ("JAX_PLATFORMS", "XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_PREALLOCATE")
    return {name: os.environ.get(name) for name in (*names, "PYTHONPATH")}


def say(text: str) -> str:
    """An answer that differs from question to question."""
    return f"You said {len(text)} characters, ending in {text[-12:]!r}. All of it was read."


def turn(text: str, sampling: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A turn of the tool loop that only says something."""
    made = completion(text, sampling or {"stop": [], "max_tokens": 4096})
    return {
        **made,
        "content": made["text"],
        "reasoning": "",
        "calls": [],
        "final": True,
        "prompt": "what the state had read",
    }


def completion(text: str, sampling: Mapping[str, Any]) -> dict[str, Any]:
    """A character is a token; the text ends with the token 0."""
    drawn = [*map(ord, text), EOS][: sampling["max_tokens"]]
    result = stopping.ended(
        drawn,
        ends={EOS: "end_of_turn"},
        stops=sampling["stop"],
        max_tokens=sampling["max_tokens"],
        decode=lambda ids: "".join(map(chr, ids)),
    )
    return {
        "text": result.text,
        "stop_reason": result.reason,
        "token_ids": list(result.ids),
        "logprobs": [-0.5] * len(result.ids),
        "prompt_tokens": 7,
        "drawn": len(drawn),
        "seconds": 0.25,
    }


def trouble(text: str) -> None:
    """Does what the text asks for."""
    if "die" in text:
        sys.stderr.write("XLA: out of memory\nlast words\n")
        sys.stderr.flush()
        os._exit(3)
    if "hang" in text:
        time.sleep(600)
    if "noise" in text:
        print("a library prints")
        os.write(1, b"a library in C prints\n")
    if "too long" in text:
        raise RequestError("too-long", "the prompt has 99 tokens")
    if "fail" in text:
        raise ZeroDivisionError("nothing goes into nothing")


class Garbage:
    """A channel that breaks the protocol."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def write(self, value: dict[str, Any]) -> None:
        """As told by STAND_IN_BREAKS: another protocol, another id, or no JSON at all."""
        how = os.environ["STAND_IN_BREAKS"]
        if how == "protocol" and "hello" in value:
            value = {**value, "protocol": 99}
        if how == "id" and "id" in value:
            value = {**value, "id": -1}
        if how == "json" and "id" in value:
            self._channel._target.write("no JSON\n")
            self._channel._target.flush()
            return
        if how == "silence":
            time.sleep(600)
        self._channel.write(value)


if __name__ == "__main__":
    lacks = os.environ.get("STAND_IN_LACKS", "").split()
    pinned = dict(
        line.split("==")
        for line in (FOLDER.parent / "requirements.txt").read_text().splitlines()
        if "==" in line
    )
    found = {name: None if name in lacks else pinned.get(name) for name in server.LIBRARIES}
    server.versions = lambda: found
    channel = worker_module("channel").Channel.of_this_process()
    if os.environ.get("STAND_IN_BREAKS"):
        channel = Garbage(channel)
    sys.exit(server.serve(channel, StandIn()))
