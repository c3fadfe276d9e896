"""Trains the model on one processor core.

    OMP_NUM_THREADS=1 python -m callsmith_tiny.training.train --minutes 80 --seed 1 --out RUN

Writes ``RUN/log.jsonl`` and, every few minutes, ``RUN/checkpoint.pt`` (weights, optimiser state,
configuration, seed), from which ``training.export`` makes the shipped weights at any time.
Progress, which drives the learning rate and the curriculum, is the share of the budget spent:
of ``--minutes`` on the clock, or of ``--tokens``, which makes a run repeatable.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from .generator import Example, Generator
from .mixes import FULL, SECOND, mix_at
from .muon import Muon
from .network import Network, Shape

TOKENIZER = Path(__file__).resolve().parent.parent / "tokenizer.json"
PROMPT_SHARE = 0.3
"""Share of the prompt's tokens that are learnt too; they help copying to form."""


class Batches:
    """Examples of about one length together, so that little is padding."""

    def __init__(
        self, tokenizer: Tokenizer, seed: int, tokens: int, *, second: bool = False
    ) -> None:
        self.tokenizer = tokenizer
        self.generator = Generator("train", seed)
        self.rng = random.Random(seed)
        self.tokens = tokens
        self.index = 0
        self.second = second

    def pool(self, progress: float, size: int = 288) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of (ids, completion mask), both of shape (batch, length)."""
        rows = []
        mixes = SECOND if self.second else mix_at(progress)
        for _ in range(size):
            mix = self.rng.choices([m for m, _ in mixes], [w for _, w in mixes])[0]
            example = self.generator.example(self.index, mix)
            self.index += 1
            rows.append(encode(self.tokenizer, example))
        rows.sort(key=lambda row: len(row[0]))
        groups: list[list[tuple[list[int], int]]] = [[]]
        for row in rows:
            if (len(groups[-1]) + 1) * len(row[0]) > self.tokens and groups[-1]:
                groups.append([])
            groups[-1].append(row)
        self.rng.shuffle(groups)
        for group in groups:
            yield collate(group)


def encode(tokenizer: Tokenizer, example: Example) -> tuple[list[int], int]:
    """Token ids of prompt and completion, and where the completion begins."""
    prompt = tokenizer.encode(example.prompt, add_special_tokens=False).ids
    completion = tokenizer.encode(example.completion, add_special_tokens=False).ids
    return prompt + completion, len(prompt)


def collate(rows: list[tuple[list[int], int]]) -> tuple[Tensor, Tensor]:
    """Rows as one batch: ids, and a mask of 0 padding, 1 prompt, 2 completion."""
    length = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    mask = torch.zeros(len(rows), length, dtype=torch.int8)
    for i, (row, start) in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, 1:start] = 1
        mask[i, start : len(row)] = 2
    return ids, mask


def completions(target: Tensor, kind: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where the completions stand: positions, targets and which are real, all (batch, longest)."""
    wanted = kind == 2
    count = int(wanted.sum(1).max())
    at = wanted.to(torch.int8).argmax(1)[:, None] + torch.arange(count)[None, :]
    real = torch.arange(count)[None, :] < wanted.sum(1)[:, None]
    at = at.clamp_max(kind.shape[1] - 1)
    return at, target.gather(1, at), real


def exact(network: Network, tokenizer: Tokenizer, examples: list[Example]) -> list[bool]:
    """Whether greedy decoding would write exactly the wanted completion.

    With the right text before it, every next token must be the most probable one; that is the
    same as decoding greedily and comparing, at the price of one forward pass.
    """
    encoded = [encode(tokenizer, e) for e in examples]
    order = sorted(range(len(examples)), key=lambda i: len(encoded[i][0]))
    right = [False] * len(examples)
    with torch.no_grad():
        for at in range(0, len(order), 16):
            chosen = order[at : at + 16]
            ids, mask = collate([encoded[i] for i in chosen])
            before = ids[:, :-1]
            at, wanted, real = completions(ids[:, 1:], mask[:, 1:])
            best = network.logprobs(network(before), before, at).argmax(-1)
            wrong = (best != wanted) & real
            for i, row in zip(chosen, wrong.any(1).tolist(), strict=True):
                right[i] = not row
    return right


