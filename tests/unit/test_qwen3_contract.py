"""The contract of templates, for Qwen3, and the declaration of the plugin."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fnmatch import fnmatchcase

import pytest

from callsmith import ControlTextPolicy, ToolCall
from callsmith.testing import TemplateContract
from callsmith_qwen3 import callsmith_templates
from callsmith_qwen3.config import Qwen3Config
from callsmith_qwen3.control_tokens import CONTROL_TOKENS
from callsmith_qwen3.render import render_call
from callsmith_qwen3.template import Qwen3Template


class TestQwen3(TemplateContract):
    control_tokens = tuple(sorted(CONTROL_TOKENS.tokens))

    def build(self, policy: ControlTextPolicy) -> Qwen3Template:
        # The contract sends structured results, which the official template loses.
        return Qwen3Template(Qwen3Config(control_text=policy, structured_content="inline"))

    def serialise(self, calls: Sequence[ToolCall]) -> str:
        return "\n".join([render_call(call.name, call.arguments) for call in calls])

    def thought(self, text: str) -> str:
        return f"<think>\n{text}\n</think>\n\n"

    def representable(self, call: ToolCall) -> bool:
        # The official template writes names without escapes.
        return json.dumps(call.name, ensure_ascii=False) == f'"{call.name}"'


@pytest.mark.parametrize(
    ("model", "ours"),
    [
        ("qwen3:4b", True),
        ("qwen/qwen3-4b-instruct-2507", True),
        ("qwen3", True),
        ("qwen3.5-9b", False),  # its calls are XML
        ("qwen2.5-7b-instruct", False),
    ],
)
def test_the_declaration_names_the_models_of_this_format(model: str, ours: bool) -> None:
    (component,) = callsmith_templates()
    assert any(fnmatchcase(model, glob) for glob in component.models) is ours
