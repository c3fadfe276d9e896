"""Tokens whose rows in the embedding or the head were never trained, and who can train them.

A base model often has control tokens (`<tool_call>`, `<|tool_call>`) that its training data never
held. Their rows are what initialisation left: short beside the others, or all alike. With the head
frozen, an adapter on the linear layers learns to *open* a call and still writes it wrong.

Reading and judging are apart: `read_matrix` and `trained_rows` look at a model (they import
PyTorch through it, not by themselves), everything else takes numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from callsmith import JsonValue
from callsmith_trl.findings import Finding

SHORT = 0.5
"""A row below this share of the median norm counts as never trained."""
ALIKE = 0.99
"""Two rows with a higher cosine count as never trained apart from each other."""
PIECE = 16384

Where = Literal["embedding", "head"]
Trained = frozenset[int] | Literal["all", "lora"]
"""Which rows of a matrix a recipe trains."""
FIX = (
    "train these rows in both, by the option `token_rows` of the first stage "
    "(PEFT: trainable_token_indices for embed_tokens and lm_head)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One token's row: its norm over the median norm, and the token that it cannot be told from."""

    id: int
    token: str
    norm: float
    alike: str = ""

    @property
    def dead(self) -> bool:
        """Whether it looks as if it had never been trained."""
        return self.norm < SHORT or bool(self.alike)

    def text(self) -> str:
        """The token and why it looks dead."""
        why = [f"norm {self.norm:.2g} of the median"] if self.norm < SHORT else []
        why += [f"the same direction as {self.alike}"] if self.alike else []
        return f"{self.token} ({', '.join(why) or f'norm {self.norm:.2g} of the median'})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrices:
    """What a model has and what is trained of it. `head` is empty where it is tied."""

    tied: bool
    embedding: tuple[Row, ...]
    head: tuple[Row, ...]
    trained: Mapping[Where, Trained]
    split: bool = False
    """A tied pair that the recipe trains as two."""

    def details(self) -> dict[str, JsonValue]:
        """As JSON, for preflight.json."""
        return {
            "tied": self.tied,
            "embedding": _details(self.embedding, self.trained["embedding"]),
            "head": _details(self.head, self.trained["head"]),
        }


def judge_rows(
    tokens: Sequence[tuple[int, str]], vectors: NDArray[np.float32], median: float
) -> tuple[Row, ...]:
    """Judges the rows of `tokens` (id, text); `vectors` has one per token, `median` is the median
    norm over the whole vocabulary."""
    norms = np.linalg.norm(vectors, axis=1)
    units = vectors / np.maximum(norms, 1e-12)[:, None]
    cosines = units @ units.T
    np.fill_diagonal(cosines, 0.0)
    rows = []
    for index, (number, token) in enumerate(tokens):
        other = int(cosines[index].argmax()) if len(tokens) > 1 else index
        alike = tokens[other][1] if other != index and cosines[index, other] > ALIKE else ""
        share = float(norms[index] / median) if median > 0 else 0.0
        rows.append(Row(id=number, token=token, norm=share, alike=alike))
    return tuple(rows)


def row_findings(matrices: Matrices, written: Collection[int]) -> list[Finding]:
    """What is wrong with the rows. `written` are the ids that the model has to write (they need
    the head); the others are only read (they need the embedding)."""
    found = _silent(matrices)
    head = matrices.embedding if matrices.tied else matrices.head
    found += _dead("head", [row for row in head if row.id in written], matrices)
    if not matrices.tied:
        found += _dead("embedding", matrices.embedding, matrices)
    else:
        read = [row for row in matrices.embedding if row.id not in written]
        found += _dead("embedding", read, matrices)
    return found


def _silent(matrices: Matrices) -> list[Finding]:
    """Recipes that run and do not train what they say, or cannot be merged; with the fix."""
    embedding, head = matrices.trained["embedding"], matrices.trained["head"]
    wrong = ""
    if "lora" in (embedding, head):
        wrong = (
            "LoRA on the embedding or the head: TRL refuses it, and on a tied model it cannot be "
            f"merged; {FIX}"
        )
    elif matrices.split:
        wrong = (
            "modules_to_save trains the head of a tied model as a matrix of its own, which unties "
            f"it from the embedding; {FIX}, or set ensure_weight_tying"
        )
    elif not matrices.tied and embedding and not head:
        wrong = (
            "rows of the embedding are trained and those of the untied head are not: nothing that "
            f"the model writes would change; {FIX}"
        )
    elif isinstance(embedding, frozenset) and isinstance(head, frozenset):
        lacking = sorted(embedding ^ head)
        if lacking:
            wrong = f"the rows {lacking} are trained in one of embedding and head only; {FIX}"
    return [Finding(level="error", check="token rows", text=wrong)] if wrong else []


