"""What the simulated APIs import, where the real module would be too much or too slow.

- `random`: seeding a generator costs more than most calls, and most instances never draw a number.
  `LazyRandom` seeds CPython's own generator at the first draw: the numbers are the same.
- `mpmath`: imported at the first logarithm, with a context of its own, so that neither the
  precision of this process' mpmath nor the start-up time changes.
- `copy`: the default states are copied for every instance, although most are plain containers.
- `subprocess`: imported by one module and never used there; it gets an empty one.
"""

from __future__ import annotations

import copy
import importlib.util
import random
from types import ModuleType
from typing import Any

from callsmith import MissingExtraError


class LazyRandom:
    """A `random.Random` that is seeded when it is first asked for a number."""

    __slots__ = ("_generator", "_seed")

    def __init__(self, seed: Any = None) -> None:
        self._seed = seed
        self._generator: random.Random | None = None

    def fork(self) -> LazyRandom:
        """A generator that continues as this one would, independent of it."""
        twin = LazyRandom(self._seed)
        if self._generator is not None:
            twin._generator = random.Random()
            twin._generator.setstate(self._generator.getstate())
        return twin

    def randint(self, a: int, b: int) -> int:
        """As `random.Random.randint`."""
        return self._drawn().randint(a, b)

    def uniform(self, a: float, b: float) -> float:
        """As `random.Random.uniform`."""
        return self._drawn().uniform(a, b)

    def _drawn(self) -> random.Random:
        if self._generator is None:
            self._generator = random.Random(self._seed)
        return self._generator


class LazyMpmath:
    """The two names that MathAPI uses of mpmath."""

    def __init__(self) -> None:
        self._context: Any = None

    @property
    def mp(self) -> Any:
        """The context, whose `dps` is the precision."""
        if self._context is None:
            from mpmath.ctx_mp import MPContext

            self._context = MPContext()
        return self._context

    def log(self, value: Any) -> Any:
        """The natural logarithm at the context's precision."""
        return self.mp.log(value)


def quick_deepcopy(value: Any) -> Any:
    """`copy.deepcopy`, several times as fast for trees of plain containers and values."""
    try:
        return _copied(value)
    except _NotPlain:
        return copy.deepcopy(value)


class _NotPlain(Exception):
    """The value holds an object that is no plain container or value."""


def _copied(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {
            key: item if type(item) in _VALUES else _copied(item) for key, item in value.items()
        }
    if kind is list:
        return [item if type(item) in _VALUES else _copied(item) for item in value]
    if kind in _VALUES:
        return value
    if kind is set and all(type(item) in _VALUES for item in value):
        return set(value)
    raise _NotPlain


_VALUES = frozenset({str, int, float, bool, type(None)})


def require_mpmath() -> None:
    """Raises `MissingExtraError` where mpmath is not installed.

    Without this check MathAPI would turn the missing module into an error result, and a verdict
    would be wrong in silence.
    """
    if importlib.util.find_spec("mpmath") is None:
        raise MissingExtraError("mpmath is not installed; run `pip install mpmath`")


def stand_ins() -> dict[str, Any]:
    """Fresh stand-ins by module name, for one set of loaded modules."""
    quick_copy = ModuleType("copy")
    quick_copy.deepcopy = quick_deepcopy  # type: ignore[attr-defined]
    lazy_random = ModuleType("random")
    lazy_random.Random = LazyRandom  # type: ignore[attr-defined]
    return {
        "copy": quick_copy,
        "random": lazy_random,
        "mpmath": LazyMpmath(),
        "subprocess": ModuleType("subprocess"),
    }
