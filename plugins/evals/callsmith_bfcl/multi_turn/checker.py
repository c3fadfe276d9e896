"""The multi-turn checker: state after every turn, and responses.

Pure in effect: values in, an `Outcome` out; the same entry and turns give the same outcome however
often and in whatever order they are scored. Quirk M5 (a model name that is no identifier makes
every call on both sides a syntax error, so that anything passes) is not reproduced: no model of
the official registry has such a name, and a name given here is made an identifier.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from callsmith_bfcl.multi_turn.answers import AnswerRun, Answers, AnswerTurn, differences
from callsmith_bfcl.multi_turn.apis import Apis, InitialStates, MultiTurnEntry, Side
from callsmith_bfcl.multi_turn.loader import ApiSources, SourceReader
from callsmith_bfcl.outcome import Outcome

INFERENCE_ERROR = "multi_turn:inference_error"
FORCE_TERMINATED = "multi_turn:force_terminated"
EMPTY_TURN = "multi_turn:empty_turn_model_response"
STATE_MISMATCH = "multi_turn:instance_state_mismatch"
RESPONSE_MISMATCH = "multi_turn:execution_response_mismatch"

Turns = Sequence[Sequence[Sequence[str]]]
"""Per turn a list of steps, each a list of call strings: what the model said, decoded."""

RULES: Mapping[str, str] = {
    "turns": "After every turn the state equals the answer's, and the answer's results were seen.",
    "not-turns": "The result must be a list of turns; anything else is a failed generation.",
    "turn-count": "There must be as many turns as the answer has; fewer mean a forced end.",
    "turn-empty": "A turn whose answer has calls needs at least one call that can be decoded.",
    "state": "After such a turn every public attribute of every involved API must be equal.",
    "responses": "Each result of the turn's answer must be among the model's results so far.",
}
"""What `Outcome.rule` says of a multi-turn entry."""

_VALID = Outcome(True, None, (), "turns")


class MultiTurnChecker:
    """Scores multi-turn entries with the simulated APIs of one wheel.

    Keeps the answers' results and states of the `cached_entries` entries scored last, so that many
    runs of one entry are quick. `verbatim` leaves strings as the model wrote them, where the
    official scorer writes instance names into them (M3). Not for several threads at once.
    """

    def __init__(
        self,
        wheel: SourceReader,
        *,
        model_name: str = "model",
        cached_entries: int = 256,
        verbatim: bool = False,
    ) -> None:
        self._wheel = wheel
        self._model_name = model_name
        self._cached_entries = cached_entries
        self._literal: MultiTurnChecker | None = None
        self._sources = ApiSources(wheel)
        self._apis = Apis(self._sources.load())
        self._model_side = model_name + "_eval"
        self._answer_side = model_name + "_ground_truth_eval"
        self._verbatim = verbatim
        self._answers = Answers(
            self._apis, self._answer_side, cached_entries=cached_entries, verbatim=verbatim
        )

    def check(self, entry: MultiTurnEntry, turns: object) -> Outcome:
        """The verdict on what a model did: `turns` as decoded, or what stands in their place."""
        answer: Sequence[Sequence[str]] = entry.ground_truth
        if not isinstance(turns, list):
            said = f"the result is no list of turns but {type(turns).__name__}"
            return Outcome(False, INFERENCE_ERROR, (said,), "not-turns")
        if len(turns) != len(answer):
            said = f"{len(turns)} turns where the answer has {len(answer)}"
            return Outcome(False, FORCE_TERMINATED, (said,), "turn-count")
        decoded = [decodable_steps(turn) for turn in turns]
        run = self._answers.of(entry)
        if run.entangled:
            return self._check_together(entry, decoded)
        model = Side(run.initial, self._model_side, verbatim=self._verbatim)
        outcome = self._compare(answer, decoded, model, run)
        if outcome is None:
            self._apis.restore()
            return self._check_together(entry, decoded)
        return outcome

    def _compare(
        self,
        answer: Sequence[Sequence[str]],
        decoded: Turns,
        model: Side,
        run: AnswerRun,
    ) -> Outcome | None:
        """The model's side beside the remembered answer. None: it changed what both would share.

        As long as the model's calls are the answer's word for word, so are states and results, and
        nothing is carried out; the first turn that differs goes on from the answer's instances.
        """
        seen: Counter[str] = Counter()
        before: Mapping[str, Any] = run.initial.instances
        equal_so_far = run.repeatable
        for number, (wanted, steps) in enumerate(zip(answer, decoded, strict=True)):
            if equal_so_far:
                if [call for step in steps for call in step] == wanted:
                    seen.update(run.turns[number].results)
                    before = run.turns[number].states
                    continue
                equal_so_far = False
                if number:
                    model.resume(run.turns[number - 1].instances)
            _run_steps(model, steps, seen, run.longest)
            if not self._apis.is_pristine():
                return None
            after = run.turns[number]
            if not wanted:
                before = after.states
                continue
            # A state that neither side has changed since it was found equal is still equal.
            compared = [
                name
                for name in run.initial.classes
                if name in model.touched or before[name] is not after.states[name]
            ]
            failed = _judge(number, steps, model, after, compared, seen)
            if failed is not None:
                return failed
            model.touched.clear()
            before = after.states
        return _VALID

    def _check_together(self, entry: MultiTurnEntry, decoded: Turns) -> Outcome:
        """Both sides in turn, on modules of their own: what one changes there, the other sees."""
        initial = InitialStates(Apis(self._sources.load()), entry)
        model = Side(initial, self._model_side, verbatim=self._verbatim)
        gold = Side(initial, self._answer_side, verbatim=self._verbatim)
        seen: Counter[str] = Counter()
        for number, (wanted, steps) in enumerate(zip(entry.ground_truth, decoded, strict=True)):
            _run_steps(model, steps, seen, None)
            results = tuple(gold.execute(call) for call in wanted)
            if not wanted:
                continue
            states = {name: gold.state(name) for name in initial.classes}
            after = AnswerTurn(results, states, states)
            failed = _judge(number, steps, model, after, initial.classes, seen)
            if failed is not None:
                return failed
        return _VALID

    def literal(self) -> MultiTurnChecker:
        """The same checker, `verbatim`; always the same one."""
        if self._verbatim:
            return self
        if self._literal is None:
            self._literal = MultiTurnChecker(
                self._wheel,
                model_name=self._model_name,
                cached_entries=self._cached_entries,
                verbatim=True,
            )
        return self._literal

    def answer_results(self, entry: MultiTurnEntry) -> list[list[str]]:
        """What the answer's own calls return, per turn."""
        return [list(turn.results) for turn in self._answers.of(entry).turns]

    def forget(self) -> None:
        """Empties all memory, for measuring."""
        self._answers.forget()
        self._apis.forget_calls()


