"""Requests, counts, times and refusals in Ollama's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from callsmith import ArmError, PromptTooLongError, Sampling, Usage
from callsmith_ollama import wire
from callsmith_ollama.failures import failed_midway, refused


def test_everything_that_decides_the_draw_is_said() -> None:
    sampling = Sampling(
        temperature=0.7, top_p=0.9, top_k=40, max_tokens=99, seed=7, stop=("a", "b"), thinking=True
    )
    assert wire.options(sampling, 4096) == {
        "num_ctx": 4096,
        "num_predict": 99,
        "seed": 7,
        "temperature": 0.7,
        "top_k": 40,
        "top_p": 0.9,
        "min_p": 0.0,
        "typical_p": 1.0,
        "repeat_penalty": 1.0,
        "repeat_last_n": 0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "stop": ["a", "b"],
    }


def test_what_is_off_is_said_too() -> None:
    options = wire.options(Sampling(), 8192)
    assert (options["temperature"], options["top_k"], options["top_p"]) == (0.0, 0, 1.0)
    assert options["stop"] == []


def test_nothing_may_be_cut_silently() -> None:
    body = wire.frame("m", {}, think=False, keep_alive=None)
    assert (body["truncate"], body["shift"], body["think"], body["stream"]) == (
        False,
        False,
        False,
        True,
    )
    assert "keep_alive" not in body
    assert wire.frame("m", {}, think=True, keep_alive="10m")["keep_alive"] == "10m"


def test_absent_counts_are_unknown() -> None:
    assert wire.usage({}) == Usage()
    assert wire.usage({"prompt_eval_count": 9, "eval_count": 2}) == Usage(
        prompt_tokens=9, completion_tokens=2
    )


def test_nanoseconds_become_seconds() -> None:
    last = {"load_duration": 250_000_000, "eval_duration": 2_000_000_000}
    assert wire.timings(last, first_token=0.5, retry=0.0) == {
        "load": 0.25,
        "eval": 2.0,
        "first_token": 0.5,
    }
    assert wire.timings({}, first_token=None, retry=1.5) == {"retry": 1.5}


def check(last: dict[str, Any], max_tokens: int = 100, context_length: int | None = None) -> None:
    wire.check_answer(last, max_tokens=max_tokens, num_ctx=1000, context_length=context_length)


def test_prompt_and_completion_must_fit_together() -> None:
    check({"prompt_eval_count": 900, "eval_count": 5, "done_reason": "stop"})
    with pytest.raises(PromptTooLongError, match=r"901 tokens.*max_tokens is 100.*1000"):
        check({"prompt_eval_count": 901, "eval_count": 5, "done_reason": "stop"})


def test_the_effective_context_counts() -> None:
    with pytest.raises(PromptTooLongError, match="context of 512"):
        check({"prompt_eval_count": 500, "done_reason": "stop"}, context_length=512)
    check({"prompt_eval_count": 500, "done_reason": "stop"}, context_length=4096)


def test_an_answer_cut_by_the_context_is_no_answer() -> None:
    with pytest.raises(PromptTooLongError, match="after 40 of 100 tokens"):
        check({"eval_count": 40, "done_reason": "length"})
    check({"eval_count": 100, "done_reason": "length"})
    check({"done_reason": "stop"})


@pytest.mark.parametrize("reason", ["load", "unload"])
def test_loading_is_no_answer(reason: str) -> None:
    with pytest.raises(ArmError, match=reason):
        check({"done_reason": reason})


def refusal(status: int, body: str) -> ArmError:
    return refused(
        status, body, url="http://here:1", path="/api/chat", model="gemma4:e4b", num_ctx=2048
    )


def error(message: str) -> str:
    return json.dumps({"error": message})


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (404, error("model 'gemma4:e4b' not found"), "ollama pull gemma4:e4b"),
        (400, error("registry.ollama.ai/library/x does not support tools"), "ollama-raw"),
        (400, error('"x" does not support thinking'), "sampling.thinking"),
        (401, error("unauthorized"), "api_key_env"),
        (503, error("server busy, please try again."), "concurrency"),
        (500, error("model runner has\nunexpectedly stopped"), "has unexpectedly stopped"),
        (500, error("x" * 5000), "x…"),
        (502, "<html>\n<h1>Bad gateway</h1>", "is an Ollama server"),
        (500, "", "empty body"),
        (404, "404 page not found", "is an Ollama server"),
        (400, '{"error": {"message": "odd"}}', "odd"),
        (400, '{"error": ["odd"]}', "odd"),
    ],
)
def test_a_refusal_is_one_line_with_what_to_do(status: int, body: str, says: str) -> None:
    text = str(refusal(status, body))
    assert says in text
    assert text.startswith(f"http://here:1/api/chat answered {status}")
    assert "\n" not in text
    assert len(text) < 600


TOO_LONG = [
    # Each as a version of Ollama or the runner below it says it.
    "the prompt is longer than the context length currently available to the model; shorten it",
    "the input length exceeds the context length",
    "input length exceeds maximum context length",
    json.dumps(
        {
            "error": {
                "code": 400,
                "message": "request (9412 tokens) exceeds the available context size (8192 tokens)",
                "type": "exceed_context_size_error",
            }
        }
    ),
    "the request exceeds the available context size. try increasing the context size",
]


@pytest.mark.parametrize("said", TOO_LONG)
def test_a_prompt_that_does_not_fit_is_called_that(said: str) -> None:
    early = refusal(400, error(said))
    late = failed_midway(said, url="http://here:1", path="/api/chat", lines=0, num_ctx=2048)
    for problem in (early, late):
        assert isinstance(problem, PromptTooLongError)
        assert "num_ctx 2048" in str(problem)
        assert '{"' not in str(problem)


def test_other_errors_are_not_called_that() -> None:
    for said in ("model requires more system memory", "context canceled", "invalid context"):
        assert type(refusal(500, error(said))) is ArmError
