"""What a model is asked, composed from texts of our own."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import pytest

from callsmith import ConfigError
from callsmith_bfcl.data import (
    Entry,
    load_entries,
    load_memory_prerequisites,
)
from callsmith_bfcl.prompts import (
    Mode,
    chat_messages,
    later_turns,
    load_templates,
    shown_functions,
    system_prompt,
    tool_results_message,
    tools,
)
from callsmith_bfcl.prompts.function_docs import as_text
from callsmith_bfcl.wheel import MissingDataError
from fixtures.small_bfcl import ADD, CLOCK, HANDLING, LOADING, small_wheel, user

TEMPLATES = load_templates(small_wheel())


def _entry(category: str, index: int = 0) -> Entry:
    return load_entries(small_wheel(), category)[index]


def test_fc_mode_asks_the_question_alone() -> None:
    assert chat_messages(_entry("simple_python"), "fc", TEMPLATES) == user("1 + 1?")


def test_fc_mode_gives_the_functions_as_tools() -> None:
    assert tools(_entry("simple_python"), TEMPLATES) == [
        {
            "type": "function",
            "function": {
                "name": "math_add",
                "description": "Does math.add. (Python)",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "a": {"type": "number", "format": "float", "description": "Term. A float."},
                        "b": {
                            "type": "object",
                            "description": "More.",
                            "properties": {"c": {"type": "string"}},
                        },
                    },
                    "required": ["a"],
                },
            },
        }
    ]


def test_items_of_tools_are_converted_two_levels_deep() -> None:
    def converted(schema: dict[str, Any]) -> Any:
        document = {
            "name": "f",
            "description": "",
            "parameters": {"type": "dict", "properties": {"a": schema}, "required": []},
        }
        entry = Entry(id="multiple_0", category="multiple", functions=[document])
        return tools(entry, TEMPLATES)[0]["function"]["parameters"]["properties"]["a"]

    assert converted({"type": "tuple", "items": {"type": "array", "items": {"type": "float"}}}) == {
        "type": "array",
        "items": {"type": "array", "items": {"type": "number"}},
    }
    inner = {"type": "dict", "properties": {"x": {"type": "float", "description": "X."}}}
    assert converted({"type": "array", "items": inner})["items"]["properties"]["x"] == {
        "type": "number",
        "format": "float",
        "description": "X. A float.",
    }
    assert converted({"description": "no type"})["type"] == "string"
    assert converted({"type": "made up"})["type"] == "string"


def test_prompting_mode_puts_a_system_prompt_first() -> None:
    system, question = chat_messages(_entry("simple_python"), "prompting", TEMPLATES)
    noted = {**ADD, "description": "Does math.add. (Python)"}
    assert system == {
        "role": "system",
        "content": "You call.Do so.|Write [f(a=1)].  No more.|Go on.|In json:\n"
        f"{json.dumps([noted], indent=4)}\n",
    }
    assert question == user("1 + 1?")[0]


def test_a_system_message_of_the_entry_follows_after_a_blank_line() -> None:
    entry = _entry("simple_python", 1)
    messages = chat_messages(entry, "prompting", TEMPLATES)
    assert [message["role"] for message in messages] == ["system", "user"]
    assert messages[0]["content"].endswith("]\n\n\nBe kind.")
    assert chat_messages(entry, "fc", TEMPLATES) == entry.question[0]


def test_parameters_of_java_are_strings_with_their_type_in_words() -> None:
    (function,) = shown_functions(_entry("simple_java"), TEMPLATES)
    assert function["description"] == "Does Box.fill. (Java)"
    assert function["parameters"]["properties"] == {
        "a": {"type": "string", "description": "Things. Java ArrayList. Items: String."},
        "b": {"type": "string", "description": "Lid. Any Java {object}."},
    }


def test_objects_of_javascript_have_their_properties_in_words() -> None:
    (function,) = shown_functions(_entry("simple_javascript"), TEMPLATES)
    assert function["parameters"]["properties"] == {
        "a": {
            "type": "string",
            "description": 'Form. JS dict. Properties: {"c": {"type": "\\u00e9"}}',
        }
    }


DOCUMENT = {
    "name": "make",
    "description": "Makes.",
    "parameters": {
        "type": "dict",
        "required": ["a"],
        "properties": {
            "a": {"type": "array", "description": "One, two.", "items": {"type": "integer"}},
            "b": {"type": "string", "enum": ["x", "y"], "default": "x, y"},
            "c": {
                "type": "dict",
                "description": "Deep.",
                "properties": {"d": {"type": "float", "description": "In."}},
            },
            "e": {"type": "dict", "additionalProperties": {"type": "boolean"}},
        },
    },
}


def test_functions_as_python_text() -> None:
    assert as_text([DOCUMENT, {"name": "g", "parameters": {}}], "python", TEMPLATES) == (
        "# Function: make\n"
        '    """\n'
        "    Makes.\n"
        "\n"
        "    Args:\n"
        "        a (list[int]): One, two.\n"
        "        b (str, default='x, y'):  One of ['x', 'y'].\n"
        "        c (dict): Deep.\n"
        "            d (float): In.\n"
        "        e (dict[str, bool]): \n"
        '    """\n'
        "\n\n\n\n\n"
        "# Function: g\n"
        '    """\n'
        "    \n"
        "\n"
        '    """\n'
        "\n\n\n"
    )


