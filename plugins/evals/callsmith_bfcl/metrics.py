"""What the verdict does not tell apart: metrics of single-turn calls beside it.

Each metric is about the entries that it can be asked of, and None for the others:

- `parseable`: entries where a call is due; the output was read as at least one call.
- `known_tools`: entries with a call; every call names an offered function. Its complement is the
  rate of hallucinated tools.
- `schema_valid`: entries with a call; every call names an offered function, gives what that
  function requires and nothing that it does not know, and each value has the declared type and is
  among the declared values.
- `right_names`: entries with an answer; the names of the calls are those of the answer, each as
  often, in any order.
- `right_arguments`: entries with right names; the verdict, so the arguments decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from callsmith_bfcl.wilson import wilson_interval

_NUMBER = (int, float)
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "float": _NUMBER,
    "number": _NUMBER,
    "boolean": (bool,),
    "array": (list, tuple),
    "tuple": (list, tuple),
    "dict": (dict,),
    "object": (dict,),
}


@dataclass(frozen=True, slots=True)
class CallMetrics:
    """The metrics of one entry; see the module's docstring."""

    parseable: bool | None = None
    known_tools: bool | None = None
    schema_valid: bool | None = None
    right_names: bool | None = None
    right_arguments: bool | None = None


METRICS = tuple(field.name for field in fields(CallMetrics))
"""The names of the metrics, from the first thing that can go wrong to the last."""


def measure(
    functions: Sequence[Mapping[str, Any]],
    calls: Sequence[Mapping[str, Any]] | None,
    *,
    valid: bool,
    ground_truth: Sequence[Mapping[str, Any]] | None = None,
    call_due: bool = True,
    underscore_to_dot: bool = False,
    source_text: bool = False,
) -> CallMetrics:
    """The metrics of one entry.

    `calls` are the calls that were read, each `{name: arguments}`; None when the output could not
    be read. `valid` is the verdict. With `source_text` (Java, JavaScript) every value is a string
    of source code, whatever type is declared.
    """
    offered = {
        doc["name"].replace(".", "_") if underscore_to_dot else doc["name"]: doc
        for doc in functions
    }
    named = [next(iter(call.items())) for call in calls or ()]
    known = fits = right_names = right_arguments = None
    if named:
        known = all(name in offered for name, _ in named)
        fits = known and all(
            fits_schema(arguments, offered[name]["parameters"], source_text=source_text)
            for name, arguments in named
        )
    if ground_truth is not None:
        wanted = (next(iter(answer)) for answer in ground_truth)
        if underscore_to_dot:
            wanted = (name.replace(".", "_") for name in wanted)
        right_names = bool(named) and Counter(wanted) == Counter(name for name, _ in named)
        right_arguments = valid if right_names else None
    return CallMetrics(
        parseable=bool(named) if call_due else None,
        known_tools=known,
        schema_valid=fits,
        right_names=right_names,
        right_arguments=right_arguments,
    )


def fits_schema(
    arguments: Any, parameters: Mapping[str, Any], *, source_text: bool = False
) -> bool:
    """Whether arguments fit a function's `parameters`, in the benchmark's own dialect of schemas.

    `float` takes integers, `tuple` and `array` take lists, `any` and unknown types take anything;
    a boolean is no number.
    """
    if not isinstance(arguments, dict):
        return False
    properties = parameters.get("properties", {})
    if any(name not in arguments for name in parameters.get("required", ())):
        return False
    try:
        return all(
            name in properties
            and (isinstance(value, str) if source_text else _fits(value, properties[name]))
            for name, value in arguments.items()
        )
    except RecursionError:
        return False


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    types = _TYPES.get(schema.get("type", ""))
    if types is None:
        return True
    if not isinstance(value, types) or (isinstance(value, bool) and types is not _TYPES["boolean"]):
        return False
    if isinstance(value, dict):
        # An object without declared keys takes any.
        return "properties" not in schema or fits_schema(value, schema)
    if isinstance(value, list | tuple):
        items = schema.get("items")
        return not isinstance(items, dict) or all(_fits(item, items) for item in value)
    allowed = schema.get("enum")
    return not isinstance(allowed, list) or value in allowed


@dataclass(frozen=True, slots=True)
class Share:
    """How many of the entries that a metric can be asked of have it."""

    count: int
    total: int

    @property
    def rate(self) -> float | None:
        """The share; None of no entries."""
        return self.count / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % Wilson interval of the rate; None of no entries."""
        return wilson_interval(self.count, self.total) if self.total else None

    @property
    def complement(self) -> Share:
        """How many of them do not have it."""
        return Share(self.total - self.count, self.total)


def summarize_metrics(measured: Iterable[CallMetrics]) -> dict[str, Share]:
    """Each metric over many entries."""
    counts = dict.fromkeys(METRICS, 0)
    totals = dict.fromkeys(METRICS, 0)
    for item in measured:
        for name in METRICS:
            value = getattr(item, name)
            if value is not None:
                totals[name] += 1
                counts[name] += value
    return {name: Share(counts[name], totals[name]) for name in METRICS}
