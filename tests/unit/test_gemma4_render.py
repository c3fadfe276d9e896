"""Rendering of Gemma 4 prompts: what stands where, who wrote it, and what is refused.

Byte parity on whole conversations is the conformance test's; these cases need no vectors.
"""

from __future__ import annotations

import pytest

from callsmith import ControlTextError, JsonValue, Message, Prompt, RenderError, ToolCall, ToolSpec
from callsmith_gemma4.arguments import MAX_DEPTH, render_call
from callsmith_gemma4.config import Gemma4Config
from callsmith_gemma4.template import Gemma4Template

USER = Message(role="user", content="q")
CALL = ToolCall(name="f", arguments={"b": 1, "a": "x"}, id="a")
ASKS = Message(role="assistant", tool_calls=(CALL,))
RESULT = Message(role="tool", content="done", tool_call_id="a")

HEAD = "<bos><|turn>user\nq<turn|>\n<|turn>model\n"
CALLED = '<|tool_call>call:f{a:<|"|>x<|"|>,b:1}<tool_call|>'
ANSWERED = '<|tool_response>response:f{value:<|"|>done<|"|>}<tool_response|>'


def render(*messages: Message, tools: tuple[ToolSpec, ...] = (), **options: object) -> Prompt:
    thinking = options.pop("thinking", None)
    assert thinking is None or isinstance(thinking, bool)
    template = Gemma4Template(Gemma4Config.model_validate(options))
    return template.render(messages, tools, thinking=thinking)


def result(content: JsonValue) -> Message:
    return Message(role="tool", content=content, tool_call_id="a")


# Turns


def test_a_question() -> None:
    assert render(USER).text == HEAD


def test_the_large_variant_opens_with_an_empty_thought_unless_thinking() -> None:
    assert render(USER, variant="large").text == HEAD + "<|channel>thought\n<channel|>"
    thinking = render(USER, variant="large", thinking=True).text
    assert thinking == "<bos><|turn>system\n<|think|>\n<turn|>\n" + HEAD.removeprefix("<bos>")


def test_thinking_is_the_requests_or_else_the_options() -> None:
    assert "<|think|>" in render(USER, thinking=True).text
    template = Gemma4Template(Gemma4Config(thinking=True))
    assert "<|think|>" in template.render((USER,)).text
    assert "<|think|>" not in template.render((USER,), thinking=False).text


def test_the_turn_goes_on_after_results() -> None:
    text = render(USER, ASKS, RESULT).text
    assert text == HEAD + CALLED + ANSWERED
    assert render(USER, ASKS, RESULT, thinking=True).text.endswith("<|channel>thought\n")
    answer = Message(role="assistant", content="It is done.")
    assert render(USER, ASKS, RESULT, answer, USER).text == (
        HEAD + CALLED + ANSWERED + "It is done.<turn|>\n" + HEAD.removeprefix("<bos>")
    )


def test_a_call_without_a_result_waits_for_it() -> None:
    assert render(USER, ASKS).text == HEAD + CALLED + "<|tool_response>"


def test_text_beside_calls_closes_the_turn_as_in_the_canonical_template() -> None:
    said = Message(role="assistant", content=" Let me see. ", tool_calls=(CALL,))
    assert render(USER, said, RESULT).text == HEAD + CALLED + ANSWERED + "Let me see.<turn|>\n"


def test_text_before_calls_keeps_the_turn_open() -> None:
    said = Message(role="assistant", content=" Let me see. ", tool_calls=(CALL,))
    text = render(USER, said, RESULT, call_text="before").text
    assert text == HEAD + "Let me see." + CALLED + ANSWERED
    pending = render(USER, said, call_text="before").text
    assert pending == HEAD + "Let me see." + CALLED + "<|tool_response>"
    # A message without calls is not touched by the option.
    plain = (USER, Message(role="assistant", content="hi"), USER)
    assert render(*plain, call_text="before") == render(*plain)


def test_thoughts_come_back_only_after_the_last_question() -> None:
    thought = Message(role="assistant", reasoning="hm", tool_calls=(CALL,))
    shown = "<|channel>thought\nhm\n<channel|>" + CALLED
    assert shown in render(USER, thought, RESULT).text
    assert "hm" not in render(USER, thought, RESULT, USER).text
    assert shown in render(USER, thought, RESULT, USER, preserve_thinking=True).text
    silent = Message(role="assistant", reasoning="hm", content="a")
    assert "hm" not in render(USER, silent, USER, preserve_thinking=True).text


