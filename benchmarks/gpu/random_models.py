"""Models of published shapes with random weights: no download, no weights on disk.

`make_folder` writes what a checkpoint folder has beside its weights (config, tokenizer). Within
`random_weights` transformers reads such a folder as any other, by its own loader and quantiser;
each tensor is made on the device at the moment at which it would be read, so that never more than
one of them is there in full precision.

Where the numbers come from: Qwen3-4B's config.json; for Gemma 4 the configurations `Gemma4_E2B`
and `Gemma4_E4B` of google-deepmind/gemma (`gemma/gm/nn/gemma4/_gemma4.py`), text part only.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from callsmith import Message, Task, ToolSpec

MODELS = ("qwen3-4b", "gemma4-e2b", "gemma4-e4b")
MARK = "random.json"
"""Stands in folders whose weights are made up."""
TOOL = ToolSpec(
    name="note",
    parameters={
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
    },
)
QWEN3_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
)
GEMMA4_TOKENS = (
    "<pad>",
    "<eos>",
    "<bos>",
    "<|tool>",
    "<tool|>",
    "<|tool_call>",
    "<tool_call|>",
    "<|tool_response>",
    "<tool_response|>",
    '<|"|>',
    "<|channel>",
    "<channel|>",
    "<|think|>",
    "<|turn>",
    "<turn|>",
)
CALL_TOKENS = {"qwen3": QWEN3_TOKENS[5:7], "gemma4": GEMMA4_TOKENS[5:7]}
"""The tokens whose rows are trained: those that open and close a call."""


def family(name: str) -> str:
    """`qwen3` or `gemma4`: also the template's name."""
    return name.partition("-")[0]


def numbers(name: str, *, shrink: bool = False) -> dict[str, Any]:
    """The config's numbers; with `shrink` the same architecture at a toy size."""
    return _qwen3(shrink) if family(name) == "qwen3" else _gemma4(name, shrink)


def _qwen3(shrink: bool) -> dict[str, Any]:
    sizes = (
        {
            "vocab_size": 320,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
        }
        if shrink
        else {
            "vocab_size": 151936,
            "hidden_size": 2560,
            "intermediate_size": 9728,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
        }
    )
    return {**sizes, "max_position_embeddings": 40960, "tie_word_embeddings": True}


def _gemma4(name: str, shrink: bool) -> dict[str, Any]:
    small = name.endswith("e2b")
    period = 5 if small else 6
    if shrink:
        sizes = {
            "vocab_size": 320,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2 * period,
            "num_attention_heads": 4,
            "num_key_value_heads": 1 if small else 2,
            "head_dim": 8,
            "global_head_dim": 16,
            "num_kv_shared_layers": period,
            "hidden_size_per_layer_input": 8,
            "sliding_window": 64,
        }
    else:
        sizes = {
            "vocab_size": 262144,
            "hidden_size": 1536 if small else 2560,
            "intermediate_size": 6144 if small else 10240,
            "num_hidden_layers": 35 if small else 42,
            "num_attention_heads": 8,
            "num_key_value_heads": 1 if small else 2,
            "head_dim": 256,
            "global_head_dim": 512,
            "num_kv_shared_layers": 20 if small else 18,
            "hidden_size_per_layer_input": 256,
            "sliding_window": 512,
        }
    layers = sizes["num_hidden_layers"]
    full = [
        "full_attention" if (i + 1) % period == 0 else "sliding_attention" for i in range(layers)
    ]
    return {
        **sizes,
        "vocab_size_per_layer_input": sizes["vocab_size"],
        "layer_types": full,
        "use_double_wide_mlp": small,
        "final_logit_softcapping": 30.0,
        "max_position_embeddings": 131072,
        "tie_word_embeddings": True,
    }


def make_folder(folder: Path, name: str, *, shrink: bool = False) -> Path:
    """Writes a checkpoint folder without weights. Imports transformers."""
    import torch
    from safetensors.torch import save_file
    from transformers import GenerationConfig, Qwen3Config
    from transformers.models.gemma4.configuration_gemma4 import Gemma4TextConfig

    folder.mkdir(parents=True, exist_ok=True)
    ids = _write_tokenizer(folder, name)
    ends, pad = (
        ([ids["<|im_end|>"], ids["<|endoftext|>"]], ids["<|endoftext|>"])
        if family(name) == "qwen3"
        else ([ids["<eos>"], ids["<turn|>"], ids["<|tool_response>"]], ids["<pad>"])
    )
    kind, architecture = (
        (Qwen3Config, "Qwen3ForCausalLM")
        if family(name) == "qwen3"
        else (Gemma4TextConfig, "Gemma4ForCausalLM")
    )
    given = {**numbers(name, shrink=shrink), "eos_token_id": ends, "pad_token_id": pad}
    config = kind(**given, architectures=[architecture], dtype="bfloat16")
    config.save_pretrained(folder)
    GenerationConfig(eos_token_id=ends, pad_token_id=pad).save_pretrained(folder)
    (folder / MARK).write_text(json.dumps({"model": name, "shrink": shrink}), encoding="utf-8")
    # A folder without any weights is refused, rightly; these are never read.
    save_file({"none": torch.zeros(1)}, str(folder / "model.safetensors"))
    return folder


