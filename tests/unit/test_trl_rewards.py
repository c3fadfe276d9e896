"""Rewards: the job's verifiers, asked about token ids. No PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from callsmith import (
    ConfigError,
    JsonValue,
    Message,
    PromptTokens,
    Reply,
    Task,
    Template,
    ToolCall,
    Trace,
    Turn,
    Verdict,
    Verifier,
    load,
)
from callsmith_trl.grpo_config import GrpoConfig
from callsmith_trl.reading import trace_of_ids
from callsmith_trl.rewards import (
    GroupCounts,
    Rewards,
    count_groups,
    prompt_rows,
    undecided,
    weights_of,
)
from fixtures.tiny_gemma4_episodes import TOOLS
from fixtures.vllm_tokenizer import SPECIAL, tiny_tokenizer

TOKENS = PromptTokens(tiny_tokenizer().to_str())
GEMMA: Template = load().build("template", "gemma4")
ENDS = frozenset([SPECIAL["<|tool_response>"], SPECIAL["<turn|>"]])


def add(a: int, b: int) -> Task:
    return Task(
        id=f"add-{a}-{b}",
        messages=(Message(role="user", content=f"Add {a} and {b}."),),
        tools=TOOLS,
        target={"calls": [{"name": "add", "arguments": {"a": a, "b": b}}]},
    )


def verifier(name: str) -> Verifier:
    built: Verifier = load().build("verifier", name)
    return built


@dataclass
class Recorder:
    """A verifier of a third party: it keeps what it was asked."""

    seen: list[tuple[Task, Trace]] = field(default_factory=list)

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """Half right, always."""
        self.seen.append((task, trace))
        return Verdict(verifier="recorder", passed=False, score=0.5, reasons=("half",))


def rewards(tasks: list[Task], verifiers: Mapping[str, Verifier]) -> Rewards:
    rows, refused = prompt_rows(tasks, GEMMA, TOKENS, room=10_000)
    assert not refused
    return Rewards(rows, GEMMA, TOKENS, ENDS, verifiers)


CALL = "<|tool_call>call:add{a:2,b:3}<tool_call|><|tool_response>"


def test_a_verifier_is_given_the_trace_that_serving_makes_of_the_ids() -> None:
    recorder = Recorder()
    task, ids = add(2, 3), TOKENS.encode_text(CALL)
    assert rewards([task], {"recorder": recorder}).scores("recorder", [0], [ids]) == [0.5]
    [(judged, trace)] = recorder.seen
    assert judged == task
    assert trace == trace_of_ids(task, GEMMA, TOKENS, ids, ENDS)
    assert [(call.name, call.arguments) for call in trace.calls] == [("add", {"a": 2, "b": 3})]


def test_control_tokens_are_seen() -> None:
    """The same characters without the control tokens are no call in the format's own markers."""
    found = rewards([add(2, 3)], {"native-wrapper": verifier("native-wrapper")})
    marked = TOKENS.encode_text(CALL)
    markers = {number for name, number in SPECIAL.items() if "tool" in name}
    bare = [number for number in marked if number not in markers]
    assert bare != marked
    assert found.scores("native-wrapper", [0, 0], [marked, bare]) == [1.0, 0.0]


def test_each_completion_is_judged_against_its_own_row() -> None:
    found = rewards([add(2, 3), add(4, 5)], {"arguments-match": verifier("arguments-match")})
    ids = TOKENS.encode_text(CALL)
    right, wrong = found.scores("arguments-match", [0, 1], [ids, ids])
    assert right == 1.0
    assert 0.0 < wrong < 1.0


def test_a_completion_that_comes_twice_is_judged_once() -> None:
    first, second = Recorder(), Recorder()
    found = rewards([add(2, 3), add(4, 5)], {"first": first, "second": second})
    ids = TOKENS.encode_text(CALL)
    rows, completions = [0, 0, 1], [ids, list(ids), ids]
    assert found.scores("first", rows, completions) == [0.5] * 3
    assert found.scores("second", rows, completions) == [0.5] * 3
    assert [task.id for task, _ in first.seen] == ["add-2-3", "add-4-5"]
    assert [task.id for task, _ in second.seen] == ["add-2-3", "add-4-5"]


def test_prompts_are_the_templates_with_each_rows_own_tools() -> None:
    one, other = add(2, 3), replace(add(4, 5), tools=TOOLS[:1])
    rows, _ = prompt_rows([one, other], GEMMA, TOKENS, room=10_000)
    for row, task in zip(rows, (one, other), strict=True):
        rendered = GEMMA.render(task.messages, task.tools, thinking=False)
        assert row.prompt_ids == TOKENS.encode(rendered)
        text = TOKENS.decode(row.prompt_ids)
        assert [tool.name in text for tool in TOOLS] == [tool in task.tools for tool in TOOLS]


