"""The run folder survives `kill -9`: a real process, killed at random moments, many times."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from callsmith import RunFolder
from callsmith.runs.bakeoff import episode_seed

KILLS = 30
ARMS, TASKS, SAMPLES = 2, 60, 2

PLUGIN = """
import asyncio
import callsmith
from callsmith import Component, Fidelity, Message, Reply, Task, ToolCall

class Arm:
    async def generate(self, messages, tools, sampling):
        await asyncio.sleep(0.02)
        if len(messages) == 1:
            return Reply(calls=(ToolCall(name="note", arguments={"text": "x" * 2000}),))
        return Reply(content=f"done with seed {sampling.seed}")

    async def stream(self, messages, tools, sampling):
        yield await self.generate(messages, tools, sampling)

    async def probe(self):
        return Fidelity(runtime="slow")

    async def aclose(self):
        pass

class Tasks:
    def tasks(self):
        for n in range(TASKS):
            yield Task(id=f"t{n}", messages=(Message(role="user", content="go"),), toolbox="notes")

class Notes:
    def tools(self):
        return [callsmith.ToolSpec(name="note")]

    def session(self, task):
        return self

    async def call(self, name, arguments):
        return "ok"

class Judge:
    def verify(self, task, trace):
        passed = trace.answer.startswith("done")
        return callsmith.Verdict(verifier="judge", passed=passed, score=float(passed))

def one(name, target, **more):
    return [Component(name=name, target=f"{__name__}:{target}", **more)]

@callsmith.hookimpl
def callsmith_arms():
    return one("slow", "Arm", provides="chat")

@callsmith.hookimpl
def callsmith_tasksets():
    return one("many", "Tasks")

@callsmith.hookimpl
def callsmith_toolboxes():
    return one("notes", "Notes")

@callsmith.hookimpl
def callsmith_verifiers():
    return one("judge", "Judge")
"""

RUN = f"""
kind: bakeoff
name: killed
samples: {SAMPLES}
tasks: many
arms:
  a: {{use: slow, concurrency: 3}}
  b: {{use: slow, concurrency: 1}}
verifiers: [judge]
"""


def test_a_run_killed_at_random_moments_is_finished_with_every_episode_exactly_once(
    tmp_path: Path, make_plugin: Callable[..., Path]
) -> None:
    site = make_plugin("slowly", PLUGIN.replace("TASKS", str(TASKS)))
    (tmp_path / "r.yaml").write_text(RUN)
    environment = {**os.environ, "PYTHONPATH": str(site), "CALLSMITH_PLUGINS": "slowly"}
    chance = random.Random(20261121)

    def start(folder: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "callsmith.cli.main", "run", "r.yaml", "--quiet"]
        return subprocess.Popen(
            [*command, "--out", str(folder)],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    kills = runs = 0
    killed_before_the_end = Counter[str]()
    while kills < KILLS:
        runs += 1
        folder = tmp_path / f"run{runs}"
        traces = folder / "traces.jsonl"
        finished = False
        while not finished:
            process = start(folder)
            if kills < KILLS:
                # Most kills fall into the writing; some into the start, before anything is there.
                before = traces.stat().st_size if traces.exists() else 0
                goal = before + chance.choice([0, 0, 3_000, 20_000, 60_000])
                while process.poll() is None:
                    if traces.exists() and traces.stat().st_size > goal:
                        break
                    if goal == before and chance.random() < 0.02:
                        break
                    time.sleep(0.002)
                time.sleep(chance.random() * 0.02)
                process.send_signal(signal.SIGKILL)
                process.wait()
                if process.returncode == -signal.SIGKILL:
                    kills += 1
                    killed_before_the_end["empty" if not traces.exists() else "written"] += 1
                else:
                    finished = True
            else:
                process.wait(timeout=120)
                finished = True
            assert process.stderr is not None
            errors = process.stderr.read().decode()
            process.stderr.close()
            assert process.returncode in (0, -signal.SIGKILL), errors
        _check(folder)
    assert kills >= KILLS
    assert killed_before_the_end["written"] > KILLS // 3


def _check(folder: Path) -> None:
    run = RunFolder(folder)
    keys = Counter((t.arm, t.task, t.sample) for t in run.traces())
    wanted = {(a, f"t{n}", s) for a in "ab" for n in range(TASKS) for s in range(SAMPLES)}
    assert len(wanted) == ARMS * TASKS * SAMPLES
    assert set(keys) == wanted
    assert max(keys.values()) == 1
    lines = (folder / "verdicts.jsonl").read_text().splitlines()
    judged = Counter((d["arm"], d["task"], d["sample"]) for d in map(json.loads, lines))
    assert judged == keys
    assert all(v[0].passed for v in run.verdicts().values())
    for trace in run.traces():
        assert trace.halt == "answered"
        assert trace.answer == f"done with seed {episode_seed(0, trace.task, trace.sample)}"
