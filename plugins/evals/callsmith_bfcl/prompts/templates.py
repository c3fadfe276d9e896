"""The benchmark's own prompt texts, read from the wheel as constants of its source files.

Nothing of them stands in this repository. What is written here is where each one is found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from callsmith_bfcl.categories import Language
from callsmith_bfcl.literals import Literals
from callsmith_bfcl.wheel import MissingDataError, Wheel


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageNotes:
    """What is added to the descriptions of a language's functions and parameters.

    `function` is added to every function. The others are format templates, empty for Python:
    `any_value` and `typed_value` (the type) for a parameter, `items` (the item type) for lists,
    `properties` (their JSON) for objects.
    """

    function: str
    any_value: str = ""
    typed_value: str = ""
    items: str = ""
    properties: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Templates:
    """All texts and tables that prompts are composed of, under the names of what they are for.

    `styles[style][part]`, `layouts[prompt format]`, `call_formats[return format]` and
    `type_notes[return format]` make the system prompt. `memory_roles[scenario]`, `core_memory`,
    `unified_memory` and `empty_memory[backend]` make that of the memory categories;
    `final_answer` is the system message of agentic questions. `more_functions[mode]` is the user
    message that comes with withheld functions. `json_types` maps the data's types to those of
    OpenAPI; `float_note` and `enum_note` (a format template) are added to descriptions.
    `maximum_steps` is the number of steps after which one more ends an episode.
    """

    styles: Mapping[str, Mapping[str, str]]
    layouts: Mapping[str, str]
    call_formats: Mapping[str, str]
    type_notes: Mapping[str, str]
    more_functions: Mapping[str, str]
    final_answer: str
    memory_roles: Mapping[str, str]
    core_memory: str
    unified_memory: str
    empty_memory: Mapping[str, str]
    languages: Mapping[Language, LanguageNotes]
    json_types: Mapping[str, str]
    float_note: str
    enum_note: str
    maximum_steps: int


def load_templates(wheel: Wheel) -> Templates:
    """Reads them. Raises `MissingDataError` when the wheel is not laid out as expected."""
    prompts = Literals.of(wheel, "constants/default_prompts.py")
    loading = Literals.of(wheel, "utils.py")
    handling = Literals.of(wheel, "model_handler/utils.py")
    java, javascript, python = _expect(
        loading.returned_texts("_get_language_specific_hint"), 3, loading
    )
    # In the source's order: three for Java, then four for JavaScript.
    notes = _expect(loading.added_texts("_func_doc_language_specific_pre_processing"), 7, loading)
    (float_note,) = _expect(handling.added_texts("_cast_to_openai_type"), 1, handling)
    enum_note, *_ = _expect(handling.added_texts("_generate_function_doc_python"), 1, handling)
    types = Literals.of(wheel, "constants/type_mappings.py")
    return Templates(
        styles=prompts.value("PROMPT_STYLE_TEMPLATES"),
        layouts=prompts.value("PROMPT_TEMPLATE_MAPPING"),
        call_formats=prompts.value("OUTPUT_FORMAT_MAPPING"),
        type_notes=prompts.value("PARAM_TYPE_MAPPING"),
        more_functions={
            "fc": prompts.value("DEFAULT_USER_PROMPT_FOR_ADDITIONAL_FUNCTION_FC"),
            "prompting": prompts.value("DEFAULT_USER_PROMPT_FOR_ADDITIONAL_FUNCTION_PROMPTING"),
        },
        final_answer=prompts.value("ADDITIONAL_SYSTEM_PROMPT_FOR_AGENTIC_RESPONSE_FORMAT"),
        memory_roles=prompts.value("MEMORY_AGENT_SETTINGS"),
        core_memory=prompts.value("MEMORY_BACKEND_INSTRUCTION_CORE_ARCHIVAL"),
        unified_memory=prompts.value("MEMORY_BACKEND_INSTRUCTION_UNIFIED"),
        empty_memory={
            backend: _empty_memory(wheel, backend) for backend in ("kv", "vector", "rec_sum")
        },
        languages={
            "python": LanguageNotes(function=python),
            "java": LanguageNotes(
                function=java, any_value=notes[0], typed_value=notes[1], items=notes[2]
            ),
            "javascript": LanguageNotes(
                function=javascript,
                any_value=notes[3],
                typed_value=notes[4],
                items=notes[5],
                properties=notes[6],
            ),
        },
        json_types=types.value("GORILLA_TO_OPENAPI"),
        float_note=float_note,
        enum_note=enum_note,
        maximum_steps=prompts.value("MAXIMUM_STEP_LIMIT"),
    )


def _empty_memory(wheel: Wheel, backend: str) -> str:
    """What a memory backend says of itself while it holds nothing."""
    file = f"eval_checker/multi_turn_eval/func_source_code/memory_{backend}.py"
    source = Literals.of(wheel, file)
    return _expect(source.returned_texts("_dump_core_memory_to_context"), 1, source)[0]


def _expect(texts: Sequence[str], count: int, source: Literals) -> Sequence[str]:
    if len(texts) != count:
        raise MissingDataError(
            f"has {len(texts)} texts where {count} were expected; this is not the expected release",
            path=source.place,
        )
    return texts
