"""Decodes a batch: one key-value cache, and rows that leave when they are done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import isnan

import torch

from callsmith import ArmError, Completion, Usage
from callsmith_hf.failures import is_memory, out_of_memory
from callsmith_hf.network import Network
from callsmith_hf.prefill import read
from callsmith_hf.sampler import Source, choose
from callsmith_hf.text import StopStrings, TextStream
from callsmith_hf.worker import Job

FULL = 0.75
"""The share of rows that go on at which the others are taken out. Taking rows out copies the whole
cache, so doing it for every row costs more than computing a few rows for nothing."""


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
    logits, mask, cache = read(network, [row.job.ids for row in rows])
    places = [*range(len(rows))]  # of the rows that go on, in the tensors
    while True:
        numbers, logprobs = choose(
            logits, [row.job.sampling for row in rows], [row.source for row in rows]
        )
        going = [
            index for index, row in enumerate(rows) if row.take(numbers[index], logprobs[index])
        ]
        if not going:
            return
        rows = [rows[index] for index in going]
        places = [places[index] for index in going]
        if len(places) <= FULL * len(mask):
            kept = torch.tensor(places, device=mask.device)
            cache.batch_select_indices(kept)
            mask = mask[kept]
            places = [*range(len(rows))]
        # A row that is done and still there gets padding, which nothing looks at.
        written, real = [[network.pad] for _ in mask], [[0] for _ in mask]
        for place, index in zip(places, going, strict=True):
            written[place], real[place] = [numbers[index]], [1]
        mask = torch.cat([mask, torch.tensor(real, device=mask.device)], dim=-1)
        logits, cache = network.forward(
            torch.tensor(written, device=mask.device),
            mask,
            mask.sum(dim=-1, keepdim=True) - 1,
            cache,
        )
        if len(places) < len(mask):
            logits = logits[torch.tensor(places, device=logits.device)]
