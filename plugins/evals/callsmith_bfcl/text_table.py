"""Plain tables of text, for commands that must start fast (rich takes a tenth of a second)."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], *, left: int = 1, gap: str = "  ") -> list[str]:
    """The rows as lines: the first `left` columns to the left, the others to the right.

    An empty row is an empty line.
    """
    widths: list[int] = []
    for row in rows:
        widths += [0] * (len(row) - len(widths))
        for column, cell in enumerate(row):
            widths[column] = max(widths[column], len(cell))
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append(gap.join(cells).rstrip())
    return lines


def percent(share: float | None, places: int = 2) -> str:
    """A share in percent; an em dash for none."""
    return "—" if share is None else f"{share * 100:.{places}f}%"


def percent_range(low: float, high: float) -> str:
    """An interval of shares, in percent."""
    return f"{low * 100:.1f} … {high * 100:.1f}"
