"""What a training reports while it runs: JSON objects for the job's `report`."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from transformers import TrainerCallback

from callsmith import JsonValue

Report = Callable[[Mapping[str, JsonValue]], None]
GIB = 1 << 30
SHOWN = ("loss", "learning_rate", "grad_norm", "epoch")
"""The trainer's own numbers that every stage has."""
ALSO = (
    "rewards/",
    "reward",
    "seconds/",
    "kl",
    "entropy",
    "completions/",
    "mean_token_accuracy",
    "frac_",
)
"""Beginnings of the names of numbers that some stages have."""


class ProgressCallback(TrainerCallback):  # type: ignore[misc]
    """Reports loss, tokens per second, memory and the time that is left, at every log.

    `tokens_per_second` are tokens that a forward pass saw, padding left out, per second of
    training; probes and saving do not count (`pause`). `memory_gib` is the peak so far: of the
    GPU's allocator, or of the process where there is none. `seconds_left` counts what the probes
    that are still to come will take.
    """

    def __init__(self, stage: str, report: Report, device: str) -> None:
        self.paused = 0.0
        """Seconds that were spent on other things than training."""
        self.pauses_left = 0
        """How many such pauses will come; `pause` counts them down."""
        self._stage, self._report, self._device = stage, report, device
        self._pauses = 0
        self._began = self._last = time.perf_counter()
        self._first = self._tokens = 0
        self.tokens = 0

    @property
    def training_seconds(self) -> float:
        """Seconds of training so far."""
        return time.perf_counter() - self._began - self.paused

    def pause(self, seconds: float) -> None:
        """Tells of seconds that were spent on a probe."""
        self.paused += seconds
        self._pauses += 1
        self.pauses_left = max(0, self.pauses_left - 1)
        self._last += seconds

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Starts the clock."""
        self._began = self._last = time.perf_counter()
        self.paused, self._first = 0.0, state.global_step

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any
    ) -> None:
        """Reports one log of the trainer."""
        logs = logs or {}
        if not state.is_world_process_zero or "loss" not in logs:
            return
        now = time.perf_counter()
        progress: dict[str, JsonValue] = {
            "event": "step",
            "stage": self._stage,
            "step": state.global_step,
            "steps": state.max_steps,
        }
        for name, value in logs.items():
            if name in SHOWN or name.startswith(ALSO):
                progress[name] = as_number(value)
        seen = as_number(logs.get("num_tokens"))
        if isinstance(seen, float) and now > self._last:
            progress["tokens_per_second"] = round((seen - self._tokens) / (now - self._last), 1)
            self._tokens = self.tokens = int(seen)
        progress["memory_gib"] = round(peak_memory(self._device), 3)
        done = state.global_step - self._first
        if done > 0:
            each = self.training_seconds / done
            left = each * (state.max_steps - state.global_step)
            if self._pauses:
                left += self.pauses_left * self.paused / self._pauses
            progress["seconds_left"] = round(left, 1)
        self._last = now
        self._report(progress)


def peak_memory(device: str) -> float:
    """GiB at the peak: of PyTorch's allocator on a GPU, of the whole process on the CPU."""
    if device != "cpu":
        return float(torch.cuda.max_memory_allocated(device)) / GIB
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GIB


def as_number(value: Any) -> float | None:
    """A number that JSON can say; None for what is none (and for infinities)."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if number == number and abs(number) != float("inf") else None
