"""Muon in fp32: momentum whose matrices are made orthogonal by Newton-Schulz iterations.

``torch.optim.Muon`` iterates in bf16, which processors without bf16 units only emulate.
Method: Keller Jordan et al. 2024, with the published quintic coefficients.
"""

from __future__ import annotations

# PyTorch is not installed where the types are checked, so its classes are Any there.
# mypy: disable-error-code="misc, untyped-decorator"
from collections.abc import Iterable

import torch
from torch import Tensor

_A, _B, _C = 3.4445, -4.7750, 2.0315


def orthogonal(x: Tensor, steps: int = 5) -> Tensor:
    """The nearest matrices with singular values around one; x has shape (n, rows, columns)."""
    wide = x.shape[1] <= x.shape[2]
    x = x if wide else x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return x if wide else x.mT


class Muon(torch.optim.Optimizer):
    """For the two-dimensional weights of hidden layers only."""

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.95, decay: float = 0.0
    ) -> None:
        super().__init__(list(parameters), {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: object = None) -> None:
        """One update of every parameter that has a gradient; `closure` is not used."""
        for group in self.param_groups:
            same: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = {}
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                update = p.grad.lerp(state["momentum"], group["momentum"])
                same.setdefault(tuple(p.shape), []).append((p, update))
            for (rows, columns), pairs in same.items():
                updates = orthogonal(torch.stack([u for _, u in pairs]))
                scale = max(1.0, rows / columns) ** 0.5
                for (p, _), update in zip(pairs, updates, strict=True):
                    p.mul_(1 - group["lr"] * group["decay"])
                    p.add_(update, alpha=-group["lr"] * scale)
