"""Control tokens in what a server is going to render: the policy, applied before it is sent.

The server writes the prompt, so a token that is put together from the end of one text and the
beginning of the next cannot be seen here; each text is checked by itself.
"""

from __future__ import annotations

from callsmith import ControlTextError, ControlTextPolicy, ControlTokens, JsonValue, PromptBuilder


class ControlCheck:
    """Checks JSON values text by text; `changes` has a line for what `neutralise` changed."""

    def __init__(self, tokens: ControlTokens, policy: ControlTextPolicy) -> None:
        self.changes: list[str] = []
        self._tokens = tokens
        self._policy = policy

    def value(self, value: JsonValue, where: str) -> JsonValue:
        """`value` with every text and key in it checked.

        Raises `ControlTextError` under `refuse`; `where` is the place that its message names.
        """
        if self._policy == "allow" or not self._tokens.tokens:
            return value
        if isinstance(value, str):
            return self._text(value, where)
        if isinstance(value, list):
            return [self.value(item, f"{where}[{index}]") for index, item in enumerate(value)]
        if isinstance(value, dict):
            return {
                self._text(key, f"{where}.{key}"): self.value(item, f"{where}.{key}")
                for key, item in value.items()
            }
        return value

    def _text(self, text: str, where: str) -> str:
        builder = PromptBuilder(self._tokens, self._policy)
        builder.content(text)
        try:
            prompt = builder.build()
        except ControlTextError as error:
            raise ControlTextError(f"{where}: {error}") from None
        self.changes += [f"{where}: {change}" for change in prompt.changes]
        return prompt.text