def check_multi_turn(entry: MultiTurnEntry, turns: object, checker: MultiTurnChecker) -> Outcome:
    """`checker.check(entry, turns)`, in the form of the other checkers."""
    return checker.check(entry, turns)


def decodable_steps(turn: object) -> list[list[str]]:
    """The steps of a turn that hold a call: neither `[]` nor one empty text, nor anything else."""
    if not isinstance(turn, list):
        return []
    return [step for step in turn if isinstance(step, list) and step and step != [""]]


def _run_steps(
    side: Side, steps: Sequence[Sequence[str]], seen: Counter[str], longest: int | None
) -> None:
    execute: Callable[[str], str] = side.execute
    for step in steps:
        for call in step:
            result = execute(call)
            if longest is None or len(result) <= longest:
                seen[result] += 1


def _judge(
    number: int,
    steps: Sequence[Sequence[str]],
    model: Side,
    after: AnswerTurn,
    compared: Sequence[str],
    seen: Counter[str],
) -> Outcome | None:
    """The checks of one turn whose answer has calls; None when all of them pass."""
    if not steps:
        said = f"turn {number}: no call, but the answer has {len(after.results)}"
        return Outcome(False, EMPTY_TURN, (said,), "turn-empty")
    for name in compared:
        differing = differences(model.state(name), after.states[name])
        if differing:
            said = f"turn {number}: {name} differs from the answer's in {', '.join(differing)}"
            return Outcome(False, STATE_MISMATCH, (said,), "state")
    missing = Counter(after.results) - seen
    if missing:
        shown = "; ".join(text if len(text) <= 120 else text[:119] + "…" for text in missing)
        said = f"turn {number}: the answer's calls also give {shown}"
        return Outcome(False, RESPONSE_MISMATCH, (said,), "responses")
    return None
