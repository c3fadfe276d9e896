"""Pipelines through the command line, with a plugin that needs no library.

The command runs here, the steps in processes of their own, as always.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from callsmith import RunFolder
from callsmith.cli.main import main
from callsmith.pipeline import PipelineFolder
from callsmith.runs.bakeoff import episode_seed
from fixtures import toy_trainers

Run = Callable[..., CompletedProcess[str]]

PIPELINE = """
kind: pipeline
name: toy
seed: 7
template: gemma4
steps:
  base: {train: learner}
  sft:
    train: {use: learner, options: {units: 4}, base: base, tasks: numbers,
            dev: {use: jsonl, options: {path: dev.jsonl}}}
  samples:
    score: {arms: {sft: {use: folder, checkpoint: sft}}, tasks: numbers, samples: 2,
            verifiers: [units]}
  dpo:
    train: {use: learner, options: {units: 5, adapter: true}, base: sft, tasks: numbers,
            traces: [samples], verifiers: [units]}
  table:
    score:
      arms:
        base: {use: folder, checkpoint: base}
        sft: {use: folder, checkpoint: sft}
        dpo: {use: folder, checkpoint: dpo}
      eval: benchmark
"""

ONE = """
kind: pipeline
name: one
steps:
  only: {train: {use: learner, options: {end: HOW}}}
