"""Data filter, pair mining, probe and reward follow the verifier that they are given.

`test_one_verifier` looks for a second judge in the source; this one asks. The verifier contradicts
every other opinion: the right call is wrong, and any other one is right. Whoever judged by a second
implementation would disagree with it.
"""

from __future__ import annotations

import asyncio

import pytest

from callsmith import (
    Completion,
    Message,
    PromptTokens,
    Sampling,
    Task,
    Template,
    Templated,
    Trace,
    Verdict,
    Verifier,
    load,
    run_episode,
)
from callsmith.testing import ScriptedTextArm
from callsmith_tasks.data.checking import RowChecker
from callsmith_tasks.data.readers import READERS
from callsmith_trl.pair_judges import Judges
from callsmith_trl.pair_options import PairOptions
from callsmith_trl.pair_sources import mined
from callsmith_trl.pairs import Dropped
from callsmith_trl.rates import judge, rates
from callsmith_trl.rewards import Rewards, prompt_rows, undecided
from fixtures.data_rows import RECORDS
from fixtures.tiny_gemma4_episodes import TOOLS
from fixtures.vllm_tokenizer import SPECIAL, tiny_tokenizer

GEMMA: Template = load().build("template", "gemma4")
TOKENS = PromptTokens(tiny_tokenizer().to_str())
ENDS = frozenset([SPECIAL["<|tool_response>"], SPECIAL["<turn|>"]])
RIGHT = "<|tool_call>call:add{a:2,b:3}<tool_call|><|tool_response>"
WRONG = "<|tool_call>call:add{a:2,b:4}<tool_call|><|tool_response>"
TASK = Task(
    id="sum",
    messages=(Message(role="user", content="Add 2 and 3."),),
    tools=TOOLS,
    target={"calls": [{"name": "add", "arguments": {"a": 2, "b": 3}}]},
)


class Contrary:
    """A verifier that says the opposite of `calls-match`."""

    def __init__(self) -> None:
        self._other: Verifier = load().build("verifier", "calls-match")

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """Passes what is wrong."""
        passed = not self._other.verify(task, trace).passed
        return Verdict(
            verifier="contrary", passed=passed, score=float(passed), reasons=("contrary",)
        )


def episode(text: str, sample: int = 0) -> Trace:
    arm = Templated(ScriptedTextArm(Completion(text=text)), GEMMA)
    return asyncio.run(run_episode(arm, TASK, sampling=Sampling(), sample=sample, name="model"))


def test_the_data_filter_follows_the_verifier() -> None:
    (row, *_) = READERS["xlam"](RECORDS["xlam"], "7")
    assert RowChecker({"calls-match": load().build("verifier", "calls-match")}).problem(row) is None
    found = RowChecker({"contrary": Contrary()}).problem(row)
    assert found is not None
    assert found[0] == "contrary"


def test_the_pairs_follow_the_verifier() -> None:
    judges = Judges(template=GEMMA, verifiers={"contrary": Contrary()})
    assert judges.refusals(TASK, judges.read(TASK, RIGHT)) == ("contrary: contrary",)
    assert judges.refusals(TASK, judges.read(TASK, WRONG)) == ()
    # The gold itself is refused, so there is nothing to choose.
    dropped = Dropped()
    assert mined([(TASK, episode(RIGHT))], judges, PairOptions(), dropped) == []
    assert dropped.counts() == {"the gold is refused by contrary": 1}


@pytest.mark.parametrize(("text", "right"), [(RIGHT, False), (WRONG, True)])
def test_the_probe_follows_the_verifier(text: str, right: bool) -> None:
    ids = TOKENS.encode_text(text)
    found = judge(TASK, episode(text), ids, {"contrary": Contrary()}, "contrary")
    assert found.right is right
    assert rates([found], ["contrary"])["exact"] == float(right)


def test_the_rewards_follow_the_verifier() -> None:
    rows, _ = prompt_rows([TASK], GEMMA, TOKENS, room=10_000)
    rewards = Rewards(rows, GEMMA, TOKENS, ENDS, {"contrary": Contrary()})
    texts = [TOKENS.encode_text(text) for text in (RIGHT, WRONG)]
    assert rewards.scores("contrary", [0, 0], texts) == [0.0, 1.0]
    solved = [(TASK, episode(WRONG, sample)) for sample in (0, 1)]
    assert undecided([TASK], solved, {"contrary": Contrary()}, [1.0]).counts.solved == 1