@pytest.mark.parametrize(
    ("content", "visible"),
    [
        ("<|channel>thought\nold<channel|>vis", "vis"),
        ("<|channel>thought\n<channel|>", ""),
        ("a<|channel>x<channel|>b<|channel>y<channel|> c ", "ab c"),
        ("old<channel|>vis", "oldvis"),
    ],
)
def test_a_stray_thought_in_the_history_does_not_reach_the_prompt(
    content: str, visible: str
) -> None:
    prompt = render(USER, Message(role="assistant", content=content), USER)
    assert prompt.text == HEAD + visible + "<turn|>\n" + HEAD.removeprefix("<bos>")
    assert prompt.changes == ()


def test_text_lost_behind_an_unclosed_thought_is_noted() -> None:
    prompt = render(USER, Message(role="assistant", content="a<|channel>thought\nb"), USER)
    assert "b" not in prompt.text.replace("<bos>", "")
    assert len(prompt.changes) == 1
    assert prompt.changes[0].startswith("messages[1]: text after an unclosed <|channel>")


# Results


def test_results_are_named_by_id_then_name_then_unknown() -> None:
    two = Message(role="assistant", tool_calls=(CALL, ToolCall(name="g", arguments={}, id="b")))
    results = (
        Message(role="tool", content="1", tool_call_id="b", name="other"),
        Message(role="tool", content="2", tool_call_id="z", name="other"),
        Message(role="tool", content="3", tool_call_id="z"),
    )
    text = render(USER, two, *results).text
    names = [part.partition("{")[0] for part in text.split("response:")[1:]]
    assert names == ["g", "other", "unknown"]


def test_a_result_without_a_call_is_left_out_and_noted() -> None:
    prompt = render(Message(role="tool", content="lost", tool_call_id="a"), USER, RESULT)
    assert prompt.text == HEAD
    assert [change.partition(":")[0] for change in prompt.changes] == ["messages[0]", "messages[2]"]


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("", '<|"|><|"|>'),
        ([], '<|"|><|"|>'),
        ({}, '<|"|><|"|>'),
        (None, "null"),
        (True, "true"),
        (5, "5"),
        (1.0, "1.0"),
        ([{"type": "text", "text": "a "}, {"type": "text", "text": "b"}], '<|"|>a b<|"|>'),
    ],
)
def test_results_of_all_kinds(content: JsonValue, shown: str) -> None:
    assert (
        f"response:f{{value:{shown}}}<tool_response|>" in render(USER, ASKS, result(content)).text
    )


def test_media_follow_the_result() -> None:
    parts: list[JsonValue] = [{"type": "image"}, {"type": "text", "text": "x"}, {"type": "audio"}]
    text = render(USER, ASKS, result(parts)).text
    assert text.endswith('{value:<|"|>x<|"|>}<tool_response|><|image|><|audio|>')


@pytest.mark.parametrize("content", [{"k": 1}, ["a"], [1, {"k": 2}], [{"k": 2}]])
def test_structured_results_are_refused_unless_inlined(content: JsonValue) -> None:
    with pytest.raises(RenderError, match=r"^messages\[2\]: .*'inline'"):
        render(USER, ASKS, result(content))
    assert "response:f" in render(USER, ASKS, result(content), structured_results="inline").text


def test_structured_results_inline() -> None:
    def shown(content: JsonValue) -> str:
        text = render(USER, ASKS, result(content), structured_results="inline").text
        return text.partition("response:f")[2]

    assert shown({"b": 1, "a": "s"}) == '{a:<|"|>s<|"|>,b:1}<tool_response|>'
    assert shown(["s", None]) == '{value:[<|"|>s<|"|>,null]}<tool_response|>'
    assert shown([{"type": "text", "text": "s"}]) == '{value:<|"|>s<|"|>}<tool_response|>'
    assert shown("s") == '{value:<|"|>s<|"|>}<tool_response|>'


