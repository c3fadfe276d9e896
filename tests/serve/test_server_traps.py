"""What `docs/how-to/transformers-serve.md` says about the server, asked of the server itself.

Plain HTTP, without an arm. When one of these fails after an upgrade, the page is out of date.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import pytest

from callsmith import tool_to_openai
from fixtures.tiny_gemma4_episodes import BY_NAME, TOOLS, Episode
from serve.live_server import LiveServer, need_transformers

pytestmark = pytest.mark.serve
need_transformers()

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
HELLO = "<|turn>user\nHello!<turn|>\n<|turn>model\n"
ASKS_FOR_SUM = "<|turn>user\n{question}<turn|>\n<|turn>model\n"


def ask(url: str, body: Mapping[str, Any] | None = None) -> tuple[int, str]:
    """Status and text of a GET, or of a POST of `body` as JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def answered(url: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The decoded answer, which must be a good one."""
    status, text = ask(url, body)
    assert status == 200, text
    decoded: dict[str, Any] = json.loads(text)
    return decoded


def chat(server: LiveServer, episode: Episode, **more: Any) -> dict[str, Any]:
    """A chat request that asks the episode's question."""
    body: dict[str, Any] = {
        "model": server.model,
        "messages": [{"role": "user", "content": episode.question}],
        "temperature": 0,
        "max_tokens": 64,
        **more,
    }
    if episode.tools:
        body["tools"] = [tool_to_openai(tool) for tool in episode.tools]
    return body


def text(server: LiveServer, prompt: str, **more: Any) -> dict[str, Any]:
    """A text request."""
    body = {"model": server.model, "prompt": prompt, "temperature": 0, "max_tokens": 64}
    return {**body, **more}


def call_names(answer: Mapping[str, Any]) -> list[str]:
    calls = answer["choices"][0]["message"].get("tool_calls") or []
    return [call["function"]["name"] for call in calls]


@pytest.mark.parametrize("path", [CHAT, TEXT])
@pytest.mark.parametrize("field", ["top_k", "min_p", "skip_special_tokens", "num_ctx"])
def test_an_unknown_field_is_refused(server: LiveServer, path: str, field: str) -> None:
    body = chat(server, BY_NAME["plain"]) if path == CHAT else text(server, HELLO)
    status, said = ask(server.url + path, {**body, field: 1})
    assert status == 422
    assert field in said


@pytest.mark.parametrize("choice", ["none", {"type": "function", "function": {"name": "add"}}])
def test_tool_choice_is_taken_and_ignored(server: LiveServer, choice: object) -> None:
    body = chat(server, BY_NAME["weather-oslo"], tool_choice=choice)
    assert call_names(answered(server.url + CHAT, body)) == ["get_weather"]


def test_parallel_tool_calls_is_taken_and_ignored(server: LiveServer) -> None:
    body = chat(server, BY_NAME["weather-oslo-rome"], parallel_tool_calls=False)
    assert call_names(answered(server.url + CHAT, body)) == ["get_weather", "get_weather"]


def test_several_choices_and_logprobs_are_taken_and_ignored(server: LiveServer) -> None:
    body = chat(server, BY_NAME["plain"], n=3, logprobs=True)
    answer = answered(server.url + CHAT, body)
    assert len(answer["choices"]) == 1
    assert answer["choices"][0].get("logprobs") is None


@pytest.mark.parametrize(
    ("config", "greedy"),
    [({"top_k": 1}, True), ({"top_k": 0}, False), ({"do_sample": False}, True)],
    ids=["one", "off", "no-sampling"],
)
def test_top_k_goes_in_a_generation_config_over_the_checkpoints(
    server: LiveServer, config: Mapping[str, Any], greedy: bool
) -> None:
    """At a temperature at which all tokens are alike; without `do_sample` it means nothing."""
    body = chat(server, BY_NAME["plain"], temperature=50.0, seed=1)
    answer = answered(server.url + CHAT, {**body, "generation_config": json.dumps(config)})
    content = answer["choices"][0]["message"]["content"]
    assert (content == BY_NAME["plain"].answer) is greedy


def test_top_k_of_the_checkpoint_is_in_force_unasked(open_server: LiveServer) -> None:
    """It is 1 there, so any temperature decodes greedily."""
    body = chat(open_server, BY_NAME["plain"], temperature=50.0, seed=1)
    content = answered(open_server.url + CHAT, body)["choices"][0]["message"]["content"]
    assert content == BY_NAME["plain"].answer
    off = {**body, "generation_config": json.dumps({"top_k": 0})}
    content = answered(open_server.url + CHAT, off)["choices"][0]["message"]["content"]
    assert content != BY_NAME["plain"].answer


@pytest.mark.parametrize("path", [CHAT, TEXT])
def test_the_stop_string_stays_in_the_text(server: LiveServer, path: str) -> None:
    full = BY_NAME["plain"].answer
    if path == CHAT:
        answer = answered(server.url + path, chat(server, BY_NAME["plain"], stop=["day"]))
        said = answer["choices"][0]["message"]["content"]
    else:
        said = answered(server.url + path, text(server, HELLO, stop=["day"]))["choices"][0]["text"]
    assert "day" in said
    assert full.startswith(said)
    assert said != full


def test_a_text_completion_has_no_special_tokens(server: LiveServer) -> None:
    episode = BY_NAME["weather-oslo"]
    rendered = _rendered(episode)
    answer = answered(server.url + TEXT, text(server, rendered))
    assert answer["choices"][0]["text"] == "call:get_weather{city:Oslo}"


def test_a_bos_in_the_prompt_is_a_second_one(server: LiveServer) -> None:
    bare = answered(server.url + TEXT, text(server, HELLO))
    with_bos = answered(server.url + TEXT, text(server, "<bos>" + HELLO))
    assert with_bos["usage"]["prompt_tokens"] == bare["usage"]["prompt_tokens"] + 1
    rendered_by_server = answered(server.url + CHAT, chat(server, BY_NAME["plain"]))
    assert rendered_by_server["usage"]["prompt_tokens"] == bare["usage"]["prompt_tokens"]


def test_a_prompt_cannot_be_token_ids(server: LiveServer) -> None:
    status, said = ask(server.url + TEXT, {**text(server, ""), "prompt": [2, 105]})
    assert status == 400
    assert "must be a string" in said


@pytest.mark.parametrize("limit", [{"max_tokens": 8}, {"stop": ["city"]}], ids=["tokens", "stop"])
def test_a_call_that_is_cut_is_an_internal_error(
    server: LiveServer, limit: Mapping[str, Any]
) -> None:
    status, _ = ask(server.url + CHAT, chat(server, BY_NAME["weather-oslo"], **limit))
    assert status == 500


def test_a_call_that_is_cut_vanishes_from_a_stream(server: LiveServer) -> None:
    body = chat(server, BY_NAME["weather-oslo"], max_tokens=8, stream=True)
    status, said = ask(server.url + CHAT, body)
    assert status == 200
    chunks = events(said)
    assert not any(c["choices"][0]["delta"].get("tool_calls") for c in chunks)
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"


def test_a_stream_has_whole_calls_a_usage_and_no_end_mark(server: LiveServer) -> None:
    body = chat(server, BY_NAME["weather-oslo-rome"], stream=True)
    status, said = ask(server.url + CHAT, body)
    assert status == 200
    assert "[DONE]" not in said
    chunks = events(said)
    deltas = [c["choices"][0]["delta"].get("tool_calls") for c in chunks]
    calls = [call for delta in deltas if delta for call in delta]
    assert [call["index"] for call in calls] == [0, 1]
    cities = [json.loads(call["function"]["arguments"])["city"] for call in calls]
    assert cities == ["Oslo", "Rome"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert chunks[-1]["usage"]["completion_tokens"] > 0


def test_a_streamed_thought_keeps_its_last_line_break(server: LiveServer) -> None:
    episode = BY_NAME["thinking"]
    body = chat(server, episode, chat_template_kwargs={"enable_thinking": True})
    whole = answered(server.url + CHAT, body)["choices"][0]["message"]
    chunks = events(ask(server.url + CHAT, {**body, "stream": True})[1])
    pieces = [c["choices"][0]["delta"].get("reasoning_content") or "" for c in chunks]
    assert whole["reasoning_content"] == episode.reasoning
    assert "".join(pieces) == episode.reasoning + "\n"


def test_a_pinned_server_says_what_it_serves(server: LiveServer) -> None:
    status, said = ask(server.url + CHAT, {**chat(server, BY_NAME["plain"]), "model": "gemma4"})
    assert status == 400
    assert server.model in said


def test_the_list_of_models_is_that_of_downloads_only(server: LiveServer) -> None:
    assert json.loads(ask(server.url + "/v1/models")[1])["data"] == []


def test_the_list_of_models_needs_the_folder_of_downloads(open_server: LiveServer) -> None:
    assert ask(open_server.url + "/v1/models")[0] == 500
    open_server.hub.mkdir()
    try:
        assert ask(open_server.url + "/v1/models")[0] == 200
    finally:
        open_server.hub.rmdir()


def test_the_text_beside_calls_of_the_history_is_left_out(server: LiveServer) -> None:
    episode = BY_NAME["sum-2-3"]
    said = [_with_history(server, episode, content) for content in ("", "Let me add them up.")]
    counts = [answered(server.url + CHAT, body)["usage"]["prompt_tokens"] for body in said]
    assert counts[0] == counts[1]


def test_without_a_response_template_calls_are_text(open_server: LiveServer) -> None:
    answer = answered(open_server.url + CHAT, chat(open_server, BY_NAME["weather-oslo"]))
    choice = answer["choices"][0]
    assert call_names(answer) == []
    assert choice["message"]["content"] == "call:get_weather{city:Oslo}"
    assert choice["finish_reason"] == "stop"


def test_an_open_server_fails_at_an_unknown_model(open_server: LiveServer) -> None:
    body = {**chat(open_server, BY_NAME["plain"]), "model": "no/such-model"}
    assert ask(open_server.url + CHAT, body)[0] == 500


def events(stream: str) -> list[dict[str, Any]]:
    """The chunks of a stream of server-sent events."""
    lines = [line for line in stream.splitlines() if line.startswith("data: ")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def _rendered(episode: Episode) -> str:
    from callsmith import Template, load

    template: Template = load().build("template", "gemma4")
    return template.render((episode.user,), TOOLS).text.removeprefix("<bos>")


def _with_history(server: LiveServer, episode: Episode, content: str) -> dict[str, Any]:
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
        }
        for call in episode.calls
    ]
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": result}
        for call, result in zip(episode.calls, episode.results, strict=True)
    ]
    body = chat(server, episode)
    said = {"role": "assistant", "content": content, "tool_calls": calls}
    return {**body, "messages": [*body["messages"], said, *results]}
