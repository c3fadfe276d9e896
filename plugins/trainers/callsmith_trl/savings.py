"""Which changes of a recipe would lower its memory, and by how much. Pure, as `memory` is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from callsmith_trl.memory import GIB, Recipe, estimate, weights
from callsmith_trl.shapes import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """One change of the recipe and the bytes that it takes off the peak."""

    change: str
    size: int

    def text(self) -> str:
        """The change and what it saves."""
        return f"{self.change} saves {self.size / GIB:.1f} GiB"


def savings(shape: Shape, recipe: Recipe) -> tuple[Saving, ...]:
    """What would lower the peak, in the words of the options, the most effective first."""
    return _savings(shape, recipe, lambda shape, recipe: estimate(shape, recipe).size)


def weight_savings(shape: Shape, recipe: Recipe) -> tuple[Saving, ...]:
    """The same for the weights alone, which loading needs."""
    return _savings(shape, recipe, weights)


def _savings(
    shape: Shape, recipe: Recipe, size: Callable[[Shape, Recipe], int]
) -> tuple[Saving, ...]:
    now = size(shape, recipe)
    found = [
        Saving(change=change, size=now - size(shape, other))
        for change, other in _alternatives(shape, recipe)
    ]
    return tuple(sorted((one for one in found if one.size > 0), key=lambda one: -one.size))


def _alternatives(shape: Shape, recipe: Recipe) -> Sequence[tuple[str, Recipe]]:
    found: list[tuple[str, Recipe]] = []
    if not recipe.lora_rank:
        found.append(("adapter: lora", replace(recipe, lora_rank=16)))
    if not recipe.quantization and recipe.lora_rank:
        found.append(("quantization: nf4", replace(recipe, quantization="nf4")))
    if recipe.quantization and recipe.lora_rank and not recipe.double_quant:
        found.append(("double_quant: true", replace(recipe, double_quant=True)))
    if recipe.dtype > 2 and recipe.lora_rank:
        found.append(("dtype: bfloat16", replace(recipe, dtype=2)))
    if shape.per_layer_weights and not recipe.ple_on_cpu:
        found.append(("table_on_cpu: true", replace(recipe, ple_on_cpu=True)))
    if not recipe.checkpointing:
        found.append(("gradient_checkpointing: true", replace(recipe, checkpointing=True)))
    if recipe.token_rows and not recipe.narrow_rows and recipe.lora_rank:
        found.append(("token_rows: off", replace(recipe, token_rows=0)))
    if "8bit" not in recipe.optimizer:
        found.append(("optimizer: paged_adamw_8bit", replace(recipe, optimizer="paged_adamw_8bit")))
    if recipe.batch > 1:
        half = recipe.batch // 2
        found.append((f"batch_size: {half}", replace(recipe, batch=half)))
    if recipe.group > 2:
        half = recipe.group // 2
        found.append((f"completions_at_once: {half}", replace(recipe, group=half)))
    if recipe.length > 256:
        half = recipe.length // 2
        shorter = replace(recipe, length=half, new_tokens=min(recipe.new_tokens, half // 2))
        found.append((f"max_length: {half}", shorter))
    if recipe.lora_rank > 4:
        half = recipe.lora_rank // 2
        found.append((f"rank: {half}", replace(recipe, lora_rank=half)))
    return found
