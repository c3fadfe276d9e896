"""The embedded model behind the fake servers: what a server does with a model, in this process.

On a chat path the server's part (rendering, generating, parsing) is done with the Gemma 4 template,
so that all paths to the model must end in the same calls.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import callsmith_tiny
from callsmith import (
    Completion,
    Message,
    Prompt,
    Reply,
    Sampling,
    Segment,
    Template,
    ToolSpec,
    decode_arguments,
    load,
    messages_from_openai,
    tool_from_openai,
)
from callsmith_tiny.generation import generate
from callsmith_tiny.model import TinyModel
from callsmith_tiny.tokens import Tokens
from servers import ollama, openai

FOLDER = Path(callsmith_tiny.__file__).parent


@cache
def _model() -> tuple[TinyModel, Tokens, Template]:
    template: Template = load().build(
        "template", "gemma4", {"model": "callsmith/tiny", "call_text": "drop"}
    )
    model, tokens = TinyModel(FOLDER / "model.safetensors"), Tokens(FOLDER / "tokenizer.json")
    return model, tokens, template


def complete(prompt: str, max_tokens: int) -> str:
    """The greedy completion."""
    model, tokens, _ = _model()
    ids = tokens.encode(Prompt(segments=(Segment(text=prompt, origin="control"),)))
    sampling = Sampling(max_tokens=max_tokens)
    pieces = generate(model, tokens, ids, sampling, lambda: False)
    return next(piece.text for piece in pieces if isinstance(piece, Completion))


def _reply(messages: tuple[Message, ...], tools: tuple[ToolSpec, ...], max_tokens: int) -> Reply:
    template = _model()[2]
    prompt = template.render(messages, tools)
    return template.parse(complete(prompt.text, max_tokens), tools, after=prompt)


def _conversation(body: Mapping[str, Any]) -> tuple[tuple[Message, ...], tuple[ToolSpec, ...]]:
    messages = []
    for message in body["messages"]:
        message = dict(message)
        if "tool_name" in message:  # Ollama's spelling
            message["name"] = message.pop("tool_name")
        messages.append(message)
    tools = tuple(tool_from_openai(tool) for tool in body.get("tools") or ())
    found = [
        replace(
            message,
            tool_calls=tuple(
                replace(call, arguments=decode_arguments(call.arguments))
                for call in message.tool_calls
            ),
        )
        for message in messages_from_openai(messages)
    ]
    return tuple(found), tools


def ollama_script(body: Mapping[str, Any]) -> ollama.Answer:
    """Answers `/api/chat` in structure and raw `/api/generate` in native text."""
    limit = body["options"]["num_predict"]
    if "messages" not in body:
        return complete(body["prompt"], limit)
    reply = _reply(*_conversation(body), limit)
    calls = [ollama.Call(call.name, _object(call.arguments)) for call in reply.calls]
    return [*([ollama.Content(reply.content)] if reply.content else []), *calls]


def openai_script(body: Mapping[str, Any]) -> openai.Answer:
    """Answers `/v1/chat/completions` in structure and `/v1/completions` in native text."""
    limit = body["max_tokens"]
    if "messages" not in body:
        # As most servers do, this one puts a BOS before every prompt.
        return complete("<bos>" + body["prompt"], limit)
    reply = _reply(*_conversation(body), limit)
    calls = [openai.Call(call.name, _object(call.arguments)) for call in reply.calls]
    return [*([openai.Content(reply.content)] if reply.content else []), *calls]


def _object(arguments: object) -> dict[str, Any]:
    found = json.loads(json.dumps(arguments))
    assert isinstance(found, dict)
    return found
