"""Arms that answer from a script: for tests of everything that stands above an arm.

A script is one answer (given to every request), a sequence of answers (one per request, in the
order in which requests arrive; one request too many is an `ArmError`), or a function of the
request. An answer that is an exception is raised. Strings obey the request's sampling (`stop` and
`max_tokens`, where a token is a word with the white space before it); whole `Completion` and
`Reply` values are returned as they are.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from callsmith.errors import ArmError
from callsmith.types import (
    CallParsed,
    Completion,
    ContentDelta,
    Event,
    FaultFound,
    Fidelity,
    Message,
    Prompt,
    ReasoningDelta,
    Reply,
    Sampling,
    ToolCall,
    ToolSpec,
    Usage,
)

A = TypeVar("A")
R = TypeVar("R")

_TOKEN = re.compile(r"\s*\S+|\s+\Z")

Delay: TypeAlias = float | Callable[[int], float]
"""Seconds before an answer begins: one number, or a function of the request's ordinal from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailsAfter:
    """An answer that breaks off: `text` is streamed, then `error` is raised.

    A request that does not stream raises `error` at once.
    """

    text: str
    error: Exception


TextAnswer: TypeAlias = str | Completion | Exception | FailsAfter
ChatAnswer: TypeAlias = str | Reply | ToolCall | Sequence[ToolCall] | Exception | FailsAfter


class _Script(Generic[R, A]):
    """Hands out answers, keeps the requests, waits and fails as told."""

    def __init__(
        self,
        answers: A | Sequence[A] | Callable[[R], A],
        single: tuple[type, ...],
        delay: Delay,
        piece_delay: float,
        piece: int,
    ) -> None:
        if piece < 1:
            raise ValueError("piece must be at least 1 character")
        self.answers = answers
        self.single = single
        self.delay = delay
        self.piece_delay = piece_delay
        self.piece = piece
        self.requests: list[R] = []
        self.closed = False

    async def next(self, request: R) -> A:
        if self.closed:
            raise ArmError("the scripted arm was closed")
        ordinal = len(self.requests)
        self.requests.append(request)
        answer = self._pick(ordinal, request)
        seconds = self.delay(ordinal) if callable(self.delay) else self.delay
        await asyncio.sleep(seconds)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _pick(self, ordinal: int, request: R) -> A:
        script = self.answers
        if isinstance(script, self.single):
            return script  # type: ignore[return-value]
        if callable(script):
            return script(request)
        answers: Sequence[A] = script  # type: ignore[assignment]
        if ordinal >= len(answers):
            raise ArmError(
                f"the script has {len(answers)} answers and this is request {ordinal + 1}; "
                "give it more, or a function"
            )
        return answers[ordinal]

    async def pieces(self, text: str) -> AsyncIterator[str]:
        for start in range(0, len(text), self.piece):
            if start:
                await asyncio.sleep(self.piece_delay)
            yield text[start : start + self.piece]


def _sampled(text: str, sampling: Sampling, prompt_tokens: int) -> Completion:
    """What an engine would return for `text` under `sampling`."""
    ends = [text.find(stop) for stop in sampling.stop if stop]
    found = [end for end in ends if end >= 0]
    stopped = text[: min(found)] if found else text
    tokens = _TOKEN.findall(stopped)
    cut = len(tokens) > sampling.max_tokens
    kept = tokens[: sampling.max_tokens]
    return Completion(
        text="".join(kept),
        stop_reason="length" if cut else "stop",
        usage=Usage(prompt_tokens=prompt_tokens, completion_tokens=len(kept)),
    )


