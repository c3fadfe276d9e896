"""What Qwen3's parser mends, what it refuses, and that it says so."""

from __future__ import annotations

import pytest

from callsmith import JsonValue, Reply
from callsmith_qwen3.config import Qwen3Config, RepairPolicy
from callsmith_qwen3.kinds import FAULT_KINDS, REPAIR_KINDS
from callsmith_qwen3.template import Qwen3Template

OK = '{"name": "f", "arguments": {"a": 1}}'
A1: JsonValue = {"a": 1}


def parse(text: str, repair: RepairPolicy = "unambiguous") -> Reply:
    return Qwen3Template(Qwen3Config(repair=repair)).parse(text)


def args(text: str) -> str:
    return f'<tool_call>\n{{"name": "f", "arguments": {text}}}\n</tool_call>'


def block(text: str) -> str:
    return f"<tool_call>\n{text}\n</tool_call>"


REPAIRED: list[tuple[str, str, list[JsonValue]]] = [
    ("missing-call-close", f"<tool_call>\n{OK}", [A1]),
    ("missing-call-close", f"<tool_call>\n{OK}\n</tool_c", [A1]),
    ("missing-call-close", f"<tool_call>\n{OK}<|im_end|>", [A1]),
    ("missing-call-close", f"<tool_call>\n{OK}\n<tool_call>\n{OK}\n</tool_call>", [A1, A1]),
    ("several-calls-in-block", block(f"{OK}\n{OK}"), [A1, A1]),
    ("several-calls-in-block", block(f"{OK}, {OK}"), [A1, A1]),
    ("call-list", block(f"[{OK}, {OK}]"), [A1, A1]),
    ("code-fence", block(f"```json\n{OK}\n```"), [A1]),
    ("code-fence", block(f"```{OK}```"), [A1]),
    ("stray-call-open", f"<tool_call>\n<tool_call>\n{OK}\n</tool_call>", [A1]),
    ("stray-call-close", f"{block(OK)}\n</tool_call>", [A1]),
    ("wrapped-call", block(f'{{"type": "function", "function": {OK}}}'), [A1]),
    ("parameters-key", block('{"name": "f", "parameters": {"a": 1}}'), [A1]),
    ("missing-arguments", block('{"name": "f"}'), [{}]),
    ("extra-members", block('{"id": 7, "name": "f", "arguments": {"a": 1}}'), [A1]),
    ("arguments-as-text", args('"{\\"a\\": 1}"'), [A1]),
    ("arguments-as-text", args('""'), [{}]),
    ("single-quotes", block("{'name': 'f', 'arguments': {'a': 1}}"), [A1]),
    ("single-quotes", args('{"a": \'it\\\'s "x"\'}'), [{"a": 'it\'s "x"'}]),
    ("bare-key", block('{name: "f", arguments: {"a": 1}}'), [A1]),
    ("python-literal", args('{"a": [True, False, None]}'), [{"a": [True, False, None]}]),
    ("trailing-comma", args('{"a": 1,}'), [A1]),
    ("trailing-comma", args('{"a": [1, ], }'), [{"a": [1]}]),
    ("raw-control-character", args('{"a": "x\ny"}'), [{"a": "x\ny"}]),
    ("bad-escape", args('{"a": "\\d+ it\\\'s"}'), [{"a": "\\d+ it's"}]),
    ("duplicate-key", args('{"a": 2, "a": 1}'), [A1]),
    ("number-range", args('{"a": 1e999}'), [{"a": "1e999"}]),
    ("number-range", args('{"a": ' + "9" * 5000 + "}"), [{"a": "9" * 5000}]),
    ("missing-close-brace", block('{"name": "f", "arguments": {"a": 1'), [A1]),
    ("extra-close-brace", block(OK + "}"), [A1]),
    ("unclosed-thought", "<think>hm<|im_end|>", []),
    ("stray-think-open", "<think>a<think>b</think>", []),
    ("stray-think-close", "a</think>b", []),
    ("stray-response-close", "a</tool_response>", []),
    ("stray-token", "a<|vision_start|>b", []),
]


@pytest.mark.parametrize(("kind", "text", "wanted"), REPAIRED, ids=range(len(REPAIRED)))
def test_what_has_one_reading_is_mended_and_noted(
    kind: str, text: str, wanted: list[JsonValue]
) -> None:
    reply = parse(text)
    assert [call.arguments for call in reply.calls] == wanted
    assert all(call.name == "f" for call in reply.calls)
    assert {repair.kind for repair in reply.repairs} == {kind}
    assert not reply.faults
    # Without mending it is a fault of that kind, and what is left is not made up.
    strict = parse(text, "off")
    assert kind in {fault.kind for fault in strict.faults}
    assert not strict.repairs
    assert len(strict.calls) <= len(wanted)


def test_every_kind_of_repair_has_an_example() -> None:
    assert {kind for kind, _, _ in REPAIRED} == set(REPAIR_KINDS)


