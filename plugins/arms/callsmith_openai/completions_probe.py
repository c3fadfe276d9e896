"""What a server tells about its completions. What it lacks stays unknown: never a guess."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from callsmith import Fidelity, Prompt, Sampling, Segment
from callsmith_openai.assembly import usage_of
from callsmith_openai.bos import measure_bos
from callsmith_openai.detection import Facts
from callsmith_openai.failures import RefusedFieldError
from callsmith_openai.field_checks import Sample, check_sampling
from callsmith_openai.findings import Findings
from callsmith_openai.probing import common, context_length, settle, within_limit
from callsmith_openai.text_reading import TextReading

if TYPE_CHECKING:
    from callsmith_openai.completions_arm import OpenAICompletionsArm


async def probe_completions(arm: OpenAICompletionsArm) -> Fidelity:
    """What `openai-completions` runs on. Never raises an `ArmError`.

    Renderer, parser and template digest stay None: they are the template's that is put around it.
    """
    found = Findings(arm.config, "prompt")
    facts = await common(arm.server, found)
    if facts is not None:
        found.deviations += facts.kind.completions_deviations
        await within_limit(found, _look_at_completions(arm, facts, found))
        settle(arm.server, found)
    return found.fidelity()


async def _look_at_completions(arm: OpenAICompletionsArm, facts: Facts, found: Findings) -> None:
    server = arm.server

    async def ask(sampling: Sampling, text: str) -> tuple[TextReading, Mapping[str, Any]]:
        prompt = Prompt(segments=(Segment(text=text, origin="control"),))
        fields = {**arm.fields(facts), "prompt": await arm.prompt(facts, prompt)}
        body = server.body(facts, sampling, fields, stream=False)
        keep = ("logprobs",) if arm.config.logprobs else ()
        answer = await server.post("/completions", body, keep=keep)
        reading = TextReading()
        reading.take(answer)
        return reading, answer

    probe = arm.config.control_probe or f"{arm.config.bos_token}Once upon a time"
    first, answer = await ask(Sampling(max_tokens=1), probe)
    found.details["prompt_sent_as"] = "token ids" if arm.sends == "ids" else "text"
    found.details["token_ids"] = first.token_ids is not None
    found.details["logprobs"] = first.logprobs is not None if arm.config.logprobs else None
    await _control_tokens(arm, found, first, answer)
    await _bos(arm, facts, found)

    async def sample_of(sampling: Sampling) -> Sample | None:
        story = f"{arm.config.bos_token}Once upon a time"
        try:
            reading, _ = await ask(sampling, story)
        except RefusedFieldError:
            return None
        return Sample(reading.text, reading.finish_reason, reading.usage.completion_tokens)

    if arm.config.check_fields:
        top_k = server.sends_top_k(facts)
        found.sampling.update(await check_sampling(sample_of, top_k=top_k))
    await context_length(server, facts, found)
    if arm.sends == "ids":
        await _control_tokens_known(arm, facts, found)


async def _control_tokens(
    arm: OpenAICompletionsArm, found: Findings, first: TextReading, answer: Mapping[str, Any]
) -> None:
    """Whether the text keeps control tokens; None if that could not be told.

    One token is generated where the model is bound to write a control token: either it is seen,
    or something was generated and nothing is seen.
    """
    if not arm.config.control_probe:
        return
    visible: bool | None = None
    usage = usage_of(answer.get("usage"))
    if any(token in first.text for token in arm.config.visible_tokens):
        visible = True
    elif first.text == "" and first.finish_reason == "length":
        visible = False if usage and usage.completion_tokens else None
    found.details["control_tokens_visible"] = visible
    if visible is False:
        found.warnings.append(
            "the server leaves control tokens out of the text: calls come without their markers, "
            "which the parser can only read as a reported repair, and thoughts cannot be told "
            "from the answer; start it so that special tokens are shown, or use openai-chat"
        )


async def _bos(arm: OpenAICompletionsArm, facts: Facts, found: Findings) -> None:
    if arm.sends == "ids":
        found.details["bos"] = "in the token ids, once"
        return
    if arm.bos is None:
        arm.bos = await measure_bos(arm.server, facts, arm.fields(facts), arm.config)
    bos = arm.bos
    if bos.wraps:
        found.warnings.append(
            f"a prompt of one letter counts {bos.wraps} tokens: the server puts prompts into a "
            "template of its own, so what the model sees is not the prompt"
        )
        return
    says = {True: "added by the server", False: "not added by the server", None: "unknown"}
    found.details["bos"] = says[bos.adds]
    if arm.config.bos == "keep" and bos.doubles:
        found.warnings.append(
            f"the server puts a second {arm.config.bos_token} before a prompt that begins with "
            "one; set bos to auto or strip"
        )


async def _control_tokens_known(arm: OpenAICompletionsArm, facts: Facts, found: Findings) -> None:
    """Whether the server's tokeniser reads a control token as one token."""
    split = [
        token for token in arm.config.visible_tokens if len(await arm.tokenize(facts, token)) != 1
    ]
    if split:
        found.warnings.append(
            f"the server's tokeniser does not know {', '.join(split)} as one token, so the model "
            "sees them spelt out; the model's file lacks them, or is another model's"
        )
