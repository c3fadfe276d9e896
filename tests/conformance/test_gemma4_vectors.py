"""Every vector of the shared folder against the Gemma 4 template, and the page that explains them.

`docs/reference/gemma4-conformance.md` is asserted in full: its counts, its lists of differing
vectors, its tables of kinds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from callsmith import Template
from callsmith.testing.conformance import VectorResult, by_file, report, run_folder
from callsmith_gemma4.config import Gemma4Config
from callsmith_gemma4.kinds import FAULT_KINDS, REPAIR_KINDS
from callsmith_gemma4.template import Gemma4Template

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "gemma4-conformance.md"


def build(options: Mapping[str, Any]) -> Template:
    return Gemma4Template(Gemma4Config.model_validate({"repair": "schema", **options}))


@pytest.fixture(scope="module")
def results(shared: Path) -> list[VectorResult]:
    folder = shared / "gemma4"
    if not folder.is_dir():
        pytest.skip("needs the folder ../shared/gemma4 with the vectors")
    return run_folder(build, folder)


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading of the page, without its two head lines."""
    section = (
        PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    )
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in lines[2:]
    ]


def test_the_page_lists_exactly_the_vectors_that_differ(results: list[VectorResult]) -> None:
    listed = re.findall(r"^- `([^`]+)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(listed) == len(set(listed))
    differing = {result.id: result.reason for result in results if result.status == "differs"}
    unexplained = {name: differing[name] for name in differing.keys() - set(listed)}
    assert not unexplained, "differ, but the page does not say why"
    assert not set(listed) - differing.keys(), "agree now, but the page says that they differ"


def test_the_page_has_the_counts(results: list[VectorResult]) -> None:
    counted = [
        [
            file,
            str(len(group)),
            *(str(sum(result.status == status for result in group)) for status in ("agrees",)),
            *(
                str(sum(result.how == how for result in group))
                for how in ("white space", "repaired")
            ),
            *(
                str(sum(result.status == status for result in group))
                for status in ("differs", "not applicable")
            ),
        ]
        for file, group in by_file(results).items()
    ]
    assert rows("Counts") == counted


def test_most_vectors_are_run(results: list[VectorResult]) -> None:
    parsing = [result for result in results if result.file.startswith("vectors/")]
    assert len(parsing) == 434
    assert sum(result.status == "not applicable" for result in parsing) == 33
    assert all(result.reason for result in parsing if result.status != "agrees")


def test_the_report_names_what_differs(results: list[VectorResult]) -> None:
    lines = list(report(results))
    assert "vectors/mlx_vlm.json: 14 of 14 agree" in lines
    assert [line for line in lines if line.startswith("  sglang_pr_array/3: expected [42], got")]


def test_the_page_has_every_kind() -> None:
    def told(kinds: Mapping[str, str]) -> list[list[str]]:
        return [[kind, text] for kind, text in kinds.items()]

    assert rows("Kinds of repairs") == told(REPAIR_KINDS)
    assert rows("Kinds of faults") == told(FAULT_KINDS)
