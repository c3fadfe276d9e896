"""`Qwen3Template`: the format as a Callsmith template, renderer and parser."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from callsmith import Decoder, Message, Prompt, PromptBuilder, Reply, ToolSpec
from callsmith_qwen3.config import Qwen3Config
from callsmith_qwen3.control_tokens import CONTROL_TOKENS, END_OF_TEXT, TURN_CLOSE
from callsmith_qwen3.decoder import Qwen3Decoder, start_mode
from callsmith_qwen3.render import Style, write_conversation

_REVISION = 1
"""Counts changes of this renderer's bytes; part of the digest."""


class Qwen3Template:
    """Qwen3's format with one set of options."""

    def __init__(self, config: Qwen3Config | None = None) -> None:
        self.config = config or Qwen3Config()

    @property
    def stop(self) -> tuple[str, ...]:
        """The end of a turn and of a text.

        Never the close of a call: calls in parallel stand back to back, and all but the first
        would be lost.
        """
        return (TURN_CLOSE, END_OF_TEXT)

    @property
    def digest(self) -> str:
        """`qwen3:` and a hash of the format and of the options that change a prompt's bytes."""
        config = self.config
        facts = {
            "revision": _REVISION,
            "variant": config.variant,
            "thinking": config.thinking,
            "structured_content": config.structured_content,
            "control_text": config.control_text,
        }
        data = json.dumps(facts, sort_keys=True).encode()
        return "qwen3:" + hashlib.sha256(data).hexdigest()[:16]

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec] = (),
        *,
        thinking: bool | None = None,
        add_generation_prompt: bool = True,
    ) -> Prompt:
        """The prompt, byte-identical to the official template's text.

        Raises `RenderError` for a conversation that the format cannot hold, `ControlTextError`
        where content holds control text and the policy is `refuse`.
        """
        config = self.config
        style = Style(
            variant=config.variant,
            thinking=config.thinking if thinking is None else thinking,
            structured_content=config.structured_content,
            add_generation_prompt=add_generation_prompt,
        )
        prompt = PromptBuilder(CONTROL_TOKENS, config.control_text)
        write_conversation(prompt, messages, tools, style)
        return prompt.build()

    def decoder(self, tools: Sequence[ToolSpec] = (), after: Prompt | None = None) -> Decoder:
        """A decoder for what follows `after`; see `Qwen3Decoder`. `tools` decide nothing here."""
        return Qwen3Decoder(
            start=start_mode(after), repair=self.config.repair, max_depth=self.config.max_depth
        )

    def parse(
        self, text: str, tools: Sequence[ToolSpec] = (), after: Prompt | None = None
    ) -> Reply:
        """Reads a whole completion: feeds it at once and closes. Never raises."""
        decoder = self.decoder(tools, after)
        decoder.feed(text)
        return decoder.close()
