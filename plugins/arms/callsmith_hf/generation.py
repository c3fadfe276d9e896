"""Decodes a batch: prompts padded on the left, one key-value cache, rows that leave when done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import torch

from callsmith import ArmError, Completion, Usage
from callsmith_hf.failures import is_memory, out_of_memory
from callsmith_hf.sampler import Source, choose
from callsmith_hf.text import StopStrings, TextStream
from callsmith_hf.worker import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What decoding needs of a loaded model.

    `arguments` are the names that its forward takes; `decode` and `name` are the tokenizer's.
    """

    model: Any
    device: str
    pad: int
    arguments: frozenset[str]
    decode: Callable[[Sequence[int]], str]
    name: Callable[[int], str]
    logprobs: bool


class Row:
    """One request of a batch, with what it has written."""

    def __init__(self, network: Network, job: Job) -> None:
        self.job = job
        self.source = Source(job.sampling)
        self._network = network
        self._stream = TextStream(network.decode, job.ids)
        self._stops = StopStrings(job.sampling.stop)
        self._started = time.perf_counter()
        self._first: float | None = None
        self._text: list[str] = []
        self._ids: list[int] = []
        self._logprobs: list[float] = []

    @property
    def count(self) -> int:
        """Tokens so far."""
        return len(self._ids)

    def take(self, number: int, logprob: float) -> bool:
        """Takes one token; whether the row goes on."""
        if isnan(logprob):
            self.job.fail(
                ArmError(
                    "the model's logits are not numbers: float16 overflows in models that were "
                    "trained in bfloat16; set dtype to bfloat16 or float32"
                )
            )
        if self.job.ended.is_set():
            return False
        if self._first is None:
            self._first = time.perf_counter()
        self._ids.append(number)
        self._logprobs.append(logprob)
        if number in self.job.ends:
            self._end(f"stop: {self._network.name(number)}")
            return False
        piece, stop = self._stops.take(self._stream.take(number))
        self._show(piece)
        if stop is not None:
            self._end(f"stop: {stop}", rest=False)
        elif len(self._ids) >= self.job.sampling.max_tokens:
            self._end("length")
        return not self.job.ended.is_set()

    def _show(self, piece: str) -> None:
        if piece:
            self._text.append(piece)
            self.job.send(piece)

    def _end(self, reason: str, *, rest: bool = True) -> None:
        if rest:
            piece, stop = self._stops.take(self._stream.rest())
            self._show(piece)
            if stop is not None:
                reason = f"stop: {stop}"
            else:
                self._show(self._stops.rest())
        began = self.job.began
        timings = {"queued": self._started - began, "total": time.perf_counter() - began}
        if self._first is not None:
            timings["first_token"] = self._first - began
        completion = Completion(
            text="".join(self._text),
            stop_reason=reason,
            usage=Usage(prompt_tokens=len(self.job.ids), completion_tokens=len(self._ids)),
            timings=timings,
            token_ids=tuple(self._ids),
            logprobs=tuple(self._logprobs) if self._network.logprobs else None,
        )
        self.job.send(completion)
        self.job.ended.set()


def run(network: Network, jobs: Sequence[Job]) -> None:
    """Decodes until every job has its end. Raises `ArmError` when memory does not suffice."""
    rows = [Row(network, job) for job in jobs]
    failure = ""
    try:
        with torch.inference_mode():
            _decode(network, rows)
    except Exception as error:
        if not is_memory(error):
            raise
        failure = out_of_memory(f"a batch of {len(rows)}", error)
    if failure:  # raised out here, so that it does not keep the tensors of the batch alive
        torch.cuda.empty_cache()
        raise ArmError(failure)


def _decode(network: Network, rows: list[Row]) -> None:
    longest = max(len(row.job.ids) for row in rows)
    padding = [longest - len(row.job.ids) for row in rows]
    ids = torch.tensor(
        [[network.pad] * pad + list(row.job.ids) for pad, row in zip(padding, rows, strict=True)],
        device=network.device,
    )
    mask = torch.tensor([[0] * pad + [1] * (longest - pad) for pad in padding], device=ids.device)
    positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)
    cache: Any = None
    while True:
        given: dict[str, Any] = {
            "input_ids": ids,
            "attention_mask": mask,
            "past_key_values": cache,
            "use_cache": True,
        }
        if "position_ids" in network.arguments:
            given["position_ids"] = positions
        if "logits_to_keep" in network.arguments:
            given["logits_to_keep"] = 1  # all of a long prompt's would take gigabytes
        output = network.model(**given)
        cache = output.past_key_values
        numbers, logprobs = choose(
            output.logits[:, -1, :],
            [row.job.sampling for row in rows],
            [row.source for row in rows],
        )
        going = [
            index for index, row in enumerate(rows) if row.take(numbers[index], logprobs[index])
        ]
        if not going:
            return
        ids = torch.tensor([[numbers[index]] for index in going], device=mask.device)
        if len(going) < len(rows):
            kept = torch.tensor(going, device=mask.device)
            cache.batch_select_indices(kept)
            mask = mask[kept]
            rows = [rows[index] for index in going]
        mask = torch.cat([mask, mask.new_ones((len(rows), 1))], dim=-1)
        positions = mask.sum(dim=-1, keepdim=True) - 1
