"""`Gemma4Template`: the format as a Callsmith template, renderer and parser."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from callsmith import Decoder, Message, Prompt, PromptBuilder, Reply, ToolSpec
from callsmith_gemma4.config import Gemma4Config
from callsmith_gemma4.control_tokens import CONTROL_TOKENS, RESPONSE_OPEN, TURN_CLOSE
from callsmith_gemma4.decoder import Gemma4Decoder, start_mode
from callsmith_gemma4.render import FORMAT, Style, write_conversation

_REVISION = 1
"""Counts changes of this renderer's bytes; part of the digest."""


class Gemma4Template:
    """Gemma 4's native format with one set of options."""

    def __init__(self, config: Gemma4Config | None = None) -> None:
        self.config = config or Gemma4Config()

    @property
    def stop(self) -> tuple[str, ...]:
        """The end of a turn and the request for results.

        Never the close of a call: calls in parallel stand back to back, and all but the first
        would be lost.
        """
        return (RESPONSE_OPEN, TURN_CLOSE)

    @property
    def digest(self) -> str:
        """`gemma4:` and a hash of the format and of the options that change a prompt's bytes."""
        config = self.config
        facts = {
            "format": FORMAT,
            "revision": _REVISION,
            "variant": config.resolved_variant,
            "thinking": config.thinking,
            "preserve_thinking": config.preserve_thinking,
            "call_text": config.call_text,
            "structured_results": config.structured_results,
            "control_text": config.control_text,
        }
        if config.argument_order != "sorted":
            facts["argument_order"] = config.argument_order
        data = json.dumps(facts, sort_keys=True).encode()
        return "gemma4:" + hashlib.sha256(data).hexdigest()[:16]

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec] = (),
        *,
        thinking: bool | None = None,
        add_generation_prompt: bool = True,
    ) -> Prompt:
        """The prompt, byte-identical to the canonical template's text.

        Raises `RenderError` for a conversation that the format cannot hold, `ControlTextError`
        where content holds control text and the policy is `refuse`.
        """
        config = self.config
        style = Style(
            variant=config.resolved_variant,
            thinking=config.thinking if thinking is None else thinking,
            preserve_thinking=config.preserve_thinking,
            call_text=config.call_text,
            structured_results=config.structured_results,
            argument_order=config.argument_order,
            add_generation_prompt=add_generation_prompt,
        )
        prompt = PromptBuilder(CONTROL_TOKENS, config.control_text)
        write_conversation(prompt, messages, tools, style)
        return prompt.build()

    def decoder(self, tools: Sequence[ToolSpec] = (), after: Prompt | None = None) -> Decoder:
        """A decoder for what follows `after`; see `Gemma4Decoder`."""
        return Gemma4Decoder(
            tools,
            start=start_mode(after),
            repair=self.config.repair,
            max_depth=self.config.max_depth,
        )

    def parse(
        self, text: str, tools: Sequence[ToolSpec] = (), after: Prompt | None = None
    ) -> Reply:
        """Reads a whole completion: feeds it at once and closes. Never raises."""
        decoder = self.decoder(tools, after)
        decoder.feed(text)
        return decoder.close()
