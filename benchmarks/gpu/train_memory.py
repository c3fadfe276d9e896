"""Peak memory and tokens per second of SFT, DPO and GRPO on models of published shapes.

    python benchmarks/gpu/train_memory.py [--model M ...] [--method sft dpo grpo] [--steps 20]
        [--cap 10] [--recipe ours plain] [--out results.json]

No weights and no network: weights are random, made and quantised layer by layer on the GPU. Every
case runs in a process of its own under a hard cap on PyTorch's memory. `ours` are the trainers of
`callsmith_trl`, `plain` is TRL as its documentation has QLoRA. Without a GPU nothing is measured:
the estimate of `callsmith_trl.memory` is printed, and `--shrink` runs the same code on the CPU
with toy sizes, which says that it works and nothing about memory or speed.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # also when this file is imported, as the test does

import random_models  # noqa: E402
from recipes import Case, ours, plain  # noqa: E402

from callsmith_trl.memory import GIB, Estimate, Recipe, estimate  # noqa: E402
from callsmith_trl.shapes import shape  # noqa: E402

METHODS = ("sft", "dpo", "grpo")
RECIPES = ("ours", "plain")
LENGTHS = {"sft": 2048, "dpo": 1024, "grpo": 1024}
NEW_TOKENS = 256
TOY_LENGTH = 768
"""With --shrink; a prompt with a tool takes most of it at one token per byte."""
UNITS = {"sft": "trained", "dpo": "trained", "grpo": "written"}


def cases(arguments: argparse.Namespace, device: str) -> list[Case]:
    """All that is to be measured."""
    return [
        Case(
            model=model,
            method=method,
            recipe=recipe,
            steps=arguments.steps,
            length=TOY_LENGTH if arguments.shrink else LENGTHS[method],
            completion=16 if arguments.shrink else 256,
            new_tokens=(16 if arguments.shrink else NEW_TOKENS) if method == "grpo" else 0,
            cap_gib=arguments.cap,
            device=device,
            shrink=arguments.shrink,
        )
        for model in arguments.model
        for method in arguments.method
        for recipe in arguments.recipe
    ]


def expected(case: Case) -> Estimate:
    """What the preflight would say about a case, in its true size."""
    mine = case.recipe == "ours"
    recipe = Recipe(
        method=case.method,  # type: ignore[arg-type]
        length=LENGTHS[case.method],
        lora_rank=16,
        adapter_dtype=4 if mine else 2,
        token_rows=2,
        narrow_rows=mine,
        group=case.group,
        new_tokens=NEW_TOKENS if case.method == "grpo" else 0,
        ple_on_cpu=mine,
        context=False,  # the cap is on PyTorch's allocator, which does not hold it
    )
    return estimate(shape(random_models.numbers(case.model)), recipe)


def child(case: Case, result: Path) -> None:
    """Runs one case and writes what was measured."""
    import torch

    if case.device != "cpu":
        total = torch.cuda.get_device_properties(case.device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, case.cap_gib * GIB / total))
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = random_models.make_folder(Path(place, "base"), case.model, shrink=case.shrink)
        output = Path(place, "out")
        output.mkdir()
        try:
            with random_models.random_weights(case.device):
                clock = (ours if case.recipe == "ours" else plain)(case, folder, output)
            found = {"tokens_per_second": clock.rate(), "steps": len(clock.ends)}
        except Exception as error:
            if "memory" not in str(error).lower():
                raise
            found = {"error": " ".join(str(error).split())[:300]}
    if case.device != "cpu":
        found |= {
            "peak_allocated": torch.cuda.max_memory_allocated(),
            "peak_reserved": torch.cuda.max_memory_reserved(),
        }
    result.write_text(json.dumps(found), encoding="utf-8")


def run(case: Case) -> dict[str, Any]:
    """A case in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        result = Path(place, "result.json")
        said = json.dumps(dataclasses.asdict(case))
        done = subprocess.run(
            [sys.executable, str(HERE / "train_memory.py"), "--child", said, str(result)],
            capture_output=True,
            text=True,
        )
        if result.is_file():
            found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
            return found
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        return {"error": f"exit code {done.returncode}: {last[0][:300]}", "stderr": done.stderr}


def gpu() -> str:
    """The GPU's name, or ""."""
    if importlib.util.find_spec("torch") is None:
        return ""
    import torch

    return str(torch.cuda.get_device_name(0)) if torch.cuda.is_available() else ""


def line(case: Case, found: dict[str, Any] | None) -> str:
    """One row of the table."""
    guess = f"{expected(case).gib:.1f}"
    cells = [case.model, f"{case.method} {LENGTHS[case.method]}", case.recipe, guess]
    if found is not None:
        peak, rate = found.get("peak_allocated"), found.get("tokens_per_second")
        cells += [
            f"{peak / GIB:.2f}" if peak else "-",
            f"{rate:,.0f} {UNITS[case.method]}" if rate else "-",
            found.get("error", "fits" if peak else "ran"),
        ]
    return "| " + " | ".join(cells) + " |"


def head(measured: bool) -> str:
    """The head of the table."""
    names = ["model", "stage", "recipe", "estimated GiB"]
    names += ["peak GiB", "tokens/s", "result"] if measured else []
    return "| " + " | ".join(names) + " |\n|" + "---|" * len(names)


def main(given: Sequence[str] | None = None) -> int:
    """Measures, or says what is estimated."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", nargs="+", default=random_models.MODELS)
    parser.add_argument("--method", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--recipe", nargs="+", default=RECIPES, choices=RECIPES)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cap", type=float, default=10.0, help="GiB that PyTorch may take")
    parser.add_argument("--out", type=Path, help="where the results go, as JSON")
    parser.add_argument("--shrink", action="store_true", help="toy sizes, on the CPU")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args(given)
    if arguments.child:
        child(Case(**json.loads(arguments.child[0])), Path(arguments.child[1]))
        return 0
    strange = [name for name in arguments.model if name not in random_models.MODELS]
    if strange:
        parser.error(
            f"there is no model {strange[0]!r}; there are {', '.join(random_models.MODELS)}"
        )
    name = gpu()
    measured = bool(name) or arguments.shrink
    todo = cases(arguments, "cpu" if arguments.shrink else "cuda:0")
    if not name:
        print("There is no GPU here, so nothing is measured; the estimates are arithmetic.")
    if arguments.shrink:
        print("--shrink: toy sizes on the CPU; the estimates are those of the true sizes.")
    print(f"GPU: {name or 'none'}, cap {arguments.cap:g} GiB\n\n{head(measured)}")
    rows: list[dict[str, Any]] = []
    for case in todo:
        found = run(case) if measured else None
        print(line(case, found), flush=True)
        guess = expected(case)
        rows.append(
            {
                **dataclasses.asdict(case),
                "estimate": {
                    "peak": guess.size,
                    "moment": guess.moment,
                    "parts": {part.name: part.size for part in guess.parts},
                },
                **(found or {}),
            }
        )
    if arguments.out:
        whole = {"gpu": name or None, "python": platform.python_version(), "results": rows}
        arguments.out.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return 1 if any("stderr" in row for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
