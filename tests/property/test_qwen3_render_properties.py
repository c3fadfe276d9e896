"""Properties of Qwen3 prompts: total, honest about who wrote what, and read back as written."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from callsmith import JsonValue, Message, Prompt, RenderError, ToolCall, ToolSpec
from callsmith.testing import control_rich_text, json_values, messages, tool_calls
from callsmith_qwen3.config import Qwen3Config
from callsmith_qwen3.control_tokens import CONTROL_TOKENS
from callsmith_qwen3.template import Qwen3Template

TOKENS = sorted(CONTROL_TOKENS.tokens)
TEXT = control_rich_text(TOKENS, max_size=4)


def tools() -> SearchStrategy[list[ToolSpec]]:
    parameters = st.dictionaries(TEXT, json_values(max_leaves=4, text=TEXT), max_size=3)
    one = st.builds(ToolSpec, name=TEXT, description=TEXT, parameters=st.none() | parameters)
    return st.lists(one, max_size=2)


def conversations() -> SearchStrategy[list[Message]]:
    """Messages of all roles in any order, calls and results without counterpart included."""

    def as_parts(texts: list[str]) -> JsonValue:
        return [{"type": "text", "text": text} for text in texts]

    parts = st.lists(TEXT, max_size=3).map(as_parts)
    calls = st.builds(
        ToolCall,
        name=TEXT,
        arguments=st.dictionaries(TEXT, json_values(max_leaves=3, text=TEXT), max_size=3)
        | json_values(max_leaves=2, text=TEXT),
    )
    odd = st.builds(
        Message,
        role=st.sampled_from(["user", "assistant", "tool", "tool", "system"]) | TEXT,
        content=st.none() | TEXT | parts | json_values(max_leaves=3, text=TEXT),
        reasoning=st.none() | TEXT,
        tool_calls=st.lists(calls, max_size=2).map(tuple),
    )
    return st.lists(messages(text=TEXT) | odd, max_size=5)


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "variant": st.sampled_from(["hybrid", "instruct-2507"]),
        "thinking": st.booleans(),
        "structured_content": st.sampled_from(["refuse", "inline", "inline"]),
    },
)


def render(
    options: dict[str, object],
    policy: str,
    conversation: Sequence[Message],
    offered: Sequence[ToolSpec],
) -> Prompt | None:
    """The prompt; None where the template refuses. Nothing else may be raised."""
    config = Qwen3Config.model_validate({**options, "control_text": policy})
    try:
        return Qwen3Template(config).render(conversation, offered)
    except RenderError as error:
        line = str(error)
        assert line
        assert "\n" not in line, "an error is one line"
        return None


def touched(prompt: Prompt) -> list[str]:
    """Control tokens of which a character is content, found without the builder's help."""
    text = prompt.text
    foreign: list[bool] = []
    for segment in prompt.segments:
        foreign += [segment.origin == "content"] * len(segment.text)
    out = []
    for token in TOKENS:
        at = text.find(token)
        while at >= 0:
            if any(foreign[at : at + len(token)]):
                out.append(token)
            at = text.find(token, at + 1)
    return out


@given(OPTIONS, conversations(), tools())
def test_rendering_is_total_and_no_control_token_comes_from_content(
    options: dict[str, object], conversation: list[Message], offered: list[ToolSpec]
) -> None:
    allowed = render(options, "allow", conversation, offered)
    refused = render(options, "refuse", conversation, offered)
    mended = render(options, "neutralise", conversation, offered)
    if allowed is None:
        assert refused is None
        assert mended is None
        return
    assert mended is not None, "neutralise refuses nothing that allow renders"
    assert touched(mended) == []
    if touched(allowed):
        assert refused is None
        assert mended.text != allowed.text
        assert len(mended.changes) > len(allowed.changes)
        before = [s.text for s in allowed.segments if s.origin == "control"]
        after = [s.text for s in mended.segments if s.origin == "control"]
        assert before == after, "what the template wrote stays as it is"
        assert allowed.text.replace(" ", "") == mended.text.replace(" ", "")
    else:
        assert refused == allowed
        assert mended == allowed


@given(OPTIONS, conversations(), tools())
def test_segments_alternate_and_join_to_the_text(
    options: dict[str, object], conversation: list[Message], offered: list[ToolSpec]
) -> None:
    prompt = render(options, "allow", conversation, offered)
    assume(prompt is not None)
    assert prompt is not None
    origins = [segment.origin for segment in prompt.segments]
    assert all(a != b for a, b in itertools.pairwise(origins))
    assert all(segment.text for segment in prompt.segments)
    assert origins[0] == "control"


@given(
    calls=st.lists(tool_calls(), max_size=3),
    said=st.text(st.characters(exclude_characters="<\n"), max_size=10),
    thought=st.text(st.characters(exclude_characters="<\n"), max_size=10),
    repair=st.sampled_from(["off", "unambiguous"]),
)
def test_a_turn_of_the_history_is_read_back_as_it_was(
    calls: list[ToolCall], said: str, thought: str, repair: str
) -> None:
    """What the prompt says of the assistant's last turn is a completion for the prompt before."""
    question = Message(role="user", content="q")
    answer = Message(role="assistant", content=said, reasoning=thought, tool_calls=tuple(calls))
    config = Qwen3Config.model_validate({"control_text": "allow", "repair": repair})
    template = Qwen3Template(config)
    before = template.render([question])
    after = template.render([question, answer], add_generation_prompt=False)
    assert after.text.startswith(before.text)
    reply = template.parse(after.text[len(before.text) :], after=before)
    assert (reply.content, reply.reasoning) == (said, thought)
    assert [(c.name, repr(c.arguments)) for c in reply.calls] == [
        (c.name, repr(c.arguments)) for c in calls
    ]
    assert not reply.faults
    assert not reply.repairs
