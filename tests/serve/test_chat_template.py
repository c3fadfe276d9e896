"""The fixture's own chat template writes what the template `gemma4` writes. Needs no server."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from callsmith import JsonValue, Message, Template, ToolCall, ToolSpec, load, tool_to_openai
from fixtures.tiny_gemma4 import as_chat
from fixtures.tiny_gemma4_episodes import EPISODES, TOOLS
from fixtures.tiny_gemma4_tokenizer import CHAT_TEMPLATE

ECHO = ToolSpec(
    name="echo",
    description="Says it again.",
    parameters={"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]},
)
ODD_ARGUMENTS: dict[str, JsonValue] = {
    "b": [1, "two", None, True],
    "A": {"z": False, "y": {"deep": "text, with {marks}"}},
    "c": -1.5,
    "d": "",
}
USER = Message(role="user", content="  Say it again.\n")
CALLED = Message(
    role="assistant", tool_calls=(ToolCall(name="echo", arguments=ODD_ARGUMENTS, id="a"),)
)
RESULT = Message(role="tool", content='{"said": "so"}', tool_call_id="a", name="echo")
SAID = Message(role="assistant", content="There. ")
SYSTEM = Message(role="system", content=" Be brief. ")

Case = tuple[Sequence[Message], Sequence[ToolSpec]]
CASES: dict[str, Case] = {
    **{f"{episode.name}/question": ((episode.user,), episode.tools) for episode in EPISODES},
    **{f"{e.name}/results": (e.history, e.tools) for e in EPISODES if e.calls},
    "system": ((SYSTEM, USER), ()),
    "system and tools": ((SYSTEM, USER), (ECHO, *TOOLS)),
    "several turns": ((USER, SAID, USER), (ECHO,)),
    "odd arguments": ((USER, CALLED, RESULT), (ECHO,)),
    "chain of calls": ((USER, CALLED, RESULT, CALLED, RESULT), (ECHO,)),
    "after an answer": ((USER, CALLED, RESULT, SAID, USER), (ECHO,)),
}


@pytest.fixture(scope="module")
def template() -> Template:
    built: Template = load().build("template", "gemma4")
    return built


@pytest.mark.parametrize("trim", [True, False], ids=["trimmed", "untrimmed"])
@pytest.mark.parametrize("thinking", [True, False], ids=["thinking", "not thinking"])
@pytest.mark.parametrize("name", CASES)
def test_it_is_the_native_format(name: str, thinking: bool, trim: bool, template: Template) -> None:
    messages, tools = CASES[name]
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=trim, lstrip_blocks=trim, keep_trailing_newline=True
    )
    source = CHAT_TEMPLATE.read_text(encoding="utf-8")
    written = environment.from_string(source).render(
        messages=as_chat(messages),
        tools=[tool_to_openai(tool) for tool in tools] or None,
        bos_token="<bos>",
        enable_thinking=thinking,
        add_generation_prompt=True,
    )
    assert written == template.render(messages, tools, thinking=thinking).text
