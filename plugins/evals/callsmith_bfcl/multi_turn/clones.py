"""Copies of the simulated APIs' instances: the state of one turn, or a fresh start.

Loading a scenario anew costs several times as much as copying a loaded instance, because the
official way is a deep copy of the configuration followed by one of the class's default state.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from callsmith_bfcl.multi_turn.stand_ins import LazyRandom

_ATOMS = frozenset({str, int, float, bool, type(None), complex, bytes, datetime})
"""Never changed in place. Every file of a simulated file system holds a `datetime`."""

WRITES_FILES = ("GorillaFileSystem", "echo")
"""The one method that changes a file in place; all others make new ones."""

REPLACED_WHOLE: Mapping[str, frozenset[str]] = {"TravelAPI": frozenset({"_flight_cost_lookup"})}
"""Attributes by class that no public method changes in place. In a long context this one is larger
than the rest of its instance."""


def clone_instance(instance: Any, kept: Collection[int] = (), *, files: bool) -> Any:
    """A copy of an instance with its whole state. Objects whose id is in `kept` stay shared.

    Without `files` the simulated files stay shared too (long contexts have hundreds of them): then
    `WRITES_FILES` may be called only after another copy, with `files`.
    """
    twin = object.__new__(type(instance))
    whole = REPLACED_WHOLE.get(type(instance).__name__, frozenset())
    twin.__dict__.update(_Cloner(kept, files).attributes(vars(instance), whole))
    return twin


class _Cloner:
    """One copy. Parts that occur twice (a directory and the current directory) occur twice again.

    Only what the APIs change in place is looked up in the memo: directories, files, containers.
    """

    def __init__(self, kept: Collection[int], files: bool) -> None:
        self._kept = kept
        self._files = files
        self._uncopied = _ATOMS  # types; and `File`, once one is met
        self._memo: dict[int, Any] = {}

    def attributes(self, values: dict[str, Any], whole: Collection[str] = ()) -> dict[str, Any]:
        return {
            name: value if type(value) in self._uncopied or name in whole else self._clone(value)
            for name, value in values.items()
        }

    def _clone(self, value: Any) -> Any:
        kind = type(value)
        if kind in self._uncopied:
            return value
        if kind.__name__ == "File" and not self._files:
            self._uncopied |= {kind}
            return value
        key = id(value)
        found = self._memo.get(key)
        if found is not None:
            return found
        if key in self._kept:
            return value
        twin: Any
        if kind is dict:
            if self._uncopied.issuperset(map(type, value.values())):
                twin = self._memo[key] = value.copy()
                return twin
            twin = self._memo[key] = {}
            for name, item in value.items():
                twin[name] = item if type(item) in self._uncopied else self._clone(item)
        elif kind is list:
            if self._uncopied.issuperset(map(type, value)):
                twin = self._memo[key] = value.copy()
                return twin
            twin = self._memo[key] = []
            twin.extend([self._clone(item) for item in value])
        elif kind is set:
            twin = self._memo[key] = set(value)
        elif kind is tuple:
            twin = tuple([self._clone(item) for item in value])
        elif kind is LazyRandom:
            twin = self._memo[key] = value.fork()
        elif hasattr(value, "__dict__") and kind.__module__.startswith(__package__ or ""):
            # File and Directory, the only objects that the benchmark's states hold.
            twin = self._memo[key] = object.__new__(kind)
            twin.__dict__.update(self.attributes(value.__dict__))
        else:
            # Numbers of mpmath and decimal, dates: never changed in place.
            twin = value
        return twin
