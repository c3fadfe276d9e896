"""From the engine's pieces to a completion."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from callsmith import ArmError, Usage
from callsmith_vllm.assembly import Assembly


def piece(
    text: str = "",
    ids: tuple[int, ...] = (),
    *,
    logprobs: Any = "each",
    finish: str | None = None,
    stop: int | str | None = None,
) -> Any:
    if logprobs == "each":
        logprobs = [
            {9: SimpleNamespace(logprob=-9.0), i: SimpleNamespace(logprob=-i / 10)} for i in ids
        ]
    output = SimpleNamespace(
        text=text, token_ids=ids, logprobs=logprobs, finish_reason=finish, stop_reason=stop
    )
    return SimpleNamespace(outputs=[output], prompt_token_ids=[1, 2, 3], finished=bool(finish))


def assembled(*pieces: Any) -> Any:
    assembly = Assembly({106: "<turn|>"}.__getitem__)
    for seconds, item in enumerate(pieces, 1):
        assembly.take(item, float(seconds))
    return assembly.completion(10.0)


def test_pieces_are_joined() -> None:
    whole = assembled(piece("", (1,)), piece("ab", (2, 3)), piece("c", (4,), finish="length"))
    assert whole.text == "abc"
    assert whole.token_ids == (1, 2, 3, 4)
    assert whole.logprobs == (-0.1, -0.2, -0.3, -0.4)
    assert whole.usage == Usage(prompt_tokens=3, completion_tokens=4)
    assert whole.timings == {"first_token": 1.0, "total": 10.0}
    assert whole.stop_reason == "length"


@pytest.mark.parametrize(
    ("finish", "stop", "reason"),
    [
        ("stop", None, "stop"),
        ("stop", 106, "stop: <turn|>"),
        ("stop", "END", "stop: END"),
        ("length", None, "length"),
        ("repetition", "repetition_detected", "repetition: repetition_detected"),
    ],
)
def test_both_words_for_the_end_are_kept(finish: str, stop: Any, reason: str) -> None:
    assert assembled(piece("a", (1,), finish=finish, stop=stop)).stop_reason == reason


def test_logprobs_are_one_per_token_or_none_at_all() -> None:
    not_asked = assembled(piece("a", (1,), logprobs=None, finish="stop"))
    assert not_asked.logprobs is None
    first, second = piece("a", (1,)), piece("b", (2, 3), finish="stop")
    second.outputs[0].logprobs.pop()
    assert assembled(first, second).logprobs is None


def test_a_piece_without_tokens_needs_no_logprobs() -> None:
    whole = assembled(piece("a", (1,)), piece("b", (), logprobs=None, finish="stop"))
    assert whole.logprobs == (-0.1,)


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_a_request_that_was_not_completed_is_an_error(reason: str) -> None:
    with pytest.raises(ArmError, match=reason):
        assembled(piece("a", (1,)), piece(finish=reason))


def test_an_answer_without_an_end_is_an_error() -> None:
    with pytest.raises(ArmError, match="without its last piece"):
        assembled(piece("a", (1,)))
