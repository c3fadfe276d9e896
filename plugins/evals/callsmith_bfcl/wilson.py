"""The Wilson interval, without the imports that the framework's own comes with.

`callsmith.wilson_interval` is the same function; taking it from there imports the runner of
bake-offs (a fifth of a second), which scoring a folder has no use for. A test holds them equal.
"""

from __future__ import annotations

from math import sqrt

_Z = 1.959964


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share; (0, 1) when `total` is 0.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    JASA 22 (1927).
    """
    if total == 0:
        return (0.0, 1.0)
    share, square = right / total, _Z * _Z / total
    centre = (share + square / 2) / (1 + square)
    reach = _Z * sqrt(share * (1 - share) / total + square / (4 * total)) / (1 + square)
    # At the ends the bound is exact; rounding must not put it on the wrong side.
    low = 0.0 if right == 0 else max(0.0, centre - reach)
    return (low, 1.0 if right == total else min(1.0, centre + reach))
