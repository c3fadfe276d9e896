"""Log probabilities of labels alone, for trainers that ask for nothing else.

TRL gives a model a forward with a fused head (`trl.trainer.utils.add_fused_lm_head`): it takes
the backbone's states of every position and multiplies them with the head. Here the head is the
identity, and most positions of a tool-calling row are prompt, so both are wasted. `compact`
returns a forward with the same answers that computes the mixture where there are labels only.
"""

from __future__ import annotations

import functools
import inspect
from types import MethodType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .modeling import TinyForCausalLM

NEEDED = ("temperature", "outputs", "original_forward")
"""The variables by which TRL's forward with a fused head is known."""
ANSWER = "FusedCausalLMOutput"
FIELDS = (
    "loss", "log_probs", "entropy", "log_sum_sq_probs", "mean_logits", "is_top1",
    "label_mask", "aux_loss",
)  # fmt: skip
"""The fields of TRL's answer."""


def compact(model: TinyForCausalLM, forward: Any) -> Any:
    """The frugal forward in the place of TRL's; any other `forward` as it is."""
    function = getattr(forward, "__func__", None)
    if not inspect.isfunction(function):
        return forward
    names = inspect.getclosurevars(function).nonlocals
    answer = function.__globals__.get(ANSWER)
    known = set(getattr(answer, "__dataclass_fields__", ()))
    if not all(name in names for name in NEEDED) or known != set(FIELDS):
        return forward
    temperature, wanted = float(names["temperature"]), tuple(names["outputs"])

    # The signature stays that of the model: `generate` checks its arguments against it.
    @functools.wraps(type(model).forward)
    def fused(
        self: TinyForCausalLM,
        *args: Any,
        fused_lm_head: bool = False,
        labels: Tensor | None = None,
        shift_labels: Tensor | None = None,
        num_items_in_batch: Any = None,
        **kwargs: Any,
    ) -> Any:
        if not fused_lm_head:
            if labels is not None:
                kwargs |= {"labels": labels, "num_items_in_batch": num_items_in_batch}
            return type(self).forward(self, *args, **kwargs)
        if shift_labels is None:
            assert labels is not None
            shift_labels = labels[:, 1:]
        at, target, real = labelled(shift_labels)
        states = self.model(*args, **{**kwargs, "use_cache": False}, at=at).last_hidden_state
        values = of_labels(states, target, temperature, wanted)
        mask = shift_labels != -100
        found = {
            name: value.new_zeros(mask.shape).scatter(
                1, at[:, : mask.shape[1]], torch.where(real, value, value.new_zeros(()))
            )
            for name, value in values.items()
        }
        items = mask.sum().clamp(min=1) if num_items_in_batch is None else num_items_in_batch
        empty = dict.fromkeys(FIELDS)
        loss = -found["log_probs"].sum() / items
        assert answer is not None
        return answer(**{**empty, **found, "loss": loss, "label_mask": mask})

    return MethodType(fused, model)


def labelled(labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where labels stand: positions, the labels, and which of them are real.

    `labels` is (batch, length), -100 where there is none. All three are (batch, the most labels
    of a row); there is at least one column, so that the answer depends on the weights even if
    there is no label at all.
    """
    wanted = labels != -100
    count = max(1, int(wanted.sum(1).max()))
    at = wanted.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :count]
    return at, labels.gather(1, at).clamp_min(0), wanted.gather(1, at)


def of_labels(
    states: Tensor, target: Tensor, temperature: float, wanted: tuple[str, ...]
) -> dict[str, Tensor]:
    """The log probability of each target, and what else is wanted, each (batch, chosen).

    `states` are log probabilities (batch, chosen, vocabulary), which `temperature` makes flatter
    or sharper.
    """
    scaled = states / temperature
    logprobs = scaled.log_softmax(-1)
    found = {"log_probs": logprobs.gather(-1, target[..., None])[..., 0]}
    if "entropy" in wanted:
        found["entropy"] = -(logprobs.exp() * logprobs).sum(-1)
    with torch.no_grad():
        if "log_sum_sq_probs" in wanted:
            found["log_sum_sq_probs"] = (2 * logprobs).logsumexp(-1)
        if "mean_logits" in wanted:
            found["mean_logits"] = scaled.mean(-1)
        if "is_top1" in wanted:
            found["is_top1"] = logprobs.argmax(-1) == target
    return found
