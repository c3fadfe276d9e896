"""Where the JAX worker ends a completion, and why."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith_jax.worker.stopping import Ended, ended, first_stop

ENDS = {1: "eos", 106: "end_of_turn", 50: "tool_response"}


def decode(ids: Sequence[int]) -> str:
    return "".join(map(chr, ids))


def read(text: str, *end: int, stops: Sequence[str] = (), max_tokens: int = 20) -> Ended:
    ids = [*map(ord, text), *end]
    return ended(ids, ends=ENDS, stops=stops, max_tokens=max_tokens, decode=decode)


@pytest.mark.parametrize(("token", "reason"), ENDS.items())
def test_each_ending_token_has_its_reason(token: int, reason: str) -> None:
    assert read("abc", token) == Ended("abc", (97, 98, 99), reason)


def test_a_completion_without_an_end_was_cut() -> None:
    assert read("abc", max_tokens=3).reason == "length"
    assert read("abc", max_tokens=4).reason == "cache_full"
    assert read("ab", 106, max_tokens=3).reason == "end_of_turn"


def test_nothing_at_all() -> None:
    assert read("", 106) == Ended("", (), "end_of_turn")
    assert read("") == Ended("", (), "cache_full")


def test_the_earliest_stop_string_wins_over_the_end() -> None:
    found = read("say stop or halt", 106, stops=("halt", "stop"))
    assert found == Ended("say ", tuple(map(ord, "say stop")), "stop")


def test_an_empty_stop_string_stops_nothing() -> None:
    assert read("abc", 106, stops=("",)).reason == "end_of_turn"


@given(st.text("abc", max_size=12), st.lists(st.text("abc", max_size=3), max_size=3))
def test_a_stop_string_is_never_in_the_text(text: str, stops: list[str]) -> None:
    found = read(text, 106, stops=stops)
    assert text.startswith(found.text)
    assert first_stop(found.text, stops) is None
    at = first_stop(text, stops)
    assert (found.reason == "stop") == (at is not None)
    if at is not None:
        assert len(found.text) == at
        # One token less, and the string would not have been seen.
        assert first_stop(decode(found.ids), stops) is not None
        assert first_stop(decode(found.ids[:-1]), stops) is None
