"""Runs a contract class outside pytest's collection, to see which of its tests fail."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import Phase, settings


def failures(
    contract: type, fixtures: Mapping[str, Callable[[], Any]], *, only: str = ""
) -> dict[str, str]:
    """Name of each test (or of the one named `only`) that fails, with its message's first line.

    `fixtures` are functions that make a fresh value for every test.
    """
    with _without_shrinking():
        return _failures(contract, fixtures, [only] if only else names_of_tests(contract))


def _failures(
    contract: type, fixtures: Mapping[str, Callable[[], Any]], names: list[str]
) -> dict[str, str]:
    out: dict[str, str] = {}
    for name in names:
        test = getattr(contract(), name)
        for arguments in _cases(test):
            wanted = [n for n in inspect.signature(test).parameters if n not in arguments]
            values = {n: fixtures[n]() for n in wanted}
            try:
                result = test(**values, **arguments)
                if inspect.isawaitable(result):
                    asyncio.run(_await(result))
            except pytest.skip.Exception:
                continue
            except Exception as error:
                out.setdefault(name, str(error).partition("\n")[0])
    return out


@contextlib.contextmanager
def _without_shrinking() -> Iterator[None]:
    """That a test fails is all that is asked; the smallest example would take minutes.

    The examples are the same every time, so that no broken subject slips through now and then.
    """
    before = settings.get_current_profile_name()
    settings.register_profile(
        "contract-runner",
        parent=settings.get_profile(before),
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        max_examples=200,
        report_multiple_bugs=False,
    )
    settings.load_profile("contract-runner")
    try:
        yield
    finally:
        settings.load_profile(before)


def names_of_tests(contract: type) -> list[str]:
    """The names of the contract's tests."""
    return [name for name in dir(contract) if name.startswith("test_")]


async def _await(result: Any) -> None:
    await result


def _cases(test: Any) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = [{}]
    for mark in getattr(test, "pytestmark", ()):
        if mark.name == "parametrize":
            name, values = mark.args
            cases = [{**case, name: value} for case in cases for value in values]
    return cases
