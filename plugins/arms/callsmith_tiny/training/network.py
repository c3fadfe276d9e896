"""The network in PyTorch: a small Llama-like decoder with short causal convolutions and a pointer.

Before attention and before the feed-forward layer, every channel sees its own last four positions
(a depthwise causal convolution, added to its input). That gives attention the word before a token
as part of its key in the first layer, which is what copying needs.

The next token's distribution is a mixture of two: the usual softmax over the vocabulary, and a
pointer, one attention over the text so far whose weight on a position is probability for the
token that stands there (See et al. 2017, arXiv:1704.04368). Names and values of a call are copied,
so the pointer teaches the network where to look before it can spell.
"""

from __future__ import annotations

# PyTorch is not installed where the types are checked, so its classes are Any there.
# mypy: disable-error-code="misc"
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NEVER = -1e9
"""The logarithm of nothing: small enough to vanish, finite so that gradients stay numbers."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a network; stored beside the weights."""

    vocabulary: int = 1280
    width: int = 128
    layers: int = 5
    heads: int = 4
    hidden: int = 320
    kernel: int = 4
    rope_base: float = 10000.0
    epsilon: float = 1e-6

    def as_dict(self) -> dict[str, float]:
        """By name, for checkpoints and metadata."""
        return asdict(self)


def rms(x: Tensor, epsilon: float) -> Tensor:
    """The last axis scaled to a root mean square of one."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + epsilon)


class Convolution(nn.Module):
    """x[t] + sum over j of w[j] * x[t - j], per channel."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(kernel, width))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, width) in and out."""
        out = x * (1 + self.weight[0])
        for j in range(1, self.weight.shape[0]):
            out = out + F.pad(x[:, :-j] * self.weight[j], (0, 0, j, 0))
        return out


class Block(nn.Module):
    """Attention and feed-forward layer, each with its norm and its convolution before it."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d = shape.width
        self.shape = shape
        self.attention_norm = nn.Parameter(torch.ones(d))
        self.attention_conv = Convolution(d, shape.kernel)
        self.query = nn.Linear(d, d, bias=False)
        self.key = nn.Linear(d, d, bias=False)
        self.value = nn.Linear(d, d, bias=False)
        self.output = nn.Linear(d, d, bias=False)
        self.query_norm = nn.Parameter(torch.ones(d // shape.heads))
        self.key_norm = nn.Parameter(torch.ones(d // shape.heads))
        self.hidden_norm = nn.Parameter(torch.ones(d))
        self.hidden_conv = Convolution(d, shape.kernel)
        self.gate = nn.Linear(d, shape.hidden, bias=False)
        self.up = nn.Linear(d, shape.hidden, bias=False)
        self.down = nn.Linear(shape.hidden, d, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(batch, length, width) in and out; cos and sin are (length, half a head)."""
        s = self.shape
        batch, length, d = x.shape
        h = self.attention_conv(rms(x, s.epsilon) * self.attention_norm)
        q, k, v = (
            layer(h).view(batch, length, s.heads, d // s.heads).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        q = rotate(rms(q, s.epsilon) * self.query_norm, cos, sin)
        k = rotate(rms(k, s.epsilon) * self.key_norm, cos, sin)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.output(a.transpose(1, 2).reshape(batch, length, d))
        h = self.hidden_conv(rms(x, s.epsilon) * self.hidden_norm)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding on the two halves of the last axis."""
    left, right = x.chunk(2, dim=-1)
    return torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1)


class Network(nn.Module):
    """Token ids of shape (batch, length) in, hidden states out; ``logits`` reads them."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.Parameter(torch.ones(shape.width))
        self.pointer_query = nn.Linear(shape.width, shape.width, bias=False)
        self.pointer_key = nn.Linear(shape.width, shape.width, bias=False)
        self.share = nn.Linear(shape.width, 1)
        nn.init.zeros_(self.share.weight)
        nn.init.zeros_(self.share.bias)
        nn.init.normal_(self.embedding.weight, std=0.02 * 4)
        for block in self.blocks:
            for name in ("query", "key", "value", "gate", "up"):
                nn.init.normal_(getattr(block, name).weight, std=shape.width**-0.5)
            nn.init.zeros_(block.output.weight)
            nn.init.zeros_(block.down.weight)

    def forward(self, ids: Tensor) -> Tensor:
        """Hidden states (batch, length, width) of token ids (batch, length)."""
        s = self.shape
        half = s.width // s.heads // 2
        frequency = s.rope_base ** (-torch.arange(half, dtype=torch.float32) / half)
        angle = torch.arange(ids.shape[1], dtype=torch.float32)[:, None] * frequency
        cos, sin = angle.cos(), angle.sin()
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x, cos, sin)
        return rms(x, s.epsilon) * self.norm

    def mixture(self, hidden: Tensor, ids: Tensor, at: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The two distributions at chosen positions, in logarithms.

        ``hidden`` is (batch, length, width), ``ids`` (batch, length), ``at`` (batch, chosen) the
        positions. Returns the vocabulary's log probabilities (batch, chosen, vocabulary) and the
        pointer's over positions (batch, chosen, length), both with their share of the mixture
        added, and the chosen hidden states.
        """
        picked = hidden.gather(1, at[..., None].expand(-1, -1, hidden.shape[-1]))
        scores = self.pointer_query(picked) @ self.pointer_key(hidden).mT
        scores = scores * hidden.shape[-1] ** -0.5
        later = torch.arange(ids.shape[1])[None, None, :] > at[..., None]
        pointer = F.log_softmax(scores.masked_fill(later, NEVER), dim=-1)
        share = picked @ self.share.weight.T + self.share.bias
        words = F.log_softmax(self.logits(picked), dim=-1)
        return words + F.logsigmoid(share), pointer + F.logsigmoid(-share), picked

    def target_logprob(self, hidden: Tensor, ids: Tensor, at: Tensor, target: Tensor) -> Tensor:
        """The mixture's log probability of ``target`` (batch, chosen) at positions ``at``."""
        words, pointer, _ = self.mixture(hidden, ids, at)
        here = words.gather(-1, target[..., None])[..., 0]
        other = ids[:, None, :] != target[..., None]
        copied = pointer.masked_fill(other, NEVER).logsumexp(-1)
        return torch.logaddexp(here, copied)

    def logprobs(self, hidden: Tensor, ids: Tensor, at: Tensor) -> Tensor:
        """The mixture over the whole vocabulary, (batch, chosen, vocabulary)."""
        words, pointer, _ = self.mixture(hidden, ids, at)
        copied = torch.zeros_like(words)
        index = ids[:, None, :].expand(-1, at.shape[1], -1)
        copied.scatter_add_(-1, index, pointer.exp())
        return torch.logaddexp(words, copied.clamp_min(1e-38).log())

    def logits(self, hidden: Tensor) -> Tensor:
        """The vocabulary's scores, without the pointer."""
        return hidden @ self.embedding.weight.T
