"""The network's layers: the arithmetic of `training/network.py` with masks and a cache."""

from __future__ import annotations

# PyTorch and transformers are not installed where the types are checked: their classes are Any.
# mypy: disable-error-code="misc"
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_layers import GradientCheckpointingLayer

from callsmith_tiny.training.network import rms, rotate

from .cache import BlockLayer
from .configuration import TinyConfig
from .text import Text


class Convolution(nn.Module):
    """x[t] + sum over j of w[j] * x[t - j], per channel, within one text."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(kernel, width))

    def forward(
        self, x: Tensor, before: Tensor | None, taps: list[Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        """(batch, length, width) in and out, and the last kernel - 1 inputs.

        `before` are the inputs before, (batch, kernel - 1, width); None: there were none.
        """
        kernel, length = self.weight.shape[0], x.shape[1]
        if before is None:
            padded = F.pad(x, (0, 0, kernel - 1, 0))
        else:
            padded = torch.cat((before, x), dim=1)
        out = x * (1 + self.weight[0])
        for j in range(1, kernel):
            earlier = padded[:, kernel - 1 - j : kernel - 1 - j + length]
            if taps is not None:
                earlier = earlier * taps[j - 1]
            out = torch.addcmul(out, earlier, self.weight[j])
        return out, padded[:, length:]


class Reading:
    """What all blocks need of a text: rotations, masks."""

    def __init__(self, text: Text, config: TinyConfig, dtype: torch.dtype) -> None:
        device = text.here.device
        half = config.head_width // 2
        frequency = config.rope_base ** (-torch.arange(half, device=device).float() / half)
        angle = text.positions[:, None, :, None].float() * frequency
        self.cos, self.sin = angle.cos().to(dtype), angle.sin().to(dtype)
        visible = text.visible()
        self.mask = None if visible is None else visible[:, None]
        self.causal = visible is None and len(text.here) > 1
        self.real = text.real(dtype)
        self.taps = text.taps(config.kernel, dtype)


class Block(GradientCheckpointingLayer):
    """Attention and feed-forward layer, each with its norm and its convolution before it."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        d, head = config.hidden_size, config.head_width
        self.epsilon = config.epsilon
        self.config = config
        self.attention_norm = nn.Parameter(torch.ones(d))
        self.attention_conv = Convolution(d, config.kernel)
        self.query = nn.Linear(d, d, bias=False)
        self.key = nn.Linear(d, d, bias=False)
        self.value = nn.Linear(d, d, bias=False)
        self.output = nn.Linear(d, d, bias=False)
        self.query_norm = nn.Parameter(torch.ones(head))
        self.key_norm = nn.Parameter(torch.ones(head))
        self.hidden_norm = nn.Parameter(torch.ones(d))
        self.hidden_conv = Convolution(d, config.kernel)
        self.gate = nn.Linear(d, config.intermediate_size, bias=False)
        self.up = nn.Linear(d, config.intermediate_size, bias=False)
        self.down = nn.Linear(config.intermediate_size, d, bias=False)

    def forward(
        self, x: Tensor, reading: Reading, past_key_values: BlockLayer | None = None
    ) -> Tensor:
        """(batch, length, width) in and out; `past_key_values` is the block's layer."""
        layer, recent = past_key_values, []
        before = layer.recent if layer is not None and layer.recent else (None, None)
        h = rms(x, self.epsilon) * self.attention_norm
        h = h if reading.real is None else h * reading.real
        h, last = self.attention_conv(h, before[0], reading.taps)
        recent.append(last)
        x = x + self.output(self._attend(h, reading, layer))
        h = rms(x, self.epsilon) * self.hidden_norm
        h = h if reading.real is None else h * reading.real
        h, last = self.hidden_conv(h, before[1], reading.taps)
        recent.append(last)
        if layer is not None:
            layer.recent = recent
        return x + self.down(F.silu(self.gate(h)) * self.up(h))

    def _attend(self, h: Tensor, reading: Reading, layer: BlockLayer | None) -> Tensor:
        batch, length, d = h.shape
        shape = (batch, length, self.config.num_attention_heads, self.config.head_width)
        q, k, v = (one(h).view(shape).transpose(1, 2) for one in (self.query, self.key, self.value))
        q = rotate(rms(q, self.epsilon) * self.query_norm, reading.cos, reading.sin)
        k = rotate(rms(k, self.epsilon) * self.key_norm, reading.cos, reading.sin)
        if layer is not None:
            k, v = layer.update(k, v)
        a = F.scaled_dot_product_attention(
            q, k, v, attn_mask=reading.mask, is_causal=reading.causal
        )
        return a.transpose(1, 2).reshape(batch, length, d)