def _dead(place: Where, rows: Sequence[Row], matrices: Matrices) -> list[Finding]:
    trained = matrices.trained[place]
    dead = [row for row in rows if row.dead]
    left = [
        row for row in dead if trained != "all" and (trained == "lora" or row.id not in trained)
    ]
    name = "embedding and head" if matrices.tied else place
    details: dict[str, JsonValue] = {"ids": [row.id for row in dead], "matrix": name}
    if left:
        listed = ", ".join(row.text() for row in left)
        # Without its row in the head a token cannot be written; one that is read badly is a loss.
        consequence = (
            "so the model cannot learn to write them"
            if place == "head"
            else "so the model cannot tell them apart where it reads them"
        )
        return [
            Finding(
                level="error" if place == "head" else "warning",
                check="token rows",
                text=f"never trained in the {name}, {consequence}: {listed}; {FIX}",
                details=details,
            )
        ]
    if dead:
        listed = ", ".join(row.text() for row in dead)
        text = f"never trained in the {name}, and trained by this recipe: {listed}"
        return [Finding(level="info", check="token rows", text=text, details=details)]
    return []


def read_matrix(
    module: Any, tokens: Sequence[tuple[int, str]]
) -> tuple[NDArray[np.float32], float]:
    """The rows of `tokens` in an embedding or head, and the median norm of all rows.

    Rows that an adapter trains are read from the adapter.
    """
    weight = _weight(module).detach()
    # In pieces: in float32 the whole of a large vocabulary takes gigabytes.
    norms = [
        weight[start : start + PIECE].float().norm(dim=1).cpu().numpy()
        for start in range(0, weight.shape[0], PIECE)
    ]
    ids = [number for number, _ in tokens]
    rows = weight[ids].float().cpu().numpy()
    for number, row in _adapted(module).items():
        if number in ids:
            rows[ids.index(number)] = row.detach().float().cpu().numpy()
    return rows, float(np.median(np.concatenate(norms)))


def read_model(model: Any, tokens: Sequence[tuple[int, str]]) -> Matrices:
    """Looks at the rows of `tokens` in a model of transformers, with or without an adapter."""
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    tied = _base(embedding) is not None and _base(embedding) is _base(head)
    said = bool(getattr(model.config.get_text_config(), "tie_word_embeddings", False))
    return Matrices(
        tied=tied,
        embedding=judge_rows(tokens, *read_matrix(embedding, tokens)),
        head=() if tied else judge_rows(tokens, *read_matrix(head, tokens)),
        trained={"embedding": trained_rows(embedding), "head": trained_rows(head)},
        split=said and _alone(embedding) is not _alone(head),
    )


def trained_rows(module: Any) -> Trained:
    """Which rows of an embedding or head will get a gradient."""
    if hasattr(module, "lora_A") or hasattr(module, "lora_embedding_A"):
        return "lora"
    adapter = getattr(module, "token_adapter", None)
    if adapter is not None:
        return frozenset(
            number
            for name, rows in adapter.trainable_tokens_delta.items()
            if rows.requires_grad
            for number in adapter.token_indices[name]
        )
    return "all" if any(one.requires_grad for one in module.parameters()) else frozenset()


def _weight(module: Any) -> Any:
    """The matrix itself, without what an adapter makes of it."""
    adapter = getattr(module, "token_adapter", None)
    if adapter is not None:
        return adapter.base_layer.weight
    copies = getattr(module, "modules_to_save", None)
    if copies is not None:
        return copies[module.active_adapters[0]].weight
    return module.get_base_layer().weight if hasattr(module, "get_base_layer") else module.weight


def _alone(module: Any) -> Any:
    """What is trained: the copy that `modules_to_save` made, or the matrix."""
    return _weight(module)


def _base(module: Any) -> Any:
    """The model's own matrix, below every adapter."""
    original = getattr(module, "original_module", None)
    if original is not None:
        return original.weight
    return _weight(module)


def _adapted(module: Any) -> dict[int, Any]:
    adapter = getattr(module, "token_adapter", None)
    if adapter is None:
        return {}
    return {
        number: rows[index]
        for name, rows in adapter.trainable_tokens_delta.items()
        if name in module.active_adapters
        for index, number in enumerate(adapter.token_indices[name])
    }


def _details(rows: Sequence[Row], trained: Trained) -> JsonValue:
    listed: list[JsonValue] = []
    for row in rows:
        one: dict[str, JsonValue] = {"id": row.id, "token": row.token, "norm": round(row.norm, 4)}
        listed.append(one | ({"alike": row.alike} if row.alike else {}))
    return {
        "rows": listed,
        "trained": trained if isinstance(trained, str) else list(map(int, sorted(trained))),
    }