class ScriptedTextArm:
    """A `TextArm` that answers from a script; `requests` holds what it was asked, in order.

    `piece` is the number of characters in each streamed piece.
    """

    def __init__(
        self,
        completions: TextAnswer | Sequence[TextAnswer] | Callable[[Prompt, Sampling], TextAnswer],
        *,
        delay: Delay = 0.0,
        piece_delay: float = 0.0,
        piece: int = 4,
        fidelity: Fidelity | None = None,
    ) -> None:
        script = completions
        if callable(script):
            function = script
            self._script: _Script[tuple[Prompt, Sampling], TextAnswer] = _Script(
                lambda request: function(*request), (), delay, piece_delay, piece
            )
        else:
            single = (str, Completion, Exception, FailsAfter)
            self._script = _Script(script, single, delay, piece_delay, piece)
        self._fidelity = fidelity or Fidelity(runtime="scripted", model="script")

    @property
    def requests(self) -> list[tuple[Prompt, Sampling]]:
        """Every request so far, as (prompt, sampling)."""
        return self._script.requests

    @property
    def closed(self) -> bool:
        """True once `aclose` was called."""
        return self._script.closed

    def _completion(self, answer: TextAnswer, prompt: Prompt, sampling: Sampling) -> Completion:
        if isinstance(answer, Completion):
            return answer
        if isinstance(answer, str):
            return _sampled(answer, sampling, len(_TOKEN.findall(prompt.text)))
        raise TypeError(f"a script for a text arm holds no {type(answer).__name__}")

    async def complete(self, prompt: Prompt, sampling: Sampling) -> Completion:
        """The next answer of the script."""
        answer = await self._script.next((prompt, sampling))
        if isinstance(answer, FailsAfter):
            raise answer.error
        return self._completion(answer, prompt, sampling)

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncIterator[str | Completion]:
        """The next answer of the script, in pieces."""
        answer = await self._script.next((prompt, sampling))
        if isinstance(answer, FailsAfter):
            async for piece in self._script.pieces(answer.text):
                yield piece
            raise answer.error
        completion = self._completion(answer, prompt, sampling)
        async for piece in self._script.pieces(completion.text):
            yield piece
        yield completion

    async def probe(self) -> Fidelity:
        """The fidelity that the script was given."""
        return self._fidelity

    async def aclose(self) -> None:
        """Requests after this are refused."""
        self._script.closed = True


ChatRequest: TypeAlias = tuple[tuple[Message, ...], tuple[ToolSpec, ...], Sampling]


class ScriptedChatArm:
    """A `ChatArm` that answers from a script; `requests` holds what it was asked, in order.

    A string is a reply's content; a call, or a list or tuple of calls, is a reply that makes them.
    """

    def __init__(
        self,
        replies: ChatAnswer
        | Sequence[ChatAnswer]
        | Callable[[Sequence[Message], Sequence[ToolSpec], Sampling], ChatAnswer],
        *,
        delay: Delay = 0.0,
        piece_delay: float = 0.0,
        piece: int = 4,
        fidelity: Fidelity | None = None,
    ) -> None:
        script = replies
        if callable(script):
            function = script
            self._script: _Script[ChatRequest, ChatAnswer] = _Script(
                lambda request: function(*request), (), delay, piece_delay, piece
            )
        else:
            single = (str, Reply, ToolCall, Exception, FailsAfter)
            self._script = _Script(script, single, delay, piece_delay, piece)
        self._fidelity = fidelity or Fidelity(runtime="scripted", model="script")

    @property
    def requests(self) -> list[ChatRequest]:
        """Every request so far, as (messages, tools, sampling)."""
        return self._script.requests

    @property
    def closed(self) -> bool:
        """True once `aclose` was called."""
        return self._script.closed

    def _reply(self, answer: ChatAnswer, request: ChatRequest) -> Reply:
        if isinstance(answer, Reply):
            return answer
        if isinstance(answer, ToolCall):
            return Reply(calls=(answer,))
        if isinstance(answer, str):
            words = sum(
                len(_TOKEN.findall(m.content)) for m in request[0] if isinstance(m.content, str)
            )
            completion = _sampled(answer, request[2], words)
            return Reply(content=completion.text, completion=completion)
        if isinstance(answer, list | tuple):
            return Reply(calls=tuple(answer))
        raise TypeError(f"a script for a chat arm holds no {type(answer).__name__}")

    async def generate(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> Reply:
        """The next answer of the script."""
        request = (tuple(messages), tuple(tools), sampling)
        answer = await self._script.next(request)
        if isinstance(answer, FailsAfter):
            raise answer.error
        return self._reply(answer, request)

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> AsyncIterator[Event | Reply]:
        """The next answer of the script: thought, content, calls, faults, then the whole reply."""
        request = (tuple(messages), tuple(tools), sampling)
        answer = await self._script.next(request)
        if isinstance(answer, FailsAfter):
            async for piece in self._script.pieces(answer.text):
                yield ContentDelta(text=piece)
            raise answer.error
        reply = self._reply(answer, request)
        async for piece in self._script.pieces(reply.reasoning):
            yield ReasoningDelta(text=piece)
        async for piece in self._script.pieces(reply.content):
            yield ContentDelta(text=piece)
        for index, call in enumerate(reply.calls):
            yield CallParsed(index=index, call=call)
        for fault in reply.faults:
            yield FaultFound(fault=fault)
        yield reply

    async def probe(self) -> Fidelity:
        """The fidelity that the script was given."""
        return self._fidelity

    async def aclose(self) -> None:
        """Requests after this are refused."""
        self._script.closed = True
