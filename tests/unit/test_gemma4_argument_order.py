"""The option `argument_order`: what training teaches, and nothing else, keeps its order."""

from __future__ import annotations

from callsmith import Message, ToolCall
from callsmith_gemma4.config import Gemma4Config
from callsmith_gemma4.template import Gemma4Template

USER = Message(role="user", content="zoom to 3 at noon")
CALL = ToolCall(name="go", arguments={"zoom": 3, "at": {"z": 1, "a": 2}}, id="c1")
CALLS = Message(role="assistant", content=None, tool_calls=(CALL,))
RESULT = Message(role="tool", content="done", tool_call_id="c1", name="go")

SORTED = "call:go{at:{a:2,z:1},zoom:3}"
GIVEN = "call:go{zoom:3,at:{a:2,z:1}}"


def text(order: str, *messages: Message, prompt: bool = False) -> str:
    template = Gemma4Template(Gemma4Config(argument_order=order))  # type: ignore[arg-type]
    return template.render(messages, add_generation_prompt=prompt).text


def test_arguments_are_sorted_as_the_canonical_template_does() -> None:
    assert SORTED in text("sorted", USER, CALLS)


def test_the_last_message_keeps_the_order_that_it_is_given() -> None:
    assert GIVEN in text("given", USER, CALLS)


def test_history_is_the_same_either_way() -> None:
    for messages in ((USER, CALLS, RESULT), (USER, CALLS, RESULT, USER), (USER, CALLS, USER)):
        assert text("given", *messages, prompt=True) == text("sorted", *messages, prompt=True)


def test_the_digest_tells_them_apart() -> None:
    digests = [Gemma4Template(Gemma4Config(argument_order=o)).digest for o in ("sorted", "given")]
    assert digests[0] == Gemma4Template(Gemma4Config()).digest != digests[1]
