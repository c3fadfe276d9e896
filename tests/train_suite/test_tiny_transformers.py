"""The embedded model in transformers: the same numbers, padded, cached, packed, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from train_suite.models import need_libraries
from train_suite.tiny_models import TEXTS, as_transformers, expected, random_network

pytestmark = pytest.mark.train
need_libraries()

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def network() -> Any:
    return random_network()


@pytest.fixture
def model(network: Any) -> Any:
    """The same weights as a model of transformers."""
    return as_transformers(network)


def test_log_probabilities_are_the_networks(network: Any, model: Any) -> None:
    for ids in TEXTS:
        for length in (1, 2, len(ids)):
            assert _close(_read(model, ids[:length]), expected(network, ids)[:length])


@pytest.mark.parametrize("side", ["left", "right", "both"])
@pytest.mark.parametrize("pad", [0, 9])
def test_padding_changes_nothing(network: Any, model: Any, side: str, pad: int) -> None:
    ids, mask, places = _padded(side, pad)
    with _no_grad():
        found = model(ids, attention_mask=mask).logits
    for row, text in enumerate(TEXTS):
        first = places[row]
        assert _close(found[row, first : first + len(text)], expected(network, text))


def test_texts_in_one_row_do_not_see_each_other(network: Any, model: Any) -> None:
    import torch

    ids = torch.tensor([[number for text in TEXTS for number in text]])
    positions = torch.tensor([[place for text in TEXTS for place in range(len(text))]])
    with _no_grad():
        found = model(ids, position_ids=positions).logits[0]
    at = 0
    for text in TEXTS:
        assert _close(found[at : at + len(text)], expected(network, text))
        at += len(text)


def test_what_this_model_cannot_read(model: Any) -> None:
    import torch
    from transformers import DynamicCache

    ids = torch.tensor([[5, 6, 7]])
    for wrong, message in (
        ({"attention_mask": torch.tensor([[1, 0, 1]])}, "holes"),
        ({"attention_mask": torch.ones(1, 1, 3, 3)}, "takes one of"),
        ({"past_key_values": DynamicCache()}, "TinyCache, not a DynamicCache"),
        ({"output_hidden_states": True}, "output_hidden_states"),
    ):
        with pytest.raises(ValueError, match=message):
            model(ids, **wrong)
    with pytest.raises(ValueError, match="takes input_ids"):
        model(inputs_embeds=torch.zeros(1, 3, 32))


@pytest.mark.parametrize("checkpointing", [False, True], ids=["plain", "checkpointed"])
def test_gradients_are_the_networks(network: Any, model: Any, checkpointing: bool) -> None:
    """TRL's fused head on left-padded rows, against `target_logprob` on each row alone."""
    import torch
    from trl.trainer.utils import add_fused_lm_head

    if checkpointing:
        model.activation_checkpointing_enable()
    model.train()
    add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1"))
    ids, mask, _ = _padded("left", 0)
    labels = ids.masked_fill(mask.cumsum(1) <= 1, -100)  # nothing comes before a first token
    labels[:, :3] = -100
    output = model(ids, attention_mask=mask, labels=labels, fused_lm_head=True)
    output.loss.backward()

    network.zero_grad()
    total, count = torch.zeros(()), int((labels[:, 1:] != -100).sum())
    for row, text in enumerate(TEXTS):
        alone = torch.tensor([text])
        wanted = labels[row, -len(text) :][1:] != -100
        at = wanted.nonzero()[:, 0][None]
        if at.numel():
            target = alone[:, 1:].gather(1, at)
            total = total - network.target_logprob(network(alone), alone, at, target).sum()
    (total / count).backward()
    assert output.loss.item() == pytest.approx(total.item() / count, abs=1e-5)
    ours = dict(model.model.named_parameters())
    for name, weight in network.named_parameters():
        largest = weight.grad.abs().max()
        assert (ours[name].grad - weight.grad).abs().max() < 1e-4 * largest + 1e-7, name


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_the_frugal_head_answers_as_trls(
    network: Any, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same fields, and the same gradient also of the entropy."""
    import torch
    from trl.trainer.utils import add_fused_lm_head

    from callsmith_tiny.training.transformers_model import modeling

    fields = ("log_probs", "entropy", "log_sum_sq_probs", "mean_logits", "is_top1")
    ids, mask, _ = _padded("both", 0)
    labels = ids.masked_fill(mask == 0, -100)
    labels[0, :5] = -100
    found = []
    for frugal in (True, False):
        model = as_transformers(network)
        if not frugal:
            monkeypatch.setattr(modeling, "compact", lambda _, forward: forward)
        add_fused_lm_head(model, temperature=temperature, outputs=fields)
        answer = model(ids, attention_mask=mask, labels=labels, fused_lm_head=True)
        (answer.loss + 0.3 * answer.entropy.sum()).backward()
        found.append((answer, [weight.grad for weight in model.parameters()]))
        assert model(ids, attention_mask=mask, labels=labels).logits.shape[-1] == 1280
    (ours, our_gradients), (theirs, their_gradients) = found
    for name in ("loss", "label_mask", *fields):
        one, other = getattr(ours, name), getattr(theirs, name)
        assert torch.allclose(one.float(), other.float(), atol=1e-4), name
    for one, other in zip(our_gradients, their_gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_a_batch_without_labels_has_a_gradient_of_zero(model: Any) -> None:
    import torch
    from trl.trainer.utils import add_fused_lm_head

    add_fused_lm_head(model)
    ids = torch.tensor([[5, 6, 7, 8]])
    output = model(ids, labels=torch.full_like(ids, -100), fused_lm_head=True)
    output.loss.backward()
    assert output.loss == 0
    assert all(weight.grad.abs().max() == 0 for weight in model.parameters())


@pytest.mark.parametrize("beams", [1, 3])
def test_the_cache_changes_nothing(model: Any, beams: int) -> None:
    """Greedy and with beams, rows padded on the left, two of them alike."""
    import torch

    ids, mask, _ = _padded("left", 0)
    ids, mask = torch.cat((ids, ids[:2])), torch.cat((mask, mask[:2]))
    settings = {"max_new_tokens": 12, "do_sample": False, "num_beams": beams, **_ENDLESS}
    cached = model.generate(ids, attention_mask=mask, use_cache=True, **settings)
    whole = model.generate(ids, attention_mask=mask, use_cache=False, **settings)
    assert cached.tolist() == whole.tolist()
    assert len({tuple(row) for row in cached[:, ids.shape[1] :].tolist()}) > 1


def test_rows_leave_and_come_twice(network: Any, model: Any) -> None:
    """What a batch loop does with a cache: rows that are done are taken out, rows are repeated."""
    import torch

    ids, mask, _ = _padded("left", 0)
    kept = torch.tensor([2, 0])
    more = torch.tensor([[7], [300]])
    with torch.inference_mode():
        cache = model(ids, attention_mask=mask, use_cache=True).past_key_values
        cache.batch_select_indices(kept)
        cache.batch_repeat_interleave(2)
        mask = torch.cat((mask[kept], torch.ones(2, 1, dtype=mask.dtype)), 1)
        output = model(
            more.repeat_interleave(2, 0),
            attention_mask=mask.repeat_interleave(2, 0),
            past_key_values=cache,
        )
    for row, text in enumerate(([*TEXTS[2], 7], [*TEXTS[0], 300])):
        for copy in (2 * row, 2 * row + 1):
            assert _close(output.logits[copy], expected(network, text)[-1:])
    with pytest.raises(ValueError, match="cannot be shortened"):
        cache.crop(-1)


def test_sampled_rows_of_one_prompt_differ(model: Any) -> None:
    import torch

    torch.manual_seed(0)
    ids = torch.tensor([TEXTS[0]]).repeat(6, 1)
    found = model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=True, max_new_tokens=8, **_ENDLESS
    )
    assert len({tuple(row) for row in found.tolist()}) > 1


_ENDLESS = {"eos_token_id": None, "pad_token_id": 0}


def _no_grad() -> Any:
    import torch

    return torch.no_grad()


def _read(model: Any, ids: Sequence[int]) -> Any:
    import torch

    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0]


def _close(one: Any, other: Any) -> bool:
    return bool((one - other).abs().max() < TOLERANCE)


def _padded(side: str, pad: int) -> tuple[Any, Any, list[int]]:
    """The texts as a batch, its mask, and where each text begins."""
    import torch

    longest = max(map(len, TEXTS)) + (2 if side == "both" else 0)
    ids = torch.full((len(TEXTS), longest), pad)
    mask = torch.zeros_like(ids)
    places = []
    for row, text in enumerate(TEXTS):
        free = longest - len(text)
        first = {"left": free, "right": 0, "both": free // 2}[side]
        places.append(first)
        ids[row, first : first + len(text)] = torch.tensor(text)
        mask[row, first : first + len(text)] = 1
    return ids, mask, places
