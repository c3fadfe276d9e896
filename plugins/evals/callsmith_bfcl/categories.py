"""The categories of BFCL V4: names, groups, sizes, languages, and how each one is checked.

Names, sizes and groupings are facts of the data set (release 2025.12.17). An id begins with the
name of its category, except that memory and web search questions stand once in the data and get
the category's name when they are loaded.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from callsmith import UnknownNameError

Group = Literal["non_live", "live", "multi_turn", "agentic", "format_sensitivity"]
Kind = Literal["single", "multi_turn", "agentic", "format_sensitivity"]
Language = Literal["python", "java", "javascript"]
Checker = Literal["ast", "irrelevance", "relevance", "multi_turn", "agentic"]


@dataclass(frozen=True, slots=True)
class Category:
    """One category. `count` is the number of entries; `group` is its folder in a result folder."""

    name: str
    group: Group
    count: int
    checker: Checker = "ast"
    kind: Kind = "single"
    language: Language = "python"

    @property
    def scored(self) -> bool:
        """Whether the category belongs to the 5,106 entries behind the Overall number."""
        return self.kind != "format_sensitivity"

    @property
    def folder(self) -> str:
        """Where its files stand in a result or score folder of a model, with `/` between parts."""
        if self.name.startswith("memory_"):
            return f"agentic/memory/{self.name.removeprefix('memory_')}"
        return self.group


def _multi_turn(name: str) -> Category:
    return Category(f"multi_turn_{name}", "multi_turn", 200, "multi_turn", "multi_turn")


def _agentic(name: str, count: int) -> Category:
    return Category(name, "agentic", count, "agentic", "agentic")


_ALL = (
    Category("simple_python", "non_live", 400),
    Category("simple_java", "non_live", 100, language="java"),
    Category("simple_javascript", "non_live", 50, language="javascript"),
    Category("multiple", "non_live", 200),
    Category("parallel", "non_live", 200),
    Category("parallel_multiple", "non_live", 200),
    Category("irrelevance", "non_live", 240, "irrelevance"),
    Category("live_simple", "live", 258),
    Category("live_multiple", "live", 1053),
    Category("live_parallel", "live", 16),
    Category("live_parallel_multiple", "live", 24),
    Category("live_irrelevance", "live", 884, "irrelevance"),
    Category("live_relevance", "live", 16, "relevance"),
    _multi_turn("base"),
    _multi_turn("miss_func"),
    _multi_turn("miss_param"),
    _multi_turn("long_context"),
    _agentic("memory_kv", 155),
    _agentic("memory_vector", 155),
    _agentic("memory_rec_sum", 155),
    _agentic("web_search_base", 100),
    _agentic("web_search_no_snippet", 100),
    Category("format_sensitivity", "format_sensitivity", 5200, kind="format_sensitivity"),
)

CATEGORIES: Mapping[str, Category] = MappingProxyType({item.name: item for item in _ALL})
"""Every category by name, in the order of the leaderboard's own lists."""


def _names(**wanted: object) -> tuple[str, ...]:
    return tuple(
        item.name
        for item in _ALL
        if all(getattr(item, field) == value for field, value in wanted.items())
    )


COLLECTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "all": tuple(CATEGORIES),
        "all_scoring": _names(scored=True),
        "single_turn": _names(kind="single"),
        "non_live": _names(group="non_live"),
        "live": _names(group="live"),
        "multi_turn": _names(group="multi_turn"),
        "agentic": _names(group="agentic"),
        "memory": tuple(name for name in CATEGORIES if name.startswith("memory_")),
        "web_search": tuple(name for name in CATEGORIES if name.startswith("web_search_")),
        "python": _names(kind="single", language="python"),
        "non_python": ("simple_java", "simple_javascript"),
    }
)
"""The names that the official command line takes for several categories at once."""


def category_named(name: str) -> Category:
    """The category of that name. Raises `UnknownNameError`."""
    try:
        return CATEGORIES[name]
    except KeyError:
        raise _unknown(name) from None


def select_categories(names: Iterable[str]) -> tuple[str, ...]:
    """The categories behind names of categories and collections, each once, in official order.

    Raises `UnknownNameError` for a name that is neither.
    """
    chosen: set[str] = set()
    for name in names:
        if name in COLLECTIONS:
            chosen.update(COLLECTIONS[name])
        elif name in CATEGORIES:
            chosen.add(name)
        else:
            raise _unknown(name)
    return tuple(name for name in CATEGORIES if name in chosen)


def language_of(category: str) -> Language:
    """The language in which calls of that category are written. Raises `UnknownNameError`."""
    return category_named(category).language


def group_of(category: str) -> Group:
    """The group (and result folder) of that category. Raises `UnknownNameError`."""
    return category_named(category).group


def category_of(entry_id: str) -> str:
    """The category that an entry's id names. Raises `UnknownNameError`.

    Ids are `<category>_<n>`, for live categories `<category>_<n>-<doc>-<prompt>`, for memory
    `<category>_<n>-<scenario>-<k>` (`<category>_prereq_...` for the conversations before the
    questions), and `format_sensitivity_<n>:<configuration>:<original id>`.
    """
    name = entry_id.partition(":")[0].rpartition("_")[0].removesuffix("_prereq")
    if name not in CATEGORIES:
        raise UnknownNameError(
            f"the id {entry_id!r} begins with no category of BFCL V4; ids look like "
            "simple_python_17 or live_multiple_4-2-0"
        )
    return name


def _unknown(name: str) -> UnknownNameError:
    close = difflib.get_close_matches(name, [*CATEGORIES, *COLLECTIONS], n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(CATEGORIES)}"
    return UnknownNameError(f"BFCL V4 has no category {name!r}; {hint}")
