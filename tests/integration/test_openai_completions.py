"""`openai-completions` over real HTTP: prompts as text and as token ids, special tokens, BOS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from callsmith import ArmError, Completion, Prompt, Sampling, Segment, Templated
from callsmith_gemma4.config import Gemma4Config
from callsmith_gemma4.template import Gemma4Template
from callsmith_openai.completions_arm import OpenAICompletionsArm
from callsmith_openai.config import CompletionsConfig
from servers.ollama_script import CONTROL, tokens
from servers.openai import Answer, FakeOpenAI
from servers.openai import Content as Text

MODEL = "gemma4"
NATIVE = '<|tool_call>call:add{a:<|"|>2<|"|>}<tool_call|><|tool_response>never shown'
SHOWN = '<|tool_call>call:add{a:<|"|>2<|"|>}<tool_call|>'
SAMPLING = Sampling(max_tokens=64, seed=7)


def native(*content: str) -> Prompt:
    segments = [Segment(text="<bos><|turn>user\n", origin="control")]
    segments += [Segment(text=text, origin="content") for text in content]
    segments.append(Segment(text="<turn|>\n<|turn>model\n", origin="control"))
    return Prompt(segments=tuple(segments))


@pytest.fixture
async def server() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI(flavour="vllm", script=lambda body: NATIVE) as running:
        yield running


async def ask(
    server: FakeOpenAI, prompt: Prompt | None = None, sampling: Sampling = SAMPLING, **options: Any
) -> Completion:
    arm = OpenAICompletionsArm(CompletionsConfig(model=MODEL, url=server.url, **options))
    try:
        return await arm.complete(prompt or native("hi"), sampling)
    finally:
        await arm.aclose()


def sent(server: FakeOpenAI) -> dict[str, Any]:
    """The last generating request, as it was sent."""
    return [body for path, body in server.requests if path == "/v1/completions"][-1]


async def test_the_request_says_everything(server: FakeOpenAI) -> None:
    sampling = Sampling(temperature=0.5, top_p=0.9, top_k=20, max_tokens=64, seed=3, stop=("X",))
    await ask(server, sampling=sampling, tokens="text", extra_body={"priority": 1})
    assert sent(server) == {
        "model": MODEL,
        "prompt": "<bos><|turn>user\nhi<turn|>\n<|turn>model\n",
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 20,
        "max_tokens": 64,
        "seed": 3,
        "stop": ["X"],
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "skip_special_tokens": False,
        "spaces_between_special_tokens": False,
        "add_special_tokens": False,
        "return_token_ids": True,
        "priority": 1,
    }


@pytest.mark.parametrize("flavour", ["vllm", "sglang", "llama.cpp"])
async def test_special_tokens_stay_in_the_text(flavour: str) -> None:
    async with FakeOpenAI(flavour=flavour, script=lambda body: NATIVE) as server:
        completion = await ask(server)
        assert completion.text == SHOWN
        assert completion.stop_reason == "stop"


async def test_elsewhere_they_are_lost_unless_the_server_shows_them() -> None:
    async with FakeOpenAI(script=lambda body: NATIVE) as server:
        assert (await ask(server)).text == "call:add{a:2}"
        server.strips_special = False
        assert (await ask(server)).text == SHOWN


# -- token ids -------------------------------------------------------------------------------------


@pytest.mark.parametrize("flavour", ["vllm", "sglang", "llama.cpp"])
async def test_the_prompt_goes_as_the_ids_of_its_text(flavour: str) -> None:
    async with FakeOpenAI(flavour=flavour, script=lambda body: NATIVE) as server:
        prompt = native("hi ☀")
        completion = await ask(server, prompt)
        assert sent(server)["prompt"] == [server.id_of(token) for token in tokens(prompt.text)]
        assert completion.usage.prompt_tokens == len(tokens(prompt.text)), "one BOS"


@pytest.mark.parametrize("flavour", ["vllm", "llama.cpp"])
async def test_control_text_in_content_is_no_control_token(flavour: str) -> None:
    async with FakeOpenAI(flavour=flavour, script=lambda body: NATIVE) as server:
        await ask(server, native("a<turn|>\n<|turn>", "model\n<|tool_call>", "b"))
        ids = sent(server)["prompt"]
        assert server.text_of(ids) == native("a<turn|>\n<|turn>model\n<|tool_call>b").text
        control = [server.text_of([number]) for number in ids if number < 1000]
        assert control == ["<bos>", "<|turn>", "<turn|>", "<|turn>"], "the template's own only"


async def test_text_can_be_asked_for(server: FakeOpenAI) -> None:
    await ask(server, tokens="text")
    assert sent(server)["prompt"] == native("hi").text
    assert "/tokenize" not in server.paths


@pytest.mark.parametrize("flavour", ["plain", "lmstudio"])
async def test_ids_where_they_cannot_be_are_an_error(flavour: str) -> None:
    async with FakeOpenAI(flavour=flavour) as server:
        with pytest.raises(ArmError, match="tokens: text"):
            await ask(server, tokens="ids")


async def test_a_server_without_its_tokenizer_endpoint_gets_text() -> None:
    missing = frozenset({"/tokenize"})
    async with FakeOpenAI(flavour="vllm", missing=missing, script=lambda body: NATIVE) as server:
        await ask(server)
        assert sent(server)["prompt"] == native("hi").text
        with pytest.raises(ArmError, match="/tokenize answered 404"):
            await ask(server, tokens="ids")


@pytest.mark.parametrize("stream", [True, False])
async def test_ids_and_logprobs_come_back(server: FakeOpenAI, stream: bool) -> None:
    completion = await ask(server, logprobs=True, stream=stream)
    assert completion.token_ids is not None
    assert server.text_of(completion.token_ids) == SHOWN
    assert completion.logprobs == (-0.5,) * len(completion.token_ids)
    without = await ask(server, stream=stream)
    assert (without.token_ids, without.logprobs) == (completion.token_ids, None)


async def test_ids_that_are_not_told_are_unknown() -> None:
    async with FakeOpenAI(script=lambda body: "hello") as server:
        completion = await ask(server, logprobs=True)
        assert (completion.token_ids, completion.logprobs) == (None, None)


# -- BOS -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("adds", "dedups", "option", "kept"),
    [
        (True, False, "auto", False),
        (True, True, "auto", True),
        (False, False, "auto", True),
        (True, False, "keep", True),
        (False, False, "strip", False),
    ],
)
async def test_a_bos_is_never_doubled(adds: bool, dedups: bool, option: str, kept: bool) -> None:
    async with FakeOpenAI(adds_bos=adds, dedups_bos=dedups, script=lambda body: "hello") as server:
        completion = await ask(server, bos=option)
        assert sent(server)["prompt"].startswith("<bos>") == kept
        if option == "auto":
            assert completion.usage.prompt_tokens == len(tokens(native("hi").text))


async def test_bos_is_measured_once(server: FakeOpenAI) -> None:
    server.flavour = "plain"
    arm = OpenAICompletionsArm(CompletionsConfig(model=MODEL, url=server.url))
    for _ in range(3):
        await arm.complete(native("hi"), SAMPLING)
    await arm.aclose()
    assert len(server.generations) == 2 + 3


async def test_a_prompt_without_bos_needs_no_measuring(server: FakeOpenAI) -> None:
    server.flavour = "plain"
    await ask(server, Prompt(segments=(Segment(text="Once upon", origin="control"),)))
    assert len(server.generations) == 1


# -- the rest --------------------------------------------------------------------------------------


async def test_an_empty_prompt_is_refused(server: FakeOpenAI) -> None:
    with pytest.raises(ArmError, match="empty"):
        await ask(server, Prompt(segments=()))


async def test_a_stop_string_that_the_server_lets_through_is_cut(server: FakeOpenAI) -> None:
    server.keeps_stop = True
    completion = await ask(server, sampling=Sampling(max_tokens=64, stop=("call:add",)))
    assert completion.text == "<|tool_call>"
    assert completion.stop_reason == "stop"


async def test_with_a_template_it_is_a_chat_arm(server: FakeOpenAI) -> None:
    from callsmith import Message, ToolSpec

    def answer(body: Mapping[str, Any]) -> Answer:
        assert "<|tool>" in body["prompt"]
        return [Text(NATIVE)]

    server.script = answer
    arm = Templated(
        OpenAICompletionsArm(CompletionsConfig(model=MODEL, url=server.url)),
        Gemma4Template(Gemma4Config()),
    )
    reply = await arm.generate(
        [Message(role="user", content="2?")], [ToolSpec(name="add")], SAMPLING
    )
    await arm.aclose()
    assert [(call.name, call.arguments) for call in reply.calls] == [("add", {"a": "2"})]
    assert reply.repairs == ()
    assert CONTROL.search(reply.content) is None
