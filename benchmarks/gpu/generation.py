"""Tokens per second of the arm `hf`, by batch size and precision, on models of published shapes.

    python benchmarks/gpu/generation.py [--model M ...] [--batch 1 4 8 16] [--precision nf4 bf16]
        [--prompt 512] [--tokens 128] [--out results.json]

Weights are random and made on the GPU; each case runs in a process of its own. Without a GPU
nothing is measured; `--shrink` runs the same code on the CPU with toy sizes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import random_models  # noqa: E402
from train_memory import gpu  # noqa: E402

GIB = 1 << 30
PRECISIONS = ("nf4", "bf16")


async def generate(folder: Path, case: dict[str, Any]) -> tuple[int, float]:
    """Tokens that were written, and seconds, after one batch to warm up."""
    from callsmith import Prompt, Sampling, Segment
    from callsmith_hf.arm import HfArm
    from callsmith_hf.config import HfConfig

    arm = HfArm(
        HfConfig(
            model=case["model"],
            path=str(folder),
            device=case["device"],
            dtype="bfloat16",
            quantization="nf4" if case["precision"] == "nf4" else "",
            batch_size=case["batch"],
            batch_wait=0.5,
            logprobs=False,
        )
    )
    sampling = Sampling(temperature=1.0, max_tokens=case["tokens"])
    prompts = [
        Prompt(segments=(Segment(text=random_models.text(case["prompt"], seed), origin="content"),))
        for seed in range(case["batch"])
    ]
    try:
        for _ in range(2):
            began = time.perf_counter()
            done = await asyncio.gather(*(arm.complete(one, sampling) for one in prompts))
            seconds = time.perf_counter() - began
    finally:
        await arm.aclose()
    return sum(len(one.token_ids or ()) for one in done), seconds


def child(case: dict[str, Any], result: Path) -> None:
    """Runs one case and writes what was measured."""
    import torch

    with tempfile.TemporaryDirectory() as place:
        folder = random_models.make_folder(Path(place), case["model"], shrink=case["shrink"])
        try:
            with random_models.random_weights(case["device"]):
                written, seconds = asyncio.run(generate(folder, case))
            found: dict[str, Any] = {"tokens": written, "tokens_per_second": written / seconds}
        except Exception as error:
            if "memory" not in str(error).lower():
                raise
            found = {"error": " ".join(str(error).split())[:300]}
    if case["device"] != "cpu":
        found["peak_allocated"] = torch.cuda.max_memory_allocated()
    result.write_text(json.dumps(found), encoding="utf-8")


def run(case: dict[str, Any]) -> dict[str, Any]:
    """A case in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        result = Path(place, "result.json")
        done = subprocess.run(
            [sys.executable, str(HERE / "generation.py"), "--child", json.dumps(case), str(result)],
            capture_output=True,
            text=True,
        )
        if result.is_file():
            found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
            return found
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        return {"error": f"exit code {done.returncode}: {last[0][:300]}", "stderr": done.stderr}


def main(given: Sequence[str] | None = None) -> int:
    """Measures, or says that it cannot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model", nargs="+", default=random_models.MODELS, choices=random_models.MODELS
    )
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 4, 8, 16])
    parser.add_argument("--precision", nargs="+", default=PRECISIONS, choices=PRECISIONS)
    parser.add_argument("--prompt", type=int, default=512, help="tokens of each prompt")
    parser.add_argument("--tokens", type=int, default=128, help="tokens that each one writes")
    parser.add_argument("--out", type=Path, help="where the results go, as JSON")
    parser.add_argument("--shrink", action="store_true", help="toy sizes, on the CPU")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args(given)
    if arguments.child:
        child(json.loads(arguments.child[0]), Path(arguments.child[1]))
        return 0
    name = gpu()
    if not name and not arguments.shrink:
        print("There is no GPU here, so nothing is measured; --shrink tries the code on the CPU.")
        return 0
    print(f"GPU: {name or 'none'}; {arguments.prompt} tokens in, {arguments.tokens} out\n")
    print("| model | precision | batch | tokens/s | peak GiB | result |\n|---|---|---|---|---|---|")
    rows: list[dict[str, Any]] = []
    for model in arguments.model:
        for precision in arguments.precision:
            for batch in arguments.batch:
                case = {
                    "model": model,
                    "precision": precision,
                    "batch": batch,
                    "prompt": arguments.prompt,
                    "tokens": arguments.tokens,
                    "device": "cpu" if arguments.shrink else "cuda:0",
                    "shrink": arguments.shrink,
                }
                found = run(case)
                rate, peak = found.get("tokens_per_second"), found.get("peak_allocated")
                cells = [model, precision, str(batch), f"{rate:,.1f}" if rate else "-"]
                cells += [f"{peak / GIB:.2f}" if peak else "-", found.get("error", "ran")]
                print("| " + " | ".join(cells) + " |", flush=True)
                rows.append({**case, **found})
    if arguments.out:
        whole = {"gpu": name or None, "python": platform.python_version(), "results": rows}
        arguments.out.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return 1 if any("stderr" in row for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
