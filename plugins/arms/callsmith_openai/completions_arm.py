"""`openai-completions`: `/v1/completions`, a text engine."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from callsmith import ArmError, Completion, ControlTokens, Fidelity, JsonValue, Prompt, Sampling
from callsmith_openai import answers
from callsmith_openai.attempts import Attempts
from callsmith_openai.bos import Bos, measure_bos
from callsmith_openai.completions_probe import probe_completions
from callsmith_openai.config import CompletionsConfig
from callsmith_openai.detection import Facts
from callsmith_openai.server import Server, merged
from callsmith_openai.stops import StopFilter
from callsmith_openai.text_reading import TextReading
from callsmith_openai.token_pieces import token_pieces

PATH = "/completions"


class OpenAICompletionsArm:
    """A `TextArm`: the prompt goes in as it is, the text comes out with its special tokens.

    Where the server tokenises for us (vLLM, llama.cpp, SGLang), the prompt goes in as token ids:
    then no BOS is added, and control tokens inside content are no control tokens. Elsewhere it
    goes in as text, and a BOS that the server would double is taken off.
    """

    def __init__(self, config: CompletionsConfig) -> None:
        self.config = config
        self.server = Server(config)
        self._tokens = ControlTokens(config.control_tokens)
        self._ids: bool | None = None
        self.bos: Bos | None = None
        """What the server does about BOS, once it was measured."""

    async def complete(self, prompt: Prompt, sampling: Sampling) -> Completion:
        """One completion. Raises `ArmError`, `ArmTimeoutError` or `PromptTooLongError`."""
        async with aclosing(self.stream(prompt, sampling)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Completion):
                    return piece
        raise AssertionError("a stream ends with its completion or raises")

    async def stream(
        self, prompt: Prompt, sampling: Sampling
    ) -> AsyncGenerator[str | Completion, None]:
        """Pieces of text as they come, then the whole completion."""
        if not prompt.text:
            raise ArmError("the prompt is empty; a completion needs at least one character")
        facts = await self.server.ready()
        fields = self.fields(facts)
        fields["prompt"] = await self.prompt(facts, prompt)
        body = self.server.body(facts, sampling, fields, stream=self.config.stream)
        attempts = Attempts()
        reading = TextReading()
        stops = StopFilter(sampling.stop)
        shown: list[str] = []
        first: float | None = None
        keep = ("logprobs",) if self.config.logprobs else ()
        async with aclosing(self.server.stream(PATH, body, attempts, keep=keep)) as values:
            async for value in values:
                text = reading.take(value)
                if text and first is None:
                    first = time.perf_counter() - attempts.sent
                piece = stops.feed(text)
                if piece:
                    shown.append(piece)
                    yield piece
        total = time.perf_counter() - attempts.sent
        url = self.server.client.address.api + PATH
        answers.check_end(attempts, reading.finish_reason, reading.choices, url)
        answers.check_room(
            reading.usage,
            reading.finish_reason,
            max_tokens=sampling.max_tokens,
            context_length=self.server.context_length,
        )
        rest = stops.close()
        if rest:
            shown.append(rest)
            yield rest
        yield Completion(
            text="".join(shown),
            stop_reason=reading.finish_reason,
            usage=reading.usage,
            timings=answers.timings(
                reading.timings, first_token=first, total=total, retry=attempts.lost
            ),
            token_ids=reading.token_ids,
            logprobs=reading.logprobs if self.config.logprobs else None,
        )

    def fields(self, facts: Facts) -> dict[str, JsonValue]:
        """The fields of a request besides sampling and the prompt."""
        kind = facts.kind
        fields = merged(merged(kind.visible, kind.plain_prompt), kind.ids_out)
        if kind.preserves_tokens and self.config.visible_tokens:
            fields["preserved_tokens"] = list(self.config.visible_tokens)
        if self.config.logprobs:
            fields["logprobs"] = 1
        return fields

    async def prompt(self, facts: Facts, prompt: Prompt) -> JsonValue:
        """The prompt as it is sent: token ids, or text. Raises `ArmError`."""
        ids = await self._as_ids(facts, prompt)
        if ids is not None:
            return list(ids)
        text = prompt.text
        token = self.config.bos_token
        if not token or not text.startswith(token) or self.config.bos == "keep":
            return text
        if self.config.bos == "strip" or await self._is_doubled(facts):
            return text.removeprefix(token)
        return text

    async def _is_doubled(self, facts: Facts) -> bool:
        """Whether a BOS at the beginning of the text would be the second one."""
        if self.bos is None:
            self.bos = await measure_bos(self.server, facts, self.fields(facts), self.config)
        if self.bos.adds is not None:
            return self.bos.doubles
        return bool(facts.kind.adds_bos)

    async def _as_ids(self, facts: Facts, prompt: Prompt) -> list[int] | None:
        """Token ids, or None if the prompt goes as text. Raises `ArmError` when ids must be."""
        wanted = self.config.tokens
        if wanted == "text" or self._ids is False:
            return None
        if facts.kind.tokenize is None:
            if wanted == "ids":
                raise ArmError(
                    f"tokens: ids needs a server that tokenises and takes token ids, and "
                    f"{facts.kind.title} is not known to; use tokens: text, or name it in `server`"
                )
            return None
        found: list[int] = []
        for piece in token_pieces(prompt, self._tokens):
            try:
                found += await self.tokenize(facts, piece)
            except ArmError:
                if wanted == "auto" and self._ids is None:
                    self._ids = False
                    return None
                raise
        self._ids = True
        return found

    async def tokenize(self, facts: Facts, text: str) -> list[int]:
        """The server's ids of `text`, without added special tokens. Raises `ArmError`."""
        body: dict[str, JsonValue]
        if facts.kind.tokenize == "content":
            body = {"content": text, "add_special": False, "parse_special": True}
        else:
            body = {"model": self.config.model, "prompt": text, "add_special_tokens": False}
        url = f"{self.server.client.address.root}/tokenize"
        value = await self.server.client.post(url, body)
        ids = value.get("tokens") if isinstance(value, dict) else None
        if not isinstance(ids, list) or not all(type(item) is int for item in ids):
            raise ArmError(f"{url} did not answer with a list of token ids")
        return ids

    @property
    def sends(self) -> str:
        """How prompts go out: `ids`, `text`, or `unknown` before the first one."""
        if self.config.tokens == "text" or self._ids is False:
            return "text"
        return "ids" if self._ids else "unknown"

    async def probe(self) -> Fidelity:
        """What the server tells, and whether control tokens survive in the text."""
        return await probe_completions(self)

    async def aclose(self) -> None:
        """Closes the session."""
        await self.server.client.aclose()
