"""A small network of the embedded model's kind, and the same weights in transformers."""

from __future__ import annotations

from typing import Any

SIZES = {"width": 32, "layers": 2, "heads": 2, "hidden": 48}
TEXTS = ([5, 9, 7, 300, 9, 7, 12, 800, 9], [3, 300, 4, 4], [8, 1, 6, 5, 9, 7, 2], [9, 5, 9, 300])
"""Token ids with repetitions, for the pointer."""


def random_network() -> Any:
    """A network of `training/network.py`, every weight of it random."""
    import torch

    from callsmith_tiny.training.network import Network, Shape

    torch.manual_seed(3)
    made = Network(Shape(**SIZES))
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    return made.eval()


def as_transformers(network: Any) -> Any:
    """The same weights as a model of transformers."""
    from callsmith_tiny.training.huggingface import TinyConfig, TinyForCausalLM

    shape = network.shape
    config = TinyConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.hidden,
        kernel=shape.kernel,
    )
    model = TinyForCausalLM(config)
    model.model.load_state_dict(network.state_dict())
    model.generation_config.eos_token_id = None
    return model.eval()


def expected(network: Any, ids: list[int]) -> Any:
    """What the network itself says after every token, (length, vocabulary)."""
    from callsmith_tiny.training.export import torch_logprobs

    return torch_logprobs(network, ids)
