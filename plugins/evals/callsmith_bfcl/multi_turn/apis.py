"""The simulated APIs of one entry: instances, their states, and calls on them.

Isolation. The official scorer keeps instances in module globals for ever (M4 of the specification:
scoring an entry twice continues from the first state), and a few of the benchmark's own functions
change module-level values: the default lists of `post_tweet`, the credit cards that long contexts
add. Here every episode starts from the entry's initial state and from pristine modules, which is
what the official scorer does in a fresh process that scores one entry. Within an episode the
model's side and the answer's side do share those module-level values, because there they do too.
"""

from __future__ import annotations

import ast
import copy
import decimal
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any, Protocol

from callsmith_bfcl.multi_turn.budget import Budget, duplicate
from callsmith_bfcl.multi_turn.clones import WRITES_FILES, clone_instance
from callsmith_bfcl.multi_turn.guards import GUARDS
from callsmith_bfcl.multi_turn.interpreter import Interpreter
from callsmith_bfcl.multi_turn.loader import LONG_CONTEXT, ApiModules
from callsmith_bfcl.multi_turn.parsing import CallParser
from callsmith_bfcl.multi_turn.result_text import result_text

STATELESS = frozenset({"MathAPI"})
_SHARED_EXTENSIONS = ("CREDIT_CARD_EXTENSION", "BOOKING_RECORD_EXTENSION")


class MultiTurnEntry(Protocol):
    """What scoring needs of an entry, such as `callsmith_bfcl.data.Entry`."""

    @property
    def id(self) -> str:
        """The id, whose part before the last underscore is the category."""
        ...

    @property
    def ground_truth(self) -> Any:
        """The answer: per turn a list of call strings."""
        ...

    @property
    def initial_config(self) -> Mapping[str, Any]:
        """The initial state by class."""
        ...

    @property
    def involved_classes(self) -> Sequence[str]:
        """The classes whose methods can be called."""
        ...


def is_long_context(entry_id: str) -> bool:
    """Whether the APIs add their filler: decided by the category in the id, as officially."""
    category = entry_id.rpartition("_")[0]
    return "long_context" in category or "composite" in category


class Apis:
    """One set of loaded modules with their classes. Not for use from several threads at once."""

    def __init__(self, modules: ApiModules) -> None:
        self._modules = modules
        self._methods: dict[str, dict[str, Callable[..., Any]]] = {}
        self._shared: list[tuple[Any, Any]] = []
        self._kept: set[int] = set()
        self._watches_extensions = False
        self._parsers: dict[tuple[bool, tuple[str, ...]], CallParser] = {}

    def methods(self, class_name: str) -> Mapping[str, Callable[..., Any]]:
        """The public functions of a class, which are what a call may name."""
        found = self._methods.get(class_name)
        if found is None:
            members = vars(self._modules.api_class(class_name)).items()
            found = {
                name: member
                for name, member in members
                if isinstance(member, FunctionType) and not name.startswith("_")
            }
            self._methods[class_name] = found
            for function in found.values():
                self._watch(function.__defaults__ or ())
        return found

    def parser(self, classes: tuple[str, ...], *, verbatim: bool) -> CallParser:
        """The parser of calls for entries with these classes."""
        found = self._parsers.get((verbatim, classes))
        if found is None:
            methods = {name: owner for owner in classes for name in self.methods(owner)}
            found = self._parsers[verbatim, classes] = CallParser(methods, verbatim=verbatim)
        return found

    def forget_calls(self) -> None:
        """Empties the memory of parsed calls, for measuring."""
        for parser in self._parsers.values():
            parser.forget()

    def new_instance(
        self, class_name: str, config: Mapping[str, Any], *, long_context: bool
    ) -> Any:
        """An instance in the initial state of an entry, whose own data is not touched."""
        if long_context and class_name == "TravelAPI" and not self._watches_extensions:
            self._watches_extensions = True
            module = self._modules.module(LONG_CONTEXT)
            parts = [part for name in _SHARED_EXTENSIONS for part in getattr(module, name).values()]
            self._watch(parts)
        instance = self._modules.api_class(class_name)()
        if class_name not in STATELESS:
            scenario = duplicate(config.get(class_name, {}))
            instance._load_scenario(scenario, long_context=long_context)
        return instance

    def clone(self, instance: Any, *, files: bool = False) -> Any:
        """A copy of an instance that shares with it what the official instances share.

        And the simulated files, unless `files`: see `clone_instance`.
        """
        return clone_instance(instance, self._kept, files=files)

    def is_pristine(self) -> bool:
        """Whether the modules' own values are as they were loaded."""
        return all(value == original for value, original in self._shared)

    def restore(self) -> None:
        """Puts the modules' own values back."""
        for value, original in self._shared:
            if value != original:
                value.clear()
                fresh = copy.deepcopy(original)
                value.extend(fresh) if isinstance(value, list) else value.update(fresh)

    def _watch(self, values: Iterable[Any]) -> None:
        watched = [value for value in values if isinstance(value, (list, dict))]
        self._shared += [(value, copy.deepcopy(value)) for value in watched]
        self._kept |= {id(value) for value in watched}


