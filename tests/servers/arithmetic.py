"""A task set, a toolbox and a scripted Gemma 4 for tests that run whole episodes over HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from callsmith import Component, JsonValue, Message, Task, ToolError, ToolSession, ToolSpec
from callsmith.registry import Plugin
from servers.ollama import Answer, Call, Content

ADD = ToolSpec(
    name="add",
    description="Adds two numbers.",
    parameters={
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
)


class Sums:
    """Tasks of one call each, and one that needs none."""

    def tasks(self) -> Sequence[Task]:
        """Five tasks."""
        return [
            *(_task(f"sum-{n}", f"What is {n} plus {n + 1}?") for n in range(4)),
            _task("greeting", "Hello!"),
        ]


def _task(name: str, question: str) -> Task:
    message = Message(role="user", content=question)
    return Task(id=name, messages=(message,), tools=(ADD,), toolbox="calculator")


class Calculator:
    """The tool `add`."""

    def tools(self) -> Sequence[ToolSpec]:
        """`add` alone."""
        return (ADD,)

    def session(self, task: Task) -> ToolSession:
        """It keeps no state."""
        return _Session()


class _Session:
    async def call(self, name: str, arguments: Mapping[str, JsonValue]) -> JsonValue:
        a, b = arguments.get("a"), arguments.get("b")
        if not isinstance(a, int) or not isinstance(b, int):
            raise ToolError("a and b must be integers")
        return str(a + b)


ARITHMETIC = Plugin(
    name="arithmetic",
    module="servers.arithmetic",
    components=(
        ("taskset", Component(name="sums", target="servers.arithmetic:Sums")),
        ("toolbox", Component(name="calculator", target="servers.arithmetic:Calculator")),
    ),
)
"""The task set and the toolbox, as a plugin for a `Catalog`."""


def scripted_gemma4(body: Mapping[str, Any]) -> Answer:
    """Calls `add` where two numbers are asked for, then says the sum; otherwise greets.

    On the chat path it answers in structure, on the raw path in native text.
    """
    if "messages" in body:
        last = body["messages"][-1]
        if last["role"] == "tool":
            return [Content(f"It is {last['content']}.")]
        numbers = re.findall(r"\d+", last["content"])
        if len(numbers) != 2:
            return [Content("Hello, seed " + str(body["options"]["seed"]))]
        return [Call("add", {"a": int(numbers[0]), "b": int(numbers[1])}, id="call_x1y2z3w4")]
    prompt = body["prompt"]
    if prompt.endswith("{city:"):  # the arm's probe for control tokens
        return '<|"|>Oslo<|"|>}<tool_call|>'
    found = re.findall(r'response:add\{value:<\|"\|>(\d+)', prompt)
    if found:
        return f"It is {found[-1]}."
    numbers = re.findall(r"\d+", prompt.rpartition("<|turn>user")[2])
    if len(numbers) != 2:
        return "Hello, seed " + str(body["options"]["seed"])
    return f"<|tool_call>call:add{{a:{numbers[0]},b:{numbers[1]}}}<tool_call|>"