def table(examples: list[Example], right: list[bool]) -> dict[str, str]:
    """Right and total per kind, per number of arguments and per style of the single calls."""
    cells: dict[str, list[bool]] = {}
    for example, ok in zip(examples, right, strict=True):
        cells.setdefault(example.kind, []).append(ok)
        if example.kind == "single":
            cells.setdefault(f"args{len(example.calls[0][1])}", []).append(ok)
            cells.setdefault(example.phrase, []).append(ok)
            cells.setdefault(f"tools{min(len(example.tools), 5)}", []).append(ok)
    return {k: f"{sum(v)}/{len(v)}" for k, v in sorted(cells.items())}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=80.0)
    parser.add_argument("--tokens", type=float, default=0.0, help="budget in tokens, not minutes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="checkpoint to go on from")
    parser.add_argument("--second", action="store_true", help="the second stage's examples")
    parser.add_argument("--from-progress", type=float, default=0.0)
    parser.add_argument("--batch-tokens", type=int, default=2048, help="doubled at 0.4")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=320)
    parser.add_argument("--kernel", type=int, default=4)
    parser.add_argument("--muon", type=float, default=0.02)
    parser.add_argument("--adam", type=float, default=3e-3)
    parser.add_argument("--prompt-weight", type=float, default=0.2)
    parser.add_argument("--hold", type=float, default=0.35, help="progress where the rate falls")
    parser.add_argument("--evaluate-every", type=float, default=4.0, help="minutes")
    parser.add_argument("--evaluate-on", type=int, default=400)
    a = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(a.seed)
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    start = torch.load(a.start, weights_only=True) if a.start else None
    if start:
        shape = Shape(**start["shape"])
    else:
        shape = Shape(tokenizer.get_vocab_size(), a.width, a.layers, a.heads, a.hidden, a.kernel)
    network = Network(shape)
    matrices = [
        p
        for n, p in network.blocks.named_parameters()
        if n.endswith(
            (
                "query.weight",
                "key.weight",
                "value.weight",
                "output.weight",
                "gate.weight",
                "up.weight",
                "down.weight",
            )
        )
    ]
    matrices += [network.pointer_query.weight, network.pointer_key.weight]
    chosen = {id(p) for p in matrices}
    others = [p for p in network.parameters() if id(p) not in chosen]
    muon = Muon(matrices, lr=a.muon, decay=0.01)
    adam = torch.optim.AdamW(others, lr=a.adam, betas=(0.9, 0.98), weight_decay=0.0)
    batches = Batches(tokenizer, a.seed, a.batch_tokens, second=a.second)
    step = tokens = 0
    stages: list[dict[str, object]] = []
    if start:
        network.load_state_dict(start["network"])
        if "muon" in start:  # A network that was just made larger begins without momentum.
            muon.load_state_dict(start["muon"])
            adam.load_state_dict(start["adam"])
        stages = start["stages"]
        batches.index, step, tokens = start["index"], start["step"], start["tokens"]
    a.out.mkdir(parents=True, exist_ok=True)
    log = (a.out / "log.jsonl").open("a", encoding="utf-8")
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in vars(a).items()}

    def write(record: dict[str, object]) -> None:
        log.write(json.dumps(record) + "\n")
        log.flush()

    parameters = sum(p.numel() for p in network.parameters())
    write({"settings": settings, "parameters": parameters, "torch": torch.__version__})
    heldout = Generator("heldout", 900 + a.seed)
    sample = [heldout.example(i, FULL) for i in range(a.evaluate_on)]
    begin, next_evaluation, running, first_tokens = time.time(), a.evaluate_every, 0.0, tokens

    def save() -> None:
        stage = {
            "settings": settings, "step": step, "tokens": tokens,
            "minutes": (time.time() - begin) / 60,
        }  # fmt: skip
        state = {
            "network": network.state_dict(), "muon": muon.state_dict(), "adam": adam.state_dict(),
            "shape": shape.as_dict(), "stages": [*stages, stage], "step": step, "tokens": tokens,
            "index": batches.index,
        }  # fmt: skip
        torch.save(state, a.out / "checkpoint.tmp")
        (a.out / "checkpoint.tmp").replace(a.out / "checkpoint.pt")

    done = False
    while not done:
        progress = _progress(a, begin, tokens - first_tokens)
        batches.tokens = a.batch_tokens * (1 if progress < 0.4 else 2)
        for ids, mask in batches.pool(progress):
            progress = _progress(a, begin, tokens - first_tokens)
            if progress >= 1:
                done = True
                break
            warm = min(1.0, (step + 1) / 60)
            factor = warm * (1.0 if progress < a.hold else (1 - progress) / (1 - a.hold))
            muon.param_groups[0]["lr"] = a.muon * factor
            adam.param_groups[0]["lr"] = a.adam * factor
            before, target, kind = ids[:, :-1], ids[:, 1:], mask[:, 1:]
            hidden = network(before)
            at, wanted_ids, real = completions(target, kind)
            wanted = -network.target_logprob(hidden, before, at, wanted_ids)[real].mean()
            pick = (kind == 1) & (torch.rand(kind.shape) < PROMPT_SHARE)
            spoken = F.cross_entropy(network.logits(hidden[pick]), target[pick])
            loss = wanted + a.prompt_weight * spoken
            loss.backward()
            torch.nn.utils.clip_grad_norm_(others, 1.0)
            muon.step()
            adam.step()
            muon.zero_grad()
            adam.zero_grad()
            step += 1
            tokens += int((kind > 0).sum())
            running = wanted.item() if step == 1 else 0.95 * running + 0.05 * wanted.item()
            minutes = (time.time() - begin) / 60
            if step % 50 == 0:
                write(
                    {
                        "step": step,
                        "tokens": tokens,
                        "minutes": round(minutes, 2),
                        "loss": round(running, 4),
                        "progress": round(progress, 3),
                    }
                )
            if minutes >= next_evaluation:
                right = exact(network, tokenizer, sample)
                write(
                    {
                        "step": step,
                        "minutes": round(minutes, 2),
                        "tokens": tokens,
                        "exact": round(sum(right) / len(right), 4),
                        **table(sample, right),
                    }
                )
                save()
                next_evaluation = (time.time() - begin) / 60 + a.evaluate_every
    right = exact(network, tokenizer, sample)
    write(
        {
            "final": True,
            "step": step,
            "tokens": tokens,
            "exact": sum(right) / len(right),
            **table(sample, right),
        }
    )
    save()


def _progress(a: argparse.Namespace, begin: float, tokens: int) -> float:
    spent = tokens / a.tokens if a.tokens else (time.time() - begin) / 60 / a.minutes
    return float(a.from_progress + (1 - a.from_progress) * spent)


if __name__ == "__main__":
    main()
