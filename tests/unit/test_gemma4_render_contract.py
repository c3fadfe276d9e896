"""The contract of templates, for Gemma 4."""

from __future__ import annotations

import re
from collections.abc import Sequence

from callsmith import ControlTextPolicy, JsonValue, ToolCall
from callsmith.testing import TemplateContract
from callsmith_gemma4.arguments import render_call
from callsmith_gemma4.config import Gemma4Config
from callsmith_gemma4.control_tokens import CONTROL_TOKENS, QUOTE
from callsmith_gemma4.template import Gemma4Template

KEY = re.compile(r"[\w.$-]+")


class TestGemma4(TemplateContract):
    control_tokens = tuple(sorted(CONTROL_TOKENS.tokens))

    def build(self, policy: ControlTextPolicy) -> Gemma4Template:
        # The contract sends structured results, which the canonical template cannot write.
        return Gemma4Template(Gemma4Config(control_text=policy, structured_results="inline"))

    def serialise(self, calls: Sequence[ToolCall]) -> str:
        return "".join([render_call(call.name, call.arguments) for call in calls])

    def thought(self, text: str) -> str:
        return f"<|channel>thought\n{text}\n<channel|>"

    def representable(self, call: ToolCall) -> bool:
        return _plain(call.arguments)


def _plain(value: JsonValue) -> bool:
    """Keys that are words, strings without the delimiter: a part of what can be said."""
    if isinstance(value, dict):
        return all(KEY.fullmatch(key) and _plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(_plain(item) for item in value)
    return not (isinstance(value, str) and QUOTE in value)
