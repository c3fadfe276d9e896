"""The assistant's eight tools: what they find, what they remember, and what they refuse."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith import (
    JsonValue,
    Message,
    ToolError,
    ToolSession,
    ToolSpec,
    load,
)
from callsmith.testing import arguments_for, json_values
from callsmith_tasks import assistant_world as world
from callsmith_tasks.assistant import AssistantTasks, AssistantToolbox
from fixtures.assistant_solutions import chats, fetch, image, lab, library, read, web, write

TOOLS = {tool.name: tool for tool in AssistantToolbox().tools()}


def session() -> ToolSession:
    return AssistantToolbox().session(next(iter(AssistantTasks().tasks())))


async def test_a_session_remembers_and_no_other_one_knows() -> None:
    one, other = session(), session()
    seed = await other.call("memory_read", {"key": "nas_ip"})
    written = await one.call("memory_write", {"key": "nas_ip", "value": "10.0.10.99"})
    assert isinstance(written, dict)
    assert written["replaced"] is True
    told = await one.call("memory_read", {"key": "nas_ip"})
    assert isinstance(told, dict)
    assert told["value"] == "10.0.10.99"
    for unaware in (other, session()):
        assert await unaware.call("memory_read", {"key": "nas_ip"}) == seed
    first = await one.call("generate_image", {"prompt": "a"})
    assert first != await one.call("generate_image", {"prompt": "a"})
    assert first == await other.call("generate_image", {"prompt": "b"})


@pytest.mark.parametrize(
    ("name", "arguments", "address"),
    [
        (*web("Immich 2.5.3 release notes"), "immich/2.5-notes"),
        (*web("who won at the nordlys festivals"), "2026/winners"),
        (*lab("wiki", "LOCKED repositories"), "locked-repository"),
        (*lab("wiki", "guest network"), "network/vlans"),
    ],
)
async def test_searches_match_generously_and_put_the_best_first(
    name: str, arguments: dict[str, Any], address: str
) -> None:
    found: Any = await session().call(name, arguments)
    assert found["results"][0]["url"].endswith(address)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [web("xylophone"), web("…"), lab("logs", "xylophone"), chats("of the"), lab("wiki", "🐙")],
)
async def test_a_search_without_a_hit_is_empty_and_no_error(
    name: str, arguments: dict[str, Any]
) -> None:
    assert await session().call(name, arguments) == {"count": 0, "results": []}


async def test_limits_are_kept() -> None:
    query = "borea atlas backup immich network"
    for limit in (1, 2, 3):
        found: Any = await session().call(*lab("wiki", query, limit=limit))
        assert found["count"] == len(found["results"]) == limit


async def test_titles_are_found_in_any_spelling_and_reported_one_by_one() -> None:
    told: Any = await session().call(*library(" a quiet turbine (2025),, No Such Film "))
    assert [(row["title"], row["in_library"]) for row in told["results"]] == [
        ("A Quiet Turbine", True),
        ("No Such Film", False),
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("web_search", {}, "needs the parameter query"),
        ("homelab_search", {}, "query and source"),
        ("web_search", {"query": ["a"]}, "query must be a string, not an array"),
        ("web_search", {"query": " "}, "must not be empty"),
        ("web_search", {"query": "a", "limit": "3"}, "limit must be an integer, not a string"),
        ("web_search", {"query": "a", "limit": True}, "not a boolean"),
        ("web_search", {"query": "a", "limit": 11}, "from 1 to 10"),
        ("web_search", {"query": "a", "page": 2}, "its parameters are: query, limit"),
        (*lab("attic", "a"), "one of wiki, services, logs"),
        (*image("a", size="9x9"), "one of 512x512"),
        (*image("a", size="1536x1024"), "out of GPU memory"),
        (*library(" , "), "holds no title"),
        (*read("nope"), "the keys are: guest_wifi_name"),
        (*write("Bad Key", "x"), "lower-case letters"),
        (*write("k" * 65, "x"), "64 characters"),
        (*write("system.persona", "x"), "permission denied"),
        (*fetch("wiki.home.lan"), "http:// or https://"),
        (*fetch("http://[bad"), "no address"),
        (*fetch("https://wiki.home.lan/none"), "404"),
        (*fetch("https://nowhere.example.com"), "could not resolve"),
        (*fetch("https://lumen.example.com/support/firmware#a60"), "timeout"),
        (*fetch("https://forum.example.com/t/coral-usb-resets/8812"), "403"),
        ("no_such_tool", {}, "the tools are: web_search"),
    ],
)
async def test_what_cannot_be_done_is_explained(
    name: str, arguments: Mapping[str, JsonValue], says: str
) -> None:
    with pytest.raises(ToolError) as caught:
        await session().call(name, arguments)
    assert says in str(caught.value)


def outcome(name: str, arguments: Mapping[str, JsonValue]) -> str:
    """What one call says; anything but a result or a `ToolError` is raised."""
    try:
        return json.dumps(asyncio.run(session().call(name, arguments)))
    except ToolError as error:
        return str(error)


parameters = st.sampled_from(["query", "limit", "source", "titles", "key", "value", "url", "size"])
any_object = st.dictionaries(st.one_of(parameters, st.text()), json_values())


@given(st.sampled_from(sorted(TOOLS)), any_object)
def test_any_object_gives_a_result_or_a_tool_error(
    name: str, arguments: dict[str, JsonValue]
) -> None:
    assert outcome(name, arguments)


@given(st.data())
def test_arguments_of_the_right_types_give_a_result_or_a_tool_error(data: st.DataObject) -> None:
    tool = TOOLS[data.draw(st.sampled_from(sorted(TOOLS)))]
    assert outcome(tool.name, data.draw(arguments_for(tool)))


@given(
    st.one_of(
        st.text(), st.text().map("http://{}".format), st.text().map("https://wiki.{}/".format)
    )
)
def test_any_address_gives_a_result_or_a_tool_error(url: str) -> None:
    assert outcome(*fetch(url))


def test_nothing_in_the_world_holds_control_text() -> None:
    kinds = (world.WIKI, world.WEB, world.ENDPOINTS, world.SERVICES, world.LOGS, world.LIBRARY)
    everything = str((*kinds, world.CHATS, world.MEMORY, world.UNREACHABLE))
    template = load({}).build("template", "gemma4", {"control_text": "refuse"})
    assert everything in template.render((Message(role="user", content=everything),)).text


def test_tools_are_unique_and_described() -> None:
    def described(tool: ToolSpec) -> bool:
        properties: Any = (tool.parameters or {})["properties"]
        return bool(tool.description) and all(item["description"] for item in properties.values())

    assert len(TOOLS) == len(list(AssistantToolbox().tools()))
    assert all(described(tool) for tool in TOOLS.values())
