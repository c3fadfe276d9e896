"""Between the embedded model's own weights and a folder that transformers loads.

    python -m callsmith_tiny.training.checkpoint to-transformers FOLDER
    python -m callsmith_tiny.training.checkpoint from-transformers FOLDER --weights FILE

The first writes the shipped weights (or those of another folder, `--source`) with tokenizer and
generation config; the second writes a trained folder, with the adapter on it if there is one
(`--adapter`), in the format that the arm `tiny` reads: half precision, the shape and the facts of
the training as metadata. There and back gives the same bits.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from callsmith import CallsmithError, ConfigError, JsonValue
from callsmith_tiny.tokens import Tokens

from .export import fixture
from .huggingface import TinyConfig, TinyForCausalLM
from .network import Shape

PACKAGE = Path(__file__).resolve().parent.parent
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
PREFIX = "model."
"""What `TinyForCausalLM` puts before the names of `training/network.py`."""
NAMES = {
    "vocabulary": "vocab_size",
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "hidden": "intermediate_size",
    "kernel": "kernel",
    "rope_base": "rope_base",
    "epsilon": "epsilon",
}
"""The sizes: by `Shape` of `training/network.py`, and by `TinyConfig`."""
FACTS = "training"
"""Where metadata and config say how the weights were made."""
LARGEST = torch.finfo(torch.float16).max


def to_transformers(
    folder: Path, source: Path = PACKAGE, *, dtype: str = "float32"
) -> dict[str, JsonValue]:
    """Writes `folder` from the weights and the tokenizer in `source`; returns their facts.

    `dtype` is float32 or float16. Raises `ConfigError` when `source` holds no such model.
    """
    for name in (WEIGHTS, TOKENIZER):
        if not (source / name).is_file():
            raise ConfigError(
                f"{source} has no {name}; name a folder with the embedded model's own weights",
                path="path",
            )
    config, tensors = _read(source / WEIGHTS)
    tokens = Tokens(source / TOKENIZER)
    config.architectures = [TinyForCausalLM.__name__]
    config.eos_token_id = sorted(tokens.ends)
    model = TinyForCausalLM(config)
    model.load_state_dict({PREFIX + name: tensor for name, tensor in tensors.items()})
    model.generation_config.eos_token_id = sorted(tokens.ends)
    model.generation_config.pad_token_id = config.pad_token_id
    model.generation_config.bos_token_id = config.bos_token_id
    folder.mkdir(parents=True, exist_ok=True)
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    (folder / TOKENIZER).write_bytes((source / TOKENIZER).read_bytes())
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "pad_token": "<pad>",
        "clean_up_tokenization_spaces": False,
        "model_max_length": config.max_position_embeddings,
    }
    (folder / "tokenizer_config.json").write_text(
        json.dumps(settings, indent=1) + "\n", encoding="utf-8"
    )
    return {"parameters": sum(tensor.numel() for tensor in tensors.values()), "dtype": dtype}


def from_transformers(
    folder: Path, weights: Path, *, adapter: Path | None = None, stages: Sequence[str] = ()
) -> None:
    """Writes `weights` from a folder that transformers (or a trainer) saved.

    An adapter is added to the weights first. `stages` are lines that the metadata's list of
    stages gets at its end. Raises `ConfigError` for a folder of another model, and for weights
    that half precision cannot hold.
    """
    model = _load(folder)
    config = model.config
    if adapter is not None:
        model = _merged(model, adapter)
    shape = {ours: getattr(config, theirs) for ours, theirs in NAMES.items()}
    metadata = {name: str(value) for name, value in Shape(**shape).as_dict().items()}
    facts: dict[str, Any] = dict(getattr(config, FACTS, None) or {})
    if stages:
        facts["stages"] = [*facts.get("stages", []), *({"stage": stage} for stage in stages)]
    metadata[FACTS] = json.dumps(facts)
    tensors = {}
    for name, tensor in model.state_dict().items():
        if not bool((tensor.abs() <= LARGEST).all()):
            raise ConfigError(
                f"{name.removeprefix(PREFIX)} has numbers beyond half precision, or that are none; "
                "train with a lower learning rate",
                path=str(folder),
            )
        tensors[name.removeprefix(PREFIX)] = tensor.to(torch.float16).contiguous()
    unfinished = weights.with_name(f".{weights.name}.unfinished")
    save_file(tensors, str(unfinished), metadata=metadata)
    unfinished.replace(weights)


def _read(weights: Path) -> tuple[TinyConfig, dict[str, torch.Tensor]]:
    """The config, and the weights in single precision."""
    try:
        with safe_open(str(weights), framework="pt") as file:
            said = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        kinds = Shape().as_dict()
        sizes = {theirs: type(kinds[ours])(said[ours]) for ours, theirs in NAMES.items()}
        facts = json.loads(said.get(FACTS, "{}"))
    except (SafetensorError, KeyError, ValueError) as error:
        raise ConfigError(
            f"not weights of the embedded model: {error}", path=str(weights)
        ) from None
    return TinyConfig(**sizes, **{FACTS: facts}), tensors


def _load(folder: Path) -> Any:
    """The model of a folder, in single precision."""
    if not (folder / "config.json").is_file():
        raise ConfigError(
            "no config.json in it; name a folder that a trainer wrote (OUTPUT/model)",
            path=str(folder),
        )
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    if kind != TinyConfig.model_type:
        raise ConfigError(
            f"it holds a model of the type {kind}, and only {TinyConfig.model_type} has this "
            "format; serve it with the arm `hf`",
            path=str(folder),
        )
    model, info = TinyForCausalLM.from_pretrained(
        folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
    )
    lacking = sorted({*info["missing_keys"], *info["unexpected_keys"]})
    if lacking:
        raise ConfigError(f"{lacking[0]} is missing, or is strange to it", path=str(folder))
    return model


def _merged(model: Any, adapter: Path) -> Any:
    if not (adapter / "adapter_config.json").is_file():
        raise ConfigError("no adapter_config.json in it", path=str(adapter))
    from peft import PeftModel

    return PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m callsmith_tiny.training.checkpoint")
    commands = parser.add_subparsers(dest="command", required=True)
    there = commands.add_parser("to-transformers", help="writes a folder for trainers")
    there.add_argument("folder", type=Path)
    there.add_argument("--source", type=Path, default=PACKAGE)
    there.add_argument("--dtype", choices=("float32", "float16"), default="float32")
    back = commands.add_parser("from-transformers", help="writes weights for the arm `tiny`")
    back.add_argument("folder", type=Path)
    back.add_argument("--weights", type=Path, required=True)
    back.add_argument("--adapter", type=Path)
    back.add_argument("--stage", action="append", default=[], help="a line for the metadata")
    back.add_argument("--fixture", type=Path, help="what the test of the weights compares with")
    arguments = parser.parse_args()
    try:
        if arguments.command == "to-transformers":
            print(to_transformers(arguments.folder, arguments.source, dtype=arguments.dtype))
        else:
            from_transformers(
                arguments.folder,
                arguments.weights,
                adapter=arguments.adapter,
                stages=arguments.stage,
            )
            if arguments.fixture:
                fixture(arguments.weights, arguments.fixture)
            print(f"{arguments.weights}: {arguments.weights.stat().st_size} bytes")
    except CallsmithError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
