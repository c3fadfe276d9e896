"""What a template loses: conversations with words that stand nowhere else are rendered, and looked
for in the prompt.

A template that was not written for tools leaves declarations, earlier calls or results out without
a word, and the model is blamed for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from callsmith import CallsmithError, ConfigError, Message, Prompt, Renderer, ToolCall, ToolSpec

_TOOL = ToolSpec(
    name="zq_tool",
    description="zqdescription",
    parameters={
        "type": "object",
        "properties": {
            "zqparameter": {"type": "string", "description": "zqhelp", "enum": ["zqenum"]},
            "zqouter": {"type": "object", "properties": {"zqinner": {"type": "integer"}}},
            "type": {"type": "string", "description": "zqkeyword"},
        },
        "required": ["zqparameter"],
    },
)
_SYSTEM = Message(role="system", content="zqsystem")
_USER = Message(role="user", content="zquser")
_CALLS = Message(
    role="assistant",
    content=None,
    reasoning="zqthought",
    tool_calls=(
        ToolCall(name="zq_tool", arguments={"zqparameter": "zqvalue"}, id="call00001"),
        ToolCall(name="zq_tool", arguments={"zqparameter": "zqsecond"}, id="call00002"),
    ),
)
_RESULTS = (
    Message(role="tool", content="zqresult", tool_call_id="call00001", name="zq_tool"),
    Message(role="tool", content="zqother", tool_call_id="call00002", name="zq_tool"),
)
_ANSWER = Message(role="assistant", content="zqanswer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a template was asked for: `lost` names what is not in its prompt.

    `problem` is why it could not be rendered at all.
    """

    asked: str
    lost: tuple[str, ...] = ()
    problem: str = ""


def probe(template: Renderer) -> list[Finding]:
    """Everything that was asked for, in order, whether it went well or not.

    Raises `ConfigError` for a text that is no template at all.
    """
    findings = [_look(template, *case) for case in _CASES]
    return [*findings, _continues(template)]


_Words = dict[str, str]
_Case = tuple[str, Sequence[Message], Sequence[ToolSpec], _Words]

_CASES: tuple[_Case, ...] = (
    (
        "a question with a tool",
        (_USER,),
        (_TOOL,),
        {
            "zquser": "the question",
            "zq_tool": "the tool's name",
            "zqdescription": "the tool's description",
            "zqparameter": "a parameter's name",
            "zqhelp": "a parameter's description",
            "zqenum": "the values of an enum",
            "zqinner": "a parameter inside an object",
            "zqkeyword": "a parameter named `type`",
        },
    ),
    (
        "a system message beside tools",
        (_SYSTEM, _USER),
        (_TOOL,),
        {"zqsystem": "the system message", "zq_tool": "the tool"},
    ),
    (
        "two calls and their results",
        (_USER, _CALLS, *_RESULTS),
        (_TOOL,),
        {
            "zqvalue": "the arguments of a call",
            "zqsecond": "the second call",
            "zqresult": "a result",
            "zqother": "the second result",
        },
    ),
    (
        "an answer after results, and a further question",
        (_USER, _CALLS, *_RESULTS, _ANSWER, _USER),
        (_TOOL,),
        {"zqvalue": "earlier calls", "zqresult": "earlier results", "zqanswer": "the answer"},
    ),
)


def _look(
    template: Renderer,
    asked: str,
    messages: Sequence[Message],
    tools: Sequence[ToolSpec],
    words: _Words,
) -> Finding:
    prompt = _rendered(lambda: template.render(messages, tools))
    if isinstance(prompt, str):
        return Finding(asked=asked, problem=prompt)
    lost = tuple(what for word, what in words.items() if word not in prompt.text)
    return Finding(asked=asked, lost=lost)


def _continues(template: Renderer) -> Finding:
    asked = "a finished turn goes on from its own prompt"
    prompt = _rendered(lambda: template.render((_USER,), (_TOOL,)))
    whole = _rendered(
        lambda: template.render((_USER, _ANSWER), (_TOOL,), add_generation_prompt=False)
    )
    for found in (prompt, whole):
        if isinstance(found, str):
            return Finding(asked=asked, problem=found)
    assert isinstance(prompt, Prompt)
    assert isinstance(whole, Prompt)
    if whole.text.startswith(prompt.text):
        return Finding(asked=asked)
    return Finding(asked=asked, lost=("the end of the generation prompt",))


def _rendered(render: Callable[[], Prompt]) -> Prompt | str:
    try:
        return render()
    except ConfigError:
        raise
    except CallsmithError as error:
        return str(error)
