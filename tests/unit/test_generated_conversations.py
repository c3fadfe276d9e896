"""The generator's conversations as tasks: the very bytes of its prompts, targets, ids, options."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import callsmith
import callsmith_tiny
from callsmith import Message, Prompt, Segment, Task, ToolCall, Trace, Turn
from callsmith_checks.gold import CallsMatch
from callsmith_checks.schema import SchemaValid
from callsmith_gemma4.config import Gemma4Config
from callsmith_gemma4.template import Gemma4Template
from callsmith_tiny.tokens import Tokens
from callsmith_tiny.training.conversations import KINDS, ConversationsConfig, MixName, Part
from callsmith_tiny.training.gemma_format import completion_text
from callsmith_tiny.training.generator import Example
from callsmith_tiny.training.mixes import FULL
from callsmith_tiny.training.tasks import MIXES, GeneratedConversations, as_task

TEMPLATE = Gemma4Template(Gemma4Config(variant="small"))
TOKENS = Tokens(Path(callsmith_tiny.__file__).with_name("tokenizer.json"))


def conversations(**options: Any) -> GeneratedConversations:
    return GeneratedConversations(ConversationsConfig.model_validate(options))


def reply_of(task: Task) -> Message:
    """The gold reply as the conversation would hold it."""
    calls = task.target.get("calls")
    if not isinstance(calls, list):
        return Message(role="assistant", content=task.target["answer"])
    return Message(
        role="assistant",
        tool_calls=tuple(
            ToolCall(name=call["name"], arguments=call["arguments"], id=f"gold_{n}")
            for n, call in enumerate(calls)
            if isinstance(call, dict) and isinstance(call["name"], str)
        ),
    )


def trained_text(example: Example) -> str:
    """The completion that a trainer teaches: arguments sorted, as the template sorts them."""
    return completion_text(example.calls, example.answer, in_order=False)


def written_by_the_template(task: Task) -> str:
    """What stands behind the prompt when the gold reply is rendered."""
    prompt = TEMPLATE.render(task.messages, task.tools, thinking=False).text
    whole = TEMPLATE.render(
        [*task.messages, reply_of(task)], task.tools, thinking=False, add_generation_prompt=False
    ).text
    assert whole.startswith(prompt)
    return whole[len(prompt) :].removesuffix("\n")


def ids_of(text: str) -> list[int]:
    """The ids of a text that is encoded as one, as the generator's own training does."""
    return TOKENS.encode(Prompt(segments=(Segment(text=text, origin="control"),)))


def unlucky(task: Task) -> bool:
    """Whether a call of the history begins with an argument called "description".

    Then one text forms a token of the declarations, `{description:<|"|>`, and a prompt that keeps
    content and control apart, as the arms encode it, does not: about one conversation in 1,000.
    """
    firsts = [sorted(call.arguments)[:1] for m in task.messages for call in m.tool_calls]
    return ["description"] in firsts


def pairs(options: dict[str, Any]) -> list[tuple[Task, Example]]:
    found = conversations(**options)
    return list(zip(found.tasks(), found.examples(), strict=True))


@pytest.mark.parametrize("split", ["train", "heldout"])
@pytest.mark.parametrize("mix", get_args(MixName))
def test_the_template_writes_the_generators_prompts_and_completions(mix: str, split: str) -> None:
    seen = 0
    for task, example in pairs({"mix": mix, "split": split, "count": 250, "seed": 5}):
        prompt = TEMPLATE.render(task.messages, task.tools, thinking=False)
        assert prompt.text == example.prompt, task.id
        assert written_by_the_template(task) == trained_text(example), task.id
        assert TOKENS.encode(prompt) == ids_of(example.prompt) or unlucky(task), task.id
        seen += 1
    assert seen == 250


@given(
    st.fixed_dictionaries(
        {
            "mix": st.sampled_from(get_args(MixName)),
            "kinds": st.lists(st.sampled_from(KINDS), max_size=3, unique=True).map(tuple),
            "arguments": st.lists(st.integers(0, 6), max_size=3, unique=True).map(tuple),
            "tools": st.lists(st.integers(2, 12), max_size=3, unique=True).map(tuple),
            "split": st.sampled_from(["train", "heldout"]),
            "seed": st.integers(0, 10**6),
            "start": st.integers(0, 10**9),
            "count": st.integers(1, 8),
        }
    )
)
def test_whatever_the_options_say(options: dict[str, Any]) -> None:
    for task, example in pairs(options):
        assert TEMPLATE.render(task.messages, task.tools, thinking=False).text == example.prompt
        assert written_by_the_template(task) == trained_text(example)
        if options["kinds"]:
            assert example.kind in options["kinds"]
        if example.kind == "single":
            if options["arguments"]:
                assert len(example.calls[0][1]) in options["arguments"]
            if options["tools"]:
                assert len(task.tools) in options["tools"]


def test_targets_pass_the_verifiers_and_nothing_else_does() -> None:
    match, schema = CallsMatch(), SchemaValid()
    right = Counter[str]()
    for task, example in pairs({"count": 600}):
        reply = TEMPLATE.parse(
            trained_text(example).removesuffix("<|tool_response>").removesuffix("<turn|>"),
            task.tools,
        )
        trace = Trace(
            arm="gold",
            task=task.id,
            sample=0,
            turns=(Turn(sent=task.messages, reply=reply),),
            halt="calls" if reply.calls else "answered",
        )
        assert match.verify(task, trace).passed, task.id
        assert schema.verify(task, trace).passed, task.id
        assert not reply.faults
        assert not reply.repairs
        right["calls" if reply.calls else "answer"] += 1
        if not reply.calls:
            assert reply.content == task.target["answer"]
            assert task.target["answer_only"] is True
        other = as_task(example, "x", "full")
        wrong = Trace(arm="gold", task="x", sample=0, turns=(), halt="answered")
        assert match.verify(other, wrong).passed is (not example.calls)
    assert min(right.values()) > 100