class InitialStates:
    """The instances with which every episode of one entry starts. They are copied, never called.

    `instances` are those of another entry that begins in the same state, if there is one.
    """

    def __init__(
        self, apis: Apis, entry: MultiTurnEntry, instances: Mapping[str, Any] | None = None
    ) -> None:
        self.apis = apis
        self.classes = tuple(entry.involved_classes)
        self.entry_id = entry.id
        if instances is None:
            long_context = is_long_context(entry.id)
            instances = {
                name: apis.new_instance(name, entry.initial_config, long_context=long_context)
                for name in self.classes
            }
        self.instances = instances


class Side:
    """One side of an episode, the model's or the answer's: its instances, and calls on them.

    `touched` are the classes of which a method was called since it was last emptied. An instance is
    copied from the initial one when it is first called. With `verbatim` calls are not rewritten
    (M3); a method is then known by its own name.
    """

    def __init__(self, initial: InitialStates, name: str, *, verbatim: bool = False) -> None:
        self._initial = initial
        self._name = name
        self._parser = initial.apis.parser(initial.classes, verbatim=verbatim)
        self._starts: Mapping[str, Any] = initial.instances
        self._instances: dict[str, Any] = {}
        self._own_names: dict[str, str] = {}
        self._budget = Budget()
        self._interpreter = Interpreter(self, self._budget)
        self._owns_files = False
        self.verbatim = verbatim
        self.touched: set[str] = set()

    def class_of(self, name: str) -> str | None:
        """The class whose instance a rewritten call names so."""
        found = self._parser.names.get(name)
        if found is None and self._own_names:
            found = self._own_names.get(name)
        return found

    def owner(self, method: str) -> str | None:
        """The class of a method that is called by its own name, which only `verbatim` does."""
        return self._parser.owners.get(method) if self.verbatim else None

    def instance_names(self) -> dict[str, str]:
        """The official instance names by class, which M3 writes into strings."""
        found: dict[str, str] = {}
        for class_name in self._initial.classes:
            # Officially only "-./" become "_", and some model names give no identifier (M5).
            name = f"{self._name}_{self._initial.entry_id}_{class_name}_instance"
            name = re.sub(r"\W", "_", name)
            found[class_name] = name if name.isidentifier() else f"_{name}"
        return found

    def _parse(self, text: str) -> ast.expr:
        found = self._parser.parse(text)
        if found is None:
            names = self.instance_names()
            self._own_names = {name: owner for owner, name in names.items()}
            found = self._parser.parse_named(text, names)
        return found

    def state(self, class_name: str) -> Any:
        """The instance of a class, for reading."""
        found = self._instances.get(class_name)
        return self._starts[class_name] if found is None else found

    def resume(self, states: Mapping[str, Any]) -> None:
        """Goes on from these instances, by class, which are copied and not changed."""
        self._starts = states
        self._instances.clear()
        self._owns_files = False

    @property
    def names_seen(self) -> bool:
        """Whether some call's string holds this side's instance names (M3)."""
        return bool(self._own_names)

    def bound(self, class_name: str, method: str) -> Callable[..., Any] | None:
        """A public method of an instance, guarded; None if there is no such method."""
        function = self._initial.apis.methods(class_name).get(method)
        if function is None:
            return None
        instance = self._instances.get(class_name)
        writes = (class_name, method) == WRITES_FILES
        if instance is None or (writes and not self._owns_files):
            instance = self._initial.apis.clone(self.state(class_name), files=writes)
            self._instances[class_name] = instance
            self._owns_files |= writes
        self.touched.add(class_name)
        guard = GUARDS.get((class_name, method))
        if guard is None:
            return function.__get__(instance)  # type: ignore[no-any-return]

        def guarded(*args: Any, **kwargs: Any) -> Any:
            guard(instance, args, kwargs, self._budget)
            # square_root sets the precision of the thread's context and leaves it so.
            with decimal.localcontext():
                return function(instance, *args, **kwargs)

        return guarded

    def execute(self, text: str) -> str:
        """Carries out one call and returns the official result text; never raises.

        Whatever is raised becomes "Error during execution: …".
        """
        try:
            self._budget.charge_call()
            result = result_text(self._interpreter.evaluate(self._parse(text)))
            self._budget.charge(len(result))
        except Exception as error:
            # What a call does is data: also RecursionError and MemoryError are its result.
            return f"Error during execution: {error}"
        return result
