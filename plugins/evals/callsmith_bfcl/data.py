"""The entries of BFCL V4, read from the wheel, one category at a time.

Entries share what is equal between them (function documents above all), so everything that they
hold is read-only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from callsmith_bfcl.categories import Language, category_named, category_of
from callsmith_bfcl.literals import Literals
from callsmith_bfcl.records import read_records
from callsmith_bfcl.wheel import MissingDataError, Wheel

FunctionDoc = dict[str, Any]
"""A function as the data describes it: name, description, parameters, sometimes response."""

ChatMessage = dict[str, str]
"""role and content."""

DEFAULT_FORMAT = (
    "ret_fmt=python&tool_call_tag=False&func_doc_fmt=json&prompt_fmt=plaintext&style=classic"
)
"""The prompt configuration of every entry outside format sensitivity."""

MEMORY_SCENARIOS = ("student", "customer", "finance", "healthcare", "notetaker")

_VERSION = "BFCL_v4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One question with what is needed to ask it and to score the answer. Read-only, all of it.

    - `question`: one list of messages per turn, as in the data (no prompt of ours or theirs).
    - `functions`: the documents offered from the first turn on, **unmodified**, which is what
      scoring uses; `withheld` are those that are offered from a later turn on (miss_func), by
      turn index.
    - `ground_truth`: the answers as in the data; None for irrelevance and relevance.
    - `initial_config`, `involved_classes`, `path`, `excluded_function`: multi-turn only.
      `excluded_function` is never read by the official code: those functions stay offered.
    - `scenario`, `depends_on`: memory only; the ids of the conversations that come first.
    - `prerequisite`: such a conversation, which fills the memory and is not scored.
    - `original_id`, `prompt_format`: format sensitivity asks entries of other categories again
      with other prompts; elsewhere these are the id itself and the default configuration.
    """

    id: str
    category: str
    question: Sequence[Sequence[ChatMessage]] = ()
    functions: Sequence[FunctionDoc] = ()
    ground_truth: Any = None
    initial_config: Mapping[str, Any] = field(default_factory=dict)
    involved_classes: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    excluded_function: tuple[str, ...] = ()
    withheld: Mapping[int, Sequence[FunctionDoc]] = field(default_factory=dict)
    scenario: str = ""
    depends_on: tuple[str, ...] = ()
    prerequisite: bool = False
    original_id: str = ""
    prompt_format: str = DEFAULT_FORMAT

    def __post_init__(self) -> None:
        if not self.original_id:
            object.__setattr__(self, "original_id", self.id)

    @property
    def checked_as(self) -> str:
        """The category whose rules score it: in format sensitivity that of the original id."""
        if self.category == "format_sensitivity":
            return category_of(self.original_id)
        return self.category

    @property
    def language(self) -> Language:
        """The language of its calls."""
        return category_named(self.category).language


def load_entries(wheel: Wheel, category: str) -> list[Entry]:
    """The entries of one category in official order.

    Answers are aligned with questions by position, as the official code does. Raises
    `UnknownNameError` for a category that does not exist, and `MissingDataError` when the archive
    does not hold it in the expected form.
    """
    known = category_named(category)
    if known.kind == "format_sensitivity":
        return _format_sensitivity(wheel)
    if category.startswith("memory_"):
        return _memory(wheel, category)
    name = "web_search" if category.startswith("web_search_") else category
    records = _questions(wheel, name)
    answers: Sequence[Any] = [None] * len(records)
    if known.checker not in ("irrelevance", "relevance"):
        answers = _answers(wheel, name, len(records))
    if known.kind == "multi_turn":
        docs = function_docs(wheel)
        pairs = zip(records, answers, strict=True)
        return [_multi_turn(record, category, answer, docs) for record, answer in pairs]
    if known.kind == "agentic":
        return _web_search(wheel, category, records, answers)
    return [
        Entry(
            id=record["id"],
            category=category,
            question=record["question"],
            functions=record["function"],
            ground_truth=answer,
        )
        for record, answer in zip(records, answers, strict=True)
    ]


def load_memory_prerequisites(wheel: Wheel, category: str) -> list[Entry]:
    """The conversations that fill the memory before the questions of a memory category.

    Each depends on those of its scenario before it. Scenarios follow each other.
    """
    backend = category_named(category).name.removeprefix("memory_")
    found: list[Entry] = []
    for scenario, records in _memory_conversations(wheel).items():
        ids = [record["id"].replace("memory", category) for record in records]
        found += [
            Entry(
                id=ids[index],
                category=category,
                question=record["question"],
                functions=function_docs(wheel)[f"MemoryAPI_{backend}"],
                involved_classes=(f"MemoryAPI_{backend}",),
                scenario=scenario,
                depends_on=tuple(ids[:index]),
                prerequisite=True,
            )
            for index, record in enumerate(records)
        ]
    return found


