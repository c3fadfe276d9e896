"""Pairs from traces, from corrections and from corrupted gold: right against plausibly wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith import (
    Completion,
    JsonValue,
    Message,
    Prompt,
    Reply,
    Sampling,
    Task,
    Template,
    Templated,
    ToolCall,
    ToolError,
    ToolSpec,
    Trace,
    TrainJob,
    Turn,
    Verifier,
    load,
    run_episode,
)
from callsmith.testing import ScriptedTextArm, arguments_for, tool_specs
from callsmith_trl.pair_building import build_pairs
from callsmith_trl.pair_corrections import corrected
from callsmith_trl.pair_judges import Judges
from callsmith_trl.pair_options import PairOptions
from callsmith_trl.pair_sources import corrupted, mined
from callsmith_trl.pairs import Dropped, Pair, counts, select

NUMBER: dict[str, JsonValue] = {"type": "integer"}
ADD = ToolSpec(
    name="add",
    parameters={
        "type": "object",
        "properties": {"a": NUMBER, "b": NUMBER, "note": {"type": "string"}},
        "required": ["a", "b"],
    },
)
WEATHER = ToolSpec(
    name="get_weather",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
)
SHAPES = ("gemma4", "qwen3")
CATALOG = load()
TEMPLATES: dict[str, Template] = {name: CATALOG.build("template", name) for name in SHAPES}
VERIFIERS: dict[str, Verifier] = {
    name: CATALOG.build("verifier", name) for name in ("calls-match", "strict", "schema-valid")
}


def judges(shape: str = "qwen3", names: Sequence[str] = tuple(VERIFIERS)) -> Judges:
    return Judges(template=TEMPLATES[shape], verifiers={name: VERIFIERS[name] for name in names})


def task(id_: str = "sum", *, calls: Sequence[JsonValue] = (), answer: str = "") -> Task:
    target: dict[str, JsonValue] = {"calls": list(calls)}
    return Task(
        id=id_,
        messages=(Message(role="user", content=f"Add 1 and 2, {id_}."),),
        tools=(ADD, WEATHER),
        target={"answer": answer, "answer_only": True} if answer else target,
    )


SUM = task(calls=[{"name": "add", "arguments": {"a": 1, "b": 2}}])
CHAT = task("chat", answer="Hello.")
TWICE = task(
    "twice",
    calls=[
        {"name": "add", "arguments": {"a": 1, "b": 2}},
        {"name": "get_weather", "arguments": {"city": "Oslo"}},
    ],
)


def episode(one: Task, text: str, *, sample: int = 0, reason: str = "stop") -> Trace:
    """What a run leaves of one completion."""
    engine = ScriptedTextArm(Completion(text=text, stop_reason=reason))
    arm = Templated(engine, TEMPLATES["qwen3"])
    return asyncio.run(run_episode(arm, one, sampling=Sampling(), sample=sample, name="model"))


def said(name: str, arguments: JsonValue) -> str:
    import json

    call = json.dumps({"name": name, "arguments": arguments})
    return f"<tool_call>\n{call}\n</tool_call>"


RIGHT = said("add", {"a": 1, "b": 2})
END = "<|im_end|>"


def mine(one: Task, *traces: Trace, **options: object) -> tuple[list[Pair], Dropped]:
    dropped = Dropped()
    found = mined(
        [(one, trace) for trace in traces],
        judges(),
        PairOptions.model_validate(options),
        dropped,
    )
    return found, dropped


@pytest.mark.parametrize(
    ("one", "text", "reason"),
    [
        (SUM, said("get_weather", {"city": "Oslo"}), "wrong-tool"),
        (SUM, said("sum", {"a": 1, "b": 2}), "hallucinated-tool"),
        (SUM, said("add", {"a": 1}), "missing-argument"),
        (SUM, said("add", {"a": 1, "b": 2, "note": "x"}), "extra-argument"),
        (SUM, said("add", {"a": 1, "b": "2"}), "wrong-type"),
        (SUM, said("add", {"a": True, "b": 2}), "wrong-type"),
        (SUM, said("add", {"a": 2, "b": 1}), "swapped-arguments"),
        (SUM, said("add", {"a": 1, "b": 3}), "wrong-value"),
        (SUM, said("add", [1, 2]), "wrong-type"),
        (SUM, RIGHT + "\n" + RIGHT, "extra-call"),
        (SUM, "It is 3.", "no-call"),
        (SUM, "<tool_call>\nadd 1 and 2\n</tool_call>", "unreadable"),
        (SUM, RIGHT.removesuffix("</tool_call>"), "mended"),
        (CHAT, RIGHT, "call-not-due"),
        (TWICE, RIGHT, "missing-call"),
    ],
)
def test_a_near_miss_is_named_and_kept_verbatim(one: Task, text: str, reason: str) -> None:
    (pair,), dropped = mine(one, episode(one, text))
    assert (pair.reason, pair.origin, pair.source) == (reason, "mined", one.id)
    assert pair.rejected.text == text + END
    assert pair.rejected.end == END
    assert pair.said
    assert not dropped.ids


def test_a_right_completion_is_no_near_miss() -> None:
    assert mine(SUM, episode(SUM, RIGHT)) == ([], Dropped())


def test_spacing_of_the_model_is_not_written_again() -> None:
    text = '<tool_call>{"name":"add",  "arguments":{"b":3,"a":1}}</tool_call>'
    (pair,), _ = mine(SUM, episode(SUM, text))
    assert pair.rejected.text == text + END


def test_a_cut_completion_has_no_end() -> None:
    (pair,), _ = mine(SUM, episode(SUM, "I think " * 9, reason="length"))
    assert (pair.reason, pair.rejected.end) == ("cut", "")
    assert pair.rejected.text == "I think " * 9


def test_the_chosen_one_is_the_gold_or_the_models_own() -> None:
    own = '<tool_call>{"name": "add", "arguments": {"b": 2, "a": 1}}</tool_call>'
    traces = [episode(SUM, "3", sample=0), episode(SUM, own, sample=1)]
    (gold,), _ = mine(SUM, *traces)
    (sample,), _ = mine(SUM, *traces, chosen="sample")
    assert gold.chosen.text == RIGHT + END
    assert sample.chosen.text == own + END
    (none,), _ = mine(SUM, traces[0], chosen="sample")
    assert none.chosen.text == RIGHT + END


def test_a_server_that_shows_no_text_is_written_again() -> None:
    call = ToolCall(name="add", arguments={"a": 1, "b": 9}, raw="something", id="x")
    turn = Turn(sent=SUM.messages, reply=Reply(calls=(call,)))
    trace = Trace(arm="server", task="sum", sample=0, turns=(turn,), halt="calls")
    (pair,), _ = mine(SUM, trace)
    assert pair.rejected.text == said("add", {"a": 1, "b": 9}) + END
    assert pair.reason == "wrong-value"


def one_turn(reply: Reply | None) -> Trace:
    turn = Turn(sent=SUM.messages, reply=reply)
    return Trace(arm="x", task="sum", sample=0, turns=(turn,), halt="answered")


STRANGE = Reply(
    calls=(ToolCall(name="add", arguments={"a": 1, "b": 9}),),
    completion=Completion(text="add(1, 9)", stop_reason="stop"),
)
ELSEWHERE = Reply(
    content="3",
    completion=Completion(text="3", stop_reason="stop"),
    prompt=Prompt(segments=()),
)


@pytest.mark.parametrize(
    ("one", "trace", "why"),
    [
        (SUM, one_turn(None), "no reply in the trace"),
        (SUM, one_turn(Reply()), "empty completion"),
        (SUM, one_turn(STRANGE), "the text is of another format"),
        (SUM, one_turn(ELSEWHERE), "written after another prompt"),
        (replace(SUM, target={"calls": [{}]}), episode(SUM, "3"), "no gold: a gold call has no"),
        (
            replace(SUM, target={"calls": [{"name": "gone", "arguments": {}}]}),
            episode(SUM, "3"),
            "the gold is refused by schema-valid",
        ),
    ],
)
def test_what_cannot_be_paired_is_counted(one: Task, trace: Trace, why: str) -> None:
    found, dropped = mine(one, trace)
    assert not found
    ((reason, ids),) = dropped.ids.items()
    assert reason.startswith(why)
    assert ids == ["sum"]


def test_calls_one_after_the_other_are_no_near_miss() -> None:
    trace = dialogue(TWICE, RIGHT, "Done.")
    found, dropped = mine(TWICE, trace)
    assert not found
    assert dropped.counts() == {"several turns and several gold calls": 1}


# -- corrections --------------------------------------------------------------------------------


class Calculator:
    """Adds numbers below ten, and breaks down at 13."""

    def tools(self) -> Sequence[ToolSpec]:
        return (ADD, WEATHER)

    def session(self, task: Task) -> Calculator:
        return self

    async def call(self, name: str, arguments: Mapping[str, JsonValue]) -> JsonValue:
        numbers = [value for value in arguments.values() if isinstance(value, int)]
        if 13 in numbers:
            raise RuntimeError("out of paper")
        if name == "add" and len(numbers) != 2:
            raise ToolError("add takes the numbers a and b")
        return sum(numbers)


def dialogue(one: Task, *texts: str) -> Trace:
    arm = Templated(ScriptedTextArm(list(texts)), TEMPLATES["qwen3"])
    return asyncio.run(run_episode(arm, one, Calculator(), name="model"))


def correct(
    one: Task, trace: Trace, names: Sequence[str] = ("calls-match", "schema-valid")
) -> tuple[list[Pair], Dropped]:
    dropped = Dropped()
    return corrected([(one, trace)], judges(names=names), dropped), dropped


BAD = said("add", {"a": 1})
PRODUCTION = replace(SUM, target={})


@pytest.mark.parametrize("one", [SUM, PRODUCTION])
def test_a_refused_call_and_its_successor(one: Task) -> None:
    trace = dialogue(one, BAD, RIGHT, "It is 3.")
    (pair,), dropped = correct(one, trace)
    assert not dropped.ids
    prompt = TEMPLATES["qwen3"].render(one.messages, one.tools, thinking=False)
    assert pair.prompt == prompt
    assert pair.rejected.text == BAD + END
    assert pair.chosen.text == RIGHT + END
    assert (pair.origin, pair.reason, pair.source) == ("correction", "missing-argument", "sum")
    assert "refused: error: add takes the numbers a and b" in pair.said


def test_every_refused_turn_of_a_row_gets_the_call_that_passed() -> None:
    first, second = said("plus", {"a": 1, "b": 2}), BAD
    pairs, _ = correct(SUM, dialogue(SUM, first, second, RIGHT, "It is 3."))
    assert [pair.reason for pair in pairs] == ["hallucinated-tool", "missing-argument"]
    assert {pair.chosen.text for pair in pairs} == {RIGHT + END}
    assert "there is no such tool" not in pairs[0].prompt.text
    assert "there is no such tool" in pairs[1].prompt.text  # what the model was told stands there


def test_calls_of_the_turn_that_were_carried_out_stay() -> None:
    oslo = said("get_weather", {"city": "Oslo"})
    trace = dialogue(TWICE, f"{BAD}\n{oslo}", RIGHT, "It is 3.")
    (pair,), dropped = correct(TWICE, trace)
    assert not dropped.ids
    assert pair.rejected.text == f"{BAD}\n{oslo}{END}"
    assert pair.chosen.text == f"{RIGHT}\n{oslo}{END}"


def test_the_verifiers_have_the_last_word_on_the_episode() -> None:
    wrong = said("add", {"a": 5, "b": 5})
    found, dropped = correct(SUM, dialogue(SUM, BAD, wrong, "It is 10."))
    assert not found
    assert dropped.counts() == {"the corrected episode is refused by calls-match": 1}


@pytest.mark.parametrize(
    "texts",
    [
        (BAD, "I give up."),
        (BAD, BAD, "I give up."),
        (said("add", {"a": 13, "b": 1}), said("add", {"a": 12, "b": 1}), "It is 13."),
        (RIGHT, "It is 3."),
    ],
)
def test_no_correction(texts: Sequence[str]) -> None:
    # The third: a tool that broke down says nothing about the call.
    assert correct(PRODUCTION, dialogue(PRODUCTION, *texts)) == ([], Dropped())


def test_a_guard_refuses_like_a_tool() -> None:
    trace = dialogue(SUM, BAD, RIGHT, "It is 3.")
    first = replace(trace.turns[0], results=(), interventions=("schema: b is required",))
    (pair,), _ = correct(SUM, replace(trace, turns=(first, *trace.turns[1:])))
    assert pair.said[0] == "guard: schema: b is required"
    assert (pair.rejected.text, pair.chosen.text) == (BAD + END, RIGHT + END)


def test_the_same_call_again_is_no_correction() -> None:
    trace = dialogue(SUM, BAD, RIGHT, "It is 3.")
    reply = trace.turns[1].reply
    assert reply is not None
    first = replace(trace.turns[0], reply=reply, results=(), interventions=("rate limit",))
    found, dropped = correct(SUM, replace(trace, turns=(first, *trace.turns[1:])))
    assert not found
    assert dropped.counts() == {"refused and passed are the same call": 1}


# -- corruptions, as a property -------------------------------------------------------------------


@st.composite
def gold_tasks(draw: st.DrawFn) -> Task:
    tools = draw(st.lists(tool_specs(), min_size=1, max_size=3, unique_by=lambda tool: tool.name))
    calls: list[JsonValue] = [
        {"name": tool.name, "arguments": draw(arguments_for(tool))}
        for tool in draw(st.lists(st.sampled_from(tools), max_size=2))
    ]
    words = draw(st.text(alphabet="abc xyz 123", min_size=1, max_size=20))
    wants_answer: dict[str, JsonValue] = {"answer": "Well, no.", "answer_only": True}
    return Task(
        id=draw(st.text(alphabet="abcdef", min_size=1, max_size=3)),
        messages=(Message(role="user", content=words),),
        tools=tuple(tools),
        target={"calls": calls} if calls else wants_answer,
    )


@pytest.mark.parametrize("shape", SHAPES)
@given(
    tasks=st.lists(gold_tasks(), min_size=1, max_size=2, unique_by=lambda one: one.id),
    seed=st.integers(min_value=0, max_value=3),
)
def test_chosen_passes_and_rejected_fails(shape: str, tasks: list[Task], seed: int) -> None:
    judge = judges(shape, ("calls-match", "strict"))
    options = PairOptions(corruptions=14)
    found = corrupted(tasks, judge, options, seed, Dropped())
    for pair in found:
        assert not judge.refusals(pair.task, judge.read(pair.task, pair.chosen.text))
        assert judge.refusals(pair.task, judge.read(pair.task, pair.rejected.text))
        assert pair.chosen.text != pair.rejected.text
        assert pair.said
    first = [pair for pair in found if pair.source == tasks[0].id]
    assert first == corrupted(tasks[:1], judge, options, seed, Dropped())
    kept = select(found, (), options, seed, Dropped())
    assert kept == select(found[::-1], (), options, seed, Dropped())
    assert {pair.key for pair in kept.train} <= {pair.key for pair in found}
    assert not {one.source for one in kept.train} & {one.source for one in kept.held_out}


def test_corruptions_go_round_the_reasons() -> None:
    tasks = [
        task(f"t{index}", calls=[{"name": "add", "arguments": {"a": index, "b": index + 1}}])
        for index in range(22)
    ]
    dropped = Dropped()
    found = corrupted(tasks, judges(), PairOptions(corruptions=1), 0, dropped)
    assert len(found) == 22
    # All but `missing-call` and `call-not-due` can be made of one call: eleven or twelve kinds.
    amounts = Counter(pair.reason for pair in found).values()
    assert max(amounts) <= 3
    assert len(amounts) >= 10
    assert not dropped.ids


def test_a_verifier_that_sees_nothing_makes_no_pairs() -> None:
    dropped = Dropped()
    lenient = judges(names=())
    assert corrupted([SUM], lenient, PairOptions(), 0, dropped) == []
    assert dropped.counts() == {"no corruption that a verifier refuses": 1}


# -- all sources ---------------------------------------------------------------------------------


def test_all_sources_of_a_job() -> None:
    corrected_one = replace(SUM, id="fixed")
    job = TrainJob(
        output="unused",
        tasks=[SUM, CHAT, TWICE],
        dev=[CHAT],
        traces=[
            (SUM, episode(SUM, "It is 3.")),
            (CHAT, episode(CHAT, RIGHT)),
            (corrected_one, dialogue(corrected_one, BAD, RIGHT, "It is 3.")),
        ],
        verifiers={"calls-match": VERIFIERS["calls-match"]},
    )

    def build(**options: object) -> tuple[dict[str, JsonValue], Dropped]:
        dropped = Dropped()
        given = {"held_out": 0, "corruptions": 1, **options}
        found = build_pairs(job, TEMPLATES["qwen3"], PairOptions.model_validate(given), dropped)
        return counts(found.train), dropped

    found, dropped = build()
    assert found.keys() == {"mined", "correction", "corruption"}
    assert found["mined"] == {"no-call": 1}
    assert found["correction"] == {"missing-argument": 1}
    assert "stands in dev" in dropped.counts()  # CHAT's near miss
    assert build(mined=False, corruptions=0)[0] == {"correction": {"missing-argument": 1}}
    assert build(mined=False, corrections=False)[0].keys() == {"corruption"}


def test_tasks_of_two_runs_that_share_a_name_are_not_mixed() -> None:
    other = replace(
        SUM,
        messages=(Message(role="user", content="Add 7 and 8."),),
        target={"calls": [{"name": "add", "arguments": {"a": 7, "b": 8}}]},
    )
    dropped = Dropped()
    found = mined(
        [
            (SUM, episode(SUM, said("add", {"a": 1, "b": 9}))),
            (other, episode(other, said("add", {"a": 7, "b": 8}))),
            (other, episode(other, said("add", {"a": 7, "b": 9}))),
        ],
        judges(),
        PairOptions(),
        dropped,
    )
    assert [(pair.task, '"b": 9' in pair.rejected.text) for pair in found] == [
        (SUM, True),
        (other, True),
    ]
