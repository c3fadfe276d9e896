"""The runner of vector files: what counts as agreement, and its command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from callsmith import Template
from callsmith.testing.conformance import VectorResult, main, run_folder, run_vector, same
from callsmith_gemma4.config import Gemma4Config
from callsmith_gemma4.template import Gemma4Template


def build(options: Mapping[str, Any]) -> Template:
    return Gemma4Template(Gemma4Config.model_validate(options))


def run(**vector: Any) -> VectorResult:
    return run_vector(build, {"id": "v", "kind": "message", "tools": [], **vector})


CALL = '<|tool_call>call:f{a:1,b:<|"|>x<|"|>}<tool_call|>'


@pytest.mark.parametrize(
    ("chunks", "expected", "status", "how"),
    [
        ([CALL], {"calls": [{"name": "f", "arguments": {"b": "x", "a": 1.0}}]}, "agrees", ""),
        ([CALL], {"calls": [{"name": "f", "arguments": None}]}, "agrees", ""),
        ([CALL], {"calls": None, "content": None}, "agrees", ""),
        ([CALL], {"calls": [{"name": "f", "arguments": {"b": "x", "a": True}}]}, "differs", ""),
        ([CALL], {"calls": [{"name": "g", "arguments": None}]}, "differs", ""),
        ([CALL], {"calls": []}, "differs", ""),
        ([CALL], {"error": True}, "differs", ""),
        (["<|tool_call>call:f{a}<tool_call|>"], {"error": True}, "agrees", ""),
        (["<|tool_call>call:f{a: 1}<tool_call|>"], {"ok": False}, "agrees", "repaired"),
        (["Hi ", "there "], {"content": "Hi there "}, "agrees", ""),
        (["Hi ", "there "], {"content": "Hi there"}, "agrees", "white space"),
        (["Hi ", "there "], {"content": "Hithere"}, "differs", ""),
        (["<|channel>thought\nhm<channel|>Hi"], {"reasoning": "", "content": "Hi"}, "differs", ""),
    ],
)
def test_agreement_on_messages(
    chunks: list[str], expected: dict[str, Any], status: str, how: str
) -> None:
    result = run(chunks=chunks, expected=expected)
    assert (result.status, result.how) == (status, how)
    assert bool(result.reason) == (status == "differs")


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("call_body", "call:f{a:1}", {"calls": [{"name": "f", "arguments": {"a": 1}}]}),
        ("args", "a:1", {"value": {"a": 1}}),
        ("args_to_json_text", "{a:1}", {"arguments": {"a": 1}, "json_text": '{"a":1}'}),
        ("value", "true", {"value": True}),
        ("array", "1,2", {"value": [1, 2]}),
    ],
)
def test_parts_of_a_call_are_put_into_their_frame(
    kind: str, text: str, expected: dict[str, Any]
) -> None:
    assert run(kind=kind, chunks=[text], expected=expected).status == "agrees"
    wrong = json.loads(json.dumps(expected).replace("1", "7").replace("true", "false"))
    assert run(kind=kind, chunks=[text], expected=wrong).status == "differs"


def test_what_tests_a_peers_internals_is_not_applicable() -> None:
    assert run(kind="repair_step", chunks=["x"], expected={}).status == "not applicable"
    notes = "typed scalars; partial=True (stream still open)"
    result = run(kind="args", chunks=["a:"], expected={"value": {}}, notes=notes)
    assert result.status == "not applicable"


def test_the_prefix_is_the_prompts_tail() -> None:
    expected = {"content": "Hi", "reasoning": "hm"}
    chunks = ["hm<channel|>Hi"]
    assert run(chunks=chunks, expected=expected).status == "differs"
    prefix = "<|turn>model\n<|channel>thought\n"
    assert run(chunks=chunks, expected=expected, prefix=prefix).status == "agrees"


def test_rendering() -> None:
    vector: dict[str, Any] = {
        "id": "r",
        "template": "e2b",
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": None,
        "add_generation_prompt": False,
        "enable_thinking": None,
        "expected_text": "<bos><|turn>user\nHi<turn|>\n",
    }
    assert run_vector(build, vector).status == "agrees"
    wrong = run_vector(build, {**vector, "expected_text": "<bos><|turn>user\nHo<turn|>\n"})
    assert (wrong.status, wrong.kind) == ("differs", "render")
    assert "at character 18" in wrong.reason
    assert run_vector(build, {**vector, "error": "no", "expected_text": None}).status == "differs"


@pytest.mark.parametrize("vector", [{}, {"chunks": 5}, {"chunks": ["x"]}, {"messages": 5}])
def test_a_vector_that_cannot_be_run_is_a_difference(vector: dict[str, Any]) -> None:
    result = run_vector(build, {"id": "v", **vector})
    assert result.status in ("differs", "not applicable")
    assert result.reason


def test_equality_of_json_values() -> None:
    assert same({"a": [1, 2.0, None]}, {"a": [1.0, 2, None]})
    assert not same(1, True)
    assert not same([1], [1, 1])
    assert not same({"a": 1}, {"b": 1})
    assert not same("1", 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    vectors = [
        {"id": "a", "kind": "message", "chunks": ["Hi"], "expected": {"content": "Hi"}},
        {"id": "b", "kind": "message", "chunks": ["Hi"], "expected": {"content": "Ho"}},
        {"id": "c", "kind": "stop_marker", "chunks": ["Hi"], "expected": {}},
    ]
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "peer.json").write_text(json.dumps(vectors), encoding="utf-8")
    return tmp_path


def test_the_command_line_prints_counts_and_differences(folder: Path) -> None:
    command = [sys.executable, "-m", "callsmith.testing.conformance", "--template", "gemma4"]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "sub/peer.json: 1 of 2 agree (1 not applicable)",
        "  b: content: expected 'Ho', got 'Hi'",
        "all: 1 of 2 agree, 1 not applicable",
    ]
    assert done.stderr == ""


def test_the_command_line_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--template", "gemma4", "--json", str(folder)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["files"] == {"sub/peer.json": {"agrees": 1, "differs": 1, "not applicable": 1}}
    assert [result["id"] for result in told["results"]] == ["a", "b", "c"]
    assert main(["--template", "gemma4", "--fail", str(folder)]) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--template", "gemma5"], "did you mean 'gemma4'"),
        (["--template", "gemma4", "--option", "repair=much"], "options.repair"),
        (["--template", "gemma4", "--option", "repair"], "KEY=VALUE"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, str(folder)]) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_bad_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path, told in (
        (tmp_path / "none", "not a folder"),
        (tmp_path, "holds no vectors"),
    ):
        assert main(["--template", "gemma4", str(path)]) == 2
        assert told in capsys.readouterr().err
    for content, told in (("{", "cannot be read as JSON"), ('{"a": 1}', "a list of objects")):
        (tmp_path / "x.json").write_text(content, encoding="utf-8")
        assert main(["--template", "gemma4", str(tmp_path)]) == 2
        assert told in capsys.readouterr().err


def test_results_come_by_path(folder: Path) -> None:
    (folder / "a.json").write_text("[]", encoding="utf-8")
    assert [result.id for result in run_folder(build, folder)] == ["a", "b", "c"]
