"""How much the calls of one episode may cost, counted in steps and sizes, never in seconds."""

from __future__ import annotations

MAX_TEXT = 262_144
"""Characters of one call string. What is longer is not parsed."""
MAX_DEPTH = 200
"""Levels of nesting in one call; Python itself stops at 200 open brackets."""
MAX_LENGTH = 1_000_000
"""Units of one computed value: characters, and `ITEM` for every value inside a container."""
ITEM = 8
"""Units of one item, however small: it takes as much time and more memory than 8 characters."""
MAX_BITS = 65_536
"""Bits of one computed integer (about 19,700 digits; Python prints at most 4,300)."""
EPISODE_CALLS = 20_000
"""Call strings of one episode. The next ones are answered with an error."""
EPISODE_UNITS = 32_000_000
"""Units that one episode may compute, pass on and print, all calls together."""
EPISODE_NODES = 20_000
"""Files and directories that one episode may copy with whole directories."""


class CallError(Exception):
    """A call that cannot be carried out; its text goes into the result, as any exception's does."""


class Budget:
    """What is left for one episode. The answer's episode and the model's have one each."""

    __slots__ = ("calls", "nodes", "units")

    def __init__(self) -> None:
        self.calls = EPISODE_CALLS
        self.units = EPISODE_UNITS
        self.nodes = EPISODE_NODES

    def charge_call(self) -> None:
        """One more call string. Raises `CallError` when there were too many."""
        self.calls -= 1
        if self.calls < 0:
            raise CallError(f"more than {EPISODE_CALLS} calls in one episode")

    def charge(self, units: int) -> None:
        """Raises `CallError` when the episode's values have become too large in sum."""
        self.units -= units
        if self.units < 0:
            raise CallError("the values of this episode are too large")

    def admit(self, value: object) -> None:
        """Charges what a value weighs. Raises `CallError`, which costs as much as the weighing."""
        try:
            self.charge(weigh(value))
        except CallError:
            self.units -= MAX_LENGTH
            raise

    def charge_nodes(self, nodes: int) -> None:
        """Raises `CallError` when too many files are copied."""
        self.nodes -= nodes
        if self.nodes < 0:
            raise CallError("too many files are copied in this episode")


def weigh(value: object) -> int:
    """The units of a value, shared parts counted as often as they are printed.

    Raises `CallError` above `MAX_LENGTH`, which also ends the walk through a value that contains
    itself.
    """
    total = 0
    pending = [value]
    while pending:
        item = pending.pop()
        total += ITEM
        if isinstance(item, (str, bytes)):
            total += len(item)
        elif isinstance(item, int):
            total += item.bit_length() >> 5
        elif isinstance(item, range):
            total += ITEM * len(item)
        elif isinstance(item, (dict, list, tuple, set, frozenset)):
            if total + ITEM * len(item) <= MAX_LENGTH:
                pending.extend(item)
                if isinstance(item, dict):
                    pending.extend(item.values())
            else:
                total += ITEM * len(item)
        if total > MAX_LENGTH:
            raise CallError("the value is too large")
    return total


def duplicate(value: object) -> object:
    """A copy that shares no container with the original. Call it on weighed values only."""
    kind = type(value)
    if kind is list:
        return [duplicate(item) for item in value]  # type: ignore[attr-defined]
    if kind is dict:
        return {key: duplicate(item) for key, item in value.items()}  # type: ignore[attr-defined]
    if kind is tuple:
        return tuple([duplicate(item) for item in value])  # type: ignore[attr-defined]
    if kind is set:
        return set(value)  # type: ignore[call-overload]
    return value
