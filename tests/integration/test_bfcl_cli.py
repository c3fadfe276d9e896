"""`callsmith bfcl questions`, and what `callsmith data convert` does with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from callsmith_bfcl.cli_questions import questions
from callsmith_tasks.cli_data import data
from fixtures.small_bfcl import archive


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    wheel = tmp_path / "small.whl"
    wheel.write_bytes(archive())
    monkeypatch.setenv("CALLSMITH_BFCL_WHEEL", str(wheel))
    monkeypatch.setattr("callsmith_bfcl.wheel._verify", lambda data, path: None)
    done = CliRunner().invoke(questions, ["simple_python", "irrelevance"])
    assert done.exit_code == 0, done.output
    out = tmp_path / "questions.jsonl"
    out.write_text(done.stdout, encoding="utf-8")
    return out


def test_every_question_once(file: Path) -> None:
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert len({line["id"] for line in lines}) == len(lines)
    assert lines[0] == {
        "id": "simple_python_0",
        "question": [[{"role": "user", "content": "1 + 1?"}]],
    }


def test_they_are_what_data_convert_keeps_out(file: Path, tmp_path: Path) -> None:
    def row(question: str) -> str:
        answer = {"role": "assistant", "content": "2"}
        return json.dumps(
            {"messages": [{"role": "user", "content": question}, answer], "tools": []}
        )

    source = tmp_path / "rows.jsonl"
    kept = "Which number comes after the first one?"
    source.write_text(f"{row('1 + 1?')}\n{row(kept)}\n", encoding="utf-8")
    arguments = ["convert", str(source), "--format", "trl", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(data, [*arguments, "--questions", str(file)])
    assert done.exit_code == 0, done.output
    (removed,) = (tmp_path / "out" / "removed.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(removed)["reason"].startswith("contaminated-")
