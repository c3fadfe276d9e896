"""Arguments on which a simulated API would compute for hours or fill the memory.

The official scorer has no such guard and hangs; here the call is an error result. The limits lie
far above what any answer of the benchmark needs (its largest precision is 20 digits).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from callsmith_bfcl.multi_turn.budget import MAX_BITS, Budget, CallError

MAX_DIGITS = 20_000
"""Decimal digits of a precision, or of a number in a string (its exponent has at most four)."""

_EXPONENT = re.compile(r"[eE]\s*[+-]?\s*([\d_]+)")

Arguments = tuple[Any, ...]
Keywords = Mapping[str, Any]


def check_power(base: Any, exponent: Any) -> None:
    """Raises `CallError` for an integer power with too many bits."""
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0:
        bits = base.bit_length()
        if bits > 1 and bits * exponent > MAX_BITS:
            raise CallError("the power is too large")


def check_digits(value: Any) -> None:
    """Raises `CallError` for a precision that would take hours."""
    if isinstance(value, (int, float)) and abs(value) > MAX_DIGITS and value == value:
        if value in (float("inf"), float("-inf")):
            return  # refused by the API itself
        raise CallError("the precision is too large")


def _argument(index: int, name: str, args: Arguments, kwargs: Keywords) -> Any:
    return args[index] if len(args) > index else kwargs.get(name)


def _power(instance: Any, args: Arguments, kwargs: Keywords, budget: Budget) -> None:
    check_power(_argument(0, "base", args, kwargs), _argument(1, "exponent", args, kwargs))


def _logarithm(instance: Any, args: Arguments, kwargs: Keywords, budget: Budget) -> None:
    check_digits(_argument(2, "precision", args, kwargs))
    for index, name in enumerate(("value", "base")):
        value = _argument(index, name, args, kwargs)
        if isinstance(value, str):
            # mpmath reads numbers from strings, and computes 10 ** exponent to do so.
            digits = [found.replace("_", "").lstrip("0") for found in _EXPONENT.findall(value)]
            if len(value) > MAX_DIGITS or any(len(found) > 4 for found in digits):
                raise CallError("the number is too long")


def _square_root(instance: Any, args: Arguments, kwargs: Keywords, budget: Budget) -> None:
    check_digits(_argument(1, "precision", args, kwargs))


def _round_number(instance: Any, args: Arguments, kwargs: Keywords, budget: Budget) -> None:
    check_digits(_argument(1, "decimal_places", args, kwargs))


def _copy(instance: Any, args: Arguments, kwargs: Keywords, budget: Budget) -> None:
    """Directories are copied with shared contents, so that a few copies can make a huge tree."""
    source = _argument(0, "source", args, kwargs)
    if type(source) is not str:
        return
    pending = [instance._current_dir.contents.get(source)]
    while pending:
        item = pending.pop()
        budget.charge_nodes(1)
        contents = getattr(item, "contents", None)
        if contents is not None:
            pending.extend(contents.values())


Guard = Callable[[Any, Arguments, Keywords, Budget], None]

GUARDS: Mapping[tuple[str, str], Guard] = {
    ("MathAPI", "power"): _power,
    ("MathAPI", "logarithm"): _logarithm,
    ("MathAPI", "square_root"): _square_root,
    ("MathAPI", "round_number"): _round_number,
    ("GorillaFileSystem", "cp"): _copy,
}
"""Which calls are looked at before they are made, by class and method."""