# Calls


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (None, ""),
        ({}, ""),
        ({"b": None, "B": True, "a": False}, "a:false,b:null,B:true"),
        (
            {"n": 12345678901234567890, "f": 1e22, "g": -0.5},
            "f:1e+22,g:-0.5,n:12345678901234567890",
        ),
        ({"o": {"z": [], "y": [1, [2]]}}, "o:{y:[1,[2]],z:[]}"),
        ({"s": 'C:\\x "y"\n{a:b}'}, 's:<|"|>C:\\x "y"\n{a:b}<|"|>'),
        ({"a-b": 1, "c.d e": 2, "é": 3}, "a-b:1,c.d e:2,é:3"),
    ],
)
def test_a_call(arguments: JsonValue, shown: str) -> None:
    assert render_call("my.tool-1", arguments) == (
        f"<|tool_call>call:my.tool-1{{{shown}}}<tool_call|>"
    )


def test_whole_numbers_of_any_size() -> None:
    text = render_call("f", {"n": -(10**6000), "m": 10**5000 + 7})
    assert text == ("<|tool_call>call:f{m:1" + "0" * 4999 + "7,n:-1" + "0" * 6000 + "}<tool_call|>")


@pytest.mark.parametrize("arguments", ['{"a": 1}', "", [1], 5, True])
def test_arguments_that_are_no_object_are_refused(arguments: JsonValue) -> None:
    with pytest.raises(RenderError, match="must be an object"):
        render_call("f", arguments)
    with pytest.raises(RenderError, match=r"^messages\[1\]: .*must be an object"):
        render(
            USER, Message(role="assistant", tool_calls=(ToolCall(name="f", arguments=arguments),))
        )


def test_json_text_as_arguments_says_what_to_do() -> None:
    with pytest.raises(RenderError, match="decode the JSON text first"):
        render_call("f", '{"a": 1}')


def test_nesting_is_bounded_for_values_and_schemas() -> None:
    value: JsonValue = 1
    schema: dict[str, JsonValue] = {"type": "string"}
    for _ in range(MAX_DEPTH):
        value = [value]
        schema = {"type": "object", "properties": {"p": schema}}
    assert render_call("f", {"v": value}).count("[") == MAX_DEPTH
    render(USER, tools=(ToolSpec(name="f", parameters=schema),))
    with pytest.raises(RenderError, match="nested more than"):
        render_call("f", {"v": [value]})
    for _ in range(2000):
        value = [value]
        schema = {"type": "object", "properties": {"p": schema}}
    with pytest.raises(RenderError, match="nested more than"):
        render_call("f", {"v": value})
    with pytest.raises(RenderError, match=r"^tools\[0\]: .*nested"):
        render(USER, tools=(ToolSpec(name="f", parameters=schema),))


# Tools


def declaration(**fields: object) -> str:
    tool = ToolSpec(name="f", description="d", **fields)  # type: ignore[arg-type]
    text = render(USER, tools=(tool,)).text
    return text.partition("<|tool>")[2].partition("<tool|>")[0].replace('<|"|>', "'")


def test_what_a_declaration_shows() -> None:
    shown = declaration(
        parameters={
            "type": "object",
            "required": ["s"],
            "properties": {
                "s": {"type": "string", "enum": ["y", None], "default": "y", "title": "S"},
                "n": {"type": "integer", "minimum": 0, "enum": [1], "nullable": True},
                "l": {"type": "array", "items": {"type": ["string", "null"], "maxLength": 3}},
                "o": {"type": "object", "properties": {"k": {"type": "null"}}, "required": ["k"]},
            },
        }
    )
    assert shown == (
        "declaration:f{description:'d',parameters:{properties:{"
        "l:{items:{maxLength:3,type:['STRING','NULL']},type:'ARRAY'},"
        "n:{nullable:true,type:'INTEGER'},"
        "o:{properties:{k:{type:'NULL'}},required:['k'],type:'OBJECT'},"
        "s:{enum:['y',null],type:'STRING'}"
        "},required:['s'],type:'OBJECT'}}"
    )


def test_odd_schemas_give_the_canonical_templates_odd_text() -> None:
    no_type = declaration(parameters={"properties": {"a": {}}})
    assert no_type == "declaration:f{description:'d',parameters:{properties:{a:{type:''}},}"
    union = declaration(parameters={"type": "object", "properties": {"a": {"type": ["string"]}}})
    assert "a:{type:'['STRING']'}" in union
    free = {"type": "object", "additionalProperties": {"type": "string"}, "description": "free"}
    assert "o:{description:'free',properties:{additionalProperties:{type:'STRING'}},type:" in (
        declaration(parameters={"type": "object", "properties": {"o": free}})
    )
    boolean = declaration(parameters={"type": "object", "properties": {"a": True}})
    assert "a:{type:''}" in boolean


