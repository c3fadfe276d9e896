"""Our renderer against the official templates themselves, on random conversations.

Runs where the templates are at hand: the folder in CALLSMITH_QWEN3_TEMPLATES, or the copies that
an installed `trl` brings. Skips otherwise. The environment is set up as transformers does it.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from jinja2.sandbox import ImmutableSandboxedEnvironment

from callsmith import JsonValue, Message, RenderError, ToolCall, ToolSpec, tool_to_openai
from callsmith.testing import conversations, json_values, tool_specs
from callsmith_qwen3.config import Qwen3Config
from callsmith_qwen3.template import Qwen3Template

Reference = Callable[..., str | None]

FILES = {"hybrid": "qwen3.jinja", "instruct-2507": "qwen3_instruct_2507.jinja"}

STRICTER = ("Qwen3's format has no role", "content must be text")
"""Where we refuse what the template renders, because it loses the content."""


def _source(variant: str) -> str:
    folders = [Path(path) for path in [os.environ.get("CALLSMITH_QWEN3_TEMPLATES")] if path]
    spec = importlib.util.find_spec("trl")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folders.append(Path(place, "chat_templates"))
    for folder in folders:
        if (folder / FILES[variant]).is_file():
            return (folder / FILES[variant]).read_text(encoding="utf-8")
    pytest.skip("needs the official templates: install trl, or set CALLSMITH_QWEN3_TEMPLATES")


@pytest.fixture(scope="module", params=sorted(FILES))
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def reference(variant: str) -> Reference:
    def refuse(message: str) -> None:
        raise jinja2.TemplateError(message)

    def tojson(value: object, indent: int | None = None) -> str:
        return json.dumps(value, ensure_ascii=False, indent=indent)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = refuse
    template = environment.from_string(_source(variant))

    def render(**values: Any) -> str | None:
        try:
            return template.render(**values)
        except (jinja2.TemplateError, TypeError, AttributeError, ValueError):
            return None

    return render


def official(message: Message) -> dict[str, Any]:
    """The message as transformers' users write it for this template."""
    out: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.reasoning is not None:
        out["reasoning_content"] = message.reasoning
    if message.tool_calls:
        out["tool_calls"] = [
            {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return out


TEXT = st.lists(
    st.sampled_from(
        [
            *("<think>", "</think>", "<tool_call>", "</tool_call>", "<|im_end|>", "<|im_start|>"),
            *(
                "<tool_response>",
                "</tool_response>",
                "\n",
                "\n",
                " ",
                "a",
                "É",
                "\u2028",
                '"',
                "\\",
            ),
            *("\r\n", "<", "&", "'", "{{ messages }}"),
        ]
    ),
    max_size=5,
).map("".join)
VALUES = json_values(max_leaves=4, text=TEXT)


def _messages() -> SearchStrategy[list[Message]]:
    """Messages of all roles in any order, with and without everything that a message can have."""
    arguments: SearchStrategy[JsonValue] = st.one_of(
        st.dictionaries(TEXT, VALUES, max_size=3), VALUES, st.just('{"a":1}')
    )
    calls = st.lists(st.builds(ToolCall, name=TEXT, arguments=arguments), max_size=2).map(tuple)
    wrapped = TEXT.map(lambda text: f"<tool_response>{text}</tool_response>")
    message = st.builds(
        Message,
        role=st.sampled_from(["user", "assistant", "assistant", "tool", "tool", "system"]),
        content=st.none() | TEXT | TEXT | TEXT | wrapped,
        reasoning=st.none() | TEXT,
        tool_calls=calls,
    )
    odd = st.builds(
        Message, role=st.sampled_from(["user", "developer", "tool", "system"]), content=VALUES
    )
    return st.lists(message | message | message | odd, max_size=7)


CONVERSATIONS = _messages() | conversations(text=TEXT).map(list)
TOOLS = st.lists(
    tool_specs(text=TEXT)
    | st.builds(
        ToolSpec, name=TEXT, description=TEXT, parameters=st.dictionaries(TEXT, VALUES, max_size=3)
    ),
    max_size=2,
)


@given(conversation=CONVERSATIONS, tools=TOOLS, thinking=st.booleans(), generate=st.booleans())
@example(
    conversation=[Message(role="user", content="a"), Message(role="assistant", content="\n\n")],
    tools=[],
    thinking=True,
    generate=False,
)
def test_every_conversation_gives_the_official_templates_bytes(
    variant: str,
    reference: Reference,
    conversation: list[Message],
    tools: list[ToolSpec],
    thinking: bool,
    generate: bool,
) -> None:
    expected = reference(
        messages=[official(message) for message in conversation],
        tools=[tool_to_openai(tool) for tool in tools] or None,
        enable_thinking=thinking,
        add_generation_prompt=generate,
    )
    config = Qwen3Config.model_validate({"variant": variant, "control_text": "allow"})
    refusal: RenderError | None = None
    rendered: str | None = None
    try:
        rendered = (
            Qwen3Template(config)
            .render(conversation, tools, thinking=thinking, add_generation_prompt=generate)
            .text
        )
    except RenderError as error:
        refusal = error
    if not any(reason in str(refusal) for reason in STRICTER):
        assert rendered == expected


@given(conversation=conversations(text=TEXT.filter(lambda text: "<" not in text)), tools=TOOLS)
def test_a_conversation_of_texts_is_never_refused_alone(
    variant: str, reference: Reference, conversation: tuple[Message, ...], tools: list[ToolSpec]
) -> None:
    """So that the comparison above cannot hold by refusing."""
    texts = [m for m in conversation if m.content is None or isinstance(m.content, str)]
    config = Qwen3Config.model_validate({"variant": variant, "control_text": "allow"})
    expected = reference(
        messages=[official(message) for message in texts],
        tools=[tool_to_openai(tool) for tool in tools] or None,
        enable_thinking=True,
        add_generation_prompt=True,
    )
    assert expected is not None
    assert Qwen3Template(config).render(texts, tools).text == expected
