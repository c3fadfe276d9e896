"""The Gemma 4 template's options, its digest, and how it is offered."""

from __future__ import annotations

import importlib

import pytest
from pydantic import ValidationError

import callsmith_gemma4
from callsmith import Message, ToolCall
from callsmith_gemma4.arguments import MAX_DEPTH
from callsmith_gemma4.config import Gemma4Config, variant_of
from callsmith_gemma4.template import Gemma4Template


@pytest.mark.parametrize(
    ("model", "variant"),
    [
        ("gemma4:e2b", "small"),
        ("gemma4:e4b-it-q4_K_M", "small"),
        ("google/gemma-4-E4B-it", "small"),
        ("gemma-4-2b", "small"),
        ("google/gemma-4-26B-A4B-it", "large"),
        ("gemma4:31b", "large"),
        ("gemma-4-12b-it-4bit", "large"),
        ("gemma4:27b-cloud", "large"),
        ("gemma-4-11.9b", "small"),
        ("gemma4:latest", "small"),
        ("my-4bit-gemma4", "small"),
        ("callsmith/tiny", "small"),
        ("", "small"),
        (None, "small"),
    ],
)
def test_the_variant_by_the_models_name(model: str | None, variant: str) -> None:
    assert variant_of(model) == variant
    assert Gemma4Config(model=model).resolved_variant == variant


def test_an_explicit_variant_wins() -> None:
    assert Gemma4Config(variant="small", model="gemma4:31b").resolved_variant == "small"
    assert Gemma4Config(variant="large", model="gemma4:e2b").resolved_variant == "large"


@pytest.mark.parametrize(
    "options",
    [
        {"varaint": "small"},
        {"variant": "medium"},
        {"control_text": "ignore"},
        {"repair": "always"},
        {"max_depth": 0},
        {"max_depth": MAX_DEPTH + 1},
    ],
)
def test_wrong_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Gemma4Config.model_validate(options)


def test_whatever_can_be_read_can_be_rendered() -> None:
    assert Gemma4Config(max_depth=MAX_DEPTH).max_depth == MAX_DEPTH


def test_the_digest_tells_options_that_change_the_bytes() -> None:
    changing: list[dict[str, object]] = [
        {},
        {"variant": "large"},
        {"thinking": True},
        {"preserve_thinking": True},
        {"call_text": "before"},
        {"structured_results": "inline"},
        {"control_text": "neutralise"},
    ]
    digests = [Gemma4Template(Gemma4Config.model_validate(x)).digest for x in changing]
    assert len(set(digests)) == len(digests)
    assert all(digest.startswith("gemma4:") for digest in digests)
    same: list[dict[str, object]] = [
        {"repair": "off"},
        {"max_depth": 5},
        {"variant": "small"},
        {"model": "gemma4:e4b"},
    ]
    for options in same:
        assert Gemma4Template(Gemma4Config.model_validate(options)).digest == digests[0]


def test_engines_stop_at_the_turns_end_and_never_at_a_calls_end() -> None:
    assert set(Gemma4Template().stop) == {"<|tool_response>", "<turn|>"}


def test_the_plugin_offers_the_template() -> None:
    (component,) = callsmith_gemma4.callsmith_templates()
    for address, expected in (
        (component.target, Gemma4Template),
        (component.config, Gemma4Config),
    ):
        module, _, name = address.partition(":")
        assert getattr(importlib.import_module(module), name) is expected


def test_text_beside_answered_calls_can_be_left_out_and_the_closed_turn_is_noted() -> None:
    call = ToolCall(name="f", arguments={}, id="c")
    messages = (
        Message(role="user", content="q"),
        Message(role="assistant", content="let me see", tool_calls=(call,)),
        Message(role="tool", content="ok", tool_call_id="c"),
    )
    canonical = Gemma4Template(Gemma4Config()).render(messages)
    assert canonical.text.endswith("let me see<turn|>\n")
    assert "call_text 'before' or 'drop' keeps the turn open" in canonical.changes[0]
    dropped = Gemma4Template(Gemma4Config(call_text="drop")).render(messages)
    assert dropped.text.endswith("<tool_response|>")
    assert "let me see" not in dropped.text
    assert dropped.changes == ("messages[1]: text beside answered calls (call_text: drop)",)
    pending = Gemma4Template(Gemma4Config(call_text="drop")).render(messages[:2])
    assert "let me see" in pending.text
