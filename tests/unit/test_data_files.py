"""Records from files: JSON, JSON lines, Parquet; what is broken is one line each."""

from __future__ import annotations

import datetime
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from callsmith import ConfigError, MissingExtraError, StoreError
from callsmith_tasks.data.files import read_rows, records
from callsmith_tasks.data.output import check_seal, rejected_lines, write_folder
from callsmith_tasks.data.row import Rejected
from fixtures.data_rows import RECORDS, glaive, write_jsonl, xlam


@pytest.mark.parametrize("format", sorted(RECORDS))
def test_json_and_json_lines_hold_the_same_records(tmp_path: Path, format: str) -> None:
    record = RECORDS[format]
    lines = write_jsonl(tmp_path / "data.jsonl", record, record)
    whole = tmp_path / "data.json"
    whole.write_text(json.dumps([record, record]), encoding="utf-8")
    named = write_jsonl(tmp_path / "lines.json", record, record)
    found = [read_rows(records(str(path)), "auto") for path in (lines, whole, named)]
    assert [f[2] for f in found] == [format] * 3
    calls = [[row.calls for row in f[0]] for f in found]
    assert calls[0] == calls[1] == calls[2] != []


def test_ids_come_from_the_record_or_its_place(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "data.jsonl", xlam(id=5), xlam(id="own"))
    assert [row.id for row in read_rows(records(str(path)), "xlam")[0]] == ["xlam-5", "own"]
    path = write_jsonl(tmp_path / "chat.jsonl", "", glaive())
    rows, *_ = read_rows(records(str(path)), "glaive")
    assert [row.id for row in rows] == ["chat-2#1", "chat-2#2"]


def test_bad_lines_do_not_cost_the_others(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", xlam(), '{"query": ', "[1]", '{"a": NaN}', xlam(id=1))
    with path.open("ab") as file:
        file.write(b'{"query": "\xff"}\n' + b"[" * 100_000 + b"\n")
    rows, rejected, _ = read_rows(records(str(path)), "auto")
    assert len(rows) == 2
    assert [(item.id, item.reason, item.source) for item in rejected] == [
        ("d-2", "not-json", "xlam"),
        ("d-3", "malformed", "xlam"),
        ("d-4", "not-json", "xlam"),
        ("d-6", "not-json", "xlam"),
        ("d-7", "not-json", "xlam"),
    ]
    assert "d.jsonl:2" in rejected[0].detail


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "{broken", "is not JSON"),
        ("a2.json", '[\n{"query": "a"},\n{"query": "b', "is not JSON"),
        ("b.json", "3", "holds no list of records"),
        ("c.jsonl", None, "No such file"),
        ("d.json", None, "No such file"),
        ("e.parquet", None, "No such file"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said) as error:
        list(records(str(path)))
    assert str(path) in str(error.value)


def test_a_folder_and_a_name_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        list(records(str(tmp_path)))
    with pytest.raises(ConfigError, match="owner/name"):
        list(records("nothing-here"))
    with pytest.raises(ConfigError, match="there is no such file"):
        list(records("a" * 300))
    with pytest.raises(ConfigError, match="cannot be read"):
        list(records("a" * 300 + ".jsonl"))


