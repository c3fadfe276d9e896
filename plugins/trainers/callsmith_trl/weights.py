"""What was trained, as folders: written beside and renamed, so that one is whole or not there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import transformers

from callsmith import ConfigError
from callsmith_trl.failures import one_line
from callsmith_trl.recipe import FILE as RECIPE

if TYPE_CHECKING:
    from callsmith_trl.loading import Loaded

TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",  # converters to GGUF prefer it where there is one
    "chat_template.jinja",
)
"""What is taken from the base's folder as it is, byte for byte, where it is there."""


def write_weights(
    loaded: Loaded,
    folder: Path,
    files: Mapping[str, str] | None = None,
    state: Mapping[str, Any] | None = None,
) -> Path:
    """The adapter, or the whole model with its tokenizer, as a folder that replaces one before.

    `files` are texts that are put beside, by their names; `state` are the weights, if not the
    model's own.
    """
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    remove(unfinished)
    unfinished.mkdir(parents=True)
    if loaded.adapted:
        # The head is saved by its trained rows; PEFT would add the whole of it.
        loaded.model.save_pretrained(
            unfinished,
            selected_adapters=["default"],
            save_embedding_layers=False,
            state_dict=state,
        )
        # While it trains, the config names the folder: PEFT looks a name up in the hub.
        file = unfinished / "adapter_config.json"
        said = json.loads(file.read_text(encoding="utf-8"))
        base = loaded.base.base or Path(loaded.base.path).name
        said["base_model_name_or_path"] = base
        file.write_text(json.dumps(said, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        (unfinished / "README.md").unlink(missing_ok=True)  # PEFT's, with paths in it
        (unfinished / RECIPE).write_text(
            json.dumps(
                {
                    "base": base,
                    "base_fingerprint": loaded.fingerprint,
                    "recipe": loaded.recipe.as_json(),
                },
                indent=1,
            )
            + "\n",
            encoding="utf-8",
        )
    else:
        _write_model(loaded, unfinished, state)
        (unfinished / RECIPE).write_text(
            json.dumps({"recipe": loaded.recipe.as_json()}, indent=1) + "\n", encoding="utf-8"
        )
    for name, text in (files or {}).items():
        (unfinished / name).write_text(text, encoding="utf-8")
    previous = before(folder)
    remove(previous)
    if folder.exists():
        folder.rename(previous)
    unfinished.rename(folder)
    remove(previous)
    return folder


def read_weights(loaded: Loaded, folder: Path) -> None:
    """Puts what `write_weights` wrote into the model. Raises `ConfigError` for a torn folder."""
    from safetensors.torch import load_file

    try:
        if loaded.adapted:
            from peft import set_peft_model_state_dict

            state = load_file(str(folder / "adapter_model.safetensors"))
            set_peft_model_state_dict(loaded.model, state, adapter_name="default")
            return
        state = {}
        for file in sorted(folder.glob("*.safetensors")):
            state |= load_file(str(file))
        missing, strange = loaded.model.load_state_dict(state, strict=False)
        tied = set(getattr(loaded.model, "all_tied_weights_keys", ()) or ())
        if strange or set(missing) - tied:
            raise ValueError(f"{[*strange, *missing][0]} is in one of them only")
    except Exception as error:
        raise ConfigError(f"{folder} cannot be read back: {one_line(error)}") from error


def before(folder: Path) -> Path:
    """Where the folder that is being replaced stands until the new one is there."""
    return folder.with_name(f".{folder.name}.previous")


def remove(folder: Path) -> None:
    """Removes a folder that may not be there."""
    if folder.exists():
        shutil.rmtree(folder)


def _write_model(loaded: Loaded, folder: Path, state: Mapping[str, Any] | None) -> None:
    network = loaded.network
    # A trainer puts the tokenizer's end token in place of the model's own.
    trained = network.generation_config
    network.generation_config = transformers.GenerationConfig.from_dict(loaded.settings)
    try:
        network.save_pretrained(folder, state_dict=state)
    finally:
        network.generation_config = trained
    source = Path(loaded.base.path).expanduser()
    for name in TOKENIZER:
        if (source / name).is_file():
            (folder / name).write_bytes((source / name).read_bytes())
