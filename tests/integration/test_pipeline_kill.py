"""Pipelines and their processes, killed and interrupted: nothing is lost or left over."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from callsmith import RunFolder
from callsmith.pipeline import PipelineFolder
from fixtures import toy_trainers

KILLS = 6

PIPELINE = """
kind: pipeline
name: toy
steps:
  base: {train: {use: learner, options: {units: 25, seconds: 0.02}}}
  sft: {train: {use: learner, options: {units: 30, seconds: 0.02}, base: base, tasks: numbers}}
  table:
    score: {arms: {a: {use: folder, checkpoint: sft}}, tasks: numbers, samples: 3,
            verifiers: [units]}
"""

WAITING = """
kind: pipeline
name: toy
steps:
  wait: {train: {use: learner, options: {end: orphan}}}
"""


@pytest.fixture
def start(tmp_path: Path, make_plugin: Callable[..., Path]) -> Iterator[Callable[[], Process]]:
    """Starts the pipeline's command in a session of its own."""
    site = make_plugin("toy", Path(toy_trainers.__file__).read_text(encoding="utf-8"))
    environment = {
        **os.environ, "PYTHONPATH": str(site), "CALLSMITH_PLUGINS": "toy", "TOY_SECONDS": "0.02",
    }  # fmt: skip
    started: list[Process] = []

    def run() -> Process:
        process = subprocess.Popen(
            [sys.executable, "-m", "callsmith.cli.main", "run", "p.yaml", "--out", "run"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            # A suite that was started in the background ignores SIGINT, and hands that on.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


Process = subprocess.Popen[bytes]


def said(process: Process) -> str:
    assert process.stderr is not None
    return process.stderr.read().decode()


def written(run: Path) -> int:
    """Bytes of everything that steps append to."""
    names = ("units.txt", "traces.jsonl", "progress.jsonl")
    return sum(path.stat().st_size for path in run.rglob("*") if path.name in names)


def child_of(process: Process) -> int | None:
    """The process of the step that is running."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(listed[0]) if listed else None


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone(pid: int) -> bool:
    """Whether a process ends by itself soon."""
    for _ in range(500):
        if not alive(pid):
            return True
        time.sleep(0.02)
    return False


def until(condition: Callable[[], object], process: Process) -> None:
    while not condition():
        assert process.poll() is None, said(process)
        time.sleep(0.01)


@pytest.mark.parametrize("victim", ["pipeline", "step"])
def test_steps_that_are_killed_at_random_moments_are_finished_exactly_once(
    tmp_path: Path, start: Callable[[], Process], victim: str
) -> None:
    (tmp_path / "p.yaml").write_text(PIPELINE)
    run = tmp_path / "run"
    chance = random.Random(victim)
    marks: dict[Path, int] = {}
    kills = 0
    children: set[int] = set()
    while True:
        process = start()
        child = None
        if kills < KILLS:
            goal = written(run) + chance.choice([0, 100, 800, 2000])
            while process.poll() is None and written(run) <= goal:
                child = child_of(process) or child
                time.sleep(0.005)
            time.sleep(chance.random() * 0.05)
            child = child_of(process) or child if process.poll() is None else child
            target = process.pid if victim == "pipeline" else child
            if target is not None and process.poll() is None:
                os.kill(target, signal.SIGKILL)
                kills += 1
        process.wait()
        children |= {child} if child else set()
        for mark, changed in marks.items():  # what was done is never done again
            assert mark.stat().st_mtime_ns == changed
        marks = {path: path.stat().st_mtime_ns for path in run.rglob("result.json")}
        if process.returncode == 0:
            break
        if victim == "step":
            assert process.returncode == 2
            assert "was killed by SIGKILL (often the memory ran out)" in said(process)
        else:
            assert process.returncode == -signal.SIGKILL
    assert kills > KILLS // 2
    assert all(gone(child) for child in children)
    folder = PipelineFolder(run)
    base, sft, table = folder.steps()
    for step, units in ((base, 25), (sft, 30)):
        text = (folder.step_path(step) / "output" / "model" / "units.txt").read_text()
        assert text.splitlines() == [str(unit) for unit in range(units)]
    episodes = Counter((t.task, t.sample) for t in RunFolder(folder.step_path(table)).traces())
    assert len(episodes) == 30
    assert set(episodes.values()) == {1}
    results = [folder.result(step) for step in folder.steps()]
    assert sum(result.attempts for result in results if result) > 3
    assert len(list((run / "steps").iterdir())) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_processes_of_a_step_end_with_the_pipeline(
    tmp_path: Path, start: Callable[[], Process], number: signal.Signals
) -> None:
    (tmp_path / "p.yaml").write_text(WAITING)
    process = start()

    def other() -> str:
        found = [*(tmp_path / "run").rglob("orphan.pid")]
        return found[0].read_text() if found else ""

    until(other, process)
    child = child_of(process)
    assert child is not None
    process.send_signal(number)
    process.wait()
    assert gone(child)
    assert gone(int(other()))
    (step,) = (tmp_path / "run" / "steps").iterdir()
    if number == signal.SIGKILL:
        return
    assert process.returncode == 130
    assert "interrupted; the same command goes on with run" in said(process)
    assert (step / "output" / "ended.txt").read_text() == "in good order"
    assert not (step / "result.json").exists()


def test_two_runs_of_one_pipeline_at_once_are_refused(
    tmp_path: Path, start: Callable[[], Process]
) -> None:
    (tmp_path / "p.yaml").write_text(WAITING)
    process = start()
    until(lambda: [*(tmp_path / "run").rglob("orphan.pid")], process)
    second = start()
    second.wait()
    assert second.returncode == 2
    assert "run is being worked on by another process" in said(second)
    process.send_signal(signal.SIGTERM)
    process.wait()


def test_a_step_that_ended_after_its_pipeline_was_killed_is_not_done_again(
    tmp_path: Path, start: Callable[[], Process]
) -> None:
    """A torn last line of its reports does no harm either."""
    (tmp_path / "p.yaml").write_text(PIPELINE)
    assert start().wait() == 0
    folder = PipelineFolder(tmp_path / "run")
    base = folder.step_path(folder.steps()[0])
    with (base / "progress.jsonl").open("ab") as file:
        file.write(b'{"attempt": 1, "sec')
    (base / "result.json").unlink()
    assert start().wait() == 0
    found = json.loads((base / "result.json").read_text())
    assert found["attempts"] == 2
    lines = (base / "progress.jsonl").read_text().splitlines()
    assert {json.loads(line)["attempt"] for line in lines} == {1, 2}
    units = (base / "output" / "model" / "units.txt").read_text().splitlines()
    assert units == [str(unit) for unit in range(25)]
