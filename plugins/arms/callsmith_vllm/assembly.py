"""From the engine's pieces to a completion."""

from __future__ import annotations

from collections.abc import Callable

from callsmith import ArmError, Completion, Usage
from callsmith_vllm.interface import Output, RequestOutput


class Assembly:
    """Collects the pieces of one request.

    `name` gives the text of a special token by its id. `Completion.stop_reason` is vLLM's
    `finish_reason`; where vLLM also says what stopped it, that follows: `stop: <|tool_response>`.
    A bare `stop` is the tokenizer's end-of-text token.
    """

    def __init__(self, name: Callable[[int], str]) -> None:
        self._name = name
        self._text: list[str] = []
        self._ids: list[int] = []
        self._logprobs: list[float] | None = []
        self._prompt_tokens: int | None = None
        self._first: float | None = None
        self._stop: str | None = None

    def take(self, request: RequestOutput, seconds: float) -> str:
        """Takes one piece, `seconds` after the request was sent; returns its text.

        Raises `ArmError` when the request ended without being completed.
        """
        if request.prompt_token_ids is not None:
            self._prompt_tokens = len(request.prompt_token_ids)
        output = request.outputs[0]
        if output.token_ids and self._first is None:
            self._first = seconds
        self._text.append(output.text)
        self._ids += output.token_ids
        self._take_logprobs(output)
        if output.finish_reason is not None:
            if output.finish_reason in ("abort", "error"):
                raise ArmError(
                    f"vLLM ended the request ({output.finish_reason}) before it was done; the "
                    "lines that vLLM logged say why"
                )
            self._stop = output.finish_reason
            if output.stop_reason is not None:
                self._stop += f": {self._what(output.stop_reason)}"
        return output.text

    def completion(self, seconds: float) -> Completion:
        """The whole, `seconds` after the request was sent. Raises `ArmError` if it has no end."""
        if self._stop is None:
            raise ArmError("vLLM's answer ended without its last piece")
        timings = {"total": seconds}
        if self._first is not None:
            timings["first_token"] = self._first
        return Completion(
            text="".join(self._text),
            stop_reason=self._stop,
            usage=Usage(prompt_tokens=self._prompt_tokens, completion_tokens=len(self._ids)),
            timings=timings,
            token_ids=tuple(self._ids),
            logprobs=None if self._logprobs is None else tuple(self._logprobs),
        )

    def _take_logprobs(self, output: Output) -> None:
        if self._logprobs is None or not output.token_ids:
            return
        if output.logprobs is None or len(output.logprobs) != len(output.token_ids):
            self._logprobs = None  # not asked for, or not one per token: then none at all
            return
        for number, candidates in zip(output.token_ids, output.logprobs, strict=True):
            self._logprobs.append(float(candidates[number].logprob))

    def _what(self, stop: int | str) -> str:
        return self._name(stop) if isinstance(stop, int) else stop
