"""The answers' calls carried out: their results and states, each answer once.

Pure in effect, as the checker is: what is remembered is what carrying it out again would give.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from callsmith_bfcl.multi_turn.apis import (
    Apis,
    InitialStates,
    MultiTurnEntry,
    Side,
    is_long_context,
)

VARIANTS = 256
"""Answers that are kept for entries that differ from them in turns without calls only."""


@dataclass(frozen=True, slots=True)
class AnswerTurn:
    """What the answer's calls of one turn give: their results, and the states after them.

    `states` are for comparing: a class whose public state has not changed has the same object as
    before. `instances` are for going on from: private state (the current directory, the generator)
    is that of this turn.
    """

    results: tuple[str, ...]
    states: Mapping[str, Any]
    instances: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AnswerRun:
    """The answer of one entry, carried out once.

    `entangled`: it changes values that both sides share. `repeatable`: the same calls of a model
    give the same results, as no string holds names that only the answer's side has (M3).
    """

    initial: InitialStates
    turns: tuple[AnswerTurn, ...]
    entangled: bool
    repeatable: bool
    longest: int
    """Characters of the longest result; longer results of a model need not be kept."""


class Answers:
    """Remembers the `cached_entries` entries asked for last, and answers that serve several.

    `name` and `verbatim` are those of the answer's `Side`.
    """

    def __init__(self, apis: Apis, name: str, *, cached_entries: int, verbatim: bool) -> None:
        self._apis = apis
        self._answer_side = name
        self._cached_entries = cached_entries
        self._verbatim = verbatim
        self._answers: OrderedDict[str, tuple[MultiTurnEntry, AnswerRun]] = OrderedDict()
        self._variants: OrderedDict[object, tuple[MultiTurnEntry, AnswerRun]] = OrderedDict()

    def forget(self) -> None:
        """Empties the memory."""
        self._answers.clear()
        self._variants.clear()

    def of(self, entry: MultiTurnEntry) -> AnswerRun:
        """The answer of an entry, carried out unless it is remembered."""
        found = self._answers.get(entry.id)
        if found is not None and found[0] is entry:
            self._answers.move_to_end(entry.id)
            return found[1]
        run = self._variant(entry)
        self._answers[entry.id] = (entry, run)
        if len(self._answers) > self._cached_entries:
            self._answers.popitem(last=False)
        return run

    def _variant(self, entry: MultiTurnEntry) -> AnswerRun:
        """The answer carried out, or that of a variant of the entry.

        Most entries of `miss_func` and `miss_param` begin in the state of one of `base` and have
        its calls, with a turn without calls put in. Those of `long_context` have no variants.
        """
        if is_long_context(entry.id):
            return self._run_answer(entry)
        calls = tuple([tuple(wanted) for wanted in entry.ground_truth if wanted])
        key = (tuple(entry.involved_classes), calls)
        found = self._variants.get(key)
        if found is not None and found[0].initial_config == entry.initial_config:
            self._variants.move_to_end(key)
            return self._with_empty_turns(entry, found[1])
        run = self._run_answer(entry)
        if run.repeatable and not run.entangled:
            self._variants[key] = (entry, run)
            if len(self._variants) > VARIANTS:
                self._variants.popitem(last=False)
        return run

    def _with_empty_turns(self, entry: MultiTurnEntry, variant: AnswerRun) -> AnswerRun:
        """The run of a variant, with the turns without calls where this entry has them."""
        initial = InitialStates(self._apis, entry, variant.initial.instances)
        carried_out = iter([turn for turn in variant.turns if turn.results])
        last = AnswerTurn((), initial.instances, initial.instances)
        turns: list[AnswerTurn] = []
        for wanted in entry.ground_truth:
            last = next(carried_out) if wanted else AnswerTurn((), last.states, last.instances)
            turns.append(last)
        return replace(variant, initial=initial, turns=tuple(turns))

    def _run_answer(self, entry: MultiTurnEntry) -> AnswerRun:
        initial = InitialStates(self._apis, entry)
        side = Side(initial, self._answer_side, verbatim=self._verbatim)
        states: Mapping[str, Any] = initial.instances
        instances: Mapping[str, Any] = initial.instances
        turns: list[AnswerTurn] = []
        for wanted in entry.ground_truth:
            results = tuple(side.execute(call) for call in wanted)
            if side.touched:
                # They stay as they are from here on: the next turn's calls go on from copies.
                used = {name: side.state(name) for name in side.touched}
                instances = {**instances, **used}
                side.resume(instances)
                changed = {
                    name: state for name, state in used.items() if differences(state, states[name])
                }
                states = {**states, **changed}
                side.touched.clear()
            turns.append(AnswerTurn(results, states, instances))
        entangled = not self._apis.is_pristine()
        self._apis.restore()
        longest = max((len(text) for turn in turns for text in turn.results), default=0)
        return AnswerRun(initial, tuple(turns), entangled, not side.names_seen, longest)


def differences(model: Any, answer: Any) -> list[str]:
    """The public attributes in which two instances of a class differ, by `==` as officially."""
    if model is answer:
        return []
    values = vars(model)
    found: list[str] = []
    for name, value in vars(answer).items():
        if name[0] == "_":
            continue
        try:
            differs = name not in values or bool(values[name] != value)
        except RecursionError:
            # The official scorer breaks off here, for all entries; ours says that they differ.
            differs = True
        if differs:
            found.append(name)
    return found
