"""The augmentations by name, and their application to a set of rows."""

from __future__ import annotations

from collections.abc import Sequence

from callsmith_tasks.data.augmenting import (
    Augmentation,
    distractors,
    follow_up,
    irrelevance,
    several_calls,
    shuffle_arguments,
    shuffle_tools,
)
from callsmith_tasks.data.masking import mask_names, mask_parameters
from callsmith_tasks.data.row import Row, digest

AUGMENTATIONS: dict[str, Augmentation] = {
    "irrelevance": irrelevance,
    "mask-names": mask_names,
    "mask-parameters": mask_parameters,
    "shuffle-arguments": shuffle_arguments,
    "shuffle-tools": shuffle_tools,
    "distractors": distractors,
    "several-calls": several_calls,
    "follow-up": follow_up,
}
"""The order in which they are listed; each is applied to the original rows, never to another's."""


def augment(rows: Sequence[Row], shares: dict[str, float], seed: int) -> tuple[Row, ...]:
    """New rows (the given ones are not among them): `shares` of the rows, by augmentation.

    Which rows are chosen depends on the seed and each row's id alone. Raises `KeyError` for an
    unknown name.
    """
    made: list[Row] = []
    for name, share in shares.items():
        for row in rows:
            drawn = int(digest(f"{seed}:{name}:{row.id}")[:13], 16) / 16**13
            if drawn < share and (new := AUGMENTATIONS[name](row, seed, rows)) is not None:
                made.append(new)
    return tuple(made)
