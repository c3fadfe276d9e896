"""Gold messages made wrong: each in its own way, the same way for the same seed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from callsmith import JsonValue, Message, Task, Template, ToolCall, ToolSpec, load
from callsmith_trl import corruptions
from callsmith_trl.corruptions import CHANGES, DAMAGES, Gold, changes, damages
from callsmith_trl.pair_judges import Judges
from callsmith_trl.pair_options import NAMES
from callsmith_trl.rows import completion_prompt, target_message

WEATHER = ToolSpec(
    name="get_weather",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"type": "string", "enum": ["C", "F", "K"]},
        },
        "required": ["city"],
    },
)
FLIGHT = ToolSpec(
    name="book_flight",
    parameters={
        "type": "object",
        "properties": {
            "origin": {"type": "string"},
            "target": {"type": "string"},
            "seats": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["origin", "target"],
    },
)
TIME = ToolSpec(name="time")


def task(*calls: tuple[str, Mapping[str, JsonValue]]) -> Task:
    target: dict[str, JsonValue] = {
        "calls": [{"name": name, "arguments": dict(given)} for name, given in calls]
    }
    said: dict[str, JsonValue] = {"answer": "Hello.", "answer_only": True}
    return Task(
        id="t",
        messages=(Message(role="user", content="Book 3 seats from Rome to New York, please."),),
        tools=(WEATHER, FLIGHT, TIME),
        target=target if calls else said,
    )


FLY = ("book_flight", {"origin": "Rome", "target": "New York", "seats": 3})
ONE = task(FLY)
TWO = task(("get_weather", {"city": "Rome", "unit": "C"}), FLY)
NONE = task()


def gold(one: Task) -> Gold:
    return Gold(task=one, message=target_message(one))


def made(name: str, one: Task, seed: int = 0) -> list[tuple[ToolCall, ...]]:
    return [message.tool_calls for message in changes(name, gold(one), seed)]


def arguments(name: str) -> list[dict[str, JsonValue]]:
    found = []
    for calls in made(name, ONE):
        assert [call.name for call in calls] == ["book_flight"]
        assert isinstance(calls[0].arguments, dict)
        found.append(calls[0].arguments)
    assert found
    return found


def test_the_options_name_them_all() -> None:
    assert NAMES == corruptions.NAMES == (*CHANGES, *DAMAGES)


@pytest.mark.parametrize("name", sorted(set(CHANGES) - {"call-not-due"}))
@pytest.mark.parametrize("seed", range(3))
def test_every_one_changes_the_gold(name: str, seed: int) -> None:
    found = changes(name, gold(TWO), seed)
    assert found
    assert all(message != target_message(TWO) for message in found)
    assert len(found) <= corruptions.CANDIDATES


def test_the_wrong_tool_is_a_declared_one_with_values_of_the_right_one() -> None:
    found = made("wrong-tool", ONE)
    assert {calls[0].name for calls in found} == {"get_weather", "time"}
    weather = next(calls[0] for calls in found if calls[0].name == "get_weather")
    assert weather.arguments == {"city": "Rome"}


def test_a_hallucinated_tool_is_not_declared() -> None:
    names = {calls[0].name for calls in made("hallucinated-tool", ONE)}
    assert names
    assert not names & {tool.name for tool in ONE.tools}


def test_a_missing_argument_was_a_required_one() -> None:
    found = arguments("missing-argument")
    assert {"origin", "target"} == {
        key for given in found for key in {"origin", "target"} - given.keys()
    }
    assert all(given["seats"] == 3 for given in found)


def test_an_extra_argument_is_not_the_tools_own() -> None:
    found = arguments("extra-argument")
    for given in found:
        (extra,) = given.keys() - {"origin", "target", "seats"}
        assert extra != "tags"
        assert {**given} | FLY[1] == given  # the others stand as they were
    assert found[0].keys() & {"city", "unit"}  # what another declared tool takes comes first


def test_a_wrong_type_keeps_the_others() -> None:
    for given in arguments("wrong-type"):
        changed = [key for key in given if given[key] != FLY[1][key]]
        assert len(changed) == 1
        assert type(given[changed[0]]) is not type(FLY[1][changed[0]])


def test_swapped_arguments_are_of_one_type() -> None:
    assert arguments("swapped-arguments") == [{"origin": "New York", "target": "Rome", "seats": 3}]


def test_a_wrong_value_has_the_right_type() -> None:
    for given in arguments("wrong-value"):
        changed = [key for key in given if given[key] != FLY[1][key]]
        assert len(changed) == 1
        assert type(given[changed[0]]) is type(FLY[1][changed[0]])


def test_a_wrong_value_of_an_enum_is_another_one_of_it() -> None:
    one = task(("get_weather", {"city": "Rome", "unit": "C"}))
    units = {calls[0].arguments["unit"] for calls in made("wrong-value", one)}  # type: ignore[index, call-overload]
    assert units <= {"C", "F", "K"}
    assert len(units) > 1


@pytest.mark.parametrize(("name", "count"), [("missing-call", 1), ("extra-call", 3)])
def test_calls_are_left_out_or_added(name: str, count: int) -> None:
    assert {len(calls) for calls in made(name, TWO)} == {count}


def test_a_call_where_none_is_due_has_what_the_tool_requires() -> None:
    found = {calls[0].name: calls[0].arguments for calls in made("call-not-due", NONE)}
    assert found.keys() == {"get_weather", "book_flight", "time"}
    flight = found["book_flight"]
    assert isinstance(flight, dict)
    assert flight.keys() == {"origin", "target"}


@pytest.mark.parametrize(
    ("name", "one"),
    [("call-not-due", ONE), ("no-call", NONE), ("missing-call", ONE), ("wrong-tool", NONE)],
)
def test_what_does_not_apply_gives_nothing(name: str, one: Task) -> None:
    assert changes(name, gold(one), 0) == []


@pytest.mark.parametrize("shape", ["gemma4", "qwen3"])
@pytest.mark.parametrize("name", sorted(DAMAGES))
def test_damage_is_to_the_form(shape: str, name: str) -> None:
    template: Template = load().build("template", shape)
    judges = Judges(template=template, verifiers={"strict": load().build("verifier", "strict")})
    written = completion_prompt(ONE, template, target_message(ONE))
    (call,) = judges.read(ONE, written.text).calls
    found = damages(name, "t", written, call.raw, 0)
    assert found
    for one in found:
        assert one.text != written.text
        assert judges.end(one.text) == judges.end(written.text)
    refused = [one for one in found if judges.refusals(ONE, judges.read(ONE, one.text))]
    assert refused
    if name == "lost-markers":
        assert call.raw in found[0].text
        assert len(found[0].text) < len(written.text)


def test_damage_needs_the_text_of_a_call() -> None:
    template: Template = load().build("template", "qwen3")
    written = completion_prompt(NONE, template, target_message(NONE))
    assert damages("stray-text", "t", written, "", 0) == []
    assert damages("stray-text", "t", written, "{}", 0) == []


def test_seeds_differ_and_repeat() -> None:
    first = [made(name, TWO, 1) for name in CHANGES]
    assert first == [made(name, TWO, 1) for name in CHANGES]
    assert first != [made(name, TWO, 2) for name in CHANGES]


def test_other_processes_make_the_same() -> None:
    code = (
        "import sys; sys.path[:0] = sys.argv[1].split('|')\n"
        "from unit_corruptions import show; print(show())"
    )
    source = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('unit_corruptions', {__file__!r})\n"
        "module = importlib.util.module_from_spec(spec); sys.modules['unit_corruptions'] = module\n"
        "spec.loader.exec_module(module)\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", source + code, "|".join(sys.path)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {show() + "\n"}


def show() -> str:
    """Everything that is made of one task, as text."""
    return repr([(name, made(name, TWO, 5)) for name in CHANGES])
