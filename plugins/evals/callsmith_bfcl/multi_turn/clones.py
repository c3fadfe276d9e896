"""Copies of the simulated APIs' instances: the state of one turn, or a fresh start.

Loading a scenario anew costs several times as much as copying a loaded instance, because the
official way is a deep copy of the configuration followed by one of the class's default state.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from callsmith_bfcl.multi_turn.stand_ins import LazyRandom

_ATOMS = frozenset({str, int, float, bool, type(None), complex, bytes, datetime})
"""Never changed in place. Every file of a simulated file system holds a `datetime`."""


WRITES_FILES = ("GorillaFileSystem", "echo")
"""The one method that changes a file in place; all others make new ones."""


def clone_instance(instance: Any, kept: Collection[int] = (), *, files: bool) -> Any:
    """A copy of an instance with its whole state. Objects whose id is in `kept` stay shared.

    Without `files` the simulated files stay shared too (long contexts have hundreds of them): then
    `WRITES_FILES` may be called only after another copy, with `files`.
    """
    twin = object.__new__(type(instance))
    twin.__dict__.update(_Cloner(kept, files).attributes(vars(instance)))
    return twin


class _Cloner:
    """One copy. Parts that occur twice (a directory and the current directory) occur twice again.

    Only what the APIs change in place is looked up in the memo: directories, files, containers.
    """

    def __init__(self, kept: Collection[int], files: bool) -> None:
        self._kept = kept
        self._files = files
        self._memo: dict[int, Any] = {}

    def attributes(self, values: dict[str, Any]) -> dict[str, Any]:
        return {
            name: value if type(value) in _ATOMS else self._clone(value)
            for name, value in values.items()
        }

    def _clone(self, value: Any) -> Any:
        kind = type(value)
        if kind in _ATOMS or (kind.__name__ == "File" and not self._files):
            return value
        key = id(value)
        found = self._memo.get(key)
        if found is not None:
            return found
        if key in self._kept:
            return value
        twin: Any
        if kind is dict:
            twin = self._memo[key] = {}
            for name, item in value.items():
                twin[name] = item if type(item) in _ATOMS else self._clone(item)
        elif kind is list:
            twin = self._memo[key] = []
            twin.extend([item if type(item) in _ATOMS else self._clone(item) for item in value])
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
