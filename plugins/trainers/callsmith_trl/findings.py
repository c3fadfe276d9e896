"""One thing that a check found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from callsmith import JsonValue

Level = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`check` is the stable name of what was looked at; `text` is one line that says what, where
    and what to do. An error stops the training before its first step."""

    level: Level
    check: str
    text: str
    details: Mapping[str, JsonValue] = field(default_factory=dict)
