"""A scripted model for whole episodes and probes: it draws, calls `add`, and answers."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any

from servers.openai import Answer, Call, Content, Thinking

_CALLS = itertools.count()


def drawing(body: Mapping[str, Any]) -> Answer:
    """Text that depends on the sampling fields of the request, as a real model's does.

    A field that the server ignores is not in `body`: without a seed, every draw is another one.
    """
    if body.get("tools") and body.get("tool_choice") == "required":
        return [Call("add", {"a": 2, "b": 3})]
    if "prompt" in body and body["prompt"].endswith("{city:"):
        return '<|"|>Oslo<|"|>}<tool_call|>'
    temperature = body.get("temperature", 1.0)
    greedy = temperature == 0 or body.get("top_k") == 1 or body.get("top_p", 1) < 0.1
    seed = body.get("seed", f"none {next(_CALLS)}")
    return "Once there was a cat that sat." if greedy else f"Drawn {seed} by chance, again."


def arithmetic(body: Mapping[str, Any]) -> Answer:
    """Calls `add` where two numbers are asked for, then says the sum; otherwise greets.

    On the chat path it answers in structure, on the completions path in native text. Everything
    that probes ask is drawn.
    """
    if "messages" in body:
        last = body["messages"][-1]
        if last["role"] == "tool":
            return [Thinking("Done."), Content(f"It is {last['content']}.")]
        numbers = re.findall(r"\d+", last["content"])
        if len(numbers) == 2 and body.get("tools"):
            return [Call("add", {"a": int(numbers[0]), "b": int(numbers[1])})]
        return [Content(f"Hello, seed {body['seed']}")] if "Hello!" in str(last) else drawing(body)
    prompt = body["prompt"]
    found = re.findall(r'response:add\{value:<\|"\|>(\d+)', prompt)
    if found:
        return f"It is {found[-1]}."
    asked = prompt.rpartition("<|turn>user")[2]
    numbers = re.findall(r"\d+", asked)
    if len(numbers) == 2:
        return f"<|tool_call>call:add{{a:{numbers[0]},b:{numbers[1]}}}<tool_call|>"
    return f"Hello, seed {body['seed']}" if "Hello!" in asked else drawing(body)
