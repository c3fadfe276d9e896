"""`jsonl`: tasks from a file, and what a mistake in it says."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith import ConfigError, Task, dumps, load
from callsmith.testing import tasks as any_tasks
from fixtures.markdown import ROOT, blocks

CATALOG = load({})
PAGE = ROOT / "docs" / "reference" / "tasks.md"
QUESTION = [{"role": "user", "content": "hi"}]
OPENAI: dict[str, Any] = {
    "id": "openai",
    "messages": [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "look first",
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
            ],
        },
        {"role": "tool", "content": "ok", "tool_call_id": "c"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
        {"name": "g", "description": "bare"},
    ],
    "target": {"calls": [{"name": "f"}]},
    "tags": ["x", "y"],
}


def read(folder: Path, *lines: object, **options: str) -> Sequence[Task]:
    """The tasks of a file with these lines (bytes as they are, anything else as JSON)."""
    rows = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    file = folder / "tasks.jsonl"
    file.write_bytes(b"\n".join(rows))
    return list(CATALOG.build("taskset", "jsonl", {"path": str(file), **options}).tasks())


def test_the_openai_shape_is_read_with_all_its_parts(tmp_path: Path) -> None:
    (task,) = read(tmp_path, OPENAI)
    asked, called, answered = task.messages
    assert (asked.role, asked.content) == ("user", "hi")
    assert called.reasoning == "look first"
    assert (called.tool_calls[0].id, called.tool_calls[0].name) == ("c", "f")
    assert called.tool_calls[0].arguments == {"x": 1}
    assert (answered.role, answered.tool_call_id) == ("tool", "c")
    assert [(tool.name, tool.parameters) for tool in task.tools] == [
        ("f", {"type": "object"}),
        ("g", None),
    ]
    assert (task.target, task.tags) == ({"calls": [{"name": "f"}]}, ("x", "y"))


@given(tasks=st.lists(any_tasks(), min_size=1, max_size=3, unique_by=lambda task: task.id))
def test_what_the_codec_writes_is_read_back(
    tasks: list[Task], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    assert read(folder, *[dumps(task).encode() for task in tasks]) == tasks


def test_arguments_of_the_codecs_shape_are_left_alone(tmp_path: Path) -> None:
    call = {"name": "f", "arguments": '{"x": 1}'}
    line = {"id": "a", "messages": [{"role": "assistant", "tool_calls": [call]}]}
    (task,) = read(tmp_path, line)
    assert task.messages[0].tool_calls[0].arguments == '{"x": 1}'


def test_the_file_keeps_its_order_and_may_have_gaps_and_comments(tmp_path: Path) -> None:
    first, last = {"id": "z", "messages": QUESTION}, {"id": "a", "messages": QUESTION}
    crlf = json.dumps(first).encode() + b"\r"
    tasks = read(tmp_path, b"\xef\xbb\xbf# from a colleague", b"", crlf, b"  ", last, b"")
    assert [task.id for task in tasks] == ["z", "a"]


def test_characters_that_end_lines_elsewhere_stay_inside_a_line(tmp_path: Path) -> None:
    text = "one\u2028two\x85three"
    message = {"role": "user", "content": text}
    line = json.dumps({"id": "a", "messages": [message]}, ensure_ascii=False).encode()
    (task,) = read(tmp_path, line)
    assert task.messages[0].content == text


def test_ids_of_the_openai_shape_may_be_left_out(tmp_path: Path) -> None:
    tasks = read(tmp_path, {"messages": QUESTION}, b"", {"messages": QUESTION})
    assert [task.id for task in tasks] == ["tasks-1", "tasks-3"]


def test_a_toolbox_is_given_to_the_tasks_that_name_none(tmp_path: Path) -> None:
    own = {"id": "own", "messages": QUESTION, "toolbox": "assistant"}
    none = {"id": "none", "messages": QUESTION}
    assert [task.toolbox for task in read(tmp_path, own, none)] == ["assistant", None]
    tasks = read(tmp_path, own, none, toolbox="tiny")
    assert [task.toolbox for task in tasks] == ["assistant", "tiny"]


GOOD = {"id": "a", "messages": QUESTION}
CALL = {"role": "assistant", "tool_calls": [{"function": {}}]}
MISTAKES: list[tuple[object, str]] = [
    (b'{"id": "b"', r": is not JSON: .+ \(column \d+\); a task is one JSON object on one line"),
    (b"[" * 100_000, r": is not JSON: "),
    (b'{"id": NaN}', ": is not JSON: NaN is no JSON value"),
    (b'{"id": "\xff"}', r": is not UTF-8 \(byte 8 of the line\); save the file as UTF-8"),
    ([GOOD], ": a task is an object, got .+; write one task per line"),
    ({"id": "b"}, ": a task needs messages"),
    ({**GOOD, "id": 3}, ": id: expected str, got 3"),
    ({**OPENAI, "id": 3}, ": id: expected str, got 3"),
    ({**GOOD, "id": "b", "tols": []}, ": a task has no key 'tols'; it has: id, messages, tools"),
    ({**GOOD, "id": "b", "messages": []}, ": messages: a task needs at least one message"),
    ({**GOOD, "id": "b", "messages": {}}, ": messages: expected a list"),
    ({**GOOD, "id": "b", "messages": ["x"]}, r": messages\[0\]: expected an object"),
    ({"messages": ["x"]}, r": messages\[0\]: expected an object"),
    ({"messages": [{"content": "x"}]}, r": messages\[0\]: a message needs a role"),
    ({"messages": [{"role": "user", "contnet": ""}]}, r": messages\[0\]: .*no key 'contnet'"),
    ({**GOOD, "id": "b", "messages": [{"role": "user", "contnet": ""}]}, r".*no field 'contnet'"),
    (
        {**GOOD, "id": "b", "messages": [CALL]},
        r": messages\[0\].tool_calls\[0\]: a call needs a na",
    ),
    (
        {"messages": [{"role": "a", "tool_calls": 1}]},
        r": messages\[0\].tool_calls: expected a list",
    ),
    ({**GOOD, "id": "b", "tools": 1}, ": tools: expected a list"),
    ({**GOOD, "id": "b", "tools": ["x"]}, r": tools\[0\]: expected an object"),
    ({"messages": QUESTION, "tools": ["x"]}, r": tools\[0\]: expected an object"),
    ({"messages": QUESTION, "tools": [{"type": "x"}]}, r": tools\[0\]: a tool needs a name"),
    ({**GOOD, "id": "b", "tools": [{"name": "f", "parameters": [1]}]}, r": tools\[0\].parameters"),
    (
        {"messages": QUESTION, "tools": [{"name": "f", "parameters": [1]}]},
        r": tools\[0\]: .*parameters",
    ),
    ({**GOOD, "id": "b", "tools": [{"name": "f"}] * 2}, ": tools: two tools are called 'f'"),
    ({**GOOD, "id": "b", "tags": "x"}, ": tags: expected a list"),
    ({**GOOD, "id": "b", "target": []}, ": target: expected an object"),
    ({**GOOD, "id": "b", "toolbox": 1}, ": toolbox: expected str"),
    (GOOD, ": the id 'a' stands in line 1 as well; give every task an id of its own"),
]


@pytest.mark.parametrize(("line", "message"), MISTAKES, ids=lambda item: repr(item)[:40])
def test_a_mistake_names_file_and_line_in_one_line(
    tmp_path: Path, line: object, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, GOOD, line)
    text = str(caught.value)
    assert re.match(re.escape(str(tmp_path / "tasks.jsonl")) + ":2" + message, text), text
    assert "\n" not in text


def test_a_file_that_is_missing_or_empty_is_named(tmp_path: Path) -> None:
    gone = CATALOG.build("taskset", "jsonl", {"path": str(tmp_path / "gone.jsonl")})
    with pytest.raises(
        ConfigError, match=r"gone\.jsonl: cannot be read: .+relative paths start at"
    ):
        gone.tasks()
    with pytest.raises(ConfigError, match=r"tasks\.jsonl: holds no tasks"):
        read(tmp_path, b"# nothing yet", b"")


def test_the_option_path_is_needed() -> None:
    with pytest.raises(ConfigError, match=r"options\.path"):
        CATALOG.resolve("taskset", "jsonl", {})


def test_the_lines_of_the_reference_page_are_tasks(tmp_path: Path) -> None:
    shown = [block.text for block in blocks(PAGE) if block.language == "jsonl"]
    assert len(shown) == 2
    same, _ = (read(tmp_path, text.strip().encode()) for text in shown)
    native, openai = same
    assert (native.messages, native.tools, native.target) == (
        openai.messages,
        openai.tools,
        openai.target,
    )


@pytest.mark.parametrize("name", ["assistant", "tiny-tasks"])
def test_the_reference_page_counts_the_tasks(name: str) -> None:
    (stated,) = re.findall(rf"^\| `{name}` \| (\d+) \|", PAGE.read_text(), re.MULTILINE)
    assert len(list(CATALOG.build("taskset", name).tasks())) == int(stated)
