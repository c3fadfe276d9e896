"""Groups of completions, drawn without reading a prompt twice. Imports PyTorch."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch

SHRINK = 0.75
"""Rows that are done are taken out once the others are fewer than this share."""


class UnshareableError(Exception):
    """The model keeps what it has read in a form that cannot be given to several rows."""


def write_groups(
    model: Any,
    prompts: Sequence[Sequence[int]],
    group: int,
    *,
    max_new_tokens: int,
    temperature: float,
    ends: frozenset[int],
    pad: int,
    at_once: int = 0,
) -> list[list[int]]:
    """`group` completions of each prompt, prompt by prompt, drawn at `temperature` (0: greedy).

    The distribution is the model's own, at this temperature; nothing is cut off its tail. A
    completion ends with one of `ends`, which is kept, or has `max_new_tokens`. A prompt is read
    once for all of its group; completions that are done are not computed any further. `at_once`
    bounds how many are written together (0: no bound). The model's mode is left as it was.
    Raises `UnshareableError` for a model whose cache cannot be repeated.
    """
    found: list[list[list[int]]] = [[] for _ in prompts]
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for places, times in portions([len(one) for one in prompts], group, at_once):
                written = _write(
                    model,
                    [prompts[place] for place in places],
                    times,
                    max_new_tokens=max_new_tokens,
                    temperature=temperature,
                    ends=ends,
                    pad=pad,
                )
                for index, ids in enumerate(written):
                    found[places[index // times]].append(ids)
    finally:
        model.train(training)
    return [ids for completions in found for ids in completions]


def portions(lengths: Sequence[int], group: int, at_once: int) -> list[tuple[list[int], int]]:
    """What is written together: (places of prompts, completions of each), by similar length."""
    order = sorted(range(len(lengths)), key=lambda place: lengths[place])
    if not at_once:
        return [(order, group)] if order else []
    if at_once >= group:
        width = at_once // group
        return [(order[start : start + width], group) for start in range(0, len(order), width)]
    shares = [min(at_once, group - start) for start in range(0, group, at_once)]
    return [([place], share) for place in order for share in shares]


def _write(
    model: Any,
    prompts: Sequence[Sequence[int]],
    times: int,
    *,
    max_new_tokens: int,
    temperature: float,
    ends: frozenset[int],
    pad: int,
) -> list[list[int]]:
    device = model.device
    longest = max(map(len, prompts))
    gaps = [longest - len(one) for one in prompts]
    given = [[pad] * gap + list(one) for gap, one in zip(gaps, prompts, strict=True)]
    mask = torch.tensor([[0] * gap + [1] * (longest - gap) for gap in gaps], device=device)
    answer = model(
        input_ids=torch.tensor(given, device=device),
        attention_mask=mask,
        position_ids=(mask.cumsum(-1) - 1).clamp_min(0),
        use_cache=True,
        **_last_only(model),
    )
    cache = answer.past_key_values
    if not (hasattr(cache, "batch_repeat_interleave") and hasattr(cache, "batch_select_indices")):
        raise UnshareableError(type(cache).__name__)
    cache.batch_repeat_interleave(times)
    scores = answer.logits[:, -1].repeat_interleave(times, dim=0)
    mask = mask.repeat_interleave(times, dim=0)
    places = (mask.sum(-1, keepdim=True)).long()
    rows = list(range(len(prompts) * times))
    found: list[list[int]] = [[] for _ in rows]
    for step in range(max_new_tokens):
        chosen = _draw(scores, temperature)
        numbers: list[int] = chosen.tolist()
        for row, number in zip(rows, numbers, strict=True):
            # A row that is done is still computed until the batch shrinks.
            if not found[row] or found[row][-1] not in ends:
                found[row].append(number)
        open_ = [place for place, row in enumerate(rows) if found[row][-1] not in ends]
        if not open_ or step + 1 == max_new_tokens:
            break
        if len(open_) <= SHRINK * len(rows):
            rows = [rows[place] for place in open_]
            kept = torch.tensor(open_, device=device)
            cache.batch_select_indices(kept)
            chosen, mask, places = chosen[kept], mask[kept], places[kept]
        mask = torch.cat((mask, mask.new_ones((len(rows), 1))), dim=1)
        answer = model(
            input_ids=chosen[:, None],
            attention_mask=mask,
            position_ids=places,
            past_key_values=cache,
            use_cache=True,
        )
        cache, places = answer.past_key_values, places + 1
        scores = answer.logits[:, -1]
    return found


def _draw(scores: Any, temperature: float) -> Any:
    """One id per row."""
    if not temperature:
        return scores.argmax(-1)
    shares = (scores.float() / temperature).softmax(-1)
    return torch.multinomial(shares, 1)[:, 0]


def _last_only(model: Any) -> dict[str, int]:
    """Logits of the last position alone, for models that can."""
    network = model.get_base_model() if hasattr(model, "peft_config") else model
    names = inspect.signature(type(network).forward).parameters
    return {"logits_to_keep": 1} if "logits_to_keep" in names else {}
