"""`callsmith data inspect` and `convert`, as processes, on small files of every shape."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

import callsmith_tiny
from callsmith import (
    Reply,
    RunFolder,
    Task,
    ToolCall,
    ToolResult,
    Trace,
    Turn,
    Verdict,
    load,
    to_json,
)
from callsmith_tasks.data.readers import READERS
from fixtures.data_rows import RECORDS, TIMER, trl, write_jsonl, xlam

Callsmith = Callable[..., CompletedProcess[str]]


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def bad_file(folder: Path) -> Path:
    """Two good rows, a bad line, and three rows that fail a check of their own each."""
    broken = [{"name": "f", "parameters": {"a": {"type": "Callable"}}}]
    return write_jsonl(
        folder / "mixed.jsonl",
        xlam(),
        xlam("And in Rome?", 1),
        '{"query": ',
        xlam("A", 2, answers=[{"name": "nope", "arguments": {}}]),
        xlam("B", 3, answers=[{"name": "get_weather", "arguments": {"city": 3}}]),
        xlam("C", 4, answers=[{"name": "f", "arguments": {}}], tools=broken),
    )


def converted(callsmith: Callsmith, *arguments: str) -> CompletedProcess[str]:
    done = callsmith("data", "convert", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done


@pytest.mark.parametrize("format", sorted(RECORDS))
def test_inspect_shows_what_is_trained(callsmith: Callsmith, tmp_path: Path, format: str) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", RECORDS[format])
    done = callsmith("data", "inspect", str(path), "--template", "gemma4", "--rows", "1")
    assert done.returncode == 0, done.stderr
    template = load(environment={}).build("template", "gemma4")
    row = READERS[format](RECORDS[format], "d-1")[0]
    prompt = template.render(row.messages, row.tools).text
    assert prompt + "⟦<|tool_call>call:" in done.stdout
    assert "<tool_call|><|tool_response>⟧" in done.stdout


def test_colours_in_a_terminal(callsmith: Callsmith, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", xlam())
    done = callsmith(
        "data", "inspect", str(path), "--template", "gemma4", "--rows", "1", FORCE_COLOR="1"
    )
    assert "\x1b[2m<bos><|turn>" in done.stdout  # dim
    assert "\x1b[1;92m<|tool_call>call:" in done.stdout  # bold, bright green
    assert "⟦" not in done.stdout


def test_inspect_shows_what_the_tokenizer_makes_of_it(callsmith: Callsmith, tmp_path: Path) -> None:
    shipped = Path(callsmith_tiny.__file__).with_name("tokenizer.json").read_text()
    path = write_jsonl(tmp_path / "d.jsonl", xlam())
    shown = {}
    for name, normalizer in (("as-it-is", None), ("lower", {"type": "Lowercase"})):
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(json.loads(shipped) | {"normalizer": normalizer}))
        done = callsmith(
            *("data", "inspect", str(path), "--template", "gemma4", "--rows", "1"),
            *("--tokenizer", str(file)),
        )
        assert done.returncode == 0, done.stderr
        (shown[name],) = re.findall("⟦(.*)⟧", done.stdout)
    assert shown["as-it-is"].startswith("<|tool_call>call:")
    assert shown["as-it-is"].endswith("<tool_call|><|tool_response>")
    assert shown["as-it-is"] != shown["lower"] == shown["as-it-is"].lower()


def test_inspect_counts_lengths_in_tokens(callsmith: Callsmith, tmp_path: Path) -> None:
    words = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    words.enable_truncation(2)  # its own limit must not hide what is measured
    words.save(str(tmp_path / "tokenizer.json"))
    path = write_jsonl(tmp_path / "d.jsonl", xlam(), xlam("Rome? " * 500, 1))
    done = callsmith(
        *("data", "inspect", str(path), "--template", "gemma4", "--rows", "0"),
        *("--tokenizer", "tokenizer.json", "--max-length", "100"),
    )
    assert done.returncode == 0, done.stderr
    assert "length in tokens (prompt and completion)" in done.stdout
    assert "a limit of 100 tokens cuts 1 of 2 rows (50.0%); 1 of them" in " ".join(
        done.stdout.split()
    )
    plain = callsmith("data", "inspect", str(path), "--rows", "1")
    assert "length in characters (plain text, without a template)" in plain.stdout


def test_convert_puts_everything_somewhere(callsmith: Callsmith, tmp_path: Path) -> None:
    path = bad_file(tmp_path)
    done = converted(callsmith, str(path), "--out", "out")
    assert "train 2, dev 0, test 0; 4 in quarantine, 0 removed" in done.stdout
    out = tmp_path / "out"
    assert [row["id"] for row in lines(out / "train.jsonl")] == ["xlam-0", "xlam-1"]
    bad = {item["id"]: item for item in lines(out / "quarantine.jsonl")}
    assert {key: item["reason"] for key, item in bad.items()} == {
        "mixed-3": "not-json",
        "xlam-2": "tool-known",
        "xlam-3": "schema-valid",
        "xlam-4": "invalid-tool",
    }
    assert bad["xlam-4"]["detail"].startswith("row xlam-4: the tool 'f': ")
    manifest = json.loads((out / "data.json").read_text(encoding="utf-8"))
    assert manifest["quarantine"] == {
        "xlam": {"not-json": 1, "tool-known": 1, "schema-valid": 1, "invalid-tool": 1}
    }
    assert manifest["splits"]["train"]["sources"] == {"xlam": 2}


def test_converting_twice_writes_the_same_bytes(callsmith: Callsmith, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", *[xlam(f"Weather, day {at}?", at) for at in range(30)])
    common = ("--dev", "0.2", "--test", "0.2", "--augment", "irrelevance=0.5", "--seed", "3")
    for name in ("a", "b"):
        converted(callsmith, str(path), "--out", name, *common)
    names = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert names == [
        *("data.json", "dev.jsonl", "quarantine.jsonl", "removed.jsonl", "test.jsonl"),
        "train.jsonl",
    ]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    sources = {row["source"] for row in lines(tmp_path / "a" / "train.jsonl")}
    assert sources == {"xlam", "xlam+irrelevance"}


def test_a_sealed_test_split_is_not_changed(callsmith: Callsmith, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", *[xlam(f"Weather, day {at}?", at) for at in range(30)])
    converted(callsmith, str(path), "--out", "o", "--test", "0.3")
    before = (tmp_path / "o" / "test.jsonl").read_bytes()
    other = callsmith("data", "convert", str(path), "--out", "o", "--test", "0.3", "--salt", "x")
    assert other.returncode == 2
    assert "o is sealed: its test split would change" in other.stderr
    assert (tmp_path / "o" / "test.jsonl").read_bytes() == before
    converted(callsmith, str(path), "--out", "o", "--test", "0.3", "--salt", "x", "--reseal")
    assert (tmp_path / "o" / "test.jsonl").read_bytes() != before


def test_questions_of_a_benchmark_are_removed_and_listed(
    callsmith: Callsmith, tmp_path: Path
) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", xlam(), xlam("And in Rome?", 1))
    question = {
        "id": "simple_python_7",
        "question": [[{"role": "user", "content": "what is the weather in OSLO for 3 days"}]],
        "function": [],
    }
    asked = write_jsonl(tmp_path / "BFCL_v4_simple_python.json", question)
    converted(callsmith, str(path), "--out", "o", "--questions", str(asked))
    assert [row["id"] for row in lines(tmp_path / "o" / "train.jsonl")] == ["xlam-1"]
    (removed,) = lines(tmp_path / "o" / "removed.jsonl")
    assert (removed["id"], removed["reason"]) == ("xlam-0", "contaminated-text")
    assert "simple_python_7" in removed["detail"]


def test_prompts_and_completions_for_trl(callsmith: Callsmith, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", xlam(), xlam("See <|turn>?", 1))
    converted(callsmith, str(path), "--out", "o", "--as", "trl", "--template", "gemma4")
    (row,) = lines(tmp_path / "o" / "train.jsonl")
    assert set(row) == {"id", "prompt", "completion"}
    assert row["prompt"].endswith("<|turn>model\n")
    (refused,) = lines(tmp_path / "o" / "quarantine.jsonl")
    assert (refused["id"], refused["reason"]) == ("xlam-1", "not-rendered")


def test_that_nothing_is_left_is_no_success(callsmith: Callsmith, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", xlam("See <|turn>?"))
    done = callsmith(
        *("data", "convert", str(path), "--out", "o", "--as", "trl", "--template", "gemma4")
    )
    assert done.returncode == 2
    assert "error: no row is left to train on; o/quarantine.jsonl" in done.stderr
    assert len(lines(tmp_path / "o" / "quarantine.jsonl")) == 1


def test_a_split_is_a_task_set(callsmith: Callsmith, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", xlam())
    converted(callsmith, str(path), "--out", "o", "--as", "tasks")
    options = {"path": str(tmp_path / "o" / "train.jsonl")}
    (task,) = load(environment={}).build("taskset", "jsonl", options).tasks()
    assert isinstance(task, Task)
    assert task.target["calls"] == [
        {"name": "get_weather", "arguments": {"city": "Oslo", "days": 3}}
    ]


def test_rows_can_be_read_again_beside_other_files(callsmith: Callsmith, tmp_path: Path) -> None:
    first = write_jsonl(tmp_path / "a.jsonl", xlam())
    converted(callsmith, str(first), "--out", "one")
    second = write_jsonl(tmp_path / "b.jsonl", xlam("Another?"), trl())
    mixed = callsmith("data", "convert", "one/train.jsonl", str(second), "--out", "two")
    assert mixed.returncode == 0, mixed.stderr
    # The second file is xLAM's by its first record: the other one is quarantined, not lost.
    assert [row["id"] for row in lines(tmp_path / "two" / "train.jsonl")] == ["xlam-0", "xlam-0~2"]
    assert [item["reason"] for item in lines(tmp_path / "two" / "quarantine.jsonl")] == [
        "malformed"
    ]


def run_folder(folder: Path) -> Path:
    """A run over three tasks: one episode is right, one is wrong, one broke off."""
    tasks = folder / "tasks.jsonl"
    texts = [f"Set a timer of {at} minutes." for at in (1, 2, 3)]
    write_jsonl(
        tasks,
        *[
            {
                "id": f"t{at}",
                "messages": [{"role": "user", "content": text}],
                "tools": [{"type": "function", "function": TIMER}],
                "target": {"calls": [{"name": "set_timer", "arguments": {"minutes": at}}]},
            }
            for at, text in enumerate(texts, 1)
        ],
    )
    run = RunFolder(folder / "run")
    with run.writing() as writer:
        for task in load(environment={}).build("taskset", "jsonl", {"path": str(tasks)}).tasks():
            at = int(task.id[1:])
            call = ToolCall(name="set_timer", arguments={"minutes": 1}, id="c", raw="call:…")
            result = ToolResult(call_id="c", name="set_timer", content="started")
            turn = Turn(sent=task.messages, reply=Reply(calls=(call,)), results=(result,))
            trace = Trace(arm="a", task=task.id, sample=0, turns=(turn,), halt="calls")
            if at == 3:
                trace = Trace(arm="a", task=task.id, sample=0, turns=(), halt="error", error="gone")
            writer.add_trace(trace)
            verdict = Verdict(verifier="calls-match", passed=at == 1, score=float(at == 1))
            writer.add_verdicts(("a", task.id, 0), [verdict])
    run.write_header(
        {
            "name": "r",
            "config": {
                "arms": {"a": {}},
                "tasks": {"use": "tasks/jsonl", "options": {"path": str(tasks)}},
                "toolbox": None,
            },
        }
    )
    return run.path


def test_only_what_was_judged_right_becomes_training_data(
    callsmith: Callsmith, tmp_path: Path
) -> None:
    path = run_folder(tmp_path)
    converted(callsmith, str(path), "--format", "traces", "--out", "o")
    (row,) = lines(tmp_path / "o" / "train.jsonl")
    assert (row["id"], row["source"]) == ("a/t1/0", "traces")
    expected = ToolCall(name="set_timer", arguments={"minutes": 1}, id="c")
    assert row["calls"] == [to_json(expected)]
    reasons = {item["id"]: item["reason"] for item in lines(tmp_path / "o" / "quarantine.jsonl")}
    assert reasons == {"a/t2/0": "failed-calls-match", "a/t3/0": "unfinished"}
    other = callsmith("data", "convert", str(path), "--out", "p", "--require", "strict")
    assert other.returncode == 2  # and nothing is left
    reasons = {item["id"]: item["reason"] for item in lines(tmp_path / "p" / "quarantine.jsonl")}
    assert reasons["a/t1/0"] == "not-judged"


def test_a_record_cannot_steer_the_terminal(callsmith: Callsmith, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", xlam("Clear \x1b[2J the \u202e screen", id="a\x1bb"))
    done = callsmith("data", "inspect", str(path))
    assert done.returncode == 0
    assert not {"\x1b", "\u202e"} & set(done.stdout)
    assert r"Clear \x1b[2J the \u202e screen" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("inspect", "missing.jsonl"), "missing.jsonl: cannot be read: No such file"),
        (("inspect", "no-such-thing"), "no-such-thing: there is no such file"),
        (("inspect", "empty.jsonl"), "empty.jsonl: holds no records"),
        (("inspect", "text.jsonl"), "text.jsonl: the keys text belong to no known format"),
        (("inspect", "good.jsonl", "--template", "gema4"), "did you mean 'gemma4'"),
        (("inspect", "good.jsonl", "--tokenizer", "good.jsonl"), "is no tokenizer.json"),
        (("inspect", "good.jsonl", "--tokenizer", "none.json"), "is no tokenizer.json"),
        (("inspect", "good.jsonl", "--format", "xlan"), "'xlan' is not one of"),
        (("inspect", ".", "--format", "traces"), "is no run folder"),
        (("convert", "good.jsonl", "--out", "o", "--as", "trl"), "--as trl needs --template"),
        (("convert", "good.jsonl", "--out", "o", "--augment", "mask"), "there is no 'mask'"),
        (("convert", "good.jsonl", "--out", "o", "--augment", "irrelevance=2"), "from 0 to 1"),
        (("convert", "good.jsonl", "--out", "o", "--dev", "1"), "leave no rows to train on"),
        (("convert", "good.jsonl", "--out", "o", "--questions", "bad.jsonl"), "bad.jsonl:1"),
        (("convert", "good.jsonl", "--out", "o", "--questions", "empty.jsonl"), "no questions"),
        (("convert", "good.jsonl", "--out", "good.jsonl"), "is a file"),
        (("convert", "good.jsonl", "--out", "o", "--dev", "nan"), "leave no rows to train on"),
        (("convert", "train.jsonl", "--out", "."), "train.jsonl is read and would be written over"),
        (("inspect", "wide.jsonl"), "wide.jsonl: no line of it is JSON (wide.jsonl:1: not UTF-8"),
    ],
    ids=lambda value: " ".join(value[1:]) if isinstance(value, tuple) else "",
)
def test_bad_input_is_one_line(
    callsmith: Callsmith, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    write_jsonl(tmp_path / "good.jsonl", xlam())
    write_jsonl(tmp_path / "text.jsonl", {"text": "hello"})
    write_jsonl(tmp_path / "bad.jsonl", "{")
    (tmp_path / "empty.jsonl").write_text("\n", encoding="utf-8")
    (tmp_path / "wide.jsonl").write_text(json.dumps(xlam()) + "\n", encoding="utf-16")
    write_jsonl(tmp_path / "train.jsonl", xlam())
    done = callsmith("data", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "o").exists()
