"""`JinjaTemplate`: the model's own chat template as a Callsmith renderer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from callsmith import (
    ConfigError,
    ControlTextError,
    ControlTokens,
    Message,
    Prompt,
    PromptBuilder,
    ToolSpec,
)
from callsmith_jinja.config import JinjaConfig
from callsmith_jinja.conversation import as_variables
from callsmith_jinja.origins import free_marks, marked, pieces, texts
from callsmith_jinja.revisions import revision_of
from callsmith_jinja.sandbox import Sandbox
from callsmith_jinja.source import read_source


class JinjaTemplate:
    """Renders with the template that stands in a model's folder, byte for byte as transformers.

    It has no parser: a run file names one beside it, another template of the same format. Raises
    `ConfigError` for a folder without a template.
    """

    def __init__(self, config: JinjaConfig) -> None:
        place = config.path or config.model
        if not place:
            raise ConfigError("say where the template stands: a model's folder", path="path")
        self.config = config
        self.source = read_source(Path(place).expanduser(), config.name)
        self.revision = revision_of(self.source.text)
        self._tokens = ControlTokens(self.source.markers() | set(config.control_tokens))
        self._sandbox = Sandbox(
            self.source.text,
            place=self.source.place,
            date=config.date,
            timeout=config.timeout,
            max_characters=config.max_characters,
            memory_mib=config.memory_mib,
        )

    @property
    def stop(self) -> tuple[str, ...]:
        """The options' texts and the tokenizer's end token."""
        end = self.source.end
        return (*self.config.stop, end) if end else self.config.stop

    @property
    def digest(self) -> str:
        """`jinja:` and a hash of the template and of what else decides a prompt's bytes and where
        a completion ends."""
        config = self.config
        facts = {
            "template": self.source.text,
            "variables": [config.variables, dict(self.source.variables)],
            "thinking_variable": config.thinking_variable,
            "arguments": config.arguments,
            "date": config.date,
            "control_text": config.control_text,
            "control_tokens": sorted(config.control_tokens),
            "stop": config.stop,
        }
        data = json.dumps(facts, sort_keys=True).encode("utf-8", "surrogatepass")
        return "jinja:" + hashlib.sha256(data).hexdigest()[:16]

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec] = (),
        *,
        thinking: bool | None = None,
        add_generation_prompt: bool = True,
    ) -> Prompt:
        """The prompt as the template writes it.

        Raises `RenderError` where the template refuses, fails, or goes beyond its bounds, and
        `ControlTextError` (policy `refuse`) where content holds control text. A text that the
        template itself changes has no known place in the prompt; then content with control text
        is refused under `neutralise` too.
        """
        given = as_variables(
            messages,
            tools,
            add_generation_prompt=add_generation_prompt,
            arguments=self.config.arguments,
        )
        context: dict[str, Any] = {**dict(self.source.variables), **self.config.variables}
        if thinking is not None and self.config.thinking_variable:
            context[self.config.thinking_variable] = thinking
        text = self._sandbox.render({**context, **given})
        found = self._pieces(text, context, given)
        if self.config.control_text != "allow":
            self._check_unmarked(given, keys_only=found is not None)
        builder = PromptBuilder(self._tokens, self.config.control_text)
        for is_content, piece in found or [(False, text)]:
            (builder.content if is_content else builder.control)(piece)
        if found is None:
            builder.note("the template changes texts: which characters are content is not known")
        if self.revision is not None and self.revision.faults:
            builder.note(
                f"an outdated template ({self.revision.name}): {'; '.join(self.revision.faults)}"
            )
        return builder.build()

    def close(self) -> None:
        """Ends the process that renders."""
        self._sandbox.close()

    def _pieces(
        self, text: str, context: dict[str, Any], given: dict[str, Any]
    ) -> list[tuple[bool, str]] | None:
        opening, closing = free_marks([given, text])
        content = {key: given[key] for key in ("messages", "tools")}
        twice = {**context, **given, **marked(content, opening, closing)}
        found = pieces(self._sandbox.render(twice), opening, closing)
        if found is None or "".join(piece for _, piece in found) != text:
            return None
        return found

    def _check_unmarked(self, given: dict[str, Any], *, keys_only: bool) -> None:
        """Refuses control text that no mark can show: in keys and ids, or in any text."""
        for name in ("messages", "tools"):
            for place, text, is_marked in texts(given[name] or [], name):
                if keys_only and is_marked:
                    continue
                for start, end in self._tokens.find(text):
                    raise ControlTextError(
                        f"{place}: content holds the control text {text[start:end]!r}; remove it, "
                        "or set control_text to 'allow'"
                    )