def test_ids_are_unique_and_stable() -> None:
    parts = [
        {"mix": "plain", "kinds": ["single"], "arguments": [1, 2], "count": 40},
        {"mix": "natural", "kinds": ["single", "none"], "tools": [1, 2], "count": 30},
        {"mix": "plain", "kinds": ["single"], "arguments": [1, 2], "count": 20},
    ]
    tasks = list(conversations(parts=parts, seed=7, start=3).tasks())
    ids = [task.id for task in tasks]
    assert len(set(ids)) == len(ids) == 90
    assert ids[0] == "train-7-plain-single-a12-3"
    assert ids[-1] == "train-7-plain-single-a12-92"
    assert tasks == list(conversations(parts=parts, seed=7, start=3).tasks())
    # A part at the end changes none before it, and `start` is an index.
    assert tasks[:70] == list(conversations(parts=parts[:2], seed=7, start=3).tasks())
    assert tasks[5] == next(
        iter(conversations(**{**parts[0], "count": 1}, seed=7, start=8).tasks())
    )


def test_a_conversation_is_the_same_in_another_process() -> None:
    program = (
        "from callsmith_tiny.training.tasks import GeneratedConversations as G\n"
        "from callsmith_tiny.training.conversations import ConversationsConfig as C\n"
        "print(list(G(C(count=40, mix='natural')).tasks()))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert seen == {str(list(conversations(count=40, mix="natural").tasks())) + "\n"}


def test_tags_say_the_kind_the_cell_and_the_phrasing() -> None:
    tags = [task.tags for task in conversations(mix="plain", count=300).tasks()]
    assert {t[0] for t in tags} == set(FULL.kinds)
    assert {t[1] for t in tags if t[0] == "single"} == {f"plain/{n}" for n in range(5)}
    assert ("several", "plain/several") in tags
    assert {t[2] for t in tags if t[0] == "single"} == {"named", "value_first"}


def test_results_are_anchored_to_their_calls() -> None:
    answered = 0
    for task in conversations(kinds=["follow_up", "chain", "later_turn"], count=200).tasks():
        calls = {c.id: c.name for m in task.messages for c in m.tool_calls}
        results = [m for m in task.messages if m.role == "tool"]
        assert len({m.tool_call_id for m in results}) == len(results)
        for result in results:
            assert calls[result.tool_call_id] == result.name
            answered += 1
    assert answered > 150


def test_quick_requests_are_what_a_small_network_learns_in_minutes() -> None:
    for example in conversations(mix="quick", count=300).examples():
        assert example.kind == "single"
        assert example.phrase == "named"
        assert len(example.calls[0][1]) in (1, 2)
        assert len(example.tools) in (1, 2)


def test_every_mix_has_its_name() -> None:
    assert set(MIXES) == set(get_args(MixName))
    assert set(KINDS) == set(FULL.kinds)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mix": "hardest"}, "'first', 'quick'"),
        ({"kinds": ["singel"]}, "'single'"),
        ({"split": "dev"}, "'train' or 'heldout'"),
        ({"arguments": [7]}, "from 0 to 6, got [7]"),
        ({"tools": [0]}, "from 1 to 12, got [0]"),
        ({"tools": [1], "kinds": ["chain"]}, "needs two tools"),
        ({"count": 0}, "greater than or equal to 1"),
        ({"parts": [{"count": 3}], "mix": "plain"}, "`mix` stands beside `parts`"),
        ({"parts": [{"seed": 3}]}, "parts.0.seed"),
        ({"words": 1}, "words"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ConversationsConfig.model_validate(options)
    assert said in str(caught.value)


def test_one_sort_needs_no_parts() -> None:
    config = ConversationsConfig(mix="plain", count=3)
    assert config.all_parts == (Part(mix="plain", count=3),)
    assert asdict(GeneratedConversations(config).examples()[0])["kind"] in KINDS


def test_listing_plugins_imports_neither_generator_nor_torch() -> None:
    program = (
        "import sys, callsmith\ncatalog = callsmith.load()\n"
        "import callsmith_tiny\ncallsmith_tiny.callsmith_tasksets()\n"
        "callsmith_tiny.callsmith_trainers()\n"
        "import callsmith_tiny.training.conversations\n"
        "import callsmith_tiny.training.base_config\n"
        "heavy = {'torch', 'transformers', 'numpy', 'callsmith_tiny.training.generator'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_the_catalog_builds_it() -> None:
    built = callsmith.load().build(
        "taskset", "generated-conversations", {"mix": "natural", "split": "heldout", "count": 2}
    )
    assert [t.id for t in built.tasks()] == ["heldout-1-natural-0", "heldout-1-natural-1"]


def test_options_are_accepted_as_a_run_folder_records_them() -> None:
    for options in ({}, {"mix": "plain", "count": 3}, {"parts": [{"mix": "quick", "count": 2}]}):
        config = ConversationsConfig.model_validate(options)
        assert ConversationsConfig.model_validate(config.model_dump(mode="json")) == config
