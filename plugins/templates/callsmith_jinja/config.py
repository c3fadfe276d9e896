"""Options of the template `jinja`. Imports nothing heavy."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, field_validator

from callsmith import ControlTextPolicy

DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class JinjaConfig(BaseModel):
    """Which template, what it is given, and how far it may go."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(
        default="",
        description="a model's folder (chat_template.jinja, or tokenizer_config.json), or the "
        "template's file; empty: `model` is the folder",
    )
    model: str | None = Field(
        default=None, description="the engine's model, where `path` does not say the folder"
    )
    name: str = Field(
        default="",
        description="of a model with several templates: which; empty: `tool_use` if there is one, "
        "else `default`",
    )
    variables: dict[str, Any] = Field(
        default_factory=dict, description="further variables that the template reads"
    )
    thinking_variable: str = Field(
        default="enable_thinking",
        description="the variable that asks for thoughts; empty: there is none",
    )
    arguments: Literal["object", "json"] = Field(
        default="object",
        description="how the template is given the arguments of earlier calls: as an object (what "
        "transformers does), or as JSON text (what the OpenAI API does)",
    )
    date: str = Field(
        default="",
        description="the day that the template takes for today, as 2026-07-26; needed by "
        "templates that write one, so that a run can be repeated",
    )
    stop: tuple[str, ...] = Field(
        default=(), description="texts that end a completion, beside the model's own end token"
    )
    control_text: ControlTextPolicy = Field(
        default="refuse",
        description="Control tokens inside content: `refuse`, `neutralise` by a space, or `allow`.",
    )
    control_tokens: tuple[str, ...] = Field(
        default=(),
        description="control tokens beside the tokenizer's special ones and the markers that "
        "stand in the template itself",
    )
    timeout: PositiveFloat = Field(default=10.0, description="seconds for one rendering")
    max_characters: PositiveInt = Field(
        default=8_000_000, description="the longest prompt that the template may write"
    )
    memory_mib: PositiveInt = Field(
        default=1024, description="memory of the process that renders, where the system has limits"
    )

    @field_validator("date")
    @classmethod
    def _is_a_day(cls, value: str) -> str:
        if value and not DATE.fullmatch(value):
            raise ValueError("a day is written as 2026-07-26")
        return value
