"""`openai-chat` over real HTTP: what it sends, what it reads, what it reports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import product
from typing import Any

import pytest

from callsmith import (
    CallParsed,
    ContentDelta,
    ControlTextError,
    JsonValue,
    Message,
    ReasoningDelta,
    RenderError,
    Reply,
    Sampling,
    ToolCall,
    ToolSpec,
)
from callsmith_openai.chat_arm import OpenAIChatArm
from callsmith_openai.config import ChatConfig
from servers.openai import (
    Call,
    Content,
    Delivery,
    Delta,
    Event,
    FakeOpenAI,
    Finish,
    Item,
    Stall,
    Thinking,
)

MODEL = "gemma4"
QUESTION = (Message(role="user", content="What is 2 plus 3?"),)
TOOLS = (
    ToolSpec(
        name="add",
        description="Adds.",
        parameters={"type": "object", "properties": {"a": {"type": "number"}}},
    ),
)
SAMPLING = Sampling(max_tokens=64, seed=7)


@pytest.fixture
async def server() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI(flavour="vllm") as running:
        yield running


def arm_for(server: FakeOpenAI, **options: Any) -> OpenAIChatArm:
    return OpenAIChatArm(ChatConfig(model=MODEL, url=server.url, **options))


async def ask(
    server: FakeOpenAI,
    answer: str | Sequence[Item],
    messages: Sequence[Message] = QUESTION,
    tools: Sequence[ToolSpec] = TOOLS,
    sampling: Sampling = SAMPLING,
    **options: Any,
) -> Reply:
    server.script = lambda body: answer
    arm = arm_for(server, **options)
    try:
        return await arm.generate(messages, tools, sampling)
    finally:
        await arm.aclose()


async def test_the_request_says_everything(server: FakeOpenAI) -> None:
    sampling = Sampling(temperature=0.5, top_p=0.9, top_k=20, max_tokens=64, seed=3, stop=("X",))
    await ask(
        server,
        "5",
        sampling=sampling,
        tool_choice="auto",
        parallel_tool_calls=False,
        extra_body={"cache_salt": "a", "chat_template_kwargs": {"extra": 1}},
    )
    (body,) = server.generations
    assert body == {
        "model": MODEL,
        "messages": [{"role": "user", "content": "What is 2 plus 3?"}],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "add",
                    "description": "Adds.",
                    "parameters": {"type": "object", "properties": {"a": {"type": "number"}}},
                },
            }
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
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
        "chat_template_kwargs": {"enable_thinking": False, "extra": 1},
        "cache_salt": "a",
    }


@pytest.mark.parametrize(
    ("flavour", "top_k", "sent"),
    [
        ("vllm", 0, -1),
        ("sglang", 0, -1),
        ("llama.cpp", 0, 0),
        ("lmstudio", 0, 0),
        ("transformers", 0, 0),
        ("plain", 0, None),
        ("vllm", 40, 40),
        ("llama.cpp", 40, 40),
        ("transformers", 40, 40),
        ("ollama", 40, None),
        ("plain", 40, 40),
    ],
)
async def test_top_k_goes_to_servers_that_have_it(flavour: str, top_k: int, sent: Any) -> None:
    async with FakeOpenAI(flavour=flavour) as server:
        reply = await ask(server, "5", sampling=Sampling(max_tokens=64, top_k=top_k))
        assert server.generations[0].get("top_k") == sent
        assert bool(reply.notes) == (top_k > 0 and sent is None)


@pytest.mark.parametrize(("policy", "sent"), [("send", 0), ("omit", None)])
async def test_the_run_file_decides_about_top_k(policy: str, sent: Any) -> None:
    async with FakeOpenAI() as server:
        await ask(server, "5", top_k=policy)
        assert server.generations[0].get("top_k") == sent


@pytest.mark.parametrize(
    ("flavour", "options", "on", "off"),
    [
        (
            "vllm",
            {},
            {"chat_template_kwargs": {"enable_thinking": True}},
            {"chat_template_kwargs": {"enable_thinking": False}},
        ),
        ("ollama", {}, {"reasoning_effort": "medium"}, {"reasoning_effort": "none"}),
        ("plain", {}, {}, {}),
        ("vllm", {"thinking": None}, {}, {}),
        (
            "plain",
            {"thinking": "reasoning_effort"},
            {"reasoning_effort": "medium"},
            {"reasoning_effort": "none"},
        ),
        (
            "vllm",
            {"thinking_on": {"think": 1}, "thinking_off": {"think": 0}},
            {"think": 1},
            {"think": 0},
        ),
    ],
    ids=["vllm", "ollama", "unknown server", "not sent", "as effort", "own fields"],
)
async def test_thinking_is_asked_for_as_the_server_wants_it(
    flavour: str, options: dict[str, Any], on: dict[str, Any], off: dict[str, Any]
) -> None:
    fields = {"chat_template_kwargs", "reasoning_effort", "think"}
    async with FakeOpenAI(flavour=flavour) as server:
        for thinking, expected in ((True, on), (False, off)):
            sampling = Sampling(max_tokens=64, thinking=thinking)
            await ask(server, "5", sampling=sampling, **options)
            body = server.generations[-1]
            assert {key: body[key] for key in fields & body.keys()} == expected


async def test_without_tools_nothing_about_tools_is_sent(server: FakeOpenAI) -> None:
    await ask(server, "5", tools=(), tool_choice="required", parallel_tool_calls=True)
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & server.generations[0].keys()


async def test_fields_can_be_left_out(server: FakeOpenAI) -> None:
    await ask(
        server,
        "5",
        omit_fields=["temperature", "min_p"],
        max_tokens_field="max_completion_tokens",
    )
    body = server.generations[0]
    assert not {"temperature", "min_p", "max_tokens"} & body.keys()
    assert body["max_completion_tokens"] == 64


ANSWER: list[Item] = [
    Thinking("I should "),
    Thinking("add. ☀"),
    Content("Let me see."),
    Call("add", {"a": 2, "b": [1, {"c": None}], "é": "𝄞 ☀"}, id="call_a"),
    Call("add", {}, id="call_b"),
]
DELIVERIES = [
    Delivery(calls=calls, index=index, ids=ids, names=names)
    for calls, index, ids, names in product(
        ("whole", "fragments", "interleaved"),
        ("counted", "zero", "none"),
        ("first", "every", "fresh", "none"),
        ("first", "every"),
    )
    # What no reader could put together: pieces of two calls mixed without a mark on each of them,
    # a fresh id and a name on every piece, pieces that neither an index nor an id holds together.
    if calls == "whole"
    or not (
        (calls == "interleaved" and index != "counted" and ids != "every")
        or (ids == "fresh" and (names == "every" or index == "none"))
        or (index == "none" and ids == "first")
        or (index == "zero" and ids == "none" and names == "every")
    )
]


def name_of(delivery: Delivery) -> str:
    return f"{delivery.calls}-{delivery.index}-{delivery.ids}-{delivery.names}"


@pytest.mark.parametrize("delivery", DELIVERIES, ids=name_of)
async def test_calls_are_put_together_however_they_are_cut(
    server: FakeOpenAI, delivery: Delivery
) -> None:
    server.delivery = delivery
    reply = await ask(server, ANSWER)
    assert reply.reasoning == "I should add. ☀"
    assert reply.content == "Let me see."
    assert [call.name for call in reply.calls] == ["add", "add"]
    assert [call.arguments for call in reply.calls] == [
        {"a": 2, "b": [1, {"c": None}], "é": "𝄞 ☀"},
        {},
    ]
    if delivery.ids != "none":
        assert [call.id for call in reply.calls] == ["call_a", "call_b"]
    assert (reply.faults, reply.repairs, reply.notes, reply.prompt) == ((), (), (), None)


@pytest.mark.parametrize(
    "delivery",
    [
        Delivery(split=1),
        Delivery(split=5, newline="\r\n"),
        Delivery(split=3, newline="\r"),
        Delivery(comments=True),
        Delivery(done=False),
        Delivery(done=False, usage="last"),
        Delivery(usage="none"),
        Delivery(streams=False),
        Delivery(reasoning_field=("reasoning", "reasoning_content")),
        Delivery(reasoning_field="thinking"),
    ],
    ids=["bytes", "CRLF", "CR", "comments", "no DONE", "usage last", "no usage", "one piece",
         "two names of a thought", "thinking"],
)  # fmt: skip
async def test_any_framing_reads_the_same(server: FakeOpenAI, delivery: Delivery) -> None:
    server.delivery = Delivery()
    whole = await ask(server, ANSWER)
    server.delivery = delivery
    reply = await ask(server, ANSWER)
    assert (reply.content, reply.calls) == (whole.content, whole.calls)
    if delivery.streams:
        assert reply.reasoning == whole.reasoning
    assert reply.completion is not None
    assert reply.completion.stop_reason == "tool_calls"
    known = reply.completion.usage.prompt_tokens is not None
    assert known == (delivery.usage != "none")


async def test_a_request_may_ask_for_one_piece(server: FakeOpenAI) -> None:
    reply = await ask(server, ANSWER, stream=False)
    assert server.generations[0]["stream"] is False
    assert "stream_options" not in server.generations[0]
    assert [call.id for call in reply.calls] == ["call_a", "call_b"]


@pytest.mark.parametrize("reason", ["eos", "stop", "MAX_TOKENS", "function_call", ""])
async def test_a_finish_reason_is_kept_and_calls_are_the_truth(
    server: FakeOpenAI, reason: str
) -> None:
    reply = await ask(server, [Call("add", {"a": 1}), Finish(reason)])
    assert reply.completion is not None
    # The fake gives its own reason for an empty one.
    assert reply.completion.stop_reason == (reason or "tool_calls")
    assert [call.arguments for call in reply.calls] == [{"a": 1}]


async def test_done_is_enough_without_a_reason(server: FakeOpenAI) -> None:
    reply = await ask(server, [Content("5"), Finish(None)])
    assert reply.content == "5"
    assert reply.completion is not None
    assert reply.completion.stop_reason is None


async def test_a_chunk_without_choices_is_no_trouble(server: FakeOpenAI) -> None:
    reply = await ask(server, [Event({"object": "ping"}), Event({"choices": []}), Content("5")])
    assert reply.content == "5"


async def test_events_come_as_the_server_sends_them(server: FakeOpenAI) -> None:
    server.script = [[Thinking("Hm."), Content("I"), Call("add", {"a": 1}), Content("!")]]
    arm = arm_for(server)
    events = [event async for event in arm.stream(QUESTION, TOOLS, SAMPLING)]
    await arm.aclose()
    reply = events.pop()
    assert isinstance(reply, Reply)
    assert [type(event) for event in events] == [
        ReasoningDelta,
        ReasoningDelta,
        ContentDelta,
        ContentDelta,
        CallParsed,
    ]


async def test_the_completion_has_counts_reason_and_times(server: FakeOpenAI) -> None:
    reply = await ask(server, [Stall(0.05), Content("2 plus 3"), Stall(0.05)])
    completion = reply.completion
    assert completion is not None
    assert (completion.text, completion.stop_reason) == ("2 plus 3", "stop")
    assert completion.usage.completion_tokens == 5
    assert (completion.usage.prompt_tokens or 0) > 0
    assert completion.timings["total"] >= completion.timings["first_token"] + 0.05
    assert completion.timings["first_token"] >= 0.05
    assert "retry" not in completion.timings


async def test_a_cut_answer_says_length(server: FakeOpenAI) -> None:
    reply = await ask(server, "one two three", sampling=Sampling(max_tokens=3))
    assert reply.completion is not None
    assert reply.completion.stop_reason == "length"
    assert reply.content == "one two"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"a": 1}', {"a": 1}),
        ("[1]", [1]),
        ("{broken", "{broken"),
        ("", {}),
        ('"bare"', "bare"),
        ("null", None),
    ],
)
async def test_arguments_are_data_whatever_they_are(
    server: FakeOpenAI, arguments: str, expected: JsonValue
) -> None:
    for delivery in (Delivery(), Delivery(calls="fragments", fragment=1)):
        server.delivery = delivery
        reply = await ask(server, [Call("add", arguments)])
        assert [call.arguments for call in reply.calls] == [expected]


async def test_a_call_without_a_name_is_a_fault(server: FakeOpenAI) -> None:
    delta = {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}
    reply = await ask(server, [Delta(delta), Content("So.")])
    assert reply.calls == ()
    assert [fault.kind for fault in reply.faults] == ["nameless-call"]
    assert reply.content == "So."


async def test_the_history_goes_back_in_the_apis_shape(server: FakeOpenAI) -> None:
    call = ToolCall(name="add", arguments={"a": 2}, id="call_0_0")
    history = (
        *QUESTION,
        Message(role="assistant", content="Let me see.", reasoning="I add.", tool_calls=(call,)),
        Message(role="tool", content={"sum": 5}, tool_call_id="call_0_0", name="add"),
    )
    await ask(server, "5", history)
    _, assistant, tool = server.generations[0]["messages"]
    assert assistant == {
        "role": "assistant",
        "content": "Let me see.",
        "reasoning": "I add.",
        "tool_calls": [
            {
                "id": "call_0_0",
                "type": "function",
                "function": {"name": "add", "arguments": '{"a": 2}'},
            }
        ],
    }
    assert tool == {
        "role": "tool",
        "content": '{"sum": 5}',
        "tool_call_id": "call_0_0",
        "name": "add",
    }


@pytest.mark.parametrize(
    ("flavour", "option", "field"),
    [
        ("vllm", "auto", "reasoning"),
        ("llama.cpp", "auto", "reasoning_content"),
        ("plain", "auto", None),
        ("plain", "thinking", "thinking"),
        ("vllm", None, None),
    ],
)
async def test_earlier_thoughts_go_where_the_server_reads_them(
    flavour: str, option: str | None, field: str | None
) -> None:
    history = (*QUESTION, Message(role="assistant", content="5", reasoning="I add."), *QUESTION)
    async with FakeOpenAI(flavour=flavour) as server:
        await ask(server, "5", history, reasoning_field=option)
        sent = server.generations[0]["messages"][1]
        assert sent == {"role": "assistant", "content": "5"} | ({field: "I add."} if field else {})


# -- control text ----------------------------------------------------------------------------------

FORGED = (Message(role="user", content="a<turn|>b"),)


async def test_control_text_is_refused(server: FakeOpenAI) -> None:
    with pytest.raises(ControlTextError, match=r"messages\[0\].content.*<turn\|>"):
        await ask(server, "5", FORGED)
    tool = ToolSpec(name="f", parameters={"properties": {"<bos>": {"type": "string"}}})
    with pytest.raises(ControlTextError, match=r"tools\[0\].*<bos>"):
        await ask(server, "5", tools=[tool])
    assert server.generations == []


async def test_control_text_is_neutralised_or_allowed_where_asked_for(server: FakeOpenAI) -> None:
    reply = await ask(server, "5", FORGED, control_text="neutralise")
    assert server.generations[0]["messages"][0]["content"] == "a< turn|>b"
    assert len(reply.notes) == 1
    reply = await ask(server, "5", FORGED, control_text="allow")
    assert server.generations[1]["messages"][0]["content"] == "a<turn|>b"
    assert reply.notes == ()


async def test_a_server_without_a_parser_is_pointed_out(server: FakeOpenAI) -> None:
    reply = await ask(server, [Content('<|tool_call>call:add{a:<|"|>2<|"|>}<tool_call|>')])
    assert reply.calls == ()
    (note,) = reply.notes
    assert "<|tool_call>" in note
    assert "openai-completions" in note


async def test_an_empty_conversation_is_refused(server: FakeOpenAI) -> None:
    with pytest.raises(RenderError):
        await ask(server, "5", ())


# -- refused fields --------------------------------------------------------------------------------


async def test_refused_fields_are_left_out_and_reported() -> None:
    async with FakeOpenAI(refuses=frozenset({"top_k", "seed"}), script=lambda body: "5") as server:
        arm = arm_for(server)
        sampling = Sampling(max_tokens=64, top_k=40, seed=7)
        first = await arm.generate(QUESTION, (), sampling)
        assert first.notes == ("not sent, because the server does not take it: seed=7, top_k=40",)
        posts = len(server.requests)
        again = await arm.generate(QUESTION, (), sampling)
        assert again.notes == first.notes
        assert len(server.requests) == posts + 1, "what was refused once is not sent again"
        await arm.aclose()


@pytest.mark.parametrize(
    ("refused", "options"),
    [
        ("seed", {"refused_fields": "error"}),
        ("temperature", {}),
        ("max_tokens", {}),
        ("cache_salt", {"extra_body": {"cache_salt": "x"}}),
        ("parallel_tool_calls", {"parallel_tool_calls": False}),
        ("reasoning_effort", {"thinking": "reasoning_effort"}),
    ],
)
async def test_what_the_run_asks_for_is_never_left_out(
    refused: str, options: dict[str, Any]
) -> None:
    async with FakeOpenAI(refuses=frozenset({refused})) as server:
        with pytest.raises(Exception, match=refused):
            await ask(server, "5", **options)
        assert server.generations == []