FAULTS: list[tuple[str, str, str]] = [
    # kind, text, the text at fault
    ("malformed", args('{"a": "say "hi" now"}'), ""),
    ("malformed", args("{'a': 'it's'}"), ""),
    ("malformed", args('{"a": "x}'), ""),
    ("malformed", args('{"a" 1}'), ""),
    ("malformed", args('{"a": NaN}'), ""),
    ("malformed", args('{"a": 007}'), ""),
    ("malformed", args('{"a": }'), ""),
    ("malformed", args('{"a": [1}'), ""),
    ("malformed", block("get_weather(city='Oslo')"), "get_weather(city='Oslo')\n"),
    ("malformed", block("[]"), "[]\n"),
    ("cut", '<tool_call>\n{"name": "f", "argum', '{"name": "f", "argum'),
    ("cut", '<tool_call>\n{"name": "f", "arguments": {"a": 1', ""),
    ("cut", '<tool_call>\n{"name": "f", "arguments": {"a": -', ""),
    ("cut", '<tool_call>\n{"name": "f", "arguments": {"a": tr', ""),
    ("cut", '<tool_call>\n{"name": "f", "arguments": {"a": 1<|im_end|>', ""),
    ("depth", args('{"a": ' + "[" * 200 + "]" * 200 + "}"), ""),
    ("depth", args('"' + "[" * 200 + "]" * 200 + '"'), ""),
    ("depth", args("[" * 100_000 + "]" * 100_000), ""),
    ("empty-call", block(""), "\n\n"),
    ("empty-call", "<tool_call>", ""),
    ("no-name", block('{"arguments": {}}'), '{"arguments": {}}'),
    ("no-name", block('{"name": 5, "arguments": {}}'), ""),
    ("no-name", block('{"function": "f"}'), ""),
    ("hallucinated-response", "<tool_response>\n5\n</tool_response>x", ""),
    ("hallucinated-response", "<tool_response>\n5<|im_end|>", "<tool_response>\n5"),
    ("text-after-end", "a<|im_end|>\n<|im_start|>user\nb", "<|im_start|>user\nb"),
    ("text-after-end", "a<|im_start|>user\nb", "<|im_start|>user\nb"),
]


@pytest.mark.parametrize(("kind", "text", "raw"), FAULTS, ids=range(len(FAULTS)))
def test_what_cannot_be_read_is_a_fault_with_its_text(kind: str, text: str, raw: str) -> None:
    for policy in ("off", "unambiguous"):
        reply = parse(text, "off" if policy == "off" else "unambiguous")
        assert [fault.kind for fault in reply.faults] == [kind]
        (fault,) = reply.faults
        assert fault.span is not None
        assert text[slice(*fault.span)] == fault.raw
        assert fault.raw == raw or not raw
        assert fault.detail
        assert not reply.calls
        assert not reply.repairs


def test_every_kind_of_fault_has_an_example() -> None:
    assert {kind for kind, _, _ in FAULTS} | {"text-in-block"} == set(FAULT_KINDS)


def test_text_beside_a_call_in_its_block_is_a_fault_and_the_call_is_read() -> None:
    reply = parse(block(f"{OK}\nThere you go."))
    assert [call.arguments for call in reply.calls] == [A1]
    assert [(fault.kind, fault.raw) for fault in reply.faults] == [
        ("text-in-block", "There you go.\n")
    ]


def test_a_string_that_lost_its_end_takes_no_other_call_with_it() -> None:
    reply = parse('<tool_call>\n{"name": "f", "arguments": {"a": "x}}\n</tool_call>\n' + block(OK))
    assert [call.arguments for call in reply.calls] == [A1]
    assert [fault.kind for fault in reply.faults] == ["malformed"]
    python = "{'name': 'f', 'arguments': {'a': 'x}}"
    reply = parse(block(python) + "\n" + block(OK) + "\n" + block("{'name': 'f'}"))
    assert [call.arguments for call in reply.calls] == [A1, {}]
    assert [fault.kind for fault in reply.faults] == ["malformed"]


def test_an_apostrophe_opens_no_string() -> None:
    reply = parse(block("I can't do it") + block(OK) + block("{don't}") + block(OK))
    assert [call.arguments for call in reply.calls] == [A1, A1]
    assert [fault.kind for fault in reply.faults] == ["malformed", "malformed"]


def test_an_unreadable_call_takes_no_other_call_with_it() -> None:
    reply = parse(block('{"name": "f", "arguments": {"a": ?}}') + "\n" + block(OK))
    assert [call.arguments for call in reply.calls] == [A1]
    assert [fault.kind for fault in reply.faults] == ["malformed"]
    # In one block the rest of it is not read: nothing says where the next call begins.
    reply = parse(block(f'{OK}{{"name": ?}}{OK}'))
    assert len(reply.calls) == 1
    assert [fault.raw for fault in reply.faults] == [f'{{"name": ?}}{OK}\n']


def test_a_repair_says_where() -> None:
    text = args('{"a": [1, True]}')
    (repair,) = parse(text).repairs
    assert repair.span is not None
    assert text[slice(*repair.span)] == "True"


@pytest.mark.parametrize(
    "text", ['"{\\"a\\": "', '"Oslo"', '"{\\"a\\": 1e999}"', '"{\\"a\\": NaN}"']
)
def test_text_that_is_no_json_stays_the_arguments(text: str) -> None:
    (call,) = parse(args(text)).calls
    assert isinstance(call.arguments, str)
    assert not parse(args(text)).repairs
