"""Duplicates, and sealed splits by hash of content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from callsmith_tasks.data.row import (
    Rejected,
    Row,
    content_digest,
    digest,
    normal_digest,
    text_of,
    words,
    written_digest,
)

SPLITS = ("train", "dev", "test")


def without_duplicates(rows: Iterable[Row]) -> tuple[tuple[Row, ...], tuple[Rejected, ...]]:
    """The first of all equal rows, and the others with the id of the row that stays.

    `duplicate` rows are equal in content; `near-duplicate` rows are equal but for case,
    punctuation, white space, and the order of tools or of several calls.
    """
    exact: dict[str, str] = {}
    near: dict[str, str] = {}
    kept: list[Row] = []
    removed: list[Rejected] = []
    for row in rows:
        keys = content_digest(row), normal_digest(row)
        if keys[0] in exact:
            removed.append(_removed(row, "duplicate", exact[keys[0]]))
        elif keys[1] in near:
            removed.append(_removed(row, "near-duplicate", near[keys[1]]))
        else:
            kept.append(row)
            near[keys[1]] = row.id
        exact.setdefault(keys[0], row.id)
    return tuple(kept), tuple(removed)


def without_repeats(rows: Iterable[Row]) -> tuple[tuple[Row, ...], tuple[Rejected, ...]]:
    """As `without_duplicates`, but only rows that are written alike, orders included, are equal.

    For augmented rows: another order of tools or arguments is what makes some of them.
    """
    seen: dict[str, str] = {}
    kept: list[Row] = []
    removed: list[Rejected] = []
    for row in rows:
        key = written_digest(row)
        if key in seen:
            removed.append(_removed(row, "duplicate", seen[key]))
        else:
            seen[key] = row.id
            kept.append(row)
    return tuple(kept), tuple(removed)


def _removed(row: Row, reason: str, kept: str) -> Rejected:
    return Rejected(
        id=row.id, source=row.source, reason=reason, detail=f"equals the row {kept}, which stays"
    )


def split_key(row: Row) -> str:
    """What decides a row's split: its first question, normalised.

    The turns of one conversation, and one question with other tools or from another data set,
    therefore always fall into the same split.
    """
    first = next((m for m in row.messages if m.role == "user"), None)
    said = words(text_of(first.content)) if first else []
    return digest(" ".join(said))


def split_of(row: Row, fractions: Mapping[str, float], salt: str = "") -> str:
    """`train`, `dev` or `test`: the hash of the content decides, not the order or other rows.

    `fractions` are the shares of `dev` and `test`; the rest is `train`. Adding rows to a data set
    moves no row from one split to another. Raises `ValueError` for shares that leave no room.
    """
    dev, test = fractions.get("dev", 0.0), fractions.get("test", 0.0)
    if min(dev, test) < 0 or dev + test >= 1:
        raise ValueError(f"dev {dev} and test {test} must be positive and leave rows to train on")
    at = int(digest(f"{salt}\n{split_key(row)}")[:16], 16) / 2**64
    if at < test:
        return "test"
    return "dev" if at < test + dev else "train"


def split_rows(
    rows: Iterable[Row], fractions: Mapping[str, float], salt: str = ""
) -> dict[str, tuple[Row, ...]]:
    """All rows by split, in their order; every split has an entry."""
    found: dict[str, list[Row]] = {name: [] for name in SPLITS}
    for row in rows:
        found[split_of(row, fractions, salt)].append(row)
    return {name: tuple(items) for name, items in found.items()}


def seal(rows: Sequence[Row]) -> str:
    """Identifies a split by the content of its rows, in any order: what a manifest records."""
    return digest("\n".join(sorted(content_digest(row) for row in rows)))
