"""The verifier contract can fail: each kind of unsound judge is caught."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callsmith import Task, Trace, Verdict
from callsmith.testing import VerifierContract
from contract_runner import failures, names_of_tests


class CountsCalls:
    """A sound verifier: half of the score for each of the first two calls."""

    def verify(self, task: Task, trace: Trace) -> Verdict:
        score = min(len(trace.calls), 2) / 2
        reasons = () if score else ("no call was made",)
        return Verdict(verifier="counts-calls", passed=score > 0, score=score, reasons=reasons)


class TestCountsCalls(VerifierContract):
    @pytest.fixture
    def verifier(self) -> CountsCalls:
        return CountsCalls()


class RaisesWithoutTurns(CountsCalls):
    def verify(self, task: Task, trace: Trace) -> Verdict:
        assert trace.turns[-1] is not None
        return super().verify(task, trace)


class RaisesWithoutReply(CountsCalls):
    def verify(self, task: Task, trace: Trace) -> Verdict:
        return (
            super().verify(task, replace(trace, turns=trace.turns))
            if all(
                turn.reply.content is not None  # type: ignore[union-attr]
                for turn in trace.turns
            )
            else super().verify(task, trace)
        )


class TrustsArguments(CountsCalls):
    def verify(self, task: Task, trace: Trace) -> Verdict:
        for call in trace.calls:
            call.arguments.keys()  # type: ignore[union-attr]
        return super().verify(task, trace)


class TrustsSchemas(CountsCalls):
    def verify(self, task: Task, trace: Trace) -> Verdict:
        for tool in task.tools:
            for schema in (tool.parameters or {}).get("properties", {}).values():  # type: ignore[union-attr]
                schema.get("type")
        return super().verify(task, trace)


class CountsItsVerdicts(CountsCalls):
    def __init__(self) -> None:
        self.count = 0

    def verify(self, task: Task, trace: Trace) -> Verdict:
        self.count += 1
        return replace(super().verify(task, trace), reasons=(f"verdict {self.count}",))


class ChangesTheTarget(CountsCalls):
    def verify(self, task: Task, trace: Trace) -> Verdict:
        if isinstance(task.target, dict):
            task.target["seen"] = True
        return super().verify(task, trace)


class ScoresAboveOne(CountsCalls):
    def verify(self, task: Task, trace: Trace) -> Verdict:
        return replace(super().verify(task, trace), score=float(len(trace.calls)))


class ScoresIntegers(CountsCalls):
    def verify(self, task: Task, trace: Trace) -> Verdict:
        verdict = super().verify(task, trace)
        return replace(verdict, score=int(verdict.score))


class PassesWithNothing(CountsCalls):
    def verify(self, task: Task, trace: Trace) -> Verdict:
        return replace(super().verify(task, trace), passed=True)


class FailsWithEverything(CountsCalls):
    def verify(self, task: Task, trace: Trace) -> Verdict:
        return replace(super().verify(task, trace), passed=False, reasons=("no",))


class GivesNoReasons(CountsCalls):
    def verify(self, task: Task, trace: Trace) -> Verdict:
        return replace(super().verify(task, trace), reasons=())


class ReturnsABool(CountsCalls):
    def verify(self, task: Task, trace: Trace) -> Verdict:
        return bool(trace.calls)  # type: ignore[return-value]


ANY = "test_every_trace_gets_a_sound_verdict_and_the_same_again"
BROKEN = [
    (RaisesWithoutTurns, "test_an_episode_without_turns_is_judged"),
    (RaisesWithoutTurns, ANY),
    (RaisesWithoutReply, "test_failures_are_judged"),
    (RaisesWithoutReply, ANY),
    (TrustsArguments, "test_odd_arguments_and_schemas_are_judged"),
    (TrustsArguments, ANY),
    (TrustsSchemas, "test_odd_arguments_and_schemas_are_judged"),
    (CountsItsVerdicts, ANY),
    (ChangesTheTarget, ANY),
    (ScoresAboveOne, ANY),
    (ScoresIntegers, ANY),
    (PassesWithNothing, ANY),
    (FailsWithEverything, ANY),
    (GivesNoReasons, ANY),
    (ReturnsABool, ANY),
]


@pytest.mark.parametrize(
    ("verifier", "test"), BROKEN, ids=lambda item: getattr(item, "__name__", "")
)
def test_a_broken_verifier_is_caught(verifier: type[CountsCalls], test: str) -> None:
    assert test in failures(VerifierContract, {"verifier": verifier}, only=test)


def test_a_class_without_verify_is_caught() -> None:
    name = "test_has_the_methods_of_a_verifier"
    assert name in failures(VerifierContract, {"verifier": object}, only=name)


def test_every_test_of_the_contract_is_shown_to_fail() -> None:
    shown = {"test_has_the_methods_of_a_verifier", *(test for _, test in BROKEN)}
    assert set(names_of_tests(VerifierContract)) == shown