def test_unknown_keys_ask_for_a_format(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", {"text": "hello"})
    with pytest.raises(ConfigError, match="text belong to no known format; say --format"):
        read_rows(records(str(path)), "auto")


def test_tasks_are_no_training_records(tmp_path: Path) -> None:
    task = {"id": "t", "messages": [{"role": "user", "content": "hi"}], "target": {"calls": []}}
    path = write_jsonl(tmp_path / "train.jsonl", task)
    with pytest.raises(ConfigError, match="the records are tasks"):
        read_rows(records(str(path)), "auto")


def has(library: str) -> bool:
    return importlib.util.find_spec(library) is not None


@pytest.mark.skipif(has("datasets"), reason="datasets is installed")
def test_the_hub_needs_an_extra() -> None:
    with pytest.raises(MissingExtraError, match=r"callsmith\[train\]"):
        list(records("owner/name"))


@pytest.mark.skipif(has("pyarrow"), reason="pyarrow is installed")
def test_parquet_needs_an_extra(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(MissingExtraError, match=r"callsmith\[train\]"):
        list(records(str(path)))


@pytest.mark.filterwarnings("ignore")  # of the library's own
def test_a_hub_data_set_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    if not has("datasets"):
        pytest.skip("needs datasets (the train extra)")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    with pytest.raises(ConfigError, match=r"owner/no-such: cannot be loaded from the hub: \w+"):
        list(records("owner/no-such"))


def test_parquet_files(tmp_path: Path) -> None:
    if not has("pyarrow"):
        pytest.skip("needs pyarrow (the train extra)")
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    path = tmp_path / "d.parquet"
    parquet.write_table(arrow.Table.from_pylist([xlam(), xlam("Rome?", 1)]), path)
    rows, rejected, format = read_rows(records(str(path)), "auto")
    assert ([row.id for row in rows], rejected, format) == (["xlam-0", "xlam-1"], [], "xlam")
    path.write_bytes(b"PAR1 no")
    with pytest.raises(ConfigError, match="is no Parquet file"):
        list(records(str(path)))


def test_what_json_cannot_say_is_left_out_and_does_not_stop_the_rest(tmp_path: Path) -> None:
    if not has("pyarrow"):
        pytest.skip("needs pyarrow (the train extra)")
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    tools = json.dumps([{"name": "f", "parameters": {"type": "object", "properties": {"x": {}}}}])

    def record(value: Any) -> dict[str, Any]:
        call = {"type": "function", "function": {"name": "f", "arguments": {"x": value}}}
        turns = [{"role": "user", "content": "go"}, {"role": "assistant", "tool_calls": [call]}]
        return {"messages": turns, "tools": tools}

    path = tmp_path / "d.parquet"
    for value in (datetime.datetime(2020, 1, 1), float("nan"), b"\xff"):
        parquet.write_table(arrow.Table.from_pylist([record(value)]), path)
        rows, rejected, _ = read_rows(records(str(path)), "auto")
        assert (rows, [item.reason for item in rejected]) == ([], ["malformed"])
        json.dumps(rejected[0].record, allow_nan=False)


def test_a_damaged_page_of_a_parquet_file_is_one_line(tmp_path: Path) -> None:
    if not has("pyarrow"):
        pytest.skip("needs pyarrow (the train extra)")
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    path = tmp_path / "d.parquet"
    parquet.write_table(arrow.Table.from_pylist([xlam()] * 50), path, compression="none")
    data = bytearray(path.read_bytes())
    data[4:200] = bytes(196)
    path.write_bytes(bytes(data))
    with pytest.raises(ConfigError, match=r"d\.parquet: is damaged") as error:
        list(records(str(path)))
    assert "\n" not in str(error.value)


def test_half_of_a_surrogate_pair_is_no_row_and_its_record_is_kept(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", xlam("bad \ud800"), xlam(id=1))
    rows, rejected, _ = read_rows(records(str(path)), "auto")
    assert ([row.id for row in rows], [item.reason for item in rejected]) == (
        ["xlam-1"],
        ["malformed"],
    )
    write_folder(tmp_path / "o", {"quarantine.jsonl": rejected_lines(rejected)}, {})
    text = (tmp_path / "o" / "quarantine.jsonl").read_text(encoding="utf-8")
    assert json.loads(text)["record"]["query"] == "bad \ud800"


def test_a_sealed_folder_keeps_its_test_split(tmp_path: Path) -> None:
    old: Any = {"dev": {"seal": "a"}, "test": {"seal": "b"}}
    new: Any = {"dev": {"seal": "a"}, "test": {"seal": "c"}}
    check_seal(tmp_path, new)
    write_folder(tmp_path, {"train.jsonl": [{"a": "\ud800"}]}, {"splits": old})
    check_seal(tmp_path, old)
    with pytest.raises(StoreError, match="its test split would change"):
        check_seal(tmp_path, new)
    (tmp_path / "data.json").write_text("{}")
    with pytest.raises(StoreError, match="cannot be read"):
        check_seal(tmp_path, old)


def test_a_folder_that_cannot_be_written_loses_nothing(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train.jsonl": [1]}, {})
    (tmp_path / "dev.jsonl.part").mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        write_folder(tmp_path, {"train.jsonl": [2], "dev.jsonl": [3]}, {})
    assert (tmp_path / "train.jsonl").read_text() == "1\n"
    assert not (tmp_path / "train.jsonl.part").exists()


def test_rejected_lines_say_everything() -> None:
    item = Rejected(id="a", source="xlam", reason="malformed", detail="why", record={"x": 1})
    assert rejected_lines([item]) == [
        {"id": "a", "source": "xlam", "reason": "malformed", "detail": "why", "record": {"x": 1}}
    ]
