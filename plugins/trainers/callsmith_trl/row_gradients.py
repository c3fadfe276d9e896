"""Trained rows of embedding and head at the cost of the rows, not of the whole matrix.

PEFT's `trainable_token_indices` makes, at every forward pass, a copy of the whole matrix with the
rows put in, and TRL's loss then makes the gradient of that whole copy in float32: for Qwen3-4B
2.9 GiB at the peak, for Gemma 4 E4B 5 GiB, to train a handful of rows (see `memory`). Within
`narrow_rows(model)` the same PEFT modules compute the same values and the same gradients without
the copy. Nothing about the adapter changes: the parameters, their names and the saved files are
PEFT's.

    with narrow_rows(model):
        trainer.train()

How: an embedding looks up its frozen matrix and then replaces the trained rows; a head multiplies
by its frozen matrix and then replaces the trained columns; TRL's loss runs over the frozen matrix
while the rows stand in it, and the rows' gradient is made from the columns of those tokens alone.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional

log = logging.getLogger(__name__)

EXPECTED = (
    "ctx, hidden, weight, bias, targets, temperature, chunk_size, final_logit_softcapping, "
    "logit_scale, outputs"
)
"""The arguments of TRL 1.16's loss function; with others the rows are trained PEFT's way."""
ROWS = "_callsmith_rows"


@contextmanager
def narrow_rows(model: Any) -> Iterator[bool]:
    """Trains the rows of `trainable_token_indices` narrowly until it is left.

    Gives whether it does: False for a model without such rows, and for a version of TRL whose
    loss is another one (then nothing is changed).
    """
    layers = [
        module.token_adapter for module in model.modules() if hasattr(module, "token_adapter")
    ]
    if not layers or not _supported():
        yield False
        return
    import trl.trainer.utils as place

    original = place._ChunkedLogProbFunction
    place._ChunkedLogProbFunction = _Dispatch(original)
    for layer in layers:
        layer.forward_adapters = _forward(layer)
        layer.get_merged_weights = _merged(layer)
    try:
        yield True
    finally:
        place._ChunkedLogProbFunction = original
        for layer in layers:
            # They stand on the instance and hide the class's.
            del layer.forward_adapters, layer.get_merged_weights


def _supported() -> bool:
    try:
        from trl.kernels.chunked_logprob import ChunkedLogProbFunction, _backward_tile
        from trl.trainer import utils
    except ImportError:
        log.warning("this TRL has another loss than 1.16; rows are trained through a full copy")
        return False
    names = ", ".join(inspect.signature(ChunkedLogProbFunction.forward).parameters)
    there = callable(_backward_tile) and hasattr(utils, "_ChunkedLogProbFunction")
    if names != EXPECTED or not there:
        log.warning("this TRL has another loss than 1.16; rows are trained through a full copy")
        return False
    return True


def _rows(layer: Any, adapters: list[str]) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The ids and the rows of the one active adapter; None where there is not exactly one."""
    if len(adapters) != 1 or adapters[0] not in layer.trainable_tokens_delta:
        return None
    weight = layer.base_layer.weight
    ids = torch.tensor(layer.token_indices[adapters[0]], device=weight.device)
    return ids, layer.trainable_tokens_delta[adapters[0]]


def _forward(layer: Any) -> Any:
    whole = type(layer).forward_adapters

    def forward_adapters(x: Any, active_adapters: list[str], *args: Any, **kwargs: Any) -> Any:
        found = None
        if not (layer.disable_adapters or layer.merged):
            found = _rows(layer, list(active_adapters))
        base = layer.base_layer
        if found is None or not isinstance(base, torch.nn.Embedding | torch.nn.Linear):
            return whole(layer, x, active_adapters, *args, **kwargs)
        ids, rows = found
        if isinstance(base, torch.nn.Embedding):
            out = functional.embedding(x, base.weight, base.padding_idx)
            hits = x.unsqueeze(-1) == ids
            chosen = functional.embedding(hits.int().argmax(dim=-1), rows.to(out.dtype))
            out = torch.where(hits.any(dim=-1, keepdim=True), chosen, out)
            scale = layer._get_embed_scale()
            return out if scale is None else out * scale.to(out.dtype)
        logits = functional.linear(x, base.weight)
        columns = functional.linear(x, rows.to(base.weight.dtype)).to(logits.dtype)
        return logits.index_copy(-1, ids, columns)

    return forward_adapters


