"""`replay` and `replay-chat`: recorded answers, found exactly or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from callsmith import (
    ArmError,
    CallParsed,
    Completion,
    ConfigError,
    ContentDelta,
    Fault,
    FaultFound,
    Fidelity,
    Message,
    Prompt,
    ReasoningDelta,
    Reply,
    Sampling,
    Segment,
    ToolCall,
    Trace,
    Turn,
    Usage,
    dumps,
    to_json,
)
from callsmith.testing import ChatArmContract, TextArmContract
from callsmith_replay.chat_arm import ReplayChatArm
from callsmith_replay.config import ReplayConfig
from callsmith_replay.text_arm import ReplayTextArm

SAMPLING = Sampling(seed=7)


def prompt(text: str) -> Prompt:
    return Prompt(segments=(Segment(text=text, origin="control"),))


def user(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def turn(asked: str, answer: str, sent: Sequence[Message] = ()) -> Turn:
    completion = Completion(
        text=answer, stop_reason="stop", usage=Usage(prompt_tokens=3), timings={"eval": 0.5}
    )
    return Turn(
        sent=tuple(sent) or user(asked),
        reply=Reply(content=answer, completion=completion, prompt=prompt(asked)),
        seconds=1.0,
    )


def trace(*turns: Turn, task: str = "t", sample: int = 0, arm: str = "raw") -> Trace:
    return Trace(arm=arm, task=task, sample=sample, turns=turns, halt="answered")


def run_folder(
    path: Path,
    traces: Sequence[Trace],
    sampling: Sampling | None = SAMPLING,
    fidelity: Mapping[str, Fidelity] | None = None,
) -> Path:
    path.mkdir(exist_ok=True)
    (path / "traces.jsonl").write_text("".join(dumps(item) + "\n" for item in traces))
    if sampling is not None:
        drawn = {name: getattr(sampling, name) for name in sampling.__slots__}
        header: dict[str, Any] = {
            "format": 1,
            "config": {"arms": {item.arm: {"sampling": drawn} for item in traces}},
            "sessions": [{"fidelity": {"raw": {"error": "TimeoutError: "}}}],
        }
        if fidelity:
            header["sessions"].insert(0, {"fidelity": to_json(fidelity)})
        (path / "run.json").write_text(json.dumps(header))
    return path


def text_arm(path: Path, **options: Any) -> ReplayTextArm:
    return ReplayTextArm(ReplayConfig(path=str(path), **options))


def chat_arm(path: Path, **options: Any) -> ReplayChatArm:
    return ReplayChatArm(ReplayConfig(path=str(path), **options))


async def test_a_completion_comes_back_as_it_was(tmp_path: Path) -> None:
    recorded = trace(turn("a", "one ☀"), turn("ab", "two"))
    arm = text_arm(run_folder(tmp_path, [recorded]))
    for item in recorded.turns:
        assert item.reply is not None
        assert item.reply.prompt is not None
        assert await arm.complete(item.reply.prompt, SAMPLING) == item.reply.completion


async def test_samples_are_given_in_recorded_order_each_seeds_own_first(tmp_path: Path) -> None:
    traces = [trace(turn("a", f"seed {7 + n}"), sample=n) for n in (2, 0, 1)]
    folder = run_folder(tmp_path, traces)
    arm = text_arm(folder)
    texts = [
        (await arm.complete(prompt("a"), replace(SAMPLING, seed=seed))).text for seed in (8, 7, 9)
    ]
    assert texts == ["seed 8", "seed 7", "seed 9"]
    arm = text_arm(folder)
    other = replace(SAMPLING, seed=100)
    texts = [(await arm.complete(prompt("a"), other)).text for _ in range(3)]
    assert texts == ["seed 7", "seed 8", "seed 9"]


async def test_an_answer_is_given_once(tmp_path: Path) -> None:
    arm = text_arm(run_folder(tmp_path, [trace(turn("a", "one")), trace(turn("a", "two"))]))
    assert [(await arm.complete(prompt("a"), SAMPLING)).text for _ in range(2)] == ["one", "two"]
    with pytest.raises(ArmError, match=r"has 2 answers to this prompt.*all of them were given"):
        await arm.complete(prompt("a"), SAMPLING)


async def test_a_missing_prompt_is_explained_by_the_nearest_one(tmp_path: Path) -> None:
    folder = run_folder(
        tmp_path,
        [
            trace(turn("You are terse. Hello there", "a"), task="near"),
            trace(turn("You talk. Hello there", "b"), task="far"),
        ],
    )
    with pytest.raises(ArmError) as caught:
        await text_arm(folder).complete(prompt("You are terse. Hello World"), SAMPLING)
    text = str(caught.value)
    assert "task 'near', sample 0, turn 1" in text
    assert "differs first at character 21" in text
    assert "Hello there'" in text
    assert "Hello World'" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    "change",
    [{"temperature": 0.5}, {"top_p": 0.5}, {"top_k": 5}, {"max_tokens": 9}, {"thinking": True}],
)
async def test_another_way_of_drawing_is_not_the_recorded_one(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    folder = run_folder(tmp_path, [trace(turn("a", "one"))])
    changed = replace(SAMPLING, **change)
    with pytest.raises(ArmError, match=f"made with {next(iter(change))} "):
        await text_arm(folder).complete(prompt("a"), changed)
    assert (await text_arm(folder, sampling="any").complete(prompt("a"), changed)).text == "one"


async def test_stop_strings_of_a_template_make_no_difference(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, [trace(turn("a", "one"))])
    stopping = replace(SAMPLING, stop=("<turn|>",))
    assert (await text_arm(folder).complete(prompt("a"), stopping)).text == "one"


async def test_traces_alone_are_enough(tmp_path: Path) -> None:
    run_folder(tmp_path, [trace(turn("a", "one"))], sampling=None)
    for path in (tmp_path, tmp_path / "traces.jsonl"):
        anyhow = Sampling(temperature=1.5)
        assert (await text_arm(path).complete(prompt("a"), anyhow)).text == "one"


async def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, [trace(turn("a", "one"))])
    with (folder / "traces.jsonl").open("a") as file:
        file.write('{"arm":"raw","task":"torn')
    assert (await text_arm(folder).complete(prompt("a"), SAMPLING)).text == "one"


async def test_a_file_of_records(tmp_path: Path) -> None:
    file = tmp_path / "recordings.jsonl"
    rows: list[dict[str, Any]] = [
        {"prompt": "a", "completion": {"text": "one"}, "seed": 7},
        {"prompt": "a", "completion": {"text": "two"}, "seed": 8},
        {"messages": [{"role": "user", "content": "a"}], "reply": {"content": "three"}},
    ]
    file.write_text("\n\n".join(json.dumps(row) for row in rows))
    arm = text_arm(file)
    assert (await arm.complete(prompt("a"), Sampling(seed=8))).text == "two"
    assert (await arm.complete(prompt("a"), Sampling(seed=8))).text == "one"
    assert (await chat_arm(file).generate(user("a"), (), Sampling())).content == "three"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", ":1 is not JSON"),
        ("[]", ":1 is not an object"),
        ('{"prompt": "a"}', "needs `prompt` and `completion`"),
        ('{"prompt": 5, "completion": {"text": ""}}', "needs `prompt` and `completion`"),
        ('{"prompt": "a", "completion": {"txt": ""}}', "txt"),
        ('{"prompt": "a", "completion": {"text": ""}, "sede": 1}', "unknown key 'sede'"),
        ('{"prompt": "a", "completion": {"text": ""}, "seed": "1"}', "no integer"),
        ('{"turns": []}', ":1 is not a recording"),
        ("", "has no recordings"),
    ],
)
def test_a_file_that_is_none_is_one_clear_line(tmp_path: Path, line: str, says: str) -> None:
    file = tmp_path / "recordings.jsonl"
    file.write_text(line + "\n")
    for build in (text_arm, chat_arm):
        with pytest.raises(ConfigError) as caught:
            build(file)
        assert says in str(caught.value)
        assert caught.value.path == "options.path"
        assert "\n" not in str(caught.value)


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        text_arm(tmp_path / "gone")
    with pytest.raises(ConfigError, match=r"traces\.jsonl cannot be read"):
        text_arm(tmp_path)


def test_which_arm_must_be_clear(tmp_path: Path) -> None:
    folder = run_folder(
        tmp_path, [trace(turn("a", "one"), arm="raw"), trace(turn("a", "two"), arm="chat")]
    )
    with pytest.raises(ConfigError, match="say which: 'raw', 'chat'"):
        text_arm(folder)
    with pytest.raises(ConfigError, match="has no arm 'rau'"):
        text_arm(folder, arm="rau")


async def test_each_arm_has_its_own_recordings(tmp_path: Path) -> None:
    folder = run_folder(
        tmp_path, [trace(turn("a", "one"), arm="raw"), trace(turn("a", "two"), arm="chat")]
    )
    assert (await text_arm(folder, arm="chat").complete(prompt("a"), SAMPLING)).text == "two"


async def test_a_run_without_prompts_says_why(tmp_path: Path) -> None:
    bare = Turn(sent=user("a"), reply=Reply(content="one", completion=Completion(text="one")))
    folder = run_folder(tmp_path, [trace(bare)])
    with pytest.raises(ArmError, match="record: replies"):
        await text_arm(folder).complete(prompt("a"), SAMPLING)
    assert (await chat_arm(folder).generate(user("a"), (), SAMPLING)).content == "one"


async def test_a_whole_conversation_is_the_key(tmp_path: Path) -> None:
    call = ToolCall(name="f", arguments={"x": 1}, id="call_0_0")
    asked = Turn(sent=user("a"), reply=Reply(calls=(call,)))
    back = (
        Message(role="assistant", content="", tool_calls=(call,)),
        Message(role="tool", content="5", tool_call_id="call_0_0", name="f"),
    )
    told = Turn(sent=back, reply=Reply(content="It is 5."))
    arm = chat_arm(run_folder(tmp_path, [trace(asked, told)]))
    assert (await arm.generate(user("a"), (), SAMPLING)).calls == (call,)
    changed = replace(back[1], content="6")
    with pytest.raises(ArmError, match=r"turn 2.*recorded .*asked "):
        await arm.generate((*user("a"), back[0], changed), (), SAMPLING)
    assert (await arm.generate((*user("a"), *back), (), SAMPLING)).content == "It is 5."


async def test_a_recorded_failure_fails_again(tmp_path: Path) -> None:
    failed = Turn(sent=user("a"), error="timeout: no reply within 300 s")
    arm = chat_arm(run_folder(tmp_path, [trace(failed)]))
    with pytest.raises(ArmError, match="recorded failure: timeout: no reply within 300 s"):
        await arm.generate(user("a"), (), SAMPLING)


async def test_a_reply_streams_as_events(tmp_path: Path) -> None:
    reply = Reply(
        content="hi",
        reasoning="hm",
        calls=(ToolCall(name="f"),),
        faults=(Fault(kind="odd", raw="x"),),
    )
    arm = chat_arm(run_folder(tmp_path, [trace(Turn(sent=user("a"), reply=reply))]))
    assert [event async for event in arm.stream(user("a"), (), SAMPLING)] == [
        ReasoningDelta(text="hm"),
        ContentDelta(text="hi"),
        CallParsed(index=0, call=reply.calls[0]),
        FaultFound(fault=reply.faults[0]),
        reply,
    ]


async def test_the_probe_tells_what_the_recorded_run_knew(tmp_path: Path) -> None:
    known = Fidelity(
        runtime="ollama", model="gemma4:e4b", model_digest="abc", warnings=("w",), details={"a": 1}
    )
    folder = run_folder(tmp_path, [trace(turn("a", "one"))], fidelity={"raw": known})
    found = await text_arm(folder).probe()
    assert found == replace(
        known,
        runtime="replay",
        details={
            "a": 1,
            "replays": str(folder),
            "recorded_arm": "raw",
            "recorded_runtime": "ollama",
        },
    )


async def test_without_a_probed_run_nothing_is_guessed(tmp_path: Path) -> None:
    found = await text_arm(run_folder(tmp_path, [trace(turn("a", "one"))], sampling=None)).probe()
    assert (found.runtime, found.model, found.warnings) == ("replay", None, ())


PROMPTS = ("Count to ten.", "Name the colours of the rainbow.")
ANSWERS = ("one two three four five six", "red orange yellow green blue")
OFTEN = 12


def _stopped(text: str) -> Completion:
    return Completion(text=text, stop_reason="stop", usage=Usage(completion_tokens=len(text)))


class TestReplayText(TextArmContract):
    """The parts of the contract that a recording can keep: it cannot stop or cut anew."""

    test_stop_strings_end_the_text_and_are_not_in_it = None  # type: ignore[assignment]
    test_max_tokens_cuts_and_says_so = None  # type: ignore[assignment]

    @pytest.fixture
    def arm(self, tmp_path: Path) -> ReplayTextArm:
        rows = [
            {"prompt": asked, "completion": to_json(_stopped(text))}
            for asked, text in zip(PROMPTS, ANSWERS, strict=True)
        ] * OFTEN
        file = tmp_path / "recordings.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return text_arm(file)

    @pytest.fixture
    def prompts(self) -> Sequence[Prompt]:
        return [prompt(text) for text in PROMPTS]


class TestReplayChat(ChatArmContract):
    """The parts of the contract that a recording can keep."""

    test_stop_strings_end_the_text_and_are_not_in_it = None  # type: ignore[assignment]
    test_max_tokens_cuts_and_says_so = None  # type: ignore[assignment]
    test_calls_are_read = None  # type: ignore[assignment]
    test_a_tool_result_can_be_sent = None  # type: ignore[assignment]

    @pytest.fixture
    def arm(self, tmp_path: Path, calling: Any) -> ReplayChatArm:
        rows: list[dict[str, Any]] = [
            {"messages": to_json(user(asked)), "reply": {"content": text}}
            for asked, text in zip(PROMPTS, ANSWERS, strict=True)
        ]
        calls = [{"name": "get_weather", "arguments": {"city": "Paris"}}]
        rows.append({"messages": to_json(calling.messages), "reply": {"calls": calls}})
        file = tmp_path / "recordings.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows * OFTEN))
        return chat_arm(file)

    @pytest.fixture
    def conversations(self) -> Sequence[Sequence[Message]]:
        return [user(text) for text in PROMPTS]