def _write_tokenizer(folder: Path, name: str) -> Mapping[str, int]:
    """One token per byte, and the family's control tokens: lengths are easy to hit exactly."""
    from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    control = QWEN3_TOKENS if family(name) == "qwen3" else GEMMA4_TOKENS
    # The control tokens stand first, so that a shrunk vocabulary has them all.
    vocabulary = {token: index for index, token in enumerate((*control, *alphabet))}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in control])
    tokenizer.save(str(folder / "tokenizer.json"))
    end, pad = ("<|im_end|>", "<|endoftext|>") if family(name) == "qwen3" else ("<eos>", "<pad>")
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": end, "pad_token": pad}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return vocabulary


class _Random:
    """A tensor that does not exist until it is read."""

    def __init__(self, shape: tuple[int, ...], device: str) -> None:
        self.shape, self.device = shape, device

    def __getitem__(self, _: object) -> Any:
        import torch

        made = torch.empty(self.shape, dtype=torch.bfloat16, device=self.device)
        # Norms and scales are vectors of ones, as in a fresh model.
        return made.fill_(1.0) if len(self.shape) < 2 else made.normal_(std=0.02)


@contextmanager
def random_weights(device: str) -> Iterator[None]:
    """Within it, transformers reads random weights from the folders of `make_folder`."""
    import torch
    from transformers import PreTrainedModel

    original = PreTrainedModel.__dict__["from_pretrained"]
    whole = original.__func__

    def from_pretrained(cls: Any, path: Any, *arguments: Any, **given: Any) -> Any:
        if not path or not (Path(path) / MARK).is_file():
            return whole(cls, path, *arguments, **given)
        config = given["config"]
        with torch.device("meta"):
            shapes = {name: tuple(one.shape) for name, one in cls(config).state_dict().items()}
        if config.tie_word_embeddings:
            shapes.pop("lm_head.weight", None)
        state = {name: _Random(shape, device) for name, shape in shapes.items()}
        model = whole(cls, None, *arguments, **given, state_dict=state)
        loaded = model[0] if isinstance(model, tuple) else model
        loaded.config._name_or_path = str(path)
        return model

    PreTrainedModel.from_pretrained = classmethod(from_pretrained)
    try:
        yield
    finally:
        PreTrainedModel.from_pretrained = original


def fill_random_table(model: Any) -> None:
    """Gives a table of per-layer embeddings that was made by `without_table` its random rows."""
    import torch

    for module in model.modules():
        table = getattr(module, "embed_tokens_per_layer", None)
        if table is not None and hasattr(table, "fill"):
            config = model.config.get_text_config()
            width = config.num_hidden_layers * config.hidden_size_per_layer_input
            rows = config.vocab_size_per_layer_input
            # A few thousand different rows: drawing three billion numbers on a CPU takes minutes.
            some = torch.empty(min(rows, 4096), width, dtype=torch.bfloat16).normal_(std=0.02)
            table.fill(some.repeat(-(-rows // len(some)), 1)[:rows])


def text(length: int, seed: int) -> str:
    """`length` letters and spaces."""
    source = random.Random(seed)
    return "".join(source.choice("abcdefghij klmnop") for _ in range(length))


def call_task(seed: int, prompt: int, completion: int = 8) -> Task:
    """A task with `prompt` characters of question and `completion` of gold argument."""
    return Task(
        id=f"row-{seed}",
        messages=(Message(role="user", content=text(prompt, seed)),),
        tools=(TOOL,),
        target={"calls": [{"name": "note", "arguments": {"text": text(completion, seed + 1)}}]},
    )


def task_of(seed: int, length: int, completion: int, measure: Any) -> Task:
    """A task whose row has exactly `length` tokens by `measure(task)`. Raises `ValueError`."""
    task = call_task(seed, 1, completion)
    missing = length - measure(task)
    if missing < 0:
        raise ValueError(f"{length} tokens are too few: the row has {measure(task)} without text")
    return replace(task, messages=(Message(role="user", content=text(1 + missing, seed)),))