def _merged(layer: Any) -> Any:
    whole = type(layer).get_merged_weights

    def get_merged_weights(active_adapters: list[str]) -> torch.Tensor:
        found = _rows(layer, list(active_adapters))
        if found is None:
            merged: torch.Tensor = whole(layer, active_adapters)
            return merged
        # TRL's loss takes the weight from here; it is the frozen one, with the rows beside it.
        weight: torch.Tensor = layer.base_layer.weight.detach()
        setattr(weight, ROWS, found)
        return weight

    return get_merged_weights


class _Dispatch:
    """Stands where TRL looks for its loss, and sends weights with rows to `_rows_loss`."""

    def __init__(self, original: Any) -> None:
        self._original = original
        self._narrow = _narrow(original)

    def apply(self, hidden: Any, weight: Any, bias: Any, targets: Any, *rest: Any) -> Any:
        """As `torch.autograd.Function.apply` of the loss."""
        found = getattr(weight, ROWS, None)
        if found is None:
            return self._original.apply(hidden, weight, bias, targets, *rest)
        ids, rows = found
        return self._narrow.apply(hidden, weight, bias, targets, *rest, ids, rows)


def _narrow(original: Any) -> Any:
    """The loss with the rows as two further inputs."""
    from trl.kernels.chunked_logprob import _backward_tile

    class Narrow(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, hidden: Any, weight: Any, bias: Any, targets: Any, *rest: Any) -> Any:
            *rest_, ids, rows = rest
            ctx.ids, ctx.rows, ctx.count = ids, rows.detach().to(weight.dtype), len(rest)
            ctx.rows_dtype = rows.dtype
            with _standing(weight, ids, ctx.rows):
                return original.forward(ctx, hidden, weight, bias, targets, *rest_)

        @staticmethod
        def backward(ctx: Any, grad_logprobs: Any, grad_entropy: Any, *others: Any) -> Any:
            hidden, weight, bias, targets, log_z, entropy = ctx.saved_tensors
            with _standing(weight, ctx.ids, ctx.rows):
                grads = original.backward(ctx, grad_logprobs, grad_entropy, *others)
            compute = ctx.compute_dtype
            tile = functional.linear(hidden.to(compute), ctx.rows.to(compute))
            if bias is not None:
                tile = tile + bias[ctx.ids].to(compute)
            hits = targets.unsqueeze(-1) == ctx.ids
            local = torch.where(hits.any(dim=-1), hits.int().argmax(dim=-1), -1)
            given = grad_logprobs if grad_logprobs is not None else log_z
            _backward_tile(
                tile,
                tile.stride(0),
                local,
                log_z,
                entropy,
                given.float(),
                grad_entropy.float() if grad_entropy is not None else log_z,
                0,
                len(ctx.ids),
                HAS_LOGPROB_GRAD=grad_logprobs is not None,
                HAS_ENTROPY_GRAD=grad_entropy is not None,
                BLOCK_SIZE=0,
                **ctx.kernel_args,
            )
            of_rows = (tile.float().t() @ hidden.float()).to(ctx.rows_dtype)
            return (*grads[:4], *([None] * (ctx.count - 1)), of_rows)

    return Narrow


@contextmanager
def _standing(weight: Any, ids: Any, rows: Any) -> Iterator[None]:
    """The rows stand in the frozen matrix for as long as it is used, and no longer: the same
    matrix is the reference model's, and a tied embedding's."""
    kept = weight.data[ids].clone()
    weight.data[ids] = rows
    try:
        yield
    finally:
        weight.data[ids] = kept
