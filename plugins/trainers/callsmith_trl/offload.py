"""Gemma's table of per-layer embeddings on the CPU, looked up there.

Gemma 4's E-models have a second embedding, as wide as all layers together: 4.4 GiB in bf16 for
E2B, 5.3 GiB for E4B, more than all their linear layers in 4 bits. It is frozen and only looked up:
some twenty kilobytes per token. Kept in the machine's memory, the GPU gets the rows it needs.

Accelerate's device maps do not do this: a module that is mapped to the CPU is carried to the GPU,
whole, for every forward pass. So the model is made without the table, which is then read by itself
(mapped into memory, so that only the rows that are used are ever read):

    with without_table():
        model = AutoModelForCausalLM.from_pretrained(folder, ...)
    fill_table(model, folder)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from callsmith import ConfigError

TABLE = "embed_tokens_per_layer"


class CpuEmbedding(torch.nn.Module):  # type: ignore[misc]
    """A frozen embedding whose matrix stays on the CPU; its output is where the ids are.

    The matrix is no parameter of the model, so nothing moves, trains or quantises it, and a
    `state_dict` lacks it: only adapters are saved of such a model.
    """

    def __init__(self, scale: float, dtype: torch.dtype) -> None:
        """`scale` multiplies what is looked up, in `dtype`, as Gemma's embeddings do."""
        super().__init__()
        self.scale = scale
        self.dtype = dtype
        self.held: tuple[torch.Tensor, ...] = ()

    @property
    def weight(self) -> torch.Tensor:
        """The matrix, on the CPU."""
        return self.held[0]

    def fill(self, weight: torch.Tensor) -> None:
        """Takes the matrix."""
        # In a tuple PyTorch does not see it.
        self.held = (weight.detach().to("cpu"),)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """The rows of `ids`, scaled."""
        rows = torch.nn.functional.embedding(ids.to("cpu"), self.weight).to(self.dtype)
        scale = torch.tensor(self.scale, dtype=self.dtype, device=ids.device)
        return rows.to(ids.device) * scale


@contextmanager
def without_table() -> Iterator[None]:
    """Within it, text models of Gemma 4 are made with an empty table on the CPU."""
    from transformers.models.gemma4 import modeling_gemma4 as place

    original = place.Gemma4TextScaledWordEmbedding

    class OnCpu(original):  # type: ignore[misc, valid-type]
        def __new__(cls, rows: int, width: int, padding: int, embed_scale: float = 1.0) -> Any:
            # A text model makes two of them: the token embedding first, then the table, which
            # alone has a scale that is the root of the width of one layer's share of it.
            if width % round(embed_scale**2) == 0 and width > round(embed_scale**2):
                return CpuEmbedding(float(embed_scale), torch.get_default_dtype())
            return super().__new__(cls)

    place.Gemma4TextScaledWordEmbedding = OnCpu
    try:
        yield
    finally:
        place.Gemma4TextScaledWordEmbedding = original


def fill_table(model: Any, folder: str | Path) -> bool:
    """Reads the table of a model that was made by `without_table`; whether it has one.

    Raises `ConfigError` where the folder's safetensors files lack it.
    """
    table = _table(model)
    if not isinstance(table, CpuEmbedding):
        return False
    for file in sorted(Path(folder).glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            names = [name for name in list(tensors.keys()) if name.endswith(f"{TABLE}.weight")]
            if names:
                table.fill(tensors.get_tensor(names[0]))
                return True
    raise ConfigError(f"{folder} lacks the weights {TABLE}.weight; it was cut")


def has_table_on_cpu(model: Any) -> bool:
    """Whether the model looks its table up on the CPU."""
    return isinstance(_table(model), CpuEmbedding)


def table_of(model: Any) -> dict[str, torch.Tensor]:
    """The table of a model that looks it up on the CPU, by its name among the weights, in the
    model's precision; else nothing."""
    return {
        f"{name}.weight": module.weight.to(model.dtype)
        for name, module in model.named_modules()
        if isinstance(module, CpuEmbedding)
    }


def _table(model: Any) -> Any:
    for module in model.modules():
        table = getattr(module, TABLE, None)
        if table is not None:
            return table
    return None
