"""What a server tells about its chat endpoint. What it lacks stays unknown: never a guess."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from callsmith import ArmError, Fidelity, JsonValue, Message, Sampling, ToolCall, ToolSpec
from callsmith_openai.assembly import Reading
from callsmith_openai.detection import Facts
from callsmith_openai.failures import RefusedFieldError
from callsmith_openai.field_checks import Sample, check_sampling
from callsmith_openai.findings import Findings
from callsmith_openai.messages import convert, convert_tools
from callsmith_openai.probing import common, context_length, settle, within_limit
from callsmith_openai.server import Server, merged

if TYPE_CHECKING:
    from callsmith_openai.chat_arm import OpenAIChatArm

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

_HELLO = (Message(role="user", content="Say hello, in one word."),)
_STORY = (Message(role="user", content="Tell me a story."),)
_TWO_BOS = re.compile(r"(<[^<>\s]{1,40}>)\1")


async def probe_chat(arm: OpenAIChatArm) -> Fidelity:
    """What `openai-chat` runs on. Never raises an `ArmError`; a missing server is a warning."""
    found = Findings(arm.config, "messages")
    facts = await common(arm.server, found)
    if facts is not None:
        await within_limit(found, _look_at_chat(arm, facts, found))
        settle(arm.server, found)
    return found.fidelity()


async def _look_at_chat(arm: OpenAIChatArm, facts: Facts, found: Findings) -> None:
    server, kind = arm.server, facts.kind
    if kind.name != "other":
        found.renderer = found.parser = kind.title
    digest = found.details.get("template_sha256")
    if isinstance(digest, str):
        found.template_digest = f"chat-template:{digest}"
    await _rendering(arm, facts, found)

    async def ask(sampling: Sampling, **fields: JsonValue) -> tuple[Sample, Reading] | None:
        own, _ = arm.fields(facts, _STORY, (), sampling)
        body = server.body(facts, sampling, {**own, **fields}, stream=False)
        try:
            answer = await server.post("/chat/completions", body)
        except RefusedFieldError:
            return None
        reading = Reading()
        reading.take(answer)
        reading.finish()
        text = reading.reasoning + reading.content
        sample = Sample(text, reading.finish_reason, reading.usage.completion_tokens)
        return sample, reading

    async def sample_of(sampling: Sampling) -> Sample | None:
        both = await ask(sampling)
        return both[0] if both else None

    if arm.config.check_fields:
        top_k = server.sends_top_k(facts)
        found.sampling.update(await check_sampling(sample_of, top_k=top_k))
        found.details["tool_choice"] = await _tool_choice(arm, facts)
    else:
        await ask(Sampling(max_tokens=1))
    if kind.thinking and arm.thinking(facts, True):
        found.sampling["thinking"] = "applied"
    await context_length(server, facts, found)


async def _tool_choice(arm: OpenAIChatArm, facts: Facts) -> str:
    """Whether `required` forces a call where none is due, and `none` prevents one."""
    sampling = Sampling(max_tokens=96)
    seen: dict[str, bool] = {}
    for choice in ("required", "none"):
        own, _ = arm.fields(facts, _HELLO, PROBE_TOOLS, sampling)
        fields = merged(own, {"tool_choice": choice})
        body = arm.server.body(facts, sampling, fields, stream=False)
        try:
            answer = await arm.server.post("/chat/completions", body, keep=("tool_choice",))
        except ArmError:
            return "unknown"
        reading = Reading()
        reading.take(answer)
        reading.finish()
        if reading.finish_reason == "length" and not reading.calls:
            return "unknown"
        seen[choice] = bool(reading.calls)
    if seen["none"] or not seen["required"]:
        return "ignored"
    return "applied"


async def _rendering(arm: OpenAIChatArm, facts: Facts, found: Findings) -> None:
    """The server's own rendering of the probe conversation, where it has an endpoint for it."""
    server, root = arm.server, arm.server.client.address.root
    body: dict[str, JsonValue] = {
        "messages": convert(PROBE_MESSAGES, reasoning=facts.kind.reasoning_field).messages,
        "tools": convert_tools(PROBE_TOOLS),
        **arm.thinking(facts, False),
    }
    rendered: object = None
    try:
        if facts.kind.name == "llama.cpp":
            rendered = (await _object(server, f"{root}/apply-template", body)).get("prompt")
        elif facts.kind.name == "vllm":
            named = {"model": arm.config.model, **body}
            tokens = (await _object(server, f"{root}/tokenize", named)).get("tokens")
            if isinstance(tokens, list):
                found.details["rendered_probe_tokens"] = len(tokens)
                back: dict[str, JsonValue] = {"model": arm.config.model, "tokens": tokens}
                rendered = (await _object(server, f"{root}/detokenize", back)).get("prompt")
    except ArmError:
        return
    if not isinstance(rendered, str) or not rendered:
        return
    digest = hashlib.sha256(rendered.encode("utf-8", "surrogatepass")).hexdigest()
    found.details["rendered_probe"] = rendered
    # Not a template's digest: it is of one rendering, so it differs from ours by its nature.
    found.details["rendered_probe_sha256"] = digest
    doubled = _TWO_BOS.match(rendered)
    if doubled:
        found.warnings.append(f"the server's prompt begins with two {doubled.group(1)}")


async def _object(server: Server, url: str, body: Mapping[str, JsonValue]) -> Mapping[str, Any]:
    value = await server.client.post(url, body)
    return value if isinstance(value, Mapping) else {}
