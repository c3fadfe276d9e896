"""What every verifier must do: a test class to subclass.

class TestMyVerifier(VerifierContract):
    @pytest.fixture
    def verifier(self):
        return MyVerifier(MyConfig())
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from callsmith.codec import dumps, loads
from callsmith.protocols import Verifier
from callsmith.testing import strategies
from callsmith.types import (
    Fault,
    JsonValue,
    Message,
    Reply,
    Task,
    ToolCall,
    ToolSpec,
    Trace,
    Turn,
    Verdict,
)

WEIRD_ARGUMENTS: tuple[JsonValue, ...] = (
    None,
    True,
    0,
    10**400,
    1e308,
    "",
    "not an object",
    [],
    [{"city": "Paris"}],
    {"": {"": {"": None}}},
    {"city": {"$ref": "http://example.invalid/schema"}},
    {"\u2028": "\x00"},
)
"""Arguments that a model may emit and that no schema foresaw."""

ODD_SCHEMAS: tuple[dict[str, JsonValue] | None, ...] = (
    None,
    {},
    {"type": "no such type"},
    {"type": "object", "properties": {"city": 7}},
    {"$ref": "http://example.invalid/schema"},
    {"$ref": "#/definitions/missing"},
    {"$schema": "http://example.invalid/dialect", "type": "object"},
    {"type": "object", "properties": {"city": {"type": "string", "pattern": "("}}},
)
"""Schemas that a user may declare by mistake."""


def _deep(levels: int) -> JsonValue:
    value: JsonValue = "bottom"
    for _ in range(levels):
        value = [value]
    return value


class VerifierContract:
    """The contract of `Verifier`. Give it a fixture `verifier`.

    Override `task_strategy` where a verifier reads target keys of its own.
    """

    def task_strategy(self) -> SearchStrategy[Task]:
        """Tasks to judge."""
        return strategies.tasks()

    def _pairs(self) -> SearchStrategy[tuple[Task, Trace]]:
        def both(task: Task) -> SearchStrategy[tuple[Task, Trace]]:
            return st.tuples(st.just(task), strategies.traces([task]))

        return self.task_strategy().flatmap(both)

    def _check(self, verifier: Verifier, task: Task, trace: Trace) -> Verdict:
        before = dumps([task, trace])
        try:
            verdict = verifier.verify(task, trace)
        except Exception as error:
            raise AssertionError(f"verify raised {error!r} on {before:.500}") from error
        assert dumps([task, trace]) == before, "verify changed the task or the trace"
        assert isinstance(verdict, Verdict), f"verify returned {verdict!r:.80}"
        assert isinstance(verdict.verifier, str), "the verdict's verifier is no string"
        assert verdict.verifier, "the verdict does not name its verifier"
        assert type(verdict.passed) is bool, f"passed is {verdict.passed!r}"
        assert type(verdict.score) is float, f"score is {verdict.score!r}, not a float"
        assert math.isfinite(verdict.score), f"score is {verdict.score}"
        assert 0.0 <= verdict.score <= 1.0, f"score {verdict.score} is outside [0, 1]"
        if verdict.passed:
            assert verdict.score > 0.0, "a trace that passes has score 0"
        else:
            assert verdict.score < 1.0, "a trace that fails has score 1"
            assert verdict.reasons, "a trace that fails needs a reason"
        assert all(isinstance(reason, str) and reason for reason in verdict.reasons), (
            f"reasons must be texts: {verdict.reasons!r}"
        )
        return verdict

    def test_has_the_methods_of_a_verifier(self, verifier: Verifier) -> None:
        """`verifier` matches the protocol."""
        assert isinstance(verifier, Verifier), f"{type(verifier).__name__} has no method verify"

    def test_every_trace_gets_a_sound_verdict_and_the_same_again(self, verifier: Verifier) -> None:
        """Any task, any trace: no exception, a sound verdict, and the same one when repeated.

        Also after task and trace were written to a run folder and read back.
        """

        @given(pair=self._pairs())
        def check(pair: tuple[Task, Trace]) -> None:
            task, trace = pair
            first = self._check(verifier, task, trace)
            assert loads(dumps(first), Verdict) == first, "the verdict does not survive JSON"
            assert self._check(verifier, task, trace) == first, "two verdicts on one trace differ"
            stored = loads(dumps(task), Task), loads(dumps(trace), Trace)
            assert self._check(verifier, *stored) == first, (
                "the verdict on a trace changes when it is written to JSON and read back"
            )

        check()

    @pytest.mark.parametrize("halt", ["answered", "calls", "step_budget", "cut", "error"])
    def test_an_episode_without_turns_is_judged(self, verifier: Verifier, halt: str) -> None:
        """No turns, for every reason to halt."""
        task = Task(id="t", messages=(Message(role="user", content="hello"),))
        data = {"arm": "a", "task": "t", "sample": 0, "turns": [], "halt": halt}
        if halt == "error":
            data["error"] = "the server is gone"
        self._check(verifier, task, loads(dumps(data), Trace))

    def test_failures_are_judged(self, verifier: Verifier) -> None:
        """A turn with an error and no reply; a reply that is all faults."""
        task = Task(id="t", messages=(Message(role="user", content="hello"),))
        failed = Turn(sent=task.messages, error="connection reset")
        fault = Fault(kind="unclosed", raw="call:x{", span=(0, 7))
        broken = Turn(sent=task.messages, reply=Reply(faults=(fault,)))
        for turns in ((failed,), (broken,), (broken, failed)):
            trace = Trace(
                arm="a", task="t", sample=0, turns=turns, halt="error", error="connection reset"
            )
            self._check(verifier, task, trace)

    @pytest.mark.parametrize("parameters", ODD_SCHEMAS, ids=str)
    def test_odd_arguments_and_schemas_are_judged(
        self, verifier: Verifier, parameters: dict[str, JsonValue] | None
    ) -> None:
        """Arguments that are no object, huge or deep; schemas that are wrong or point away."""
        tool = ToolSpec(name="get_weather", parameters=parameters)
        question = (Message(role="user", content="hello"),)
        for arguments in (*WEIRD_ARGUMENTS, _deep(200), {"city": _deep(200)}):
            call = ToolCall(name="get_weather", arguments=arguments)
            gold: JsonValue = {"name": "get_weather", "arguments": {"city": "Paris"}}
            targets: tuple[dict[str, JsonValue], ...] = (
                {},
                {"calls": [gold]},
                {"calls": []},
                {"answer_only": True},
            )
            for target in targets:
                task = Task(id="t", messages=question, tools=(tool,), target=target)
                turn = Turn(sent=question, reply=Reply(calls=(call,)))
                trace = Trace(arm="a", task="t", sample=0, turns=(turn,), halt="calls")
                self._check(verifier, task, trace)