def test_functions_as_xml() -> None:
    # No comma survives in an opening tag; without a list of required parameters all are.
    assert as_text([DOCUMENT], "xml", TEMPLATES) == (
        '<function name="make">\n'
        "  <desc>Makes.</desc>\n"
        "  <params>\n"
        '    <param name="a" type="array[integer]" required="true">\n'
        "      <desc>One, two.</desc>\n"
        "    </param>\n"
        '    <param name="b" type="string" required="false" default="\'x y\'">\n'
        "      <desc> One of ['x', 'y'].</desc>\n"
        "    </param>\n"
        '    <param name="c" type="dict" required="false">\n'
        "      <desc>Deep.</desc>\n"
        "      <params>\n"
        '        <param name="d" type="float" required="true">\n'
        "          <desc>In.</desc>\n"
        "        </param>\n"
        "      </params>\n"
        "    </param>\n"
        '    <param name="e" type="dict[boolean]" required="false">\n'
        "      <desc></desc>\n"
        "    </param>\n"
        "  </params>\n"
        "</function>\n"
    )


@pytest.mark.parametrize(
    ("configuration", "part"),
    [
        ("ret_fmt=json&tool_call_tag=True", 'Write <TOOLCALL>[{"function": "f"}]</TOOLCALL>. Mind'),
        ("ret_fmt=python&tool_call_tag=False", "Write [f(a=1)].  No more."),
    ],
)
def test_the_configuration_chooses_the_parts(configuration: str, part: str) -> None:
    whole = f"{configuration}&func_doc_fmt=xml&prompt_fmt=markdown&style=classic"
    prompt = system_prompt([DOCUMENT], whole, TEMPLATES)
    assert prompt.startswith("# You call.You call.Do so.|")
    assert part in prompt
    assert 'In xml:\n<function name="make">' in prompt


@pytest.mark.parametrize("configuration", ["", "style=classic", "ret_fmt=yaml&style=classic"])
def test_an_unknown_configuration_is_refused(configuration: str) -> None:
    with pytest.raises(ConfigError, match="is no prompt configuration"):
        system_prompt([], configuration, TEMPLATES)


