"""How fast the embedded model reads a prompt and writes an answer, on this machine.

    python benchmarks/bench_tiny.py [--repeat N] [--json]

Prefill is a whole prompt at once, decoding is token by token after a text of that length; the best
of N runs each. The first line is what loading takes. Set OMP_NUM_THREADS=1 (and
OPENBLAS_NUM_THREADS=1) to measure one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path

import numpy as np

import callsmith_tiny
from callsmith_tiny.model import TinyModel
from callsmith_tiny.tokens import Tokens

LENGTHS = (64, 256, 512, 1024, 2000)
DECODED = 64


def measure(model: TinyModel, length: int, repeat: int) -> tuple[float, float]:
    """Tokens per second: of a prompt of `length`, and of decoding after it."""
    ids = np.random.default_rng(0).integers(64, model.shape.vocabulary, length).tolist()
    prefill = decode = float("inf")
    for _ in range(repeat):
        state = model.state(length + DECODED)
        begin = time.perf_counter()
        logprobs = model.feed(ids, state)
        prefill = min(prefill, time.perf_counter() - begin)
        begin = time.perf_counter()
        for _ in range(DECODED):
            logprobs = model.feed([int(logprobs.argmax())], state)
        decode = min(decode, time.perf_counter() - begin)
    return length / prefill, DECODED / decode


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = Path(callsmith_tiny.__file__).parent
    begin = time.perf_counter()
    model = TinyModel(folder / "model.safetensors")
    Tokens(folder / "tokenizer.json")
    loading = time.perf_counter() - begin
    rows = {length: measure(model, length, arguments.repeat) for length in LENGTHS}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    if arguments.json:
        table = {str(n): {"prefill": p, "decode": d} for n, (p, d) in rows.items()}
        print(json.dumps({"machine": machine, "load_seconds": loading, "tokens_per_second": table}))
        return
    print(f"{machine}, numpy {np.__version__}; {model.parameters:,} parameters")
    print(f"loading weights and tokenizer: {1e3 * loading:.0f} ms")
    print(f"{'prompt tokens':>14} {'prefill tok/s':>14} {'decode tok/s':>14}")
    for length, (prefill, decode) in rows.items():
        print(f"{length:14} {prefill:14.0f} {decode:14.0f}")


if __name__ == "__main__":
    main()
