"""The network of `tiny-base`, its tokenizer, and the rows that it is made to forget."""

from __future__ import annotations

# PyTorch is not installed where the types are checked, so its classes are Any there.
# mypy: disable-error-code="untyped-decorator"
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from callsmith import ConfigError
from callsmith_tiny.tokens import END_MARKS

from .base_config import CALL_MARKS, TinyBaseConfig

TOKENIZER = Path(__file__).resolve().parent.parent / "tokenizer.json"


def new_model(config: TinyBaseConfig, tokenizer: Tokenizer) -> Any:
    """A Qwen3 with random weights, in single precision."""
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=config.width,
            intermediate_size=config.hidden,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
            head_dim=config.width // config.heads,
            max_position_embeddings=config.context,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
            tie_word_embeddings=config.tied,
            attention_dropout=0.0,
            bos_token_id=tokenizer.token_to_id("<bos>"),
            eos_token_id=tokenizer.token_to_id("<turn|>"),
            pad_token_id=tokenizer.token_to_id("<pad>"),
            dtype=torch.float32,
        )
    )
    model.generation_config = GenerationConfig(
        do_sample=False,
        bos_token_id=tokenizer.token_to_id("<bos>"),
        pad_token_id=tokenizer.token_to_id("<pad>"),
        eos_token_id=end_ids(tokenizer),
    )
    return model


def end_ids(tokenizer: Tokenizer) -> list[int]:
    """The tokens after which a completion is over."""
    added = tokenizer.get_added_tokens_decoder()
    return sorted(i for i, token in added.items() if token.content.startswith(END_MARKS))


def untrained_ids(tokenizer: Tokenizer, config: TinyBaseConfig) -> list[int]:
    """The ids of `untrained_tokens`. Raises `ConfigError` for a token that there is not."""
    wanted = config.untrained_tokens
    if wanted == "none":
        return []
    if isinstance(wanted, str):
        added = tokenizer.get_added_tokens_decoder()
        return sorted(i for i, t in added.items() if any(mark in t.content for mark in CALL_MARKS))
    found: list[int] = []
    for token in wanted:
        number = tokenizer.token_to_id(token)
        if number is None:
            raise ConfigError(
                f"the embedded model's tokenizer has no token {token!r}; see its tokenizer.json",
                path="untrained_tokens",
            )
        found.append(number)
    return sorted(found)


@torch.no_grad()
def shorten_rows(model: Any, ids: list[int], norm: float, seed: int) -> None:
    """Gives the rows `ids` of the embedding, and of an untied head, one vector for all of them.

    Its direction is random, and its length `norm` times the median length of the matrix's rows.
    """
    dice = torch.Generator().manual_seed(seed)
    matrices = [model.get_input_embeddings().weight]
    head = model.get_output_embeddings().weight
    if head is not matrices[0]:
        matrices.append(head)
    for matrix in matrices:
        vector = torch.randn(matrix.shape[1], generator=dice)
        vector *= norm * matrix.norm(dim=1).median() / vector.norm()
        for number in ids:
            matrix[number] = vector


def tokenizer_for_transformers(tokenizer: Tokenizer) -> Any:
    """The embedded model's tokenizer as transformers loads it; it has no chat template."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<bos>",
        eos_token="<turn|>",
        pad_token="<pad>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
