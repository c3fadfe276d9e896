"""The known revisions of chat templates against the templates that TRL brings.

Each fault that `callsmith template` tells of is shown here: the outdated revision writes something
else than the current one, and what it writes has the fault.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith import Message, ToolCall, ToolSpec
from callsmith.testing import conversations, tool_specs
from callsmith_jinja.config import JinjaConfig
from callsmith_jinja.conversation import as_variables
from callsmith_jinja.revisions import REVISIONS, digest_of
from callsmith_jinja.template import JinjaTemplate

pytestmark = pytest.mark.train

USER = Message(role="user", content="hi")
ANSWER = Message(role="assistant", content="x")
TOOL = ToolSpec(
    name="f",
    description="does it",
    parameters={
        "type": "object",
        "properties": {
            "x": {"type": "integer", "description": "an x"},
            "o": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        },
    },
)
KEYWORD = ToolSpec(
    name="g",
    description="d",
    parameters={"type": "object", "properties": {"type": {"type": "string", "title": "t"}}},
)


def calling(value: Any, thought: str | None = None) -> tuple[Message, ...]:
    call = ToolCall(name="f", arguments={"x": value}, id="c1")
    return (
        USER,
        Message(role="assistant", content=None, reasoning=thought, tool_calls=(call,)),
        Message(role="tool", content="42", tool_call_id="c1", name="f"),
    )


@pytest.fixture(scope="module")
def folder() -> Path:
    spec = importlib.util.find_spec("trl")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs TRL's chat templates")
    return Path(next(iter(spec.submodule_search_locations)), "chat_templates")


@pytest.fixture(scope="module")
def by_name(folder: Path) -> Iterator[dict[str, JinjaTemplate]]:
    """Every known revision that TRL brings, by our name for it."""
    made = {}
    for file in sorted(folder.glob("*.jinja")):
        revision = REVISIONS.get(digest_of(file.read_text(encoding="utf-8")))
        if revision is not None:
            config = JinjaConfig(
                path=str(file), control_text="allow", variables={"bos_token": "<bos>"}
            )
            made[revision.name] = JinjaTemplate(config)
    yield made
    for template in made.values():
        template.close()


def test_all_known_revisions_are_recognised(by_name: dict[str, JinjaTemplate]) -> None:
    assert set(by_name) == {revision.name for revision in REVISIONS.values()}


FAULTS: dict[str, tuple[tuple[Message, ...], tuple[ToolSpec, ...], bool | None, str]] = {
    # fault's first words: conversation, tools, thinking, what the current revision writes
    "null is written": (calling(None), (TOOL,), None, "{x:null}"),
    "the thought of a last": (
        (USER, Message(role="assistant", content="x", reasoning="hmm")),
        (),
        None,
        "<|channel>thought\nhmm\n<channel|>x",
    ),
    "with thinking on": (calling(1), (TOOL,), True, "<tool_response|><|channel>thought\n"),
    "two answers in a row": ((USER, ANSWER, ANSWER, USER), (), None, "xx<turn|>"),
    "parameters that are": ((USER,), (KEYWORD,), None, "properties:{type:{"),
    "results of the role": (calling(1), (TOOL,), None, "<|tool_response>response:f{"),
    "the thought before a": (calling(1, "hmm"), (TOOL,), None, "hmm\n<channel|><|tool_call>"),
    "the declaration of an": ((USER,), (TOOL,), None, "o:{properties:"),
    "no line break": ((USER,), (TOOL,), True, "<|think|>\n"),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_each_fault_is_one(by_name: dict[str, JinjaTemplate], fault: str) -> None:
    messages, tools, thinking, right = FAULTS[fault]
    faulty = 0
    for revision in REVISIONS.values():
        if revision.parser != "gemma4":
            continue
        prompt = by_name[revision.name].render(messages, tools, thinking=thinking).text
        has_fault = any(text.startswith(fault) for text in revision.faults)
        assert (right not in prompt) is has_fault, revision.name
        faulty += has_fault
    assert faulty


def test_every_fault_that_is_told_is_tested() -> None:
    told = {fault for revision in REVISIONS.values() for fault in revision.faults}
    assert all(any(fault.startswith(start) for start in FAULTS) for fault in told)


@pytest.mark.parametrize("name", ["Qwen3", "Qwen2.5", "Gemma 4, revision of 2026-07-09"])
@given(messages=conversations(), tools=st.lists(tool_specs(), max_size=2))
def test_it_renders_what_transformers_renders(
    by_name: dict[str, JinjaTemplate],
    name: str,
    messages: tuple[Message, ...],
    tools: list[ToolSpec],
) -> None:
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    template = by_name[name]
    given_ = as_variables(messages, tools, add_generation_prompt=True, arguments="object")
    try:
        (theirs,), _ = render_jinja_template(
            conversations=[given_["messages"]],
            tools=given_["tools"],
            chat_template=template.source.text,
            add_generation_prompt=True,
            bos_token="<bos>",
        )
    except (TemplateError, TypeError, AttributeError, ValueError):
        theirs = None
    try:
        ours = template.render(messages, tools).text
    except Exception:
        ours = None
    assert ours == theirs
