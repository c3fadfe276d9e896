"""Control tokens in what somebody else is going to render: the policy, applied before it is sent.

A server or a library writes the prompt, so a token that is put together from the end of one text
and the beginning of the next cannot be seen here; each text is checked by itself.
"""

from __future__ import annotations

from callsmith.errors import ControlTextError
from callsmith.prompts.control_text import ControlTextPolicy, ControlTokens, PromptBuilder
from callsmith.types import JsonValue


class ControlCheck:
    """Checks texts and JSON values under one policy; `changes` are what `neutralise` changed."""

    def __init__(self, tokens: ControlTokens, policy: ControlTextPolicy) -> None:
        self._tokens = tokens
        self._policy = policy
        self.changes: list[str] = []

    def value(self, value: JsonValue, where: str) -> JsonValue:
        """A JSON value with every text and key in it checked. Raises `ControlTextError`."""
        if isinstance(value, str):
            return self.text(value, where)
        if isinstance(value, list):
            return [self.value(item, f"{where}[{at}]") for at, item in enumerate(value)]
        if isinstance(value, dict):
            return {
                self.text(key, f"{where}.{key}"): self.value(item, f"{where}.{key}")
                for key, item in value.items()
            }
        return value

    def text(self, text: str, where: str) -> str:
        """The text, or what `neutralise` makes of it. `where` stands in front of an error."""
        if self._policy == "allow" or not self._tokens.tokens:
            return text
        builder = PromptBuilder(self._tokens, self._policy)
        builder.content(text)
        try:
            prompt = builder.build()
        except ControlTextError as error:
            raise ControlTextError(f"{where}: {error}") from None
        self.changes += [f"{where}: {change}" for change in prompt.changes]
        return prompt.text
