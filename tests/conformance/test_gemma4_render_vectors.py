"""Every rendering vector of the shared folder: the canonical template's bytes.

The vectors were made with the canonical template of 2026-07-09 in both variants
(`canonical_generated.json`), and taken from a peer that asserts its renderer against it
(`ollama.json`). `google_dialog.json` is another serialiser, with differences that are listed here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from callsmith import (
    ControlTextError,
    Message,
    Prompt,
    RenderError,
    ToolSpec,
    message_from_openai,
    tool_from_openai,
)
from callsmith_gemma4.config import Gemma4Config
from callsmith_gemma4.control_tokens import CONTROL_TOKENS
from callsmith_gemma4.template import Gemma4Template

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "gemma4" / "render"
VARIANTS = {"e2b": "small", "31b": "large"}

BARE_FUNCTION = "tool/bare_function_no_wrapper/e2b"
"""A tool without the `{"type": "function"}` wrapper: the canonical template cannot read that shape
and raises; `tool_from_openai` takes both shapes on purpose, so there is nothing to refuse."""


def _load(name: str) -> list[dict[str, Any]]:
    path = FOLDER / name
    if not path.is_file():
        return []
    cases: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return cases


def _by_id(*names: str, errors: bool = True) -> list[Any]:
    cases = [case for name in names for case in _load(name) if errors or not case.get("error")]
    return [pytest.param(case, id=case["id"]) for case in cases]


def _messages(case: dict[str, Any]) -> list[Message]:
    """The conversation; a legacy list of `tool_responses` becomes tool messages of its own.

    Those carry an id that no call has, because the legacy form names its results by itself.
    """
    out: list[Message] = []
    for data in case["messages"]:
        out.append(message_from_openai(data))
        for index, response in enumerate(data.get("tool_responses") or ()):
            out.append(
                Message(
                    role="tool",
                    content=response["response"],
                    name=response.get("name"),
                    tool_call_id=f"legacy_{index}",
                )
            )
    return out


def _tools(case: dict[str, Any]) -> list[ToolSpec]:
    return [tool_from_openai(tool) for tool in case["tools"] or ()]


def _render(case: dict[str, Any], policy: str) -> Prompt:
    options = case.get("options", case)
    template = Gemma4Template(
        Gemma4Config.model_validate(
            {
                "variant": VARIANTS[options["template"]],
                "control_text": policy,
                **(case.get("extra_kwargs") or {}),
            }
        )
    )
    return template.render(
        _messages(case),
        _tools(case),
        thinking=options["enable_thinking"],
        add_generation_prompt=options["add_generation_prompt"],
    )


@pytest.mark.parametrize("case", _by_id("canonical_generated.json", "ollama.json"))
def test_text_is_the_canonical_templates(case: dict[str, Any]) -> None:
    if case["id"] == BARE_FUNCTION:
        prompt = _render(case, "allow")
        assert '<|tool>declaration:f{description:<|"|>d<|"|>' in prompt.text
    elif case.get("error"):
        with pytest.raises(RenderError, match=r"^messages\[\d\]: "):
            _render(case, "allow")
    else:
        assert _render(case, "allow").text == case["expected_text"]


def _holds_control_text(case: dict[str, Any]) -> bool:
    said = json.dumps([case["messages"], case["tools"]], ensure_ascii=False)
    said = said.replace('\\"', '"')
    return any(token in said for token in CONTROL_TOKENS.tokens)


@pytest.mark.parametrize("case", _by_id("canonical_generated.json", "ollama.json", errors=False))
def test_refuse_differs_only_where_content_holds_control_text(case: dict[str, Any]) -> None:
    if not _holds_control_text(case):
        assert _render(case, "refuse") == _render(case, "allow")
        return
    allowed = _render(case, "allow").text
    try:
        refused = _render(case, "refuse").text
    except ControlTextError:
        return
    # Thought channels in an assistant's text are stripped before they could reach the prompt.
    assert refused == allowed
    assert "<|channel>" in json.dumps(case["messages"])


def test_which_vectors_hold_control_text_in_the_prompt() -> None:
    refused = []
    for case in _load("canonical_generated.json") + _load("ollama.json"):
        if case.get("error"):
            continue
        try:
            _render(case, "refuse")
        except ControlTextError:
            refused.append(case["id"])
    if not FOLDER.is_dir():
        pytest.skip("needs the folder ../shared with the vectors")
    assert refused == [
        "control_tokens_in_user/e2b",
        "control_tokens_in_system/e2b",
        "quote_token_in_user/e2b",
        "call/str_quote_token/e2b",
    ]


GOOGLE_DIFFERENCES = (
    ("<bos>", "", "the sampler adds <bos>, not the text"),
    ("\n<channel|>", "<channel|>", "no line break before the end of a thought"),
    ('{description:<|"|><|"|>,', "{", "a missing description is left out"),
    ("image:<|image|>", "image: <|image|>", "the text of a content part is not trimmed"),
)
"""What Google's dialog library writes otherwise than the canonical template."""


@pytest.mark.parametrize("case", _by_id("google_dialog.json"))
def test_google_dialog_differs_in_known_ways(case: dict[str, Any]) -> None:
    if not case["messages"]:
        pytest.skip("this case gives a text without the conversation")
    tools = [
        ToolSpec(
            name=tool["name"],
            description=tool.get("description", ""),
            parameters=tool.get("inputSchema"),
        )
        for tool in case["tools"]
    ]
    template = Gemma4Template(Gemma4Config(variant="small"))
    text = template.render(_messages(case), tools, add_generation_prompt=False).text
    for ours, theirs, why in GOOGLE_DIFFERENCES:
        assert ours in text, why
        text = text.replace(ours, theirs)
    assert text.endswith("<turn|>\n"), "the last model turn is left open"
    assert text.removesuffix("<turn|>\n") == case["expected_text"]
