"""What a model is asked: messages, tools, and the turns that follow, in both official modes.

- **fc**: the functions go to the provider as tools, and the messages are the entry's own.
- **prompting**: a system prompt describes the functions and the form of a call; tool results come
  back as a user message.

All texts of the benchmark come from the wheel (`load_templates`); these functions compose them.
They take values and return new values; entries are never changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qs

from callsmith import ConfigError
from callsmith_bfcl.categories import category_named
from callsmith_bfcl.data import ChatMessage, Entry, FunctionDoc
from callsmith_bfcl.prompts.function_docs import as_text, with_language_notes
from callsmith_bfcl.prompts.openai_tools import to_openai_tools
from callsmith_bfcl.prompts.templates import LanguageNotes, Templates, load_templates

__all__ = [
    "LanguageNotes",
    "LaterTurn",
    "Mode",
    "Templates",
    "chat_messages",
    "later_turns",
    "load_templates",
    "shown_functions",
    "system_prompt",
    "tool_results_message",
    "tools",
]

Mode = Literal["fc", "prompting"]


@dataclass(frozen=True, slots=True)
class LaterTurn:
    """A turn after the first: the messages that begin it, and the tools if they have changed.

    `tools` is the whole list to use from here on, or None to go on with those before. It is None
    in prompting mode, where withheld functions come as text.
    """

    messages: Sequence[ChatMessage]
    tools: Sequence[dict[str, Any]] | None = None


def chat_messages(
    entry: Entry, mode: Mode, templates: Templates, *, memory: str | None = None
) -> list[ChatMessage]:
    """The messages of the first turn.

    `memory` is what the memory backend shows of itself before a memory entry; None means that it
    is empty. A system prompt goes before the text of a system message that the entry begins with,
    with a blank line between; otherwise it becomes a message of its own.
    """
    messages = [dict(message) for message in entry.question[0]]
    if category_named(entry.category).kind == "agentic" and not entry.prerequisite:
        messages.insert(0, {"role": "system", "content": templates.final_answer})
    if entry.scenario:
        _put_first(messages, _memory_prompt(entry, templates, memory))
    if mode == "prompting":
        functions = shown_functions(entry, templates)
        _put_first(messages, system_prompt(functions, entry.prompt_format, templates))
    return messages


def tools(entry: Entry, templates: Templates) -> list[dict[str, Any]]:
    """The tools of the first turn in FC mode, in the shape of OpenAI's chat completions."""
    return to_openai_tools(shown_functions(entry, templates), templates)


def later_turns(entry: Entry, mode: Mode, templates: Templates) -> list[LaterTurn]:
    """The turns after the first, in order.

    A turn at which withheld functions appear has no message in the data. FC mode gets a sentence
    and the grown list of tools, prompting mode the functions as Python text and the sentence.
    Withheld functions carry no note on the language, unlike all others.
    """
    functions = list(shown_functions(entry, templates)) if entry.withheld else []
    turns: list[LaterTurn] = []
    for index, question in enumerate(entry.question[1:], 1):
        if index not in entry.withheld:
            turns.append(LaterTurn([dict(message) for message in question]))
            continue
        held = list(entry.withheld[index])
        text = templates.more_functions[mode]
        if mode == "fc":
            functions += held
            grown = to_openai_tools(functions, templates)
            turns.append(LaterTurn([{"role": "user", "content": text}], grown))
        else:
            turns.append(LaterTurn([{"role": "user", "content": text.format(functions=held)}]))
    return turns


def tool_results_message(calls: Sequence[str], results: Sequence[str]) -> ChatMessage:
    """The user message that brings the results of one step back in prompting mode.

    `calls` are the decoded calls as text; results without a call are left out.
    """
    found = [
        {"role": "tool", "name": call, "content": result}
        for call, result in zip(calls, results, strict=False)
    ]
    return {"role": "user", "content": repr(found)}


def shown_functions(entry: Entry, templates: Templates) -> list[FunctionDoc]:
    """The entry's functions with the language note, as models see them in either mode."""
    noted = with_language_notes(entry.functions, entry.language, templates)
    if entry.category == "format_sensitivity":
        # The official loader adds the note when it loads the original entry, and once more.
        noted = with_language_notes(noted, entry.language, templates)
    return noted


def system_prompt(
    functions: Sequence[FunctionDoc], prompt_format: str, templates: Templates
) -> str:
    """The system prompt of prompting mode in one of the 26 configurations.

    `prompt_format` is written as a query string: `ret_fmt`, `tool_call_tag`, `func_doc_fmt`,
    `prompt_fmt` and `style`. Raises `ConfigError` for another one.
    """
    chosen = {key: values[-1] for key, values in parse_qs(prompt_format).items()}
    try:
        style = templates.styles[chosen["style"]]
        layout = templates.layouts[chosen["prompt_fmt"]]
        part = {"True": "tool_call_with_tag", "False": "tool_call_no_tag"}[chosen["tool_call_tag"]]
        returned, documented = chosen["ret_fmt"], chosen["func_doc_fmt"]
        call_format = style[part].format(
            output_format=templates.call_formats[returned],
            param_types=templates.type_notes[returned],
        )
    except KeyError as error:
        raise ConfigError(
            f"{prompt_format!r} is no prompt configuration of BFCL V4: {error} is missing or "
            "unknown; see `format_configurations`"
        ) from None
    return layout.format(
        persona=style["persona"],
        task=style["task"],
        tool_call_format=call_format,
        multiturn_behavior=style["multiturn_behavior"],
        available_tools=style["available_tools"].format(
            format=documented, functions=as_text(functions, documented, templates)
        ),
    )


def _memory_prompt(entry: Entry, templates: Templates, memory: str | None) -> str:
    backend = entry.category.removeprefix("memory_")
    template = templates.unified_memory if backend == "rec_sum" else templates.core_memory
    return template.format(
        scenario_setting=templates.memory_roles[entry.scenario],
        memory_content=templates.empty_memory[backend] if memory is None else memory,
    )


def _put_first(messages: list[ChatMessage], text: str) -> None:
    if messages and messages[0]["role"] == "system":
        messages[0]["content"] = f"{text}\n\n{messages[0]['content']}"
    else:
        messages.insert(0, {"role": "system", "content": text})
