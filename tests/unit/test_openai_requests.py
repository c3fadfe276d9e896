"""Addresses, options, conversations, refusals: the pure side of asking."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from callsmith import (
    ArmError,
    ConfigError,
    JsonValue,
    Message,
    PromptTooLongError,
    RenderError,
    ToolCall,
)
from callsmith import ToolSpec as Tool
from callsmith_openai import failures
from callsmith_openai.address import Address, address_of
from callsmith_openai.config import ChatConfig, CompletionsConfig
from callsmith_openai.failures import refused
from callsmith_openai.kinds import KINDS
from callsmith_openai.messages import convert, convert_tools
from callsmith_openai.server import merged


@pytest.mark.parametrize(
    ("url", "api", "root"),
    [
        ("http://h:8000", "http://h:8000/v1", "http://h:8000"),
        ("h:8000", "http://h:8000/v1", "http://h:8000"),
        ("http://h:8000/v1/", "http://h:8000/v1", "http://h:8000"),
        ("https://h/proxy/v1", "https://h/proxy/v1", "https://h/proxy"),
        ("https://h/v1beta/openai", "https://h/v1beta/openai", "https://h/v1beta/openai"),
        ("http://[::1]:8080", "http://[::1]:8080/v1", "http://[::1]:8080"),
        (" http://h/ ", "http://h/v1", "http://h"),
    ],
)
def test_an_address_has_two_bases(url: str, api: str, root: str) -> None:
    assert address_of(url) == Address(api, root)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://h", "no address such as"),
        ("http://", "no address such as"),
        ("http://a b", "no address such as"),
        ("http://h:port", "no URL"),
        ("http://user:secret@h", "written to the run folder"),
        ("http://h/v1?key=5", "no query"),
        ("http://h/v1/chat/completions", "give the base URL: http://h/v1"),
        ("http://h/v1/models", "give the base URL: http://h/v1"),
    ],
)
def test_what_is_no_base_url_is_refused(url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        address_of(url)
    assert caught.value.path == "url"
    if "secret" in url:
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "api-key", "Cookie"])
def test_a_header_that_looks_like_a_secret_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="headers_env"):
        ChatConfig(url="http://h", model="m", headers={name: "x"})


@pytest.mark.parametrize("name", ["messages", "prompt", "model", "stream", "n"])
def test_the_extra_body_cannot_take_the_arms_own_fields(name: str) -> None:
    with pytest.raises(ValidationError, match="the arm's own"):
        CompletionsConfig(url="http://h", model="m", extra_body={name: 1})


def test_extra_fields_are_merged_into_objects() -> None:
    body: dict[str, JsonValue] = {"a": 1, "k": {"x": 1, "y": 2}}
    assert merged(body, {"a": 2, "k": {"y": 3, "z": 4}, "b": [1]}) == {
        "a": 2,
        "k": {"x": 1, "y": 3, "z": 4},
        "b": [1],
    }
    assert body == {"a": 1, "k": {"x": 1, "y": 2}}


def test_the_table_of_servers_is_consistent() -> None:
    for name, kind in KINDS.items():
        assert kind.name == name
        off = kind.sampling.get("top_k") == "ignored"
        assert not (off and (kind.top_k_off is not None or kind.generation_config)), (
            f"{name}: sends a field that is ignored"
        )


# -- conversations ---------------------------------------------------------------------------------


def test_a_conversation_goes_out() -> None:
    call = ToolCall(name="f", arguments={"a": 1}, id="call_9")
    sent = convert(
        [
            Message(role="user", content=[{"type": "text", "text": "hi"}]),
            Message(role="assistant", content="Let me see.", reasoning="Hm.", tool_calls=(call,)),
            Message(role="tool", content={"x": 1}, tool_call_id="call_9", name="f"),
        ],
        reasoning="reasoning",
    )
    assert sent.notes == ()
    user, assistant, tool = sent.messages
    assert user == {"role": "user", "content": [{"type": "text", "text": "hi"}]}
    assert isinstance(assistant, dict)
    assert assistant["reasoning"] == "Hm."
    assert assistant["content"] == "Let me see."
    assert tool == {
        "role": "tool",
        "content": '{"x": 1}',
        "tool_call_id": "call_9",
        "name": "f",
    }


def anchors(*messages: Message) -> tuple[list[object], tuple[str, ...]]:
    sent = convert(messages, reasoning=None)
    found = [
        m["tool_call_id"] for m in sent.messages if isinstance(m, dict) and "tool_call_id" in m
    ]
    return list(found), sent.notes


def test_calls_without_ids_get_some_and_results_find_them() -> None:
    asked = Message(role="user", content="?")
    said = Message(role="assistant", tool_calls=(ToolCall(name="f"), ToolCall(name="g")))
    by_name = [Message(role="tool", content="2", name="g"), Message(role="tool", content="1")]
    assert anchors(asked, said, *by_name) == (["call_1_1", "call_1_0"], ())


def test_a_result_without_a_call_is_noted() -> None:
    found, notes = anchors(
        Message(role="user", content="?"), Message(role="tool", content="1", name="f")
    )
    assert found == ["call_unknown"]
    assert notes == ("messages[1]: a result that answers no open call",)


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([], "at least one message"),
        ([Message(role="user", content={"a": 1})], r"messages\[0\].content"),
        ([Message(role="user", content=5)], r"messages\[0\].content"),
    ],
    ids=["empty", "an object", "a number"],
)
def test_what_cannot_be_sent_is_named(messages: list[Message], says: str) -> None:
    with pytest.raises(RenderError, match=says):
        convert(messages, reasoning=None)


def test_tools_go_out_untouched_and_without_a_response() -> None:
    schema: dict[str, JsonValue] = {"type": "object", "x-unknown": [1]}
    (sent,) = convert_tools([Tool(name="f", parameters=schema, response={"type": "string"})])
    assert sent == {
        "type": "function",
        "function": {"name": "f", "description": "", "parameters": schema},
    }


# -- refusals --------------------------------------------------------------------------------------


def refusal(
    status: int, body: str, *, optional: tuple[str, ...] = (), sends_key: bool = False
) -> ArmError:
    return refused(
        status, body, url="http://h/v1/x", model="m", optional=optional, sends_key=sends_key
    )


def error(message: str, **more: object) -> str:
    return json.dumps({"error": {"message": message, **more}})


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        (401, error("bad key"), failures.UnauthorizedError, "401 unauthorized.*api_key_env"),
        (403, error("no"), failures.UnauthorizedError, "403 forbidden"),
        (404, error("The model `m` does not exist."), failures.NoSuchModelError, "'m' is not"),
        (404, '{"object":"error","message":"no such model"}', failures.NoSuchModelError, "'m'"),
        (404, '{"detail":"Not Found"}', ArmError, "check `url`"),
        (405, "", ArmError, "check `url`"),
        (404, "<html>", ArmError, "check `url`"),
        (302, "", ArmError, "redirection"),
        (429, error("slow down"), ArmError, "concurrency"),
        (503, error("Loading model"), failures.LoadingError, "still loading"),
        (503, error("queue full"), ArmError, "overloaded"),
        (500, error("boom"), ArmError, "server's log"),
        (500, "<html>\nboom", ArmError, "<html> boom"),
        (400, error("bad schema"), ArmError, "does not suit"),
        (400, '{"error":"text"}', ArmError, "text"),
        (422, '{"detail":[{"loc":["body","x"],"msg":"bad"}]}', ArmError, "body.x: bad"),
        (400, '{"error":["odd"]}', ArmError, "odd"),
        (200 + 218, "", ArmError, "empty body"),
    ],
    ids=str,
)
def test_a_refusal_is_one_line_with_what_to_do(
    status: int, body: str, kind: type[ArmError], says: str
) -> None:
    found = refusal(status, body)
    assert type(found) is kind
    with pytest.raises(kind, match=says):
        raise found
    assert "\n" not in str(found)
    assert "http://h/v1/x" in str(found)


def test_a_key_that_was_sent_and_one_that_was_not_differ() -> None:
    body = error("no")
    assert "it wants a key" in str(refusal(401, body))
    assert "was not accepted" in str(refusal(401, body, sends_key=True))


TOO_LONG = {
    "vllm": "This model's maximum context length is 1024 tokens. However, you requested 1100",
    "vllm input": "This model's maximum context length is 512 tokens. However, your prompt "
    "contains at least 513 input tokens, which exceeds this limit even without any output tokens.",
    "vllm max_tokens": "max_tokens=600 cannot be greater than max_model_len=512. Please request "
    "fewer output tokens. (parameter=max_tokens, value=600)",
    "vllm prompt": "The decoder prompt (length 2000) is longer than the maximum model length "
    "(context length) of 1024",
    "sglang": "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
    "llama.cpp": "request (9412 tokens) exceeds the available context size (8192 tokens)",
    "lmstudio": "Trying to keep the first 9000 tokens when context the overflows. However, the "
    "model is loaded with context length of only 4096 tokens, which is not enough; the prompt is "
    "greater than the context length",
    "openai": "context_length_exceeded",
}


@pytest.mark.parametrize("server", sorted(TOO_LONG))
def test_a_prompt_that_does_not_fit_is_called_that(server: str) -> None:
    said = TOO_LONG[server]
    assert isinstance(refusal(400, error(said)), PromptTooLongError)
    late = failures.failed_midway({"error": {"message": said}}, url="http://h", events=3)
    assert isinstance(late, PromptTooLongError)


def test_other_errors_are_not_called_that() -> None:
    for said in ("out of memory", "context canceled", "bad temperature", "invalid context"):
        assert type(refusal(500, error(said))) is ArmError


def test_refused_fields_are_named() -> None:
    body = json.dumps({"detail": "Unexpected keys in the request: {'top_k', 'min_p'}"})
    found = refusal(422, body, optional=("top_k", "min_p", "seed"))
    assert isinstance(found, failures.RefusedFieldError)
    assert set(found.fields) == {"top_k", "min_p"}
    assert type(refusal(422, body)) is ArmError
    assert type(refusal(500, body, optional=("top_k",))) is ArmError