"""

DEV = {"id": "d", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def toy(tmp_path: Path, make_plugin: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a test, with the plugin and the files of the pipeline."""
    site = make_plugin("toy", Path(toy_trainers.__file__).read_text(encoding="utf-8"))
    (tmp_path / "p.yaml").write_text(PIPELINE, encoding="utf-8")
    (tmp_path / "dev.jsonl").write_text(json.dumps(DEV) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    return tmp_path


@pytest.fixture
def callsmith(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command line."""

    def command(*arguments: str, **environment: str) -> CompletedProcess[str]:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as end:
                main([*arguments])
        said = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return CompletedProcess(arguments, end.value.code, said.out, said.err)

    return command


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def run(callsmith: Run, *arguments: str, **environment: str) -> list[str]:
    """Runs the pipeline, which must end well; returns the steps that it did."""
    done = callsmith("run", "p.yaml", *arguments, **environment)
    assert done.returncode == 0, done.stderr
    return re.findall(r"^\[\d+/\d+\] (\w+): done in", done.stderr, re.MULTILINE)


def refused(done: CompletedProcess[str]) -> str:
    """The one line of a command that ended with exit code 2."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line


def seen(folder: PipelineFolder, name: str) -> Any:
    """What the trainer of a step saw."""
    (step,) = [step for step in folder.steps() if step.name == name]
    found = (folder.step_path(step) / "output" / "model" / "seen.json").read_text()
    return json.loads(found)


def test_steps_are_given_what_they_name_and_are_not_done_again(callsmith: Run, toy: Path) -> None:
    assert run(callsmith) == ["base", "sft", "samples", "dpo", "table"]
    folder = PipelineFolder(toy / "runs" / "toy")
    dpo = seen(folder, "dpo")
    assert dpo == {
        "tasks": 10, "dev": 0, "traces": 20, "passed": 20, "seed": 7, "template": "gemma4",
        "before": seen(folder, "sft"),
    }  # fmt: skip
    assert dpo["before"]["dev"] == 1
    assert dpo["before"]["before"] == seen(folder, "base")
    results = {step.name: folder.result(step) for step in folder.steps()}
    assert results["dpo"]
    assert results["dpo"].checkpoint
    assert results["sft"]
    assert results["sft"].checkpoint
    assert results["dpo"].checkpoint.path == results["sft"].checkpoint.path
    assert results["dpo"].checkpoint.adapter is not None
    assert results["table"]
    # 3 units of the base, 4 of sft; dpo's 5 are an adapter beside sft's.
    assert results["table"].benchmark == {
        "base": [{"right": 0}], "sft": [{"right": 10}], "dpo": [{"right": 10}],
    }  # fmt: skip
    marks = {path: path.stat().st_mtime_ns for path in toy.rglob("result.json")}
    assert len(marks) == 5
    assert run(callsmith) == []
    assert {path: path.stat().st_mtime_ns for path in toy.rglob("result.json")} == marks


def test_a_score_step_is_a_run_folder(callsmith: Run, toy: Path) -> None:
    run(callsmith, "--until", "samples")
    (folder,) = (toy / "runs" / "toy" / "steps").glob("samples-*")
    traces = list(RunFolder(folder).traces())
    assert {trace.sample for trace in traces} == {0, 1}
    for trace in traces:
        seed = episode_seed(7, trace.task, trace.sample)
        assert trace.answer == f"4 units, seed {seed}"
    assert "20/20" in callsmith("show", str(folder)).stdout
    assert "n3" in callsmith("show", str(folder), "--task", "n3").stdout


def test_what_changed_is_done_again_with_what_depends_on_it(callsmith: Run, toy: Path) -> None:
    run(callsmith)
    before = {path.name for path in (toy / "runs" / "toy" / "steps").iterdir()}
    edit(toy / "p.yaml", "units: 5", "units: 6")
    done = callsmith("run", "p.yaml")
    said = done.stderr
    assert re.findall(r"\] (\w+): done in", said) == ["dpo", "table"]
    assert "dpo: options.units: 5 before, 6 now" in said
    assert "table: dpo changed" in said
    edit(toy / "dev.jsonl", "hello", "good morning")
    done = callsmith("run", "p.yaml")
    assert re.findall(r"\] (\w+): done in", done.stderr) == ["sft", "samples", "dpo", "table"]
    assert "sft: dev changed" in done.stderr
    after = {path.name for path in (toy / "runs" / "toy" / "steps").iterdir()}
    assert before < after  # old results are kept
    edit(toy / "p.yaml", "units: 6", "talkative: true, units: 5")  # which decides nothing
    edit(toy / "dev.jsonl", "good morning", "hello")
    assert run(callsmith) == []  # and found again
    assert {path.name for path in (toy / "runs" / "toy" / "steps").iterdir()} == after


def test_the_seed_and_verifiers_count_and_a_comment_does_not(callsmith: Run, toy: Path) -> None:
    run(callsmith, "--until", "sft")
    edit(toy / "p.yaml", "kind: pipeline", "# a comment\nkind: pipeline")
    assert run(callsmith, "--until", "sft") == []
    edit(toy / "p.yaml", "tasks: numbers,\n            dev", "tasks: numbers, seed: 9, dev")
    assert run(callsmith, "--until", "sft") == ["sft"]
    edit(toy / "p.yaml", "seed: 9, dev", "verifiers: [units], seed: 9, dev")
    assert run(callsmith, "--until", "sft") == ["sft"]
    edit(toy / "p.yaml", "template: gemma4", "template: qwen3")
    assert run(callsmith, "--until", "sft") == ["base", "sft"]


def test_only_and_until(callsmith: Run, toy: Path) -> None:
    line = refused(callsmith("run", "p.yaml", "--only", "sft"))
    assert "steps.sft: needs the step 'base', which is not done" in line
    assert run(callsmith, "--only", "base") == ["base"]
    assert run(callsmith, "--only", "sft") == ["sft"]
    assert run(callsmith, "--until", "dpo") == ["samples", "dpo"]
    assert "did you mean 'dpo'?" in refused(callsmith("run", "p.yaml", "--until", "dop"))
    assert "exclude each other" in refused(
        callsmith("run", "p.yaml", "--until", "dpo", "--only", "dpo")
    )


def test_show_prints_from_the_folder_alone_even_where_it_was_moved(
    callsmith: Run, toy: Path
) -> None:
    ran = callsmith("run", "p.yaml")
    shown = callsmith("show", "runs/toy", CALLSMITH_PLUGINS="gemma4")
    assert shown.returncode == 0
    assert shown.stdout.strip() in ran.stdout
    for word in ("train toy/learner", "10/10", "right", "tasks 10"):
        assert word in shown.stdout
    (toy / "runs" / "toy").rename(toy / "moved")
    assert callsmith("show", "moved").stdout == shown.stdout
    found = json.loads(callsmith("show", "moved", "--json").stdout)
    path = found["steps"]["base"]["checkpoint"]["path"]
    assert Path(path).is_relative_to(toy / "moved")
    assert Path(path, "units.txt").exists()
    assert found["steps"]["table"]["arms"]["sft"]["verifiers"]["units"]["passed"] == 10
    assert run(callsmith, "--out", "moved") == []
    assert "show one of its score steps" in refused(callsmith("show", "moved", "--failed"))


def test_a_pipeline_that_is_not_finished_can_be_shown(callsmith: Run, toy: Path) -> None:
    run(callsmith, "--until", "base")
    shown = callsmith("show", "runs/toy")
    assert shown.returncode == 0
    assert shown.stdout.count("not done") == 4
    found = json.loads(callsmith("show", "runs/toy", "--json").stdout)
    assert [step["done"] for step in found["steps"].values()] == [True, False, False, False, False]


def test_check_looks_at_everything_and_runs_nothing(callsmith: Run, toy: Path) -> None:
    done = callsmith("check", "p.yaml")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1:3] == [
        "  base: train toy/learner through gemma4/gemma4",
        "  sft: train toy/learner on toy/numbers through gemma4/gemma4, after base",
    ]
    described = json.loads(callsmith("check", "p.yaml", "--json").stdout)
    assert described["steps"]["sft"]["train"]["options"] == {
        "units": 4, "seconds": 0.0, "adapter": False, "talkative": False, "end": "",
    }  # fmt: skip
    assert not (toy / "runs").exists()
    edit(toy / "p.yaml", "checkpoint: dpo", "checkpoint: dop")
    line = refused(callsmith("check", "p.yaml"))
    assert line == (
        "error: p.yaml: steps.table.score.arms.dpo.checkpoint: there is no train step 'dop'; "
        "did you mean 'dpo'?"
    )


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("error", r"steps.only: failed: ValueError: two lines; its log is .*log\.txt$"),
        ("config", r"steps.only: tasks: the rows are too long$"),
        ("full", r"steps.only: no space left on a disk .*make room, the same command goes on"),
        ("unwritable", r"steps.only: no space left on a disk .*make room, the same command"),
        ("kill", r"steps.only: was killed by SIGKILL \(often the memory ran out\); its log is"),
        ("exit", r"steps.only: ended with exit code 3 and without a word; its log is "),
        ("nothing", r"steps.only: its process ended without a result; its log is "),
    ],
)
def test_a_step_that_fails_is_one_line_and_goes_on_when_it_can(
    callsmith: Run, toy: Path, how: str, message: str
) -> None:
    (toy / "p.yaml").write_text(ONE.replace("HOW", how))
    line = refused(callsmith("run", "p.yaml"))
    assert re.search(message, line), line
    (step,) = (toy / "runs" / "one" / "steps").iterdir()
    assert "training" in (step / "log.txt").read_text()
    if how in ("error", "config", "full"):
        assert "Traceback" in (step / "log.txt").read_text()
    assert not (step / "result.json").exists()
    assert "not done" in callsmith("show", "runs/one").stdout


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("base: base", "base: {path: gone}", "steps.sft.train.base.path: there is no folder gone"),
        ("path: dev.jsonl", "path: gone.jsonl", "steps.sft.train.dev: gone.jsonl: cannot be read"),
        ("base: base", "base: nobody/nothing", "steps.sft.train.base: the model 'nobody/nothing'"),
        ("[samples]", "[{path: gone}]", "gone is no run folder"),
        (
            "tasks: numbers, samples",
            "tasks: tiny-tasks, toolbox: t, samples",
            "there is no toolbox",
        ),
    ],
)
def test_what_is_missing_is_said_before_anything_runs(
    callsmith: Run, toy: Path, old: str, new: str, message: str
) -> None:
    edit(toy / "p.yaml", old, new)
    assert message in refused(callsmith("run", "p.yaml", HF_HOME=str(toy)))
    assert not (toy / "runs" / "toy" / "steps").exists()


