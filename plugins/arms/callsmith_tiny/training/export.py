"""Writes the shipped weights from a checkpoint, and the fixture that the tests compare with.

python -m training.export RUN/checkpoint.pt --weights model.safetensors --fixture FILE.npz
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from .generator import Generator
from .network import Network, Shape
from .train import TOKENIZER

FIXTURE_EXAMPLES = ((3, "single"), (11, "several"), (5, "follow_up"), (8, "none"))
FIXTURE_TAIL = 3
"""Positions per example whose log probabilities are kept."""


def export(checkpoint: Path, weights: Path) -> None:
    """Half-precision weights with the shape and the training's facts as metadata."""
    state = torch.load(checkpoint, weights_only=True)
    tensors = {k: v.to(torch.float16).contiguous() for k, v in state["network"].items()}
    metadata = {k: str(v) for k, v in state["shape"].items()}
    training = {"stages": state["stages"], "tokens": state["tokens"], "examples": state["index"]}
    metadata["training"] = json.dumps(training)
    save_file(tensors, str(weights), metadata=metadata)


def load(weights: Path) -> Network:
    """The shipped weights back in PyTorch, in single precision."""
    from safetensors import safe_open

    with safe_open(str(weights), framework="pt") as file:
        metadata = file.metadata()
        tensors = {k: file.get_tensor(k).float() for k in file.keys()}  # noqa: SIM118
    whole = {
        k: int(metadata[k]) for k in ("vocabulary", "width", "layers", "heads", "hidden", "kernel")
    }
    shape = Shape(
        **whole, rope_base=float(metadata["rope_base"]), epsilon=float(metadata["epsilon"])
    )
    network = Network(shape)
    network.load_state_dict(tensors)
    network.eval()
    return network


def training_facts(weights: Path) -> dict[str, Any]:
    """What the weights say of their training: stages, tokens, examples."""
    from safetensors import safe_open

    with safe_open(str(weights), framework="pt") as file:
        facts: dict[str, Any] = json.loads(file.metadata()["training"])
    return facts


def torch_logprobs(network: Network, ids: list[int]) -> torch.Tensor:
    """Log probabilities after every token, (length, vocabulary)."""
    with torch.no_grad():
        batch = torch.tensor([ids])
        return network.logprobs(network(batch), batch, torch.arange(len(ids))[None])[0]


def fixture(weights: Path, path: Path) -> None:
    """Token ids of a few conversations, and PyTorch's log probabilities of their last tokens."""
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    network = load(weights)
    generator = Generator("heldout", 7)
    arrays: dict[str, np.ndarray] = {}
    for index, kind in FIXTURE_EXAMPLES:
        example = generator.example(index, kind=kind)
        ids = tokenizer.encode(example.prompt + example.completion, add_special_tokens=False).ids
        arrays[f"ids_{kind}"] = np.array(ids, np.int16)
        arrays[f"logprobs_{kind}"] = torch_logprobs(network, ids)[-FIXTURE_TAIL:].numpy()
    np.savez_compressed(path, allow_pickle=False, **arrays)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--fixture", type=Path)
    arguments = parser.parse_args()
    export(arguments.checkpoint, arguments.weights)
    if arguments.fixture:
        fixture(arguments.weights, arguments.fixture)
