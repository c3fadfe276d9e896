"""Where a model's chat template, its end token and its special tokens stand."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callsmith import ConfigError

MARKERS = re.compile(
    r"<\|[^<>|\s'\"{}]{0,60}\|>"  # <|im_start|>
    r"|<\|[a-z_]{0,30}>|<[a-z_]{1,30}\|>|<\|\"\|>"  # <|turn>, <turn|>, <|"|>
    r"|<(?:start|end)_of_turn>|</?s>|<(?:bos|eos)>"
    r"|</?[a-z_]{0,20}(?:tool|think|function|param)[a-z_]{0,20}>"
    r"|\[/?(?:INST|TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS|SYSTEM_PROMPT)\]"
)
"""Markers that a template writes by itself; content must not form them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A chat template as it was found.

    `special` are the tokenizer's special tokens; `variables` are those of them that have a name
    (`bos_token`, `eos_token`), which templates read.
    """

    place: str
    text: str
    special: frozenset[str] = frozenset()
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def end(self) -> str | None:
        """The tokenizer's end token."""
        return dict(self.variables).get("eos_token")

    def markers(self) -> frozenset[str]:
        """Control tokens: the tokenizer's, and what looks like one in the template's text."""
        return self.special | frozenset(MARKERS.findall(self.text))


def read_source(path: Path, name: str = "") -> Source:
    """The template of a model's folder, or of a file. Raises `ConfigError`."""
    if path.is_file():
        if name:
            raise ConfigError(
                f"{path} is one template's file; a name chooses among those of a folder",
                path="name",
            )
        return Source(place=str(path), text=_read(path))
    if not path.is_dir():
        raise ConfigError(
            f"there is no folder or file {path}; `path` is a model's folder, or its template's file"
        )
    special, variables, config = _special(path)
    files = {"default": path / "chat_template.jinja"}
    files |= {file.stem: file for file in sorted((path / "additional_chat_templates").glob("*"))}
    found = {key: file for key, file in files.items() if file.is_file()}
    texts = {key: _read(file) for key, file in found.items()}
    if not texts:
        texts = _from_config(config.get("chat_template"), path)
    if not texts:
        raise ConfigError(
            f"{path} has no chat template: neither chat_template.jinja nor a `chat_template` in "
            "tokenizer_config.json; base models have none, use one of Callsmith's own templates"
        )
    key = name or ("tool_use" if "tool_use" in texts else next(iter(texts)))
    if key not in texts:
        raise ConfigError(
            f"{path} has no template {key!r}; it has: {', '.join(texts)}", path="name"
        )
    place = str(found.get(key, path / "tokenizer_config.json"))
    return Source(
        place=place, text=texts[key], special=special, variables=tuple(sorted(variables.items()))
    )


def _from_config(value: Any, path: Path) -> dict[str, str]:
    if value is None:
        return {}
    if isinstance(value, str):
        return {"default": value}
    try:
        return {str(item["name"]): str(item["template"]) for item in value}
    except (TypeError, KeyError):
        raise ConfigError(
            f"{path / 'tokenizer_config.json'}: `chat_template` is neither text nor a list of "
            "templates with names"
        ) from None


def _special(path: Path) -> tuple[frozenset[str], dict[str, str], dict[str, Any]]:
    config = _json(path / "tokenizer_config.json")
    tokens = {
        item["content"]
        for item in [
            *_items(config.get("added_tokens_decoder")),
            *_items(_json(path / "tokenizer.json").get("added_tokens")),
        ]
        if isinstance(item, dict) and item.get("special") and isinstance(item.get("content"), str)
    }
    variables = {}
    for key, value in {**_json(path / "special_tokens_map.json"), **config}.items():
        text = value.get("content") if isinstance(value, dict) else value
        if key.endswith("_token") and isinstance(text, str):
            variables[key] = text
    return frozenset(tokens) | frozenset(filter(None, variables.values())), variables, config


def _items(value: Any) -> list[Any]:
    """The items of a list, or the values of an object; none of anything else."""
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        data = json.loads(_read(file))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file} is not JSON: {error}") from None
    return data if isinstance(data, dict) else {}


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None
