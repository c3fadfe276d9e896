"""What a server tells about itself and a model. Whatever it lacks stays unknown: never a guess."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Mapping
from typing import Any

from callsmith import ArmError, Fidelity, JsonValue, Message, Sampling, ToolCall, ToolSpec
from callsmith_ollama import wire
from callsmith_ollama.client import OllamaClient, UnreachableError
from callsmith_ollama.config import ChatConfig, OllamaConfig, RawConfig
from callsmith_ollama.failures import NoSuchModelError
from callsmith_ollama.messages import convert, convert_tools
from callsmith_ollama.model_card import Findings, from_modelfile, model_entry, read_card

_GGUF_CONTROL = 3
"""The GGUF token type whose text llama.cpp leaves out of what it returns."""

PROBE_MESSAGES = (
    Message(role="system", content="You are a careful assistant."),
    Message(role="user", content="What is 2 plus 3?"),
    Message(
        role="assistant",
        content="",
        reasoning="I should add them.",
        tool_calls=(ToolCall(name="add", arguments={"b": 3, "a": 2}, id="call_0"),),
    ),
    Message(role="tool", content="5", tool_call_id="call_0", name="add"),
)
"""A conversation in which runtimes are known to differ: thought, argument order, a bare result."""

PROBE_TOOLS = (
    ToolSpec(
        name="add",
        description="Adds two numbers.",
        parameters={
            "type": "object",
            "properties": {
                "b": {"type": "number", "description": "the second", "default": 0},
                "a": {"type": "number", "description": "the first"},
                "unit": {"type": "string", "enum": ["none", "percent"]},
            },
            "required": ["a", "b"],
        },
    ),
)


async def probe_chat(client: OllamaClient, config: ChatConfig) -> Fidelity:
    """What `ollama-chat` runs on. Never raises an `ArmError`; a missing server is a warning."""
    found = Findings(config, history="messages")
    return await _within_limit(found, _look_at_chat(client, config, found))


async def probe_raw(client: OllamaClient, config: RawConfig) -> Fidelity:
    """What `ollama-raw` runs on. Never raises an `ArmError`; a missing server is a warning.

    Renderer, parser and template digest stay None: they are the template's that is put around it.
    """
    found = Findings(config)
    return await _within_limit(found, _look_at_raw(client, config, found))


async def _within_limit(found: Findings, looking: Awaitable[None]) -> Fidelity:
    """What was found within `probe_timeout`."""
    try:
        async with asyncio.timeout(found.config.probe_timeout):
            await looking
    except TimeoutError:
        found.warnings.append(
            f"probing was not done within {found.config.probe_timeout:g} s (probe_timeout; it "
            "includes loading the model), so some facts are unknown"
        )
    except ArmError as error:
        found.warnings.append(f"the model could not be probed: {error}")
    return found.fidelity()


async def _look_at_chat(client: OllamaClient, config: ChatConfig, found: Findings) -> None:
    show = await _common(client, found)
    if show is None:
        return
    found.renderer = from_modelfile(show, "renderer")
    if found.renderer is None and "template_sha256" in found.details:
        found.template_digest = f"ollama-template:{found.details['template_sha256']}"
    found.parser = from_modelfile(show, "parser")
    if show.get("system"):
        found.warnings.append(
            "the Modelfile has a SYSTEM text, which the server puts before conversations that "
            "have no system message; ollama-raw does not see it"
        )
    if show.get("messages"):
        found.warnings.append(
            "the Modelfile has MESSAGE lines, which the server puts before every conversation; "
            "ollama-raw does not see them"
        )
    rendered = await _rendering(client, config)
    if rendered is not None:
        digest = hashlib.sha256(rendered.encode("utf-8", "surrogatepass")).hexdigest()
        found.details["rendered_probe"] = rendered
        # Not a template's digest: it is of one rendering, so it differs from ours by its nature.
        found.details["rendered_probe_sha256"] = digest
    await _context_length(client, found)


async def _look_at_raw(client: OllamaClient, config: RawConfig, found: Findings) -> None:
    if await _common(client, found) is None:
        return
    visible = await _control_tokens_visible(client, config, found)
    found.details["control_tokens_visible"] = visible
    if visible is False:
        found.warnings.append(
            "raw mode loses this model's control tokens: calls come without their markers, which "
            "the parser can only read as a reported repair, and thoughts cannot be told from the "
            "answer; use a GGUF whose tokens are USER_DEFINED"
        )
    await _context_length(client, found)


async def _common(client: OllamaClient, found: Findings) -> Mapping[str, Any] | None:
    """Version, digest and model card; None if there is no server or no such model."""
    config = found.config
    found.details["url"] = client.url
    try:
        version = (await client.get("/api/version")).get("version")
        found.version = version if isinstance(version, str) else None
    except UnreachableError as error:
        found.warnings.append(str(error))
        return None
    except ArmError:
        pass  # a server without this endpoint may have the others
    try:
        entry = model_entry((await client.get("/api/tags")).get("models"), config.model)
        digest = entry.get("digest")
        found.digest = digest if isinstance(digest, str) and digest else None
    except ArmError:
        pass
    show: Mapping[str, Any] = {}
    try:
        show = await client.post("/api/show", {"model": config.model})
    except (UnreachableError, NoSuchModelError) as error:
        found.warnings.append(str(error))
        return None
    except ArmError:
        pass
    read_card(show, found)
    found.reached = True
    return show


async def _context_length(client: OllamaClient, found: Findings) -> None:
    """The effective context length, which the server tells of loaded models only."""
    try:
        models = (await client.get("/api/ps")).get("models")
    except ArmError:
        return
    length = model_entry(models, found.config.model).get("context_length")
    if not isinstance(length, int) or length <= 0:
        return
    found.context_length = length
    if length != found.config.num_ctx:
        found.warnings.append(
            f"the server runs the model with a context of {length} tokens, not the num_ctx of "
            f"{found.config.num_ctx} that was asked for"
        )


async def _rendering(client: OllamaClient, config: ChatConfig) -> str | None:
    """The server's own rendering of the probe conversation, if it has debug rendering."""
    sampling = Sampling(max_tokens=1)  # a server without debug rendering answers: briefly
    body = _probe_frame(config, sampling)
    body["messages"] = convert(PROBE_MESSAGES, drop_beside_calls=False).messages
    body["tools"] = convert_tools(PROBE_TOOLS)
    body["_debug_render_only"] = True
    info = (await client.post("/api/chat", body)).get("_debug_info")
    rendered = info.get("rendered_template") if isinstance(info, Mapping) else None
    return rendered if isinstance(rendered, str) and rendered else None


