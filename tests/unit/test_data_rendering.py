"""What is trained: prompts as they are served, completions that parse, and no unification."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from typing import Any

import pytest

from callsmith import Message, RenderError, Template, ToolCall, ToolSpec, load
from callsmith_tasks.data.preparing import render_all
from callsmith_tasks.data.readers import READERS
from callsmith_tasks.data.rendering import Lengths, Rendered, measure, render_row, to_trl_rows
from callsmith_tasks.data.row import Row, row_to_task
from fixtures.data_rows import RECORDS

CATALOG = load(environment={})


def template(**options: Any) -> Template:
    found: Template = CATALOG.build("template", "gemma4", options)
    return found


def rows() -> list[Row]:
    return [row for name in sorted(RECORDS) for row in READERS[name](RECORDS[name], name)]


@pytest.mark.parametrize("variant", ["small", "large"])
def test_the_prompt_is_the_served_one_and_the_completion_parses_back(variant: str) -> None:
    gemma4 = template(variant=variant)
    for row in rows():
        served = gemma4.render(row.messages, row.tools)
        rendered = render_row(row, gemma4)
        assert rendered.prompt == served.text
        text = rendered.completion
        for stop in gemma4.stop:
            text = text.partition(stop)[0]
        reply = gemma4.parse(text, row.tools, after=served)
        assert [(c.name, c.arguments) for c in reply.calls] == [
            (c.name, c.arguments) for c in row.calls
        ]
        assert reply.content.strip() == row.answer


def test_the_completion_ends_with_the_token_that_stops_a_turn() -> None:
    for row in rows():
        completion = render_row(row, template()).completion
        assert completion.endswith("<|tool_response>" if row.calls else "<turn|>")


def test_what_the_template_refuses_is_rejected_with_its_reason() -> None:
    bad = replace(rows()[0], messages=(Message(role="user", content="a <|tool_call> b"),))
    done, refused = render_all([bad, *rows()], template())
    assert len(done) == len(rows())
    assert [(item.id, item.reason) for item in refused] == [(bad.id, "not-rendered")]


def test_what_the_own_parser_does_not_read_back_is_rejected() -> None:
    name = "a{b"
    row = replace(
        rows()[0],
        tools=(ToolSpec(name=name, parameters={"type": "object", "properties": {}}),),
        calls=(ToolCall(name=name, id="call_1"),),
    )
    done, refused = render_all([row], template())
    assert done == []
    assert refused[0].reason in ("not-parsed", "not-rendered")


class Moody:
    """A template that writes another prompt once the answer is known: nothing can be trained."""

    stop = ()
    digest = "moody:0"

    def render(self, messages: Any, tools: Any = (), **options: Any) -> Any:
        from callsmith import Prompt, Segment

        text = f"{len(messages)} messages"
        return Prompt(segments=(Segment(text=text, origin="control"),))


def test_a_prompt_that_changes_with_its_answer_is_refused() -> None:
    with pytest.raises(RenderError, match="changes the prompt"):
        render_row(rows()[0], Moody())  # type: ignore[arg-type]


def test_training_rows_are_text_alone() -> None:
    for row in to_trl_rows(rows(), template()):
        assert set(row) == {"id", "prompt", "completion"}
        assert all(isinstance(value, str) for value in row.values())


@pytest.mark.filterwarnings("ignore")  # of the library's own, about pickling and its cache
def test_a_data_set_library_keeps_tools_apart() -> None:
    """Structures are unified by Arrow, which is shown here; the rendered rows are not."""
    try:
        datasets: Any = importlib.import_module("datasets")
    except ImportError:
        pytest.skip("needs datasets (the train extra)")
    given = [row for name in ("hermes", "trl") for row in READERS[name](RECORDS[name], name)]
    raw = [{"tools": [dict(tool.parameters or {}) for tool in row.tools]} for row in given]
    unified = json.dumps(datasets.Dataset.from_list(raw)[0])
    first = json.dumps(raw[0])
    assert "minutes" not in first
    assert "minutes" in unified  # another row's parameter: the trap is real
    texts = to_trl_rows(given, template())
    assert list(datasets.Dataset.from_list(texts)) == texts
    assert "minutes" not in texts[0]["prompt"]


def test_percentiles_and_cuts() -> None:
    lengths = Lengths(total=tuple(range(1, 101)), prompt=tuple(range(100)))
    assert [lengths.percentile(share) for share in (0.5, 0.9, 0.99, 1.0)] == [50, 90, 99, 100]
    assert lengths.cut(100) == (0, 0)
    # The totals 91 to 100 are longer than 90; the prompts 90 to 99 leave no room for a token.
    assert lengths.cut(90) == (10, 10)
    assert Lengths(total=(7,), prompt=(3,)).percentile(0.5) == 7


def test_lengths_count_the_whole_text() -> None:
    found = measure(
        [Rendered(id="a", prompt="one two", completion=" three")], lambda t: len(t.split())
    )
    assert (found.total, found.prompt) == ((3,), (2,))


@pytest.mark.parametrize("name", ["gemma4", "qwen3"])
def test_what_is_shown_is_what_a_trainer_learns(name: str) -> None:
    from callsmith_trl.rows import completion_of, prompt_of, target_message

    made = load().build("template", name)
    for row in rows():
        task = row_to_task(row)
        rendered = render_row(row, made)
        assert rendered.prompt == prompt_of(task, made).text
        assert rendered.completion == completion_of(task, made, target_message(task))