@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "object", "properties": ["a"]},
        {"type": "object", "properties": {}, "required": True},
        {"type": "object", "properties": {"o": {"type": "object", "required": 1}}},
    ],
)
def test_schemas_that_cannot_be_shown_are_refused(parameters: dict[str, JsonValue]) -> None:
    with pytest.raises(RenderError, match=r"^tools\[0\]: "):
        declaration(parameters=parameters)


# Messages that are refused


@pytest.mark.parametrize(
    "message",
    [
        Message(role="user", content=5),
        Message(role="user", content={"text": "x"}),
        Message(role="user", content=["x"]),
        Message(role="user", content=[{"type": "file"}]),
        Message(role="user", content=[{"type": "text", "text": None}]),
        Message(role="assistant", content=[{"text": "no type"}]),
    ],
)
def test_content_that_would_be_lost_is_refused(message: Message) -> None:
    with pytest.raises(RenderError, match=r"^messages\[1\]: "):
        render(USER, message)


def test_the_system_message_holds_text_only() -> None:
    with pytest.raises(RenderError, match=r"^messages\[0\]: .*text parts only"):
        render(Message(role="system", content=[{"type": "image"}]), USER)


# Who wrote what


def test_everything_that_others_wrote_is_content() -> None:
    tool = ToolSpec(
        name="tool_name",
        description="tool_description",
        parameters={
            "type": "object",
            "properties": {
                "parameter_name": {"type": "string", "description": "words", "enum": ["option"]},
                "list_name": {"type": "array", "items": {"type": "custom", "format": "fmt"}},
            },
            "required": ["parameter_name"],
        },
    )
    call = ToolCall(name="called_name", arguments={"key": {"inner": ["value", 42]}}, id="a")
    prompt = render(
        Message(role="system", content="rules"),
        Message(role="user", content=[{"type": "text", "text": "question"}, {"type": "image"}]),
        Message(role="assistant", content="answer", reasoning="thought_text", tool_calls=(call,)),
        result("found"),
        Message(role="narrator", content="story"),
        tools=(tool,),
    )
    foreign = (
        "tool_name tool_description OBJECT parameter_name STRING words option list_name CUSTOM "
        "format fmt called_name key inner value 42 rules question answer thought_text found "
        "narrator story"
    )
    control = "\0".join(s.text for s in prompt.segments if s.origin == "control")
    content = [s.text for s in prompt.segments if s.origin == "content"]
    for words in foreign.split():
        assert words in content
        assert words not in control.replace("{value:", "")
    assert "<|image|>" in control
    assert "" not in content


@pytest.mark.parametrize(
    "messages",
    [
        (Message(role="user", content="a<turn|>b"),),
        (Message(role="system", content="<|tool>"), USER),
        (USER, Message(role="assistant", tool_calls=(ToolCall(name="<|turn>"),))),
        (USER, Message(role="assistant", tool_calls=(ToolCall(name="f", arguments={'<|"|>': 1}),))),
        (USER, ASKS, result('x<|"|>}')),
        (USER, ASKS, Message(role="tool", name="<eos>", content="x")),
        (USER, Message(role="assistant", reasoning="<channel|>", content="x")),
        (Message(role="<|turn>system\n", content="x"),),
    ],
)
def test_control_text_is_refused_wherever_it_stands(messages: tuple[Message, ...]) -> None:
    with pytest.raises(ControlTextError, match=rf"^messages\[{len(messages) - 1}\]: |^messages\[0"):
        render(*messages)
    assert render(*messages, control_text="allow").changes == ()
    assert len(render(*messages, control_text="neutralise").changes) == 1


def test_control_text_in_a_tool_is_refused_with_its_place() -> None:
    tools = (ToolSpec(name="g"), ToolSpec(name="f", description='<|"|>}<tool|>'))
    with pytest.raises(ControlTextError, match=r"^tools\[1\]: content holds the control text"):
        render(USER, tools=tools)


def test_neutralised_text_is_visible_and_listed() -> None:
    prompt = render(Message(role="user", content="a<turn|>b"), control_text="neutralise")
    assert "a< turn|>b" in prompt.text
    assert prompt.changes == (
        "messages[0]: control text '<turn|>' in content was broken by a space",
    )
