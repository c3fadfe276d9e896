"""The run folder: what survives a kill at any byte, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsmith import (
    Message,
    RunFolder,
    StoreError,
    Trace,
    Turn,
    Verdict,
    summarize,
    wilson_interval,
)


def trace(number: int, text: str = "hallo\n\u2028 ü \ud800") -> Trace:
    turn = Turn(sent=(Message(role="user", content=text),))
    return Trace(arm="a", task=f"t{number}", sample=0, turns=(turn,), halt="answered")


def test_records_come_back_as_they_went_in(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    verdict = Verdict(verifier="v", passed=True, score=0.5, reasons=("because",))
    with folder.writing() as writer:
        for number in range(3):
            writer.add_trace(trace(number))
            writer.add_verdicts(("a", f"t{number}", 0), (verdict,))
    assert list(folder.traces()) == [trace(n) for n in range(3)]
    assert folder.verdicts()["a", "t2", 0] == (verdict,)


def test_a_file_cut_at_any_byte_gives_the_whole_records_and_takes_new_ones(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.writing() as writer:
        for number in range(3):
            writer.add_trace(trace(number))
    whole = (tmp_path / "traces.jsonl").read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole) + 1):
        (tmp_path / "traces.jsonl").write_bytes(whole[:cut])
        kept = sum(end <= cut for end in ends)
        assert len(list(folder.traces())) == kept
        with folder.writing() as writer:
            writer.add_trace(trace(9))
        assert [t.task for t in folder.traces()] == [*(f"t{n}" for n in range(kept)), "t9"]


def test_a_long_torn_line_is_cut_off_whole(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.writing() as writer:
        writer.add_trace(trace(0))
    with (tmp_path / "traces.jsonl").open("ab") as file:
        file.write(b'{"arm": "' + b"x" * 300_000)
    with folder.writing() as writer:
        writer.add_trace(trace(1))
    assert [t.task for t in folder.traces()] == ["t0", "t1"]


def test_a_damaged_line_in_the_middle_is_an_error_with_its_number(tmp_path: Path) -> None:
    (tmp_path / "traces.jsonl").write_text('{"no": json\n{}\n')
    with pytest.raises(StoreError, match=r"traces.jsonl:1: not JSON"):
        list(RunFolder(tmp_path).traces())
    (tmp_path / "traces.jsonl").write_text('{"arm": 3}\n')
    with pytest.raises(StoreError, match=r"traces.jsonl:1: arm: expected str"):
        list(RunFolder(tmp_path).traces())


def test_two_writers_at_once_are_refused(tmp_path: Path) -> None:
    with (
        RunFolder(tmp_path).writing(),
        pytest.raises(StoreError, match="being written by another process"),
        RunFolder(tmp_path).writing(),
    ):
        pass
    with RunFolder(tmp_path).writing():
        pass


def test_what_is_no_run_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"is no run folder: it has no run\.json"):
        _ = RunFolder(tmp_path).header
    with pytest.raises(StoreError, match="is no run folder: there is no such folder"):
        _ = RunFolder(tmp_path / "gone").header
    pipeline = tmp_path / "pipeline"
    pipeline.mkdir()
    (pipeline / "pipeline.json").write_text("{}")
    with pytest.raises(StoreError, match="it is a pipeline's; name one of its score steps"):
        _ = RunFolder(pipeline).header
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        _ = RunFolder(tmp_path).header
    (tmp_path / "run.json").write_text('{"format": 99}')
    with pytest.raises(StoreError, match="not a run of format 1"):
        _ = RunFolder(tmp_path).header


def test_the_summary_counts_what_is_in_the_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.writing() as writer:
        folder.write_header({"name": "r", "config": {"arms": {"a": {}, "b": {}}}})
        for number in range(4):
            writer.add_trace(trace(number))
            verdict = Verdict(verifier="v", passed=number > 0, score=float(number > 0))
            writer.add_verdicts(("a", f"t{number}", 0), (verdict,))
    found = summarize(folder)
    assert (found["a"].rates["v"].passed, found["a"].rates["v"].total) == (3, 4)
    assert found["a"].halts == {"answered": 4}
    assert found["b"].episodes == 0


def test_wilson_interval_against_published_values() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, score method.
    low, high = wilson_interval(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(0, 10)[0] == 0.0
    assert wilson_interval(10, 10)[1] == 1.0