def test_a_folder_to_start_from_counts_by_its_files(callsmith: Run, toy: Path) -> None:
    model = toy / "model"
    model.mkdir()
    (model / "seen.json").write_text("{}")
    edit(toy / "p.yaml", "base: base", "base: {path: model}")
    assert run(callsmith, "--until", "sft") == ["sft"]
    assert run(callsmith, "--until", "sft") == []
    (model / "seen.json").write_text("[]")
    assert run(callsmith, "--until", "sft") == ["sft"]
    (model / "more").mkdir()
    (model / "more" / "weights").write_text("x")
    assert run(callsmith, "--until", "sft") == ["sft"]


def test_traces_may_come_from_any_run_folder(callsmith: Run, toy: Path) -> None:
    bakeoff = "kind: bakeoff\nname: b\ntasks: numbers\narms: {a: fixed}\nsamples: 3\n"
    (toy / "b.yaml").write_text(bakeoff)
    assert callsmith("run", "b.yaml", "--out", "runs/b").returncode == 0
    edit(toy / "p.yaml", "[samples]", "[samples, {path: runs/b}]")
    assert run(callsmith, "--until", "dpo") == ["base", "sft", "samples", "dpo"]
    assert seen(PipelineFolder(toy / "runs" / "toy"), "dpo")["traces"] == 50
    header = json.loads((toy / "runs" / "b" / "run.json").read_text())
    (toy / "runs" / "b" / "run.json").write_text(json.dumps({**header, "tasks_digest": "other"}))
    edit(toy / "p.yaml", "units: 5", "units: 6")
    assert "are not those of the run any more" in refused(callsmith("run", "p.yaml"))


