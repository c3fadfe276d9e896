"""The library's own tool loop, halted at every call.

`gm.text.ToolSampler.chat` samples, runs the calls through its handler, feeds the results back on
the kept state and recurses. Here it runs in a thread of its own; the handler hands the calls over
and blocks until the results come, so that whoever asked runs the tools and counts the steps.
"""

from __future__ import annotations

import dataclasses
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import mcp
from gemma import gm

from .conversation import conversation, declared, read_turn
from .engine import Engine, seed
from .failures import RequestError, one_line
from .sampling import TAPE
from .stopping import Ended


class Abandoned(BaseException):
    """The loop is not wanted any more; no handler of the library catches it."""


class ToolLoop:
    """One run of the library's loop: `start`, then `go_on` with results, or `abandon`."""

    def __init__(self, engine: Engine, request: Mapping[str, Any]) -> None:
        self.engine = engine
        self.sampling = request["sampling"]
        self.max_tokens = engine.max_tokens(self.sampling)
        self.open = False
        self._prompt = conversation(request["messages"], bool(self.sampling["thinking"]))
        self._out: queue.Queue[dict[str, Any] | BaseException] = queue.Queue()
        self._results: queue.Queue[Sequence[str] | None] = queue.Queue()
        self._turn: dict[str, Any] = {}
        self._ended = Ended("", (), "")
        self._sampler = _HaltingSampler(
            tool_handler=_Handler(loop=self, listed=tuple(declared(request["tools"]))),
            loop=self,
            multi_turn=False,
            **engine.sizes(),
        )
        self._thread = threading.Thread(target=self._run, name="tool-loop", daemon=True)

    def start(self) -> dict[str, Any]:
        """Runs to the first calls or to the answer."""
        self.open = True
        self._thread.start()
        return self._next()

    def go_on(self, results: Sequence[str]) -> dict[str, Any]:
        """Runs on with one result per call."""
        wanted = len(self._turn["calls"])
        if len(results) != wanted:
            raise RequestError("request", f"{len(results)} results for {wanted} calls")
        self._results.put(results)
        return self._next()

    def abandon(self) -> None:
        """Ends the thread; the kept state goes with it."""
        if self.open:
            self.open = False
            self._results.put(None)
            self._thread.join()

    def _next(self) -> dict[str, Any]:
        out = self._out.get()
        if isinstance(out, BaseException):
            self.open = False
            self._thread.join()
            if isinstance(out, RequestError):
                raise out
            raise RequestError("failed", f"the library's loop failed: {one_line(out)}") from out
        if out["final"]:
            self.open = False
            self._thread.join()
        return out

    # What follows runs in the loop's thread.

    def _run(self) -> None:
        try:
            self._sampler.chat(
                self._prompt,
                sampling=self.engine.drawing(self.sampling),
                rng=seed(self.sampling),
            )
            self._out.put(self._answer())
        except Abandoned:
            pass
        except BaseException as error:  # carried to the one who waits, whatever it is
            self._out.put(error)

    def check(self, prompt_text: str, last_state: Any) -> None:
        """Raises `RequestError` where the cache cannot hold what comes; the library would crash."""
        count = len(self.engine.loaded.tokens.tokenizer.encode(prompt_text))
        used = 0
        if last_state is None:
            count += 1
        else:
            used = int(last_state.used_cache_length) + 1
            # The library pads what is new, and cannot write padding beyond the cache's end.
            padded = next((p for p in self.engine.pad_lengths if p >= count), count)
            if used + padded > self.engine.cache_length:
                raise RequestError(
                    "too-long",
                    f"the kept state has {used} tokens and the results {count} (padded to "
                    f"{padded}), together more than cache_length {self.engine.cache_length}; "
                    "raise cache_length or add a smaller pad length",
                )
        self.engine.check_fits(used + count, self.max_tokens)
        self._turn = {"prompt_tokens": used + count, "began": time.perf_counter()}
        TAPE.take()

    def record(self, state: Any) -> None:
        """Keeps what was just sampled."""
        limit = self.max_tokens
        self._ended, logprobs, drawn = self.engine.read(state, self.sampling, limit)
        self._turn |= {
            "text": self._ended.text,
            "stop_reason": self._ended.reason,
            "token_ids": list(self._ended.ids),
            "logprobs": logprobs,
            "drawn": drawn,
            "position": int(state.last_token_pos[0]),
            "seconds": time.perf_counter() - self._turn.pop("began"),
        }

    @property
    def stopped(self) -> bool:
        """Whether a stop string or the limit ended the turn: then nothing is executed."""
        return self._ended.reason in ("stop", "length", "cache_full")

    def hand_over(self, calls: Sequence[Mapping[str, Any]]) -> Sequence[str]:
        """Gives the calls to whoever asked and waits for their results."""
        self._turn |= self._read() | {"calls": list(calls), "final": False}
        self._turn["prompt"] = self._log()
        self._out.put(self._turn)
        results = self._results.get()
        if results is None:
            raise Abandoned
        return results

    def unreadable(self, error: BaseException) -> None:
        """The library cannot read the calls: it would raise out of the loop."""
        self._turn["fault"] = {"raw": self._ended.text, "detail": one_line(error)}

    def _answer(self) -> dict[str, Any]:
        self._turn |= self._read() | {"final": True, "prompt": self._log()}
        if self._turn["calls"]:
            # A call in a turn that the loop takes for an answer: it is never executed.
            detail = "the library's loop acts on calls only at the end of a turn; it ran none"
            self._turn["fault"] = {"raw": self._ended.text, "detail": detail}
            self._turn["calls"] = []
        return self._turn

    def _read(self) -> dict[str, Any]:
        if "fault" in self._turn:
            return {"content": "", "reasoning": "", "calls": []}
        try:
            return read_turn(self._ended.text)
        except Exception as error:  # lark's and the library's own
            if self.stopped:  # a turn that was cut may be anything: its text is what there is
                visible = self._ended.text.partition("<|")[0]
                return {"content": visible, "reasoning": "", "calls": []}
            self.unreadable(error)
            return {"content": "", "reasoning": "", "calls": []}

    def _log(self) -> str:
        """Everything that stands in the state before the turn that was just sampled."""
        return "".join(turn.text for turn in self._sampler.turns[:-1])


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Handler(gm.tools.ToolHandlerBase):  # type: ignore[misc]
    """The library's interface for tools. It reads the calls itself, with the library's reader."""

    loop: ToolLoop
    listed: tuple[Any, ...]
    reading: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    answering: list[str] = dataclasses.field(default_factory=list)

    def _tools(self) -> list[Any]:
        return list(self.listed)

    def maybe_execute_tool(self, model_output: str) -> list[Any] | None:
        """Twice through the library's own: first to see the calls, then to give the results."""
        if self.loop.stopped:
            return None
        self.reading.clear()
        self.answering.clear()
        try:
            first = super().maybe_execute_tool(model_output)
        except Exception as error:  # the library's reader raises on a malformed call
            self.loop.unreadable(error)
            return None
        if not first:
            return None
        self.answering.extend(self.loop.hand_over(tuple(self.reading)))
        responses: list[Any] = super().maybe_execute_tool(model_output)
        return responses

    def _call_tool(self, name: str, arguments: dict[str, Any] | None = None) -> Any:
        if self.answering:
            text = self.answering.pop(0)
        else:
            self.reading.append({"name": name, "arguments": arguments or {}})
            text = ""
        return mcp.types.CallToolResult(content=[mcp.types.TextContent(type="text", text=text)])


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _HaltingSampler(gm.text.ToolSampler):  # type: ignore[misc]
    """The library's loop with the limit of tokens in every turn; it passes it to the first only."""

    loop: ToolLoop

    def _sample(self, prompt_text: str, **options: Any) -> Any:
        self.loop.check(prompt_text, options["last_state"])
        out = super()._sample(prompt_text, **{**options, "max_new_tokens": self.loop.max_tokens})
        self.loop.record(out.state)
        return out