def test_withheld_functions_arrive_with_their_turn() -> None:
    entry = _entry("multi_turn_miss_func")
    assert [tool["function"]["name"] for tool in tools(entry, TEMPLATES)] == ["now", "light"]
    grown, last = later_turns(entry, "fc", TEMPLATES)
    assert grown.messages == user("More tools.")
    assert grown.tools is not None
    functions = [tool["function"] for tool in grown.tools]
    assert [function["name"] for function in functions] == ["now", "light", "alarm"]
    # The note on the language is on those of the first turn only.
    assert [function["description"] for function in functions] == [
        *("Does now. (Python)", "Does light. (Python)", "Does alarm."),
    ]
    assert (last.messages, last.tools) == (user("Light!"), None)


def test_in_prompting_mode_withheld_functions_arrive_as_text() -> None:
    told, last = later_turns(_entry("multi_turn_miss_func"), "prompting", TEMPLATES)
    assert told.messages == user(f"{[CLOCK[1]]!r}\nMore tools.")
    assert (told.tools, last.tools) == (None, None)
    assert last.messages == user("Light!")


def test_tool_results_come_back_as_one_user_message() -> None:
    message = tool_results_message(["now()", "alarm(at='8')"], ["3", '{"set": true}'])
    assert message == {
        "role": "user",
        "content": "[{'role': 'tool', 'name': 'now()', 'content': '3'}, "
        "{'role': 'tool', 'name': \"alarm(at='8')\", 'content': '{\"set\": true}'}]",
    }


def test_agentic_questions_ask_for_a_form_of_answer() -> None:
    entry = _entry("web_search_base")
    form = "Answer as {'answer': ...}."
    assert chat_messages(entry, "fc", TEMPLATES) == [
        {"role": "system", "content": form},
        *user("Who?"),
    ]
    (system, _) = chat_messages(entry, "prompting", TEMPLATES)
    assert system["content"].endswith(f"]\n\n\n{form}")


@pytest.mark.parametrize(
    ("category", "memory", "expected"),
    [
        ("memory_kv", None, "You help a student. Core: Nothing yet."),
        ("memory_kv", '{"name": "Ada"}', 'You help a student. Core: {"name": "Ada"}'),
        ("memory_rec_sum", "Ada", "You help a student. All: Ada"),
        ("memory_rec_sum", "", "You help a student. All: "),
    ],
)
def test_memory_questions_show_the_memory(category: str, memory: str | None, expected: str) -> None:
    entry = _entry(category)
    messages = chat_messages(entry, "fc", TEMPLATES, memory=memory)
    assert messages[0]["content"] == f"{expected}\n\nAnswer as {{'answer': ...}}."
    # The conversations before are no questions: no form of answer is asked for.
    before, *_ = load_memory_prerequisites(small_wheel(), category)
    messages = chat_messages(before, "fc", TEMPLATES, memory=memory)
    assert messages == [{"role": "system", "content": expected}, *user("Note 0")]
    assert [turn.messages for turn in later_turns(before, "fc", TEMPLATES)] == [user("And this")]


@pytest.mark.parametrize(
    "category",
    ["simple_python", "simple_java", "simple_javascript", "multi_turn_miss_func", "memory_kv"],
)
def test_entries_are_never_changed(category: str) -> None:
    entry = _entry(category)
    before = copy.deepcopy(entry)
    modes: tuple[Mode, ...] = ("fc", "prompting")
    for mode in modes:
        chat_messages(entry, mode, TEMPLATES)[0]["content"] = "changed"
        for turn in later_turns(entry, mode, TEMPLATES):
            turn.messages[0]["content"] = "changed"
    tools(entry, TEMPLATES)[0]["function"]["parameters"].clear()
    assert entry == before


@pytest.mark.parametrize(
    "changed",
    [
        {"utils.py": LOADING.replace('return " (JS)"', "pass")},
        {"model_handler/utils.py": HANDLING.replace("desc +=", "desc =")},
        {"constants/default_prompts.py": "A = 1"},
    ],
    ids=["hint", "note", "prompts"],
)
def test_texts_that_are_not_where_they_were_are_an_error(changed: Mapping[str, str]) -> None:
    with pytest.raises(MissingDataError, match="this is not the expected release"):
        load_templates(small_wheel(changed))
