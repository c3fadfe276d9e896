"""The network as a causal language model of transformers.

The same arithmetic and the same names of weights as `training/network.py`, and padding, a cache
and several texts in one row besides. Its next-token distribution is a mixture of a softmax and a
pointer, so there are no scores before a softmax: what stands for logits are the mixture's log
probabilities. A softmax gives them back unchanged, so that losses, samplers and temperatures that
are made for logits are right for them too.
"""

from __future__ import annotations

# PyTorch and transformers are not installed where the types are checked: their classes are Any.
# mypy: disable-error-code="misc, no-untyped-call"
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from callsmith_tiny.training.network import NEVER, rms

from .blocks import Block, Convolution, Reading
from .cache import TinyCache
from .configuration import TinyConfig
from .fused_head import compact
from .text import read_text

LEAST = 2e-38
"""What the pointer gives a token at least, so that its logarithm stays a number; smaller numbers
are denormal, and slow."""


class Same(nn.Module):
    """The output embedding: log probabilities over the vocabulary stand for themselves.

    Its `weight` is the identity, made when somebody asks for it: it is nothing to save or to
    quantise. What the model writes with are the rows of its embedding.
    """

    bias = None

    def __init__(self, backbone: TinyBackbone) -> None:
        super().__init__()
        self._backbone = (backbone,)  # not a part of this module
        self._weight = torch.empty(0)

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Those of the embedding, for whoever asks whether the head is trained."""
        yield from self._backbone[0].embedding.parameters(recurse)

    def forward(self, x: Tensor) -> Tensor:
        """What came in."""
        return x

    @property
    def weight(self) -> Tensor:
        """The identity, (vocabulary, vocabulary), where the embedding is."""
        size, device = self._backbone[0].config.vocab_size, self._backbone[0].device
        if len(self._weight) != size or self._weight.device != device:
            self._weight = torch.eye(size, device=device)
        return self._weight


class TinyPreTrainedModel(PreTrainedModel):
    """What both models share: the config, and how new weights begin."""

    config_class = TinyConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _no_split_modules = ("Block",)
    _supports_sdpa = True

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, Convolution):
            init.zeros_(module.weight)
        elif isinstance(module, Block):
            for name in ("attention_norm", "hidden_norm", "query_norm", "key_norm"):
                init.ones_(getattr(module, name))
            for name in ("query", "key", "value", "gate", "up"):
                init.normal_(getattr(module, name).weight, std=self.config.hidden_size**-0.5)
            for name in ("output", "down"):
                init.zeros_(getattr(module, name).weight)
        elif isinstance(module, TinyBackbone):
            init.ones_(module.norm)
            init.normal_(module.embedding.weight, std=0.08)
            for linear in (module.pointer_query, module.pointer_key):
                init.normal_(linear.weight, std=self.config.hidden_size**-0.5)
            init.zeros_(module.share.weight)
            init.zeros_(module.share.bias)


class TinyBackbone(TinyPreTrainedModel):
    """Token ids in, the mixture's log probabilities of every next token out."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__(config)
        d = config.hidden_size
        self.embedding = nn.Embedding(config.vocab_size, d)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.Parameter(torch.ones(d))
        self.pointer_query = nn.Linear(d, d, bias=False)
        self.pointer_key = nn.Linear(d, d, bias=False)
        self.share = nn.Linear(d, 1)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The embedding, whose rows are the vocabulary's part of the mixture too."""
        return self.embedding

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Another embedding."""
        self.embedding = value

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: TinyCache | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        at: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """`last_hidden_state` is (batch, length, vocabulary).

        With `logits_to_keep` only the last so many positions are computed to the end; with `at`,
        (batch, chosen), only these indices into `input_ids`, in this order. Raises ValueError for
        what this model has not: embeddings as input, hidden states and attention maps as output,
        a cache of another kind.
        """
        _check(input_ids, inputs_embeds, past_key_values, kwargs)
        assert input_ids is not None
        if use_cache and past_key_values is None:
            past_key_values = TinyCache(len(self.blocks))
        past = 0 if past_key_values is None else past_key_values.get_seq_length()
        if past_key_values is not None and not past and not torch.is_grad_enabled():
            shared = _shared(input_ids, attention_mask, position_ids)
            if shared is not None:
                (ids, mask, places), row = shared
                output = self.forward(
                    ids, mask, places, past_key_values, logits_to_keep=logits_to_keep
                )
                past_key_values.batch_select_indices(row)
                output.last_hidden_state = output.last_hidden_state[row]
                return output
        batch, length = input_ids.shape
        text = read_text(length, past, attention_mask, position_ids, input_ids.device)
        x = self.embedding(input_ids)
        reading = Reading(text, self.config, x.dtype)
        for index, block in enumerate(self.blocks):
            layer = None if past_key_values is None else past_key_values.layers[index]
            x = block(x, reading, past_key_values=layer)
        hidden = rms(x, self.config.epsilon) * self.norm
        keys, ids = self.pointer_key(hidden), input_ids
        if past_key_values is not None:
            keys, ids = past_key_values.pointer.update(keys[:, None], ids[:, None, :, None])
            keys, ids = keys[:, 0], ids[:, 0, :, 0]
        if at is None:
            kept = min(logits_to_keep, length) or length
            at = torch.arange(length - kept, length, device=x.device).expand(batch, kept)
            picked = hidden[:, length - kept :]
        else:
            picked = hidden.gather(1, at[..., None].expand(-1, -1, hidden.shape[-1]))
        return BaseModelOutputWithPast(
            last_hidden_state=self._mixture(picked, keys, ids, text.visible(at)),
            past_key_values=past_key_values,
        )

    def _mixture(self, picked: Tensor, keys: Tensor, ids: Tensor, visible: Tensor) -> Tensor:
        """Log probabilities (batch, chosen, vocabulary) after the chosen positions.

        `picked` are their hidden states, (batch, chosen, width); `keys` (batch, total, width) and
        `ids` (batch, total) those of the whole text, of which they see what is `visible`.
        """
        scores = self.pointer_query(picked) @ keys.mT * picked.shape[-1] ** -0.5
        pointer = F.log_softmax(scores.float().masked_fill(~visible, NEVER), dim=-1)
        share = self.share(picked).float()
        words = F.log_softmax(F.linear(picked, self.embedding.weight).float(), dim=-1)
        words = words + F.logsigmoid(share)
        weights = (pointer + F.logsigmoid(-share)).exp()
        index = ids[:, None, :].expand(-1, picked.shape[1], -1)
        copied = torch.zeros_like(words).scatter_add(-1, index, weights)
        return torch.logaddexp(words, copied.clamp_min(LEAST).log())


class TinyForCausalLM(TinyPreTrainedModel, GenerationMixin):
    """The embedded model for trainers, for `generate` and for the arm `hf`."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__(config)
        self.model = TinyBackbone(config)
        self.head = Same(self.model)
        self.post_init()

    def __setattr__(self, name: str, value: Any) -> None:
        """TRL replaces `forward` by one with a fused head; here that one learns to be frugal."""
        super().__setattr__(name, compact(self, value) if name == "forward" else value)

    def get_input_embeddings(self) -> nn.Module:
        """The embedding."""
        return self.model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Another embedding."""
        self.model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """The identity: see `Same`."""
        return self.head

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: TinyCache | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """`logits` are log probabilities, (batch, length, vocabulary); the last
        `logits_to_keep` positions where that is not 0. With `labels`, also the loss."""
        items = kwargs.pop("num_items_in_batch", None)
        output = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            logits_to_keep=logits_to_keep,
            **kwargs,
        )
        logits, loss = output.last_hidden_state, None
        if labels is not None:
            loss = self.loss_function(
                logits, labels, vocab_size=self.config.vocab_size, num_items_in_batch=items
            )
        return CausalLMOutputWithPast(
            loss=loss, logits=logits, past_key_values=output.past_key_values
        )

    def _prepare_cache_for_generation(
        self, generation_config: Any, model_kwargs: dict[str, Any], *args: Any, **kwargs: Any
    ) -> None:
        if model_kwargs.get("past_key_values") is None and generation_config.use_cache:
            model_kwargs["past_key_values"] = TinyCache(self.config.num_hidden_layers)


def _shared(*inputs: Tensor | None) -> tuple[list[Tensor | None], Tensor] | None:
    """The rows of a batch without repetitions, and which of them each row is.

    None where no row is repeated. A group of samples of one prompt, as GRPO draws them, is so
    read once.
    """
    batch = inputs[0].shape[0] if inputs[0] is not None else 1
    given = [one for one in inputs if one is not None and one.shape[0] == batch]
    if batch == 1:
        return None
    rows, row = torch.unique(torch.cat(given, dim=1), dim=0, return_inverse=True)
    if len(rows) == batch:
        return None
    first = row.new_zeros(len(rows)).scatter_(0, row, torch.arange(batch, device=row.device))
    return [one if one is None or one.shape[0] != batch else one[first] for one in inputs], row


def _check(
    input_ids: Tensor | None, inputs_embeds: Any, cache: Any, others: dict[str, Any]
) -> None:
    if input_ids is None or inputs_embeds is not None:
        raise ValueError("this model takes input_ids: its pointer copies tokens, not embeddings")
    if cache is not None and not isinstance(cache, TinyCache):
        raise ValueError(f"this model keeps its text in a TinyCache, not a {type(cache).__name__}")
    for name in ("output_hidden_states", "output_attentions"):
        if others.get(name):
            raise ValueError(f"this model has no {name}; leave it out")
