"""Every prompt and every list of tools has the hash of the official one."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from callsmith_bfcl.data import format_configurations, load_entries
from callsmith_bfcl.prompts import Templates, chat_messages, later_turns, load_templates, tools
from callsmith_bfcl.wheel import Wheel
from fixtures.small_bfcl import find_wheel


def _sha256(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(scope="module")
def wheel() -> Wheel:
    return find_wheel()


@pytest.fixture(scope="module")
def templates(wheel: Wheel) -> Templates:
    return load_templates(wheel)


@pytest.fixture(scope="module")
def official(shared: Path) -> Mapping[str, list[dict[str, Any]]]:
    """The official hashes by category."""
    path = shared / "bfcl" / "prompt_hashes.jsonl.gz"
    if not path.exists():
        pytest.skip("needs ../shared/bfcl/prompt_hashes.jsonl.gz")
    rows = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            rows[row["category"]].append(row)
    assert sum(map(len, rows.values())) == 9641
    return rows


@pytest.mark.parametrize(
    "category",
    [
        *("simple_python", "simple_java", "simple_javascript", "multiple", "parallel"),
        *("parallel_multiple", "irrelevance", "live_simple", "live_multiple", "live_parallel"),
        *("live_parallel_multiple", "live_irrelevance", "live_relevance", "multi_turn_base"),
        *("multi_turn_miss_func", "multi_turn_miss_param", "multi_turn_long_context"),
        "format_sensitivity",
    ],
)
def test_all_prompts_and_tools_have_the_official_hashes(
    wheel: Wheel,
    templates: Templates,
    official: Mapping[str, list[dict[str, Any]]],
    category: str,
) -> None:
    entries = {entry.id: entry for entry in load_entries(wheel, category)}
    rows = official[category]
    assert {row["id"] for row in rows} == set(entries)
    differ = []
    for row in rows:
        entry = entries[row["id"]]
        if (
            _sha256(chat_messages(entry, "prompting", templates))
            != row["first_turn_messages_sha256"]
        ):
            differ.append((row["id"], "messages"))
        if "tools_sha256" in row and _sha256(tools(entry, templates)) != row["tools_sha256"]:
            differ.append((row["id"], "tools"))
        for turn, held in row.get("holdout", {}).items():
            (message,) = later_turns(entry, "prompting", templates)[int(turn) - 1].messages
            if _sha256(message["content"]) != held["prompting_user_message_sha256"]:
                differ.append((row["id"], f"turn {turn}"))
    assert not differ


def test_the_hashes_cover_all_configurations(
    official: Mapping[str, list[dict[str, Any]]],
) -> None:
    seen = {row["id"].split(":")[1] for row in official["format_sensitivity"]}
    assert seen == set(format_configurations())
    assert sum("tools_sha256" in row for rows in official.values() for row in rows) == 4441
    assert sum(len(row.get("holdout", ())) for rows in official.values() for row in rows) == 200
