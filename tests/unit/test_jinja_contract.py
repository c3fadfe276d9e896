"""The contract of templates, for a stranger's template read by Qwen3's parser."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from callsmith import ControlTextPolicy, Paired, Template, ToolCall
from callsmith.testing import TemplateContract
from callsmith_jinja.config import JinjaConfig
from callsmith_jinja.template import JinjaTemplate
from callsmith_qwen3.config import Qwen3Config
from callsmith_qwen3.template import Qwen3Template

FILE = Path(__file__).parents[1] / "fixtures" / "chat_templates" / "hermes.jinja"

_BUILT: dict[ControlTextPolicy, JinjaTemplate] = {}
"""One process for each policy, not for each of the contract's hundreds of templates."""


class TestHermesByJinja(TemplateContract):
    control_tokens = (
        *("<|im_start|>", "<|im_end|>", "<tools>", "</tools>", "<think>", "</think>"),
        *("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"),
    )

    def build(self, policy: ControlTextPolicy) -> Template:
        if policy not in _BUILT:
            _BUILT[policy] = JinjaTemplate(JinjaConfig(path=str(FILE), control_text=policy))
        return Paired(_BUILT[policy], Qwen3Template(Qwen3Config(control_text=policy)))

    def serialise(self, calls: Sequence[ToolCall]) -> str:
        texts = [
            json.dumps({"name": c.name, "arguments": c.arguments}, ensure_ascii=False)
            for c in calls
        ]
        return "\n".join(f"<tool_call>\n{text}\n</tool_call>" for text in texts)

    def thought(self, text: str) -> str:
        return f"<think>\n{text}\n</think>\n\n"
