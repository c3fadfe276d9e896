"""The options of the eval and of its toolbox. Imports nothing heavy."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class BfclConfig(BaseModel):
    """Which entries are asked, how, and by which rules they are judged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    categories: tuple[str, ...] = Field(
        default=("single_turn", "multi_turn"),
        description="categories, or groups such as non_live, live, multi_turn, single_turn, python",
    )
    mode: Literal["fc", "prompting"] = Field(
        default="fc",
        description=(
            "fc: the functions are given as tools; prompting: a system prompt describes them, and "
            "the calls are read from the answer's text"
        ),
    )
    ids: tuple[str, ...] = Field(default=(), description="only these entries")
    per_category: int | None = Field(
        default=None, ge=1, description="only the first so many entries of each category"
    )
    strict: bool = Field(
        default=False,
        description="judge by what the benchmark documents, where its scorer does otherwise",
    )
    wheel: str = Field(
        default="",
        description="the bfcl-eval wheel; empty: CALLSMITH_BFCL_WHEEL, or what `bfcl fetch` got",
    )


class ToolboxConfig(BaseModel):
    """Options of the toolbox of multi-turn entries."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    wheel: str = Field(default="", description="as the eval's option of that name")
