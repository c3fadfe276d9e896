"""The examples of two explanations run, and print what the page says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "explanation"
EXAMPLE = re.compile(r"```python\n(.*?)```.*?```text\n(.*?)```", re.DOTALL)


def _examples() -> list[tuple[str, str]]:
    return [
        pair
        for name in ("gemma4-format.md", "segments.md")
        for pair in EXAMPLE.findall((FOLDER / name).read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize(("code", "expected"), _examples())
def test_the_page_shows_what_the_example_prints(code: str, expected: str) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "<example>", "exec"), {})  # noqa: S102 - the documents are our own
    assert printed.getvalue().strip() == expected.strip()


def test_every_example_is_run() -> None:
    pages = [(FOLDER / name).read_text() for name in ("gemma4-format.md", "segments.md")]
    assert sum(page.count("```python") for page in pages) == len(_examples()) == 3
