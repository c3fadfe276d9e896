"""A tiny Gemma 4, made and trained in the JAX environment, and one worker that all tests share.

`CALLSMITH_JAX_PYTHON` names the environment's interpreter if it is not in its usual place;
`CALLSMITH_JAX_TINY` names a folder in which the model is kept from one session to the next.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from callsmith import Message, Task, ToolCall, load
from callsmith_jax.config import SamplerConfig
from callsmith_jax.environment import differences
from callsmith_jax.location import worker_python
from callsmith_jax.process import WorkerProcess
from callsmith_jax.worker_pool import Lease, Settings, Worker
from servers.arithmetic import ADD, Sums

HERE = Path(__file__).parent
SMALL_TALK = {
    "Hello!": "Hello, what shall I add?",
    "Who are you?": "A small model that adds.",
    "Good bye!": "Until the next sum, then.",
}
TOOL = {"name": ADD.name, "description": ADD.description, "parameters": dict(ADD.parameters or {})}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.jax)


@pytest.fixture(scope="session")
def jax_python() -> Path:
    """The interpreter of the worker's environment; skips, saying why, where there is none."""
    python = worker_python()
    if not python.exists():
        pytest.skip(f"needs the JAX environment: no {python}; run `callsmith jax setup`")
    process = WorkerProcess(python, {}, 120.0)
    process.kill()
    problems = differences(process.hello.versions)
    if process.hello.too_old or any("missing" in problem for problem in problems):
        pytest.skip(f"needs the JAX environment: {python} has {'; '.join(problems)}")
    return python


@pytest.fixture(scope="session")
def in_jax(jax_python: Path) -> Callable[..., str]:
    """Runs a script of this folder in the JAX environment, on the CPU; returns its stdout."""

    def run(script: str, *arguments: str, job: Any) -> str:
        names = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
        environment = {key: value for key, value in os.environ.items() if key not in names}
        done = subprocess.run(
            [str(jax_python), str(HERE / script), *arguments],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            env={**environment, "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "2"},
            timeout=1200,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    return run


def numbers(task: Task) -> list[int]:
    """The two numbers of a sum; none in the greeting."""
    return [int(number) for number in re.findall(r"\d+", str(task.messages[0].content))]


def answered(task: Task, result: str) -> list[Message]:
    """The conversation after the tool's result."""
    a, b = numbers(task)
    call = ToolCall(name="add", arguments={"a": a, "b": b}, id="call_0_0")
    said = Message(role="assistant", content="", tool_calls=(call,))
    back = Message(role="tool", content=result, tool_call_id=call.id, name="add")
    return [*task.messages, said, back]


@pytest.fixture(scope="session")
def learnt() -> list[tuple[str, str]]:
    """(prompt, completion with its ending token) in our own rendering."""
    template = load(environment={}).build("template", "gemma4")
    pairs: list[tuple[str, str]] = []
    for task in Sums().tasks():
        prompt = template.render(task.messages, task.tools).text
        if not numbers(task):
            pairs.append((prompt, SMALL_TALK["Hello!"] + "<turn|>"))
            continue
        a, b = numbers(task)
        call = f"<|tool_call>call:add{{a:{a},b:{b}}}<tool_call|><|tool_response>"
        after = template.render(answered(task, str(a + b)), task.tools).text
        pairs += [(prompt, call), (after, f"The sum is {a + b}.<turn|>")]
    return pairs


def job_of(learnt: list[tuple[str, str]]) -> dict[str, Any]:
    """What `tiny_gemma4.py` is told: our rendering, and conversations for the library's own."""
    dialogs: list[dict[str, Any]] = []
    for task in Sums().tasks():
        question = str(task.messages[0].content)
        if not numbers(task):
            dialogs.append({"tools": [TOOL], "question": question, "answer": SMALL_TALK[question]})
            continue
        a, b = numbers(task)
        dialogs.append(
            {
                "tools": [TOOL],
                "question": question,
                "call": {"name": "add", "arguments": {"a": a, "b": b}},
                "result": str(a + b),
                "answer": f"The sum is {a + b}.",
            }
        )
    for question, answer in SMALL_TALK.items():
        dialogs.append({"tools": [], "question": question, "answer": answer})
    return {"texts": learnt, "dialogs": dialogs}


@pytest.fixture(scope="session")
def tiny(
    in_jax: Callable[..., str],
    learnt: list[tuple[str, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The folder of the trained model: `params`, `tokenizer.model`, `model.json`."""
    kept = os.environ.get("CALLSMITH_JAX_TINY")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("tiny-gemma4")
    if not (folder / "params" / "_METADATA").exists():
        in_jax("tiny_gemma4.py", str(folder), job=job_of(learnt))
    return folder


@pytest.fixture(scope="session")
def options(tiny: Path, jax_python: Path) -> dict[str, Any]:
    """The options of both arms: with the same ones, arms share a worker."""
    return {
        "checkpoint": str(tiny / "params"),
        "python": str(jax_python),
        "platform": "cpu",
        "cache_length": 320,
        "max_out_length": 64,
        "pad_lengths": [32, 128, 192],
        "load_timeout": 600,
        "request_timeout": 600,
    }


@pytest.fixture(scope="session")
def worker(options: dict[str, Any]) -> Iterator[Worker]:
    """The worker that all arms with `options` use, kept alive for the session."""
    lease = Lease(Settings.of(SamplerConfig(**options)))
    yield lease.worker
    asyncio.run(lease.release())