def test_tasks_that_change_under_a_run_are_noticed(callsmith: Run, toy: Path) -> None:
    edit(toy / "p.yaml", "tasks: numbers,\n            dev", "tasks: restless, dev")
    line = refused(callsmith("run", "p.yaml", "--until", "sft"))
    assert "steps.sft: the tasks changed since the pipeline was started" in line


def test_an_arm_that_always_fails_stops_the_pipeline(callsmith: Run, toy: Path) -> None:
    line = refused(callsmith("run", "p.yaml", TOY_FAIL="1"))
    assert "steps.samples: every episode of the arm 'sft' ended with an error (20 x " in line
    assert "the server is down" in line
    assert refused(callsmith("run", "p.yaml")) == line  # nothing is tried again unasked
    assert run(callsmith, "--retry-errors") == ["samples", "dpo", "table"]


def test_folders_of_other_runs_are_refused(callsmith: Run, toy: Path) -> None:
    (toy / "runs" / "toy").mkdir(parents=True)
    (toy / "runs" / "toy" / "run.json").write_text("{}")
    assert "holds a bake-off" in refused(callsmith("run", "p.yaml"))
    (toy / "runs" / "toy" / "run.json").unlink()
    (toy / "runs" / "toy" / "pipeline.json").write_text("{")
    assert "pipeline.json cannot be read" in refused(callsmith("run", "p.yaml"))
    (toy / "file").write_text("")
    assert "cannot be written" in refused(callsmith("run", "p.yaml", "--out", "file/run"))
    (toy / "b.yaml").write_text("kind: bakeoff\nname: b\ntasks: numbers\narms: {a: fixed}\n")
    assert "for pipelines" in refused(callsmith("run", "b.yaml", "--only", "x"))


def test_a_launcher_starts_the_step(callsmith: Run, toy: Path) -> None:
    (toy / "p.yaml").write_text(
        ONE.replace("options: {end: HOW}", "launch: [env, TOY_EDIT=mark, PYTHON]").replace(
            "PYTHON", sys.executable
        )
    )
    assert run(callsmith) == ["only"]
    assert (toy / "mark").exists()
    edit(toy / "p.yaml", f"[env, TOY_EDIT=mark, {sys.executable}]", "[no-such-launcher]")
    assert "steps.only: 'no-such-launcher' cannot be started: No such" in refused(
        callsmith("run", "p.yaml")
    )
