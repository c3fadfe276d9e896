"""Makes a trained network larger without changing what it computes, for training to go on.

    python -m callsmith_tiny.training.grow callsmith_tiny/model.safetensors --out RUN/grown.pt

New channels, heads, hidden units and layers write nothing at first, because the weights that write
them are zero; what reads them is random, so that they are learnt. A norm over more channels would
scale the old ones up, so its gain is scaled down by as much (Net2Net's idea, Chen et al. 2016,
arXiv:1511.05641, by zeros instead of by copies).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from .export import load, training_facts
from .network import Network, Shape

READERS = ("query.weight", "key.weight", "value.weight", "gate.weight", "up.weight")
NORMS = ("attention_norm", "hidden_norm")


def grown(small: Network, shape: Shape, seed: int) -> Network:
    """A network of a larger ``shape`` that computes what ``small`` does.

    Raises ``ValueError`` when a head would change its size, which would change its rotation.
    """
    old = small.shape
    if shape.width // shape.heads != old.width // old.heads:
        raise ValueError("a head keeps its size: give as many more heads as the width needs")
    torch.manual_seed(seed)
    large = Network(shape)
    ratio = (old.width / shape.width) ** 0.5
    source, target = small.state_dict(), large.state_dict()
    for name, value in source.items():
        new = target[name]
        part = name.removeprefix("blocks.").partition(".")[2] if "blocks." in name else name
        if part in READERS:
            # Random rows and columns stay: they read channels that are still silent.
            _put(new, value)
        elif part in NORMS or name == "norm":
            new.fill_(1.0)
            _put(new, value * ratio)
        elif name == "pointer_query.weight":
            # Scores are divided by the root of the width; random new rows meet zero keys.
            _put(new, value / ratio)
        elif part in ("query_norm", "key_norm"):
            new.copy_(value)
        else:
            new.zero_()
            _put(new, value)
    # Keys read silent channels and write nothing new.
    target["pointer_key.weight"][: old.width, old.width :].normal_(std=shape.width**-0.5)
    large.load_state_dict(target)
    return large


def _put(into: Tensor, value: Tensor) -> None:
    into[tuple(slice(0, n) for n in value.shape)] = value


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("weights", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--heads", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    start = load(a.weights)
    shape = Shape(start.shape.vocabulary, a.width, a.layers, a.heads, a.hidden, start.shape.kernel)
    facts = training_facts(a.weights)
    a.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(
        {
            "network": grown(start, shape, a.seed).state_dict(),
            "shape": shape.as_dict(),
            "stages": facts["stages"],
            "step": 0,
            "tokens": facts["tokens"],
            "index": facts["examples"],
        },
        a.out,
    )
