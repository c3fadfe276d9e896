"""What plugin authors test with: scripted arms, hypothesis strategies, contract test classes.

    from callsmith.testing import TextArmContract

    class TestMyArm(TextArmContract):
        @pytest.fixture
        def arm(self):
            return MyArm(MyConfig())

Names are resolved on first use, so the scripted arms (and `python -m
callsmith.testing.conformance`) work in a base install; strategies need hypothesis, contracts need
pytest with pytest-asyncio as well.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from callsmith.errors import MissingExtraError
from callsmith.testing.scripted import FailsAfter, ScriptedChatArm, ScriptedTextArm

if TYPE_CHECKING:
    from callsmith.testing.chat_arm_contract import Calling, ChatArmContract
    from callsmith.testing.strategies import (
        arguments_for,
        control_rich_text,
        conversations,
        json_values,
        messages,
        prompts,
        replies,
        tasks,
        tool_calls,
        tool_specs,
        traces,
    )
    from callsmith.testing.template_contract import TemplateContract
    from callsmith.testing.text_arm_contract import TextArmContract
    from callsmith.testing.verifier_contract import VerifierContract

__all__ = [
    "Calling",
    "ChatArmContract",
    "FailsAfter",
    "ScriptedChatArm",
    "ScriptedTextArm",
    "TemplateContract",
    "TextArmContract",
    "VerifierContract",
    "arguments_for",
    "control_rich_text",
    "conversations",
    "json_values",
    "messages",
    "prompts",
    "replies",
    "tasks",
    "tool_calls",
    "tool_specs",
    "traces",
]

_HOMES = {
    "Calling": "chat_arm_contract",
    "ChatArmContract": "chat_arm_contract",
    "TextArmContract": "text_arm_contract",
    "TemplateContract": "template_contract",
    "VerifierContract": "verifier_contract",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = f"{__name__}.{_HOMES.get(name, 'strategies')}"
    try:
        module = importlib.import_module(home)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("pytest", "hypothesis", "_pytest"):
            raise
        raise MissingExtraError(
            f"callsmith.testing.{name} needs {error.name}, which is not installed; "
            "run: pip install 'callsmith[testing]'"
        ) from error
    value: object = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
