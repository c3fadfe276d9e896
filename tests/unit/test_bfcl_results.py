"""Result folders in the official layout: what is read, what is reported, what is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith_bfcl.results import (
    ResultFile,
    json_line,
    parse_results,
    read_results,
    sample_results,
)

IDS = [f"simple_python_{n}" for n in range(4)]
GOOD = [json.dumps({"id": name, "result": f"[f(a={n})]"}).encode() for n, name in enumerate(IDS)]


def read(tmp_path: Path, data: bytes) -> ResultFile:
    path = tmp_path / "BFCL_v4_simple_python_result.json"
    path.write_bytes(data)
    return read_results([path], "simple_python", IDS)


def told(found: ResultFile) -> list[str]:
    """The problems, each with its line, without the folder."""
    return [f"{problem.line}: {problem.message}" for problem in found.problems]


def test_a_good_file_has_no_problems(tmp_path: Path) -> None:
    found = read(tmp_path, b"\n".join(GOOD) + b"\n")
    assert told(found) == []
    assert [row.result for row in found.rows.values()] == [f"[f(a={n})]" for n in range(4)]
    assert [row.line for row in found.rows.values()] == [1, 2, 3, 4]


def test_the_order_of_lines_and_blank_lines_do_not_matter(tmp_path: Path) -> None:
    found = read(tmp_path, b"\r\n\r\n".join(reversed(GOOD)))
    assert told(found) == []
    assert set(found.rows) == set(IDS)


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (b'{"id": "simple_python_1", "result"', "not JSON"),
        (b"[1, 2]", "expected an object with `id` and `result`, got list"),
        (b'{"result": "x"}', "the object has no `id`"),
        (b'{"id": 7, "result": "x"}', "the id 7 is no text"),
        (b'{"id": "simple_python_1"}', "simple_python_1 has no `result`"),
        (b'{"id": "parallel_9", "result": ""}', "simple_python has no entry 'parallel_9'"),
        (b'{"id": "multiple_1", "result": ""}', "simple_python has no entry 'multiple_1'"),
        (b'{"id": "simple_python_1", "result": "caf\xe9"}', "not UTF-8 (byte 41 of the line"),
        (b'{"id": "simple_python_1", "result": ' + b"[" * 100_000, "not JSON that can be read"),
        (b'{"id": "simple_python_1", "result": ' + b"9" * 5_000, "not JSON that can be read"),
    ],
    ids=[
        "cut",
        "list",
        "no-id",
        "number",
        "no-result",
        "unknown",
        "other",
        "latin",
        "deep",
        "long",
    ],
)
def test_a_spoilt_line_is_named_and_the_others_stand(
    tmp_path: Path, spoilt: bytes, said: str
) -> None:
    found = read(tmp_path, b"\n".join([GOOD[0], spoilt, *GOOD[2:]]) + b"\n")
    assert list(found.rows) == [IDS[0], *IDS[2:]]
    problems = told(found)
    assert problems[0].startswith(f"2: {said}")
    assert problems[1] == "4: the file ends here and 1 of 4 entries is missing: simple_python_1"
    assert found.missing == ["simple_python_1"]
    assert str(found.problems[0]).startswith(f"{tmp_path}/BFCL_v4_simple_python_result.json:2: ")


def test_a_cut_off_last_line_is_named(tmp_path: Path) -> None:
    found = read(tmp_path, b"\n".join([*GOOD[:3], GOOD[3][:-5]]))
    assert told(found)[0].startswith("4: the last line is cut off and is not scored (not JSON")
    assert list(found.rows) == IDS[:3]


def test_a_last_line_without_a_line_end_is_as_good_as_any(tmp_path: Path) -> None:
    assert told(read(tmp_path, b"\n".join(GOOD))) == []


def test_of_duplicates_the_first_counts_and_the_second_is_named(tmp_path: Path) -> None:
    other = b'{"id": "simple_python_0", "result": "other"}'
    found = read(tmp_path, b"\n".join([*GOOD, GOOD[1], other]) + b"\n")
    assert told(found) == [
        "5: duplicate of simple_python_1 (line 2) with the same record; the first one is scored",
        "6: duplicate of simple_python_0 (line 1) with another record; the first one is scored",
    ]
    assert found.rows[IDS[0]].result == "[f(a=0)]"


def test_missing_ids_are_counted_and_the_first_ones_named(tmp_path: Path) -> None:
    path = tmp_path / "BFCL_v4_simple_python_result.json"
    path.write_bytes(GOOD[0] + b"\n")
    found = read_results([path], "simple_python", [f"simple_python_{n}" for n in range(20)])
    assert told(found) == [
        "1: the file ends here and 19 of 20 entries are missing: simple_python_1, simple_python_2, "
        "simple_python_3, simple_python_4, simple_python_5 and 14 more"
    ]
    assert found.problems[0].is_missing


@pytest.mark.parametrize("data", [b"", b"\n\n", b"{", b"\xff\xfe"], ids=["0", "blank", "{", "bom"])
def test_a_file_without_a_usable_line_is_named(tmp_path: Path, data: bytes) -> None:
    found = read(tmp_path, data)
    assert found.rows == {}
    assert told(found)[-1].endswith("no usable line; all 4 entries of simple_python are missing")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf_16_is_read_and_named(tmp_path: Path, encoding: str) -> None:
    text = b"\n".join(GOOD).decode() + "\n"
    data = text.encode("utf-16") if encoding == "utf-16" else b"\xfe\xff" + text.encode(encoding)
    found = read(tmp_path, data)
    assert told(found) == ["1: is UTF-16, expected UTF-8; it was read all the same"]
    assert list(found.rows) == IDS


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    found = read(tmp_path, b"\xef\xbb\xbf" + b"\n".join(GOOD))
    assert told(found) == []
    assert list(found.rows) == IDS


def test_a_second_file_of_a_category_adds_what_the_first_lacks(tmp_path: Path) -> None:
    paths = [tmp_path / "one.json", tmp_path / "two.json"]
    paths[0].write_bytes(b"\n".join(GOOD[:2]))
    paths[1].write_bytes(b"\n".join(GOOD[1:]))
    found = read_results(paths, "simple_python", IDS)
    assert list(found.rows) == IDS
    (problem,) = found.problems
    assert problem.message.startswith(f"duplicate of simple_python_1 ({paths[0]}:2)")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    found = read_results([tmp_path / "gone.json"], "simple_python", IDS)
    assert told(found)[0].startswith("1: cannot be read: No such file")
    assert found.missing == IDS


@given(st.binary(max_size=200))
def test_whatever_a_file_holds_is_read_without_an_error(data: bytes) -> None:
    found = ResultFile("simple_python")
    last = parse_results(b"\n".join([GOOD[0], data, GOOD[1]]), "f", frozenset(IDS), found)
    assert {IDS[0], IDS[1]} <= set(found.rows)
    assert last == data.count(b"\n") + 3


@given(
    st.lists(
        st.fixed_dictionaries(
            {"result": st.recursive(st.text() | st.none() | st.integers(), st.lists)}
        ),
        max_size=4,
    )
)
def test_what_is_written_is_read_back(records: list[dict[str, object]]) -> None:
    rows = [{"id": name, **record} for name, record in zip(IDS, records, strict=False)]
    found = ResultFile("simple_python")
    data = b"".join(map(json_line, rows))
    parse_results(data, "f", frozenset(IDS), found)
    assert found.problems == []
    assert [row.record for row in found.rows.values()] == rows


def test_half_a_surrogate_pair_survives() -> None:
    assert json.loads(json_line({"result": "\ud800"})) == {"result": "\ud800"}


@pytest.mark.parametrize("value", [{(1, 2): 3}, {1: b"x", (2,): 1}], ids=["tuple", "both"])
def test_what_json_cannot_hold_is_written_as_text(value: object) -> None:
    assert json.loads(json_line({"id": "x", "v": value})) == {"id": "x", "v": str(value)}


def test_a_value_that_holds_itself_is_written_as_text() -> None:
    value: list[object] = []
    value.append(value)
    assert json.loads(json_line({"id": "x", "v": value}))["v"] == "[[...]]"


def test_samples_are_taken_of_readable_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_bytes(b"{\n[]\n" + b"\n".join(GOOD))
    assert sample_results(path, limit=4) == ["[f(a=0)]", "[f(a=1)]"]
    assert sample_results(tmp_path / "gone") == []
