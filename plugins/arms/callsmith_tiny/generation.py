"""From a prompt's tokens to a completion: the loop, the stop strings, the bookkeeping."""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable, Iterator, Sequence

from callsmith import Completion, Sampling, Usage
from callsmith_tiny.constraint import Constraint
from callsmith_tiny.model import TinyModel
from callsmith_tiny.sampler import Sampler
from callsmith_tiny.tokens import Tokens


class TextUntilStop:
    """Bytes in, text out, up to the first stop string, which is never let through in part.

    The first is the one that ends first, wherever the pieces are cut. Text is held back while it
    could be the beginning of a stop string.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped = False

    def feed(self, piece: bytes, final: bool = False) -> str:
        """What is certain now. After a stop string was seen nothing comes any more."""
        if self.stopped:
            return ""
        self._held += self._utf8.decode(piece, final)
        places = [(self._held.find(stop), stop) for stop in self._stops]
        found = [(at + len(stop), at) for at, stop in places if at >= 0]
        if found:
            self.stopped = True
            return self._held[: min(found)[1]]
        keep = 0 if final else self._beginning()
        out, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return out

    def _beginning(self) -> int:
        """Length of the longest end of the held text that begins a stop string."""
        longest = max(map(len, self._stops), default=0) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if self._held.endswith(tuple(s[:length] for s in self._stops if len(s) > length)):
                return length
        return 0


def generate(
    model: TinyModel,
    tokens: Tokens,
    prompt: Sequence[int],
    sampling: Sampling,
    cancelled: Callable[[], bool],
    constraint: Constraint | None = None,
) -> Iterator[str | Completion]:
    """Pieces of text, then the completion. `prompt` is not empty.

    The token that ends the turn belongs neither to the text nor to the token ids. `cancelled` is
    asked before every token; once it says yes there are no further items. `constraint` limits what
    may be written; the log probabilities stay those of the model alone.
    """
    begin = time.perf_counter()
    sampler = Sampler(sampling)
    reader = TextUntilStop(sampling.stop)
    state = model.state(len(prompt) + min(sampling.max_tokens, 128))
    logprobs = model.feed(list(prompt), state)
    prefilled = time.perf_counter()
    ids: list[int] = []
    chosen: list[float] = []
    parts: list[str] = []
    reason = "length"
    written = bytearray()

    def allowed(token: int) -> bool:
        return constraint is None or constraint.allows(bytes(written), tokens.pieces[token])

    allows = allowed if constraint else None
    while len(ids) < sampling.max_tokens:
        if cancelled():
            return
        token = sampler.choose(logprobs, allows)
        if token in tokens.ends:
            reason = "stop"
            break
        ids.append(token)
        # Rounding in single precision may leave a certain token a hair above zero.
        chosen.append(min(0.0, float(logprobs[token])))
        written += tokens.pieces[token]
        text = reader.feed(tokens.pieces[token])
        if text:
            parts.append(text)
            yield text
        if reader.stopped:
            reason = "stop"
            break
        if len(ids) < sampling.max_tokens:
            logprobs = model.feed([token], state)
    rest = reader.feed(b"", final=True)
    if rest:
        parts.append(rest)
        yield rest
    end = time.perf_counter()
    yield Completion(
        text="".join(parts),
        stop_reason=reason,
        usage=Usage(prompt_tokens=len(prompt), completion_tokens=len(ids)),
        timings={"prefill": prefilled - begin, "decode": end - prefilled},
        token_ids=tuple(ids),
        logprobs=tuple(chosen),
    )
