"""The thread that owns a model: one at a time, batches, failures, cancelling, closing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from callsmith import ArmError, Completion, ConfigError, Sampling
from callsmith_hf.worker import Item, Job, Worker


def new_job(number: int) -> tuple[Job, asyncio.Queue[Item]]:
    loop, items = asyncio.get_running_loop(), asyncio.Queue[Item]()

    def emit(item: Item) -> None:
        loop.call_soon_threadsafe(items.put_nowait, item)

    job = Job(
        ids=[number], sampling=Sampling(), ends=frozenset(), emit=emit, began=time.perf_counter()
    )
    return job, items


def answer(model: str, jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.send(Completion(text=f"{model} {job.ids[0]} of {len(jobs)}"))
        job.ended.set()


def made(
    run: Callable[[str, Sequence[Job]], None] = answer,
    load: Callable[[], str] = lambda: "m",
    batch_size: int = 1,
    wait: float = 0.0,
) -> Worker[str]:
    return Worker(load, run, batch_size=batch_size, wait=wait)


async def test_loads_once_in_one_thread() -> None:
    threads: list[int] = []

    def load() -> str:
        threads.append(threading.get_ident())
        return "m"

    def run(model: str, jobs: Sequence[Job]) -> None:
        threads.append(threading.get_ident())
        answer(model, jobs)

    worker = made(run, load)
    assert await asyncio.gather(*(worker.model() for _ in range(3))) == ["m"] * 3
    for number in range(3):
        job, items = new_job(number)
        worker.submit(job)
        assert await items.get() == Completion(text=f"m {number} of 1")
    await worker.close()
    assert len(threads) == 4
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()


async def test_what_waits_is_one_batch() -> None:
    worker = made(batch_size=4, wait=30.0)
    await worker.model()
    jobs = [new_job(number) for number in range(4)]
    for job, _ in jobs:
        worker.submit(job)
    said = [await items.get() for _, items in jobs]
    assert said == [Completion(text=f"m {number} of 4") for number in range(4)]
    await worker.close()


async def test_a_batch_is_not_waited_for_for_ever() -> None:
    worker = made(batch_size=4, wait=0.01)
    await worker.model()
    job, items = new_job(1)
    worker.submit(job)
    assert await items.get() == Completion(text="m 1 of 1")
    await worker.close()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ConfigError("no such folder", path="path"), "path: no such folder"),
        (ValueError("two\nlines"), "the model could not be loaded: two lines"),
    ],
    ids=["ours", "theirs"],
)
async def test_a_model_that_is_not_loaded_is_not_tried_again(error: Exception, line: str) -> None:
    tries = []

    def load() -> str:
        tries.append(1)
        raise error

    worker = made(load=load)
    for _ in range(2):
        with pytest.raises((ArmError, ConfigError)) as caught:
            await worker.model()
        assert str(caught.value) == line
    assert tries == [1]
    await worker.close()


async def test_a_batch_that_fails_harms_no_other() -> None:
    def run(model: str, jobs: Sequence[Job]) -> None:
        if jobs[0].ids[0] == 0:
            raise RuntimeError("shapes\n do not match")
        answer(model, jobs)

    worker = made(run)
    await worker.model()
    for number in range(2):
        job, items = new_job(number)
        worker.submit(job)
        said = await items.get()
        if number == 0:
            assert isinstance(said, ArmError)
            assert str(said) == "transformers failed: shapes do not match"
        else:
            assert said == Completion(text="m 1 of 1")
    await worker.close()


async def test_giving_up_waiting_does_not_stop_the_loading() -> None:
    go = threading.Event()

    def load() -> str:
        go.wait(30)
        return "m"

    worker = made(load=load)
    waiting = asyncio.create_task(worker.model())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go.set()
    assert await worker.model() == "m"
    await worker.close()


async def test_a_cancelled_job_is_not_run() -> None:
    ran: list[int] = []

    def run(model: str, jobs: Sequence[Job]) -> None:
        ran.extend(job.ids[0] for job in jobs)
        answer(model, jobs)

    worker = made(run, batch_size=2, wait=30.0)
    await worker.model()
    (lost, _), (kept, items) = new_job(0), new_job(1)
    lost.ended.set()
    worker.submit(lost)
    worker.submit(kept)
    assert await items.get() == Completion(text="m 1 of 1")
    assert ran == [1]
    await worker.close()


async def test_closing_ends_everything() -> None:
    started = threading.Event()

    def run(model: str, jobs: Sequence[Job]) -> None:
        started.set()
        assert jobs[0].ended.wait(30)

    worker = made(run)
    await worker.model()
    jobs = [new_job(number) for number in range(3)]
    for job, _ in jobs:
        worker.submit(job)
    await asyncio.to_thread(started.wait, 30)
    await worker.close()
    await worker.close()
    for _, items in jobs:
        assert "the arm was closed" in str(await items.get())
    with pytest.raises(ArmError, match="build a new one"):
        await worker.model()
    with pytest.raises(ArmError, match="build a new one"):
        worker.submit(new_job(9)[0])


async def test_closing_before_use() -> None:
    await made().close()


def test_a_reader_whose_loop_is_closed() -> None:
    async def begin() -> Job:
        return new_job(0)[0]

    job = asyncio.run(begin())
    job.send("text")
    assert job.ended.is_set()
