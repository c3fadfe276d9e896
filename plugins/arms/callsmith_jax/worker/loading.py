"""From names and folders to a model, its parameters and its tokenizer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from gemma import gm
from gemma.gm.nn.gemma4 import _config, _modules, _transformer

from .failures import RequestError, one_line
from .tokens import Tokens

LARGEST_DIGEST = 4 << 30
"""Bytes of a checkpoint up to which its digest is computed; above, it would take minutes."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready. `facts` is what a probe tells about it."""

    model: Any
    params: Any
    tokens: Tokens
    facts: dict[str, Any]


def load(checkpoint: str, tokenizer: str, model: str) -> Loaded:
    """Loads everything. Raises `RequestError` of kind "configuration" with what is missing.

    `checkpoint` is a folder or one of the library's names (`GEMMA4_E2B_IT`); `tokenizer` a file;
    `model` one of the library's classes (`Gemma4_E2B`) or a JSON file with the fields of its
    `TransformerConfig`. Empty: `tokenizer.model` and `model.json` in or beside the folder, or what
    belongs to the library's name.
    """
    named = _library_checkpoint(checkpoint)
    folder = None if named else Path(checkpoint)
    if folder is not None:
        _check_folder(folder, checkpoint)
    built, name = _model(model, folder, checkpoint if named else "")
    tokens = _tokens(tokenizer, folder)
    vocabulary = tokens.tokenizer.vocab_size
    if vocabulary > built.config.num_embed:
        raise _wrong(
            f"the tokenizer has {vocabulary} tokens and the model {built.config.num_embed}: they "
            "do not belong together"
        )
    try:
        params = gm.ckpts.load_params(named or str(folder), text_only=True)
    except Exception as error:  # orbax, gcsfs and the network raise anything
        raise _wrong(f"checkpoint {checkpoint}: cannot be loaded: {one_line(error)}") from error
    params = dict(params)
    params.pop("audio_encoder", None)  # of no use to a text model, and large
    _check_shapes(built, params, checkpoint)
    leaves = jax.tree.leaves(params)
    dtypes = sorted({str(leaf.dtype) for leaf in leaves})
    facts = {
        "model": name,
        "checkpoint": named or str(folder),
        "parameters": sum(int(leaf.size) for leaf in leaves),
        "dtype": "+".join(dtypes),
        "vocabulary": vocabulary,
        "tokenizer_digest": tokens.digest,
        "model_digest": _digest(folder),
        "devices": [f"{device.platform}:{device.device_kind}" for device in jax.devices()],
    }
    return Loaded(built, params, tokens, facts)


def _wrong(message: str) -> RequestError:
    return RequestError("configuration", message)


def _library_checkpoint(name: str) -> str:
    """The address of one of the library's checkpoints; "" if it is no such name."""
    paths = gm.ckpts.CheckpointPath
    if name in paths.__members__:
        if not name.startswith("GEMMA4_"):
            raise _wrong(f"checkpoint {name}: only Gemma 4 calls tools in its native format")
        return str(paths[name].value)
    if "/" not in name and "\\" not in name and not Path(name).exists():
        known = ", ".join(n for n in paths.__members__ if n.startswith("GEMMA4_"))
        raise _wrong(f"checkpoint {name!r} is neither a folder nor one of the library's: {known}")
    return ""


def _check_folder(folder: Path, given: str) -> None:
    if not folder.is_dir():
        raise _wrong(f"checkpoint {given}: there is no such folder")
    if not any((folder / name).exists() for name in ("_METADATA", "_CHECKPOINT_METADATA")):
        raise _wrong(
            f"checkpoint {given}: the folder has no _METADATA, so it is not a checkpoint that the "
            "gemma library wrote (gm.ckpts.save_params); safetensors and GGUF files are others"
        )


def _beside(folder: Path | None, name: str) -> Path | None:
    """A file in the checkpoint's folder or next to it."""
    places = (folder / name, folder.parent / name) if folder is not None else ()
    return next((place for place in places if place.is_file()), None)


def _model(given: str, folder: Path | None, named: str) -> tuple[Any, str]:
    if not given and named:
        given = named.rpartition("_")[0].replace("GEMMA4_", "Gemma4_")
    if not given:
        found = _beside(folder, "model.json")
        if found is None:
            raise _wrong(
                f"checkpoint {folder}: what model it holds is not known; say it with the option "
                "`model` (Gemma4_E2B, Gemma4_E4B, Gemma4_26B_A4B, Gemma4_31B, or a JSON file)"
            )
        given = str(found)
    if given.endswith(".json"):
        return _described_model(Path(given)), Path(given).stem
    built = getattr(gm.nn, given, None) if given.startswith("Gemma4_") else None
    if built is None:
        known = ", ".join(name for name in dir(gm.nn) if name.startswith("Gemma4_"))
        raise _wrong(f"model {given!r} is neither a .json file nor one of the library's: {known}")
    return built(), given


def _check_shapes(model: Any, params: Any, checkpoint: str) -> None:
    """Raises `RequestError` unless the checkpoint has every parameter of the model, as large."""
    wanted = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 1), jnp.int32))["params"]
    found = dict(jax.tree_util.tree_leaves_with_path(params))
    for path, leaf in jax.tree_util.tree_leaves_with_path(wanted):
        name = ".".join(str(getattr(key, "key", key)) for key in path)
        if path not in found:
            raise _wrong(
                f"checkpoint {checkpoint}: its parameters do not belong to the model: {name} is "
                "missing"
            )
        if found[path].shape != leaf.shape:
            raise _wrong(
                f"checkpoint {checkpoint}: its parameters do not belong to the model: {name} is "
                f"{list(found[path].shape)} and the model's {list(leaf.shape)}"
            )


def _described_model(file: Path) -> Any:
    """A model of any size from the fields of the library's `TransformerConfig`, and `dtype`."""
    try:
        fields = dict(json.loads(file.read_text(encoding="utf-8")))
        dtype = jnp.dtype(fields.pop("dtype", "bfloat16"))
        kinds = {kind.name.lower(): kind for kind in _modules.AttentionType}
        fields["attention_types"] = tuple(kinds[name] for name in fields["attention_types"])
        if fields.get("kv_cache_sharing_config"):
            sharing = _config.KVCacheSharingConfig(**fields["kv_cache_sharing_config"])
            fields["kv_cache_sharing_config"] = sharing
        config = _config.TransformerConfig(**fields)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _wrong(f"model {file}: {one_line(error)}") from error
    return DescribedGemma4(config=config, dtype=dtype)


class DescribedGemma4(_transformer.Transformer):  # type: ignore[misc]
    """A Gemma 4 whose sizes come from a file."""

    INFO = _transformer.ModelInfo(tokenizer_version=4)


def _tokens(given: str, folder: Path | None) -> Tokens:
    if given and not Path(given).is_file() and "://" not in given:
        raise _wrong(f"tokenizer {given}: there is no such file")
    file = given or str(_beside(folder, "tokenizer.model") or "")
    try:
        return Tokens.load(file)
    except Exception as error:  # a remote path that cannot be read, or a file of another kind
        where = file or "the library's own place (put the file into ~/.gemma/tokenizer)"
        raise _wrong(f"tokenizer {where}: cannot be loaded: {one_line(error)}") from error


def _digest(folder: Path | None) -> str | None:
    """A hash over the names and bytes of a local checkpoint's files; None if not known."""
    if folder is None:
        return None
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if sum(path.stat().st_size for path in files) > LARGEST_DIGEST:
        return None
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return f"sha256:{digest.hexdigest()}"
