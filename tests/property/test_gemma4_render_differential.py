"""Our renderer against the canonical template itself, on random conversations and schemas.

Runs where the template is at hand: the path in CALLSMITH_GEMMA4_TEMPLATE (small variant,
published 2026-07-09), or the copy that an installed `trl` brings. Skips otherwise.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from jinja2.sandbox import ImmutableSandboxedEnvironment

from callsmith import RenderError, message_from_openai, tool_from_openai
from callsmith.testing import json_values
from callsmith_gemma4.config import Gemma4Config
from callsmith_gemma4.template import Gemma4Template

Reference = Callable[..., str | None]

STRICTER = (
    "the system message can hold text parts only",
    "of a tool must be an object",
    "Gemma 4 has no content part of type",
    "the text of a content part must be text",
    "content must be text or a list of parts",
)
"""Where we refuse what the template renders, because it loses or garbles something."""


def _source() -> str | None:
    path = os.environ.get("CALLSMITH_GEMMA4_TEMPLATE")
    if path:
        return Path(path).read_text(encoding="utf-8")
    spec = importlib.util.find_spec("trl")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for file in sorted(Path(folder, "chat_templates").glob("gemma4*.jinja")):
            text = file.read_text(encoding="utf-8")
            if "Published: 2026-07-09" in text:
                return text
    return None


@pytest.fixture(scope="module")
def reference() -> Reference:
    source = _source()
    if source is None:
        pytest.skip("needs the canonical template: set CALLSMITH_GEMMA4_TEMPLATE")

    def refuse(message: str) -> None:
        raise jinja2.TemplateError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = refuse
    template = environment.from_string(source)

    def render(**values: Any) -> str | None:
        try:
            return template.render(bos_token="<bos>", **values)
        except (jinja2.TemplateError, TypeError, AttributeError, ValueError):
            return None

    return render


TEXT = st.lists(
    st.sampled_from(
        ["<|channel>", "<channel|>", '<|"|>', "<turn|>", "thought\n", " ", "\n", "a", "É", "İ", "<"]
    ),
    max_size=4,
).map("".join)
KEYS = st.sampled_from(
    ["a", "A", "b", "type", "description", "properties", "required", "items", "nullable", "x-y", ""]
)
VALUES = json_values(max_leaves=4, text=TEXT)
KINDS: SearchStrategy[Any] = st.sampled_from(
    ["string", "object", "array", "STRING", "integer", ["string", "null"], None]
)


def _schemas() -> SearchStrategy[Any]:
    def nest(inner: SearchStrategy[Any]) -> SearchStrategy[Any]:
        return st.fixed_dictionaries(
            {},
            optional={
                "type": KINDS,
                "description": TEXT | st.none(),
                "enum": st.lists(VALUES, max_size=2),
                "nullable": st.booleans(),
                "items": inner | st.none(),
                "properties": st.dictionaries(KEYS, inner, max_size=3) | st.none(),
                "required": st.lists(TEXT, max_size=2) | st.none() | st.booleans(),
                "default": VALUES,
                "additionalProperties": inner,
            },
        )

    leaves: SearchStrategy[Any] = st.booleans() | KINDS.map(lambda kind: {"type": kind})
    return st.recursive(leaves, nest, max_leaves=8)


def _tools() -> SearchStrategy[list[dict[str, Any]]]:
    function = st.fixed_dictionaries(
        {"name": TEXT, "description": TEXT},
        # A schema that is true or false is refused where the tool is read, before any template.
        optional={
            "parameters": _schemas().filter(lambda schema: isinstance(schema, dict)),
            "response": _schemas(),
        },
    )
    return st.lists(st.fixed_dictionaries({"function": function}), max_size=2)


def _conversations() -> SearchStrategy[list[dict[str, Any]]]:
    parts = st.lists(
        st.fixed_dictionaries({"type": st.just("text"), "text": TEXT})
        | st.sampled_from(["image", "input_audio", "video"]).map(lambda kind: {"type": kind}),
        max_size=3,
    )
    ids = {"id": st.sampled_from(["a", "b"])}
    function = st.fixed_dictionaries(
        {
            "name": TEXT,
            "arguments": st.dictionaries(KEYS, VALUES, max_size=3)
            | st.sampled_from([None, "", '{"a": 1}']),
        }
    )
    calls = st.lists(
        st.fixed_dictionaries({"function": function}, optional=ids), min_size=1, max_size=2
    )
    message = st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "developer", "model", "other"])},
        optional={"content": TEXT | parts | st.none(), "reasoning": TEXT, "tool_calls": calls},
    )
    result = st.fixed_dictionaries(
        {"role": st.just("tool"), "content": TEXT | parts | VALUES},
        optional={"tool_call_id": st.sampled_from(["a", "b", "c"]), "name": TEXT},
    )
    return st.lists(message | result | result, max_size=6)


@given(
    conversation=_conversations(),
    tools=_tools(),
    thinking=st.booleans(),
    preserve=st.booleans(),
    generate=st.booleans(),
)
def test_every_conversation_gives_the_canonical_templates_bytes(
    reference: Reference,
    conversation: list[dict[str, Any]],
    tools: list[dict[str, Any]],
    thinking: bool,
    preserve: bool,
    generate: bool,
) -> None:
    expected = reference(
        messages=conversation,
        tools=tools or None,
        enable_thinking=thinking,
        preserve_thinking=preserve,
        add_generation_prompt=generate,
    )
    config = Gemma4Config(variant="small", control_text="allow", preserve_thinking=preserve)
    refusal: RenderError | None = None
    rendered: str | None = None
    try:
        rendered = (
            Gemma4Template(config)
            .render(
                [message_from_openai(data) for data in conversation],
                [tool_from_openai(data) for data in tools],
                thinking=thinking,
                add_generation_prompt=generate,
            )
            .text
        )
    except RenderError as error:
        refusal = error
    if not any(reason in str(refusal) for reason in STRICTER):
        assert rendered == expected
