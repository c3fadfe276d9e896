"""Control tokens in what a server is going to render: the policy, applied before it is sent.

The server writes the prompt, so a token that is put together from the end of one text and the
beginning of the next cannot be seen here; each text is checked by itself.
"""

from __future__ import annotations

from callsmith import ControlTextError, ControlTextPolicy, ControlTokens, JsonValue, PromptBuilder


def checked(
    value: JsonValue, tokens: ControlTokens, policy: ControlTextPolicy, where: str
) -> tuple[JsonValue, tuple[str, ...]]:
    """`value` with every text (and key) in it checked, and what `neutralise` changed.

    Raises `ControlTextError` under `refuse`; `where` is the place that its message begins with.
    """
    if policy == "allow" or not tokens.tokens:
        return value, ()
    changes: list[str] = []
    return _walk(value, tokens, policy, where, changes), tuple(changes)


def _walk(
    value: JsonValue,
    tokens: ControlTokens,
    policy: ControlTextPolicy,
    where: str,
    changes: list[str],
) -> JsonValue:
    if isinstance(value, str):
        return _text(value, tokens, policy, where, changes)
    if isinstance(value, list):
        return [
            _walk(item, tokens, policy, f"{where}[{index}]", changes)
            for index, item in enumerate(value)
        ]
    if isinstance(value, dict):
        out: dict[str, JsonValue] = {}
        for key, item in value.items():
            place = f"{where}.{key}"
            out[_text(key, tokens, policy, place, changes)] = _walk(
                item, tokens, policy, place, changes
            )
        return out
    return value


def _text(
    text: str, tokens: ControlTokens, policy: ControlTextPolicy, where: str, changes: list[str]
) -> str:
    builder = PromptBuilder(tokens, policy)
    builder.content(text)
    try:
        prompt = builder.build()
    except ControlTextError as error:
        raise ControlTextError(f"{where}: {error}") from None
    changes += [f"{where}: {change}" for change in prompt.changes]
    return prompt.text