def _probe_frame(config: OllamaConfig, sampling: Sampling) -> dict[str, JsonValue]:
    opts = wire.options(sampling, config.num_ctx)
    body = wire.frame(config.model, opts, think=False, keep_alive=config.keep_alive)
    body["stream"] = False
    return body


async def _control_tokens_visible(
    client: OllamaClient, config: RawConfig, found: Findings
) -> bool | None:
    """Whether raw mode shows control tokens; None if that could not be told.

    One token is generated where the model is bound to write a control token: either it is seen,
    or something was generated and nothing is seen. Where the model writes something else, the
    token types of the model file decide.
    """
    if config.control_probe:
        answer = await _one_token(client, config, config.control_probe)
        found.details["bos"] = await _bos(client, config, answer)
        text = answer.get("response")
        if isinstance(text, str) and any(token in text for token in config.control_tokens):
            return True
        generated = wire.usage(answer).completion_tokens or 0
        if text == "" and generated >= 1 and answer.get("done_reason") == "length":
            return False
    return await _visible_by_type(client, config, found)


async def _one_token(client: OllamaClient, config: RawConfig, prompt: str) -> dict[str, Any]:
    body = _probe_frame(config, Sampling(max_tokens=1))
    body.update(prompt=prompt, raw=True)
    return await client.post("/api/generate", body)


async def _bos(client: OllamaClient, config: RawConfig, answer: Mapping[str, Any]) -> str | None:
    """`once` or `twice`: how often the model sees `<bos>` when a prompt begins with it.

    Told from the token counts of the same prompt with and without it; None where they do not
    tell, as with servers that count only the part of a prompt that was not cached.
    """
    prompt = config.control_probe
    if not prompt.startswith("<bos>"):
        return None
    bare = wire.usage(await _one_token(client, config, prompt[len("<bos>") :])).prompt_tokens
    full = wire.usage(answer).prompt_tokens
    if bare is None or full is None:
        return None
    return {0: "once", 1: "twice"}.get(full - bare)


async def _visible_by_type(client: OllamaClient, config: RawConfig, found: Findings) -> bool | None:
    try:
        show = await client.post("/api/show", {"model": config.model, "verbose": True})
    except ArmError:
        return None
    info = show.get("model_info")
    tokens = info.get("tokenizer.ggml.tokens") if isinstance(info, Mapping) else None
    types = info.get("tokenizer.ggml.token_type") if isinstance(info, Mapping) else None
    if not isinstance(tokens, list) or not isinstance(types, list) or len(tokens) != len(types):
        return None
    wanted = set(config.control_tokens)
    kinds = {token: kind for token, kind in zip(tokens, types, strict=True) if str(token) in wanted}
    if not kinds:
        return None
    found.details["control_token_types"] = dict(kinds)
    return _GGUF_CONTROL not in kinds.values()