def test_prompts_that_leave_no_room_are_refused_with_their_length() -> None:
    rows, _ = prompt_rows([add(2, 3)], GEMMA, TOKENS, room=10_000)
    length = len(rows[0].prompt_ids)
    assert prompt_rows([add(2, 3)], GEMMA, TOKENS, room=length)[1] == []
    kept, [(task, why)] = prompt_rows([add(2, 3)], GEMMA, TOKENS, room=length - 1)
    assert (kept, task.id) == ([], "add-2-3")
    assert f"has {length} tokens" in why
    assert "\n" not in why


def test_weights_are_by_name() -> None:
    verifiers = {"a": Recorder(), "b": Recorder(), "c": Recorder()}
    assert weights_of(verifiers, {}) == [1.0, 1.0, 1.0]
    assert weights_of(verifiers, {"b": 0.25, "c": 0.0}) == [1.0, 0.25, 0.0]
    with pytest.raises(ConfigError, match="no verifier 'd' in this step, only a, b, c"):
        weights_of(verifiers, {"d": 1.0})
    with pytest.raises(ConfigError, match="every weight is 0"):
        weights_of({"a": Recorder()}, {"a": 0.0})
    with pytest.raises(ConfigError, match="rewards are verifiers, and the step has none"):
        weights_of({}, {})


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ([1.5, 1.5, 1.5], GroupCounts(groups=1, equal=1, solved=1)),
        ([0.0, 0.0, 0.0], GroupCounts(groups=1, equal=1, hopeless=1)),
        ([0.75, 0.75 + 1e-8, 0.75], GroupCounts(groups=1, equal=1)),
        ([0.0, 0.0, 0.1], GroupCounts(groups=1)),
    ],
    ids=["solved", "hopeless", "equal", "undecided"],
)
def test_groups_that_teach_nothing_are_counted(group: list[float], expected: GroupCounts) -> None:
    assert count_groups(group, 3, 1.5) == expected
    assert count_groups([*group, 0.0, 1.5, 0.0], 3, 1.5) == expected + GroupCounts(groups=1)


@given(st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=4, max_size=4), max_size=6))
def test_a_group_is_equal_exactly_when_no_completion_is_better(groups: list[list[float]]) -> None:
    found = count_groups([value for group in groups for value in group], 4, 1.0)
    assert found.groups == len(groups)
    assert found.equal == sum(len(set(group)) == 1 for group in groups)
    assert found.solved == sum(set(group) == {1.0} for group in groups)
    assert found.hopeless == sum(set(group) == {0.0} for group in groups)


def sample(task: Task, *calls: ToolCall) -> tuple[Task, Trace]:
    turn = Turn(sent=task.messages, reply=Reply(calls=calls))
    return task, Trace(arm="a", task=task.id, sample=0, turns=(turn,), halt="calls")


def test_only_what_is_undecided_is_kept() -> None:
    solved, hopeless, mixed, unknown, changed = (add(number, 1) for number in range(5))

    def right(task: Task) -> ToolCall:
        [gold] = task.target["calls"]  # type: ignore[union-attr]
        return ToolCall(name="add", arguments=gold["arguments"])  # type: ignore[index, call-overload]

    other = replace(changed, messages=(Message(role="user", content="Something else."),))
    traces = [
        *(sample(solved, right(solved)) for _ in range(3)),
        *(sample(hopeless) for _ in range(3)),
        sample(mixed, right(mixed)),
        sample(mixed),
        sample(unknown),  # one alone cannot be compared
        *(sample(other) for _ in range(3)),  # of another task with the same id
    ]
    tasks = [solved, hopeless, mixed, unknown, changed]
    found = undecided(tasks, traces, {"calls-match": verifier("calls-match")}, [1.0])
    assert found.kept == [mixed, unknown, changed]
    assert found.counts == GroupCounts(groups=3, equal=2, solved=1, hopeless=1)
    assert found.unknown == 2


def test_a_dense_reward_keeps_what_a_strict_one_calls_hopeless() -> None:
    task = add(2, 3)
    traces = [sample(task), sample(task, ToolCall(name="add", arguments={"a": 2, "b": 7}))]
    strict = undecided([task], traces, {"v": verifier("calls-match")}, [1.0])
    dense = undecided([task], traces, {"v": verifier("arguments-match")}, [1.0])
    assert (strict.kept, strict.counts.hopeless) == ([], 1)
    assert dense.kept == [task]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"group": 1}, "greater than or equal to 2"),
        ({"group": 8, "batch_size": 2, "accumulation": 2}, "4 completions, which are no whole"),
        ({"max_new_tokens": 2048}, "leaves no room for a prompt"),
        ({"weights": {"strict": -1}}, "weight of strict is below 0"),
        ({"vllm": "server"}, "colocate"),
        ({"gruop": 4}, "Extra inputs"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_options_that_cannot_be_are_refused(options: dict[str, JsonValue], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        GrpoConfig.model_validate(options)


def test_the_defaults_fit_each_other() -> None:
    made = GrpoConfig()
    assert made.batch_size * made.accumulation % made.group == 0
    assert made.quantization == "nf4"
    assert made.beta == 0.0