@lru_cache(maxsize=4)
def function_docs(wheel: Wheel) -> Mapping[str, tuple[FunctionDoc, ...]]:
    """The documents of the simulated APIs' functions, by class. Read-only and shared."""
    config = Literals.of(wheel, "constants/executable_backend_config.py")
    files: Mapping[str, str] = config.value("MULTI_TURN_FUNC_DOC_FILE_MAPPING")
    return {
        name: tuple(read_records(wheel.read(f"data/multi_turn_func_doc/{file}")))
        for name, file in files.items()
    }


@lru_cache(maxsize=4)
def _memory_conversations(wheel: Wheel) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The conversations by scenario; the three memory categories share them."""
    folder = "data/memory_prereq_conversation"
    return {
        scenario: read_records(wheel.read(f"{folder}/memory_{scenario}.json"))
        for scenario in MEMORY_SCENARIOS
    }


def format_configurations() -> list[str]:
    """The 26 prompt configurations of format sensitivity, in official order."""
    base = "ret_fmt={}&tool_call_tag={}&func_doc_fmt={}&prompt_fmt={}&style={}"
    found = [
        base.format(returned, tag, docs, "plaintext", "classic")
        for returned in ("python", "json", "verbose_xml", "concise_xml")
        for tag in ("True", "False")
        for docs in ("python", "xml", "json")
    ]
    found.append(base.format("python", "False", "json", "markdown", "classic"))
    found.append(base.format("python", "False", "json", "plaintext", "experimental"))
    return found


def _multi_turn(
    record: Mapping[str, Any],
    category: str,
    answer: Any,
    docs: Mapping[str, tuple[FunctionDoc, ...]],
) -> Entry:
    classes = tuple(record["involved_classes"])
    functions = [doc for name in classes for doc in docs[name]]
    withheld: dict[int, list[FunctionDoc]] = {}
    for turn, names in record.get("missed_function", {}).items():
        held = withheld[int(turn)] = []
        for name in names:
            # The first document of that name, as no name occurs in two classes.
            index = next((i for i, doc in enumerate(functions) if doc["name"] == name), None)
            if index is not None:
                held.append(functions.pop(index))
    return Entry(
        id=record["id"],
        category=category,
        question=record["question"],
        functions=functions,
        ground_truth=answer,
        initial_config=record["initial_config"],
        involved_classes=classes,
        path=tuple(record["path"]),
        excluded_function=tuple(record.get("excluded_function", ())),
        withheld=withheld,
    )


def _web_search(
    wheel: Wheel, category: str, records: Sequence[Mapping[str, Any]], answers: Sequence[Any]
) -> list[Entry]:
    snippets = category != "web_search_no_snippet"
    return [
        Entry(
            id=record["id"].replace("web_search", category),
            category=category,
            question=record["question"],
            functions=[doc for name in record["involved_classes"] for doc in docs[name]],
            ground_truth=answer,
            initial_config={record["involved_classes"][0]: {"show_snippet": snippets}},
            involved_classes=tuple(record["involved_classes"]),
        )
        for docs in [function_docs(wheel)]
        for record, answer in zip(records, answers, strict=True)
    ]


def _memory(wheel: Wheel, category: str) -> list[Entry]:
    records = _questions(wheel, "memory")
    answers = _answers(wheel, "memory", len(records))
    class_name = f"MemoryAPI_{category.removeprefix('memory_')}"
    before: dict[str, list[str]] = {}
    for conversation in load_memory_prerequisites(wheel, category):
        before.setdefault(conversation.scenario, []).append(conversation.id)
    return [
        Entry(
            id=record["id"].replace("memory", category),
            category=category,
            question=record["question"],
            functions=function_docs(wheel)[class_name],
            ground_truth=answer,
            involved_classes=(class_name,),
            scenario=record["scenario"],
            depends_on=tuple(before.get(record["scenario"], ())),
        )
        for record, answer in zip(records, answers, strict=True)
    ]


def _format_sensitivity(wheel: Wheel) -> list[Entry]:
    chosen = json.loads(wheel.read(f"data/{_VERSION}_format_sensitivity.json"))
    configurations = format_configurations()
    found: list[Entry] = []
    for category, ids in chosen.items():
        wanted = frozenset(ids)
        for entry in load_entries(wheel, category):
            if entry.id not in wanted:
                continue
            found += [
                replace(
                    entry,
                    id=f"format_sensitivity_{number}:{configuration}:{entry.id}",
                    category="format_sensitivity",
                    prompt_format=configuration,
                )
                for number, configuration in enumerate(configurations, len(found))
            ]
    return found


def _questions(wheel: Wheel, name: str) -> list[dict[str, Any]]:
    return read_records(wheel.read(f"data/{_VERSION}_{name}.json"))


def _answers(wheel: Wheel, name: str, count: int) -> list[Any]:
    file = f"data/possible_answer/{_VERSION}_{name}.json"
    answers = [record["ground_truth"] for record in read_records(wheel.read(file))]
    if len(answers) != count:
        raise MissingDataError(
            f"{file} has {len(answers)} answers for {count} questions", path=wheel.place
        )
    return answers
