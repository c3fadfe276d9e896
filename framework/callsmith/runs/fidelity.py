"""What is known about the arms of a run, side by side: pure rows from a run folder's header.

Only what both sides know can differ: a value that one arm does not know is neither the same nor
another one, and is said to be unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

FIELDS = (
    "runtime", "runtime_version", "model", "model_digest", "quantization", "context_length",
    "renderer", "parser", "template_digest", "tokenizer_digest", "history",
)  # fmt: skip
"""Fields of `Fidelity` that are compared, in the order of the table."""

EXPECTED = frozenset({"runtime", "runtime_version", "renderer", "parser"})
"""Fields in which arms differ because they are different arms: what a bake-off is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FidelityRow:
    """One field over all arms. `values` are in the order of the arms; None is unknown.

    `state` is "differs" when two known values are not equal, else "unknown" when some arm does
    not know it, else "same".
    """

    field: str
    values: tuple[str | None, ...]
    state: Literal["same", "differs", "unknown"]

    @property
    def expected(self) -> bool:
        """Whether a difference is what distinguishes arms, not a reason against ranking them."""
        return self.field in EXPECTED


def fidelity_rows(header: Mapping[str, Any]) -> tuple[FidelityRow, ...]:
    """The rows of a run's last session.

    Sampling comes as asked for (`sampling.temperature`, …) with what the runtime does with it:
    a value that it ignores is shown as ignored, one whose use is unknown as unknown. Options are
    there only where they differ.
    """
    sessions = header.get("sessions") or [{}]
    known: Mapping[str, Mapping[str, Any]] = sessions[-1].get("fidelity") or {}
    arms = header["config"]["arms"]
    found = [known.get(name) or {} for name in arms]
    rows = [_row(name, [_text(item.get(name)) for item in found]) for name in FIELDS]
    asked = [arm["sampling"] for arm in arms.values()]
    for name in dict.fromkeys(name for sampling in asked for name in sampling):
        values = [
            _sampled(sampling.get(name), (item.get("sampling") or {}).get(name))
            for sampling, item in zip(asked, found, strict=True)
        ]
        rows.append(_row(f"sampling.{name}", values))
    return (*rows, *_differing_options(arms))


def _differing_options(arms: Mapping[str, Mapping[str, Any]]) -> list[FidelityRow]:
    """Options that several arms have and that are not equal in all of them."""
    rows = []
    for part in ("options", "template_options", "parser_options"):
        given = [arm.get(part) or {} for arm in arms.values()]
        for name in dict.fromkeys(name for options in given for name in options):
            values = [_text(options[name]) if name in options else None for options in given]
            row = _row(f"{part}.{name}", values)
            if row.state == "differs":
                rows.append(row)
    return rows


def _row(name: str, values: list[str | None]) -> FidelityRow:
    told = {value for value in values if value is not None}
    state: Literal["same", "differs", "unknown"] = "same"
    if len(told) > 1:
        state = "differs"
    elif None in values:
        state = "unknown"
    return FidelityRow(field=name, values=tuple(values), state=state)


def _sampled(asked: object, use: object) -> str | None:
    if use == "applied":
        return _text(asked)
    return "ignored" if use == "ignored" else None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
