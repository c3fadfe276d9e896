"""Augmentations: pure, repeatable, and every row that they make is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsmith import load
from callsmith_tasks.data.augmenting import REFUSALS
from callsmith_tasks.data.checking import VERIFIERS, RowChecker
from callsmith_tasks.data.options import AUGMENTATIONS, augment
from callsmith_tasks.data.preparing import Plan, prepare, render_all, without_equal_texts
from callsmith_tasks.data.readers import READERS
from callsmith_tasks.data.row import Row, written_digest
from fixtures.data_rows import RECORDS, xlam

CATALOG = load(environment={})
CHECKER = RowChecker({name: CATALOG.build("verifier", name) for name in VERIFIERS})
TEMPLATE = CATALOG.build("template", "gemma4")

POOL: tuple[Row, ...] = (
    *READERS["xlam"](xlam(), "x0"),
    *READERS["xlam"](
        xlam(
            "How is Bergen?",
            answers=[
                {"name": "get_weather", "arguments": {"city": "Bergen"}},
                {"name": "set_timer", "arguments": {"minutes": 2.5}},
            ],
        ),
        "x1",
    ),
    *(
        row
        for name in ("toolace", "hermes", "glaive", "trl")
        for row in READERS[name](RECORDS[name], name)
    ),
)


def make(name: str, row: Row, seed: int = 0, pool: Sequence[Row] = POOL) -> Row:
    made = AUGMENTATIONS[name](row, seed, pool)
    assert made is not None
    return made


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
@given(seed=st.integers(0, 10_000), at=st.integers(0, len(POOL) - 1))
def test_every_row_that_is_made_is_right(name: str, seed: int, at: int) -> None:
    row = POOL[at]
    made = AUGMENTATIONS[name](row, seed, POOL)
    assert made == AUGMENTATIONS[name](row, seed, POOL)
    if made is None:
        return
    assert CHECKER.problem(made) is None
    assert render_all([made], TEMPLATE)[1] == []
    assert (made.id, made.source) == (f"{row.id}+{name}", f"{row.source}+{name}")
    assert written_digest(made) != written_digest(row)


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_each_works_on_some_row(name: str) -> None:
    assert any(AUGMENTATIONS[name](row, seed, POOL) for row in POOL for seed in range(3))


def test_irrelevance_takes_the_needed_tools_away() -> None:
    made = make("irrelevance", POOL[0])
    assert [tool.name for tool in made.tools] == ["set_timer"]
    assert made.calls == ()
    assert made.answer in REFUSALS
    only = replace(POOL[0], tools=POOL[0].tools[:1])
    borrowed = make("irrelevance", only)
    assert borrowed.tools
    assert "get_weather" not in {tool.name for tool in borrowed.tools}
    assert AUGMENTATIONS["irrelevance"](only, 0, ()) is None


def test_names_are_masked_everywhere() -> None:
    late = next(row for row in POOL if row.id == "hermes#2")
    made = make("mask-names", replace(late, calls=late.messages[1].tool_calls))
    (name,) = (tool.name for tool in made.tools)
    assert name != "get_weather"
    assert made.messages[1].tool_calls[0].name == name
    assert made.messages[2].name == name
    assert made.calls[0].name == name
    assert made.tools[0].description == late.tools[0].description


def test_names_are_not_masked_where_only_they_explain() -> None:
    row = POOL[0]
    bare = replace(row, tools=(row.tools[0], replace(row.tools[1], description="")))
    assert AUGMENTATIONS["mask-names"](bare, 0, POOL) is None


def test_parameters_are_masked_with_their_values_kept() -> None:
    made = make("mask-parameters", POOL[0])
    arguments = made.calls[0].arguments
    assert isinstance(arguments, dict)
    assert list(arguments.values()) == ["Oslo", 3]
    assert not {"city", "days"} & set(arguments)
    parameters = made.tools[1].parameters
    assert parameters is not None
    assert parameters["required"] == list(parameters["properties"])  # type: ignore[arg-type]
    tool = replace(POOL[0].tools[0], parameters={**(POOL[0].tools[0].parameters or {}), "not": {}})
    assert AUGMENTATIONS["mask-parameters"](replace(POOL[0], tools=(tool,)), 0, POOL) is None, (
        "a keyword that may name properties"
    )


def test_distractors_stand_beside_the_own_tools() -> None:
    made = make("distractors", POOL[0])
    names = [tool.name for tool in made.tools]
    assert [name for name in names if name in ("get_weather", "set_timer")] == [
        "get_weather",
        "set_timer",
    ]
    assert len(names) > 2
    assert made.calls == POOL[0].calls


def test_orders_change_and_nothing_else() -> None:
    shuffled = [
        make("shuffle-tools", POOL[0], s)
        for s in range(8)
        if AUGMENTATIONS["shuffle-tools"](POOL[0], s, ())
    ]
    assert shuffled
    assert all(set(map(str, m.tools)) == set(map(str, POOL[0].tools)) for m in shuffled)
    made = [m for s in range(8) if (m := AUGMENTATIONS["shuffle-arguments"](POOL[0], s, ()))]
    assert made
    for item in made:
        assert [c.arguments for c in item.calls] == [c.arguments for c in POOL[0].calls]
        assert item.tools == POOL[0].tools  # equal as values: only the order differs


def test_several_calls_and_follow_up_join_two_questions() -> None:
    joined = make("several-calls", POOL[0], 1)
    assert len(joined.calls) >= 2
    assert joined.calls[0].arguments == POOL[0].calls[0].arguments
    assert len({call.id for call in joined.calls}) == len(joined.calls)
    later = make("follow-up", POOL[0], 1)
    assert [m.role for m in later.messages] == ["user", "assistant", "tool", "assistant", "user"]
    assert later.messages[1].tool_calls[0].arguments == POOL[0].calls[0].arguments
    assert later.calls != POOL[0].calls


def test_shares_choose_the_same_rows_whatever_stands_beside_them() -> None:
    rows = tuple(replace(POOL[0], id=str(at)) for at in range(400))
    few = augment(rows, {"irrelevance": 0.25}, seed=3)
    assert 60 < len(few) < 140
    both = augment(rows, {"mask-names": 1.0, "irrelevance": 0.25}, seed=3)
    assert both[len(rows) :] == few
    assert augment(rows, {"irrelevance": 0.25}, seed=4) != few


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_cleaning_leaves_augmented_rows_alone(name: str) -> None:
    """Another order of tools or arguments must not be taken for a duplicate."""
    rows = [row for at in range(20) for row in READERS["xlam"](xlam(f"Weather, {at}?"), f"x{at}")]
    prepared = prepare(rows, (), Plan(shares={name: 1.0}), CHECKER)
    made = [row for row in prepared.splits["train"] if row.source == f"xlam+{name}"]
    assert len(made) >= (5 if name != "distractors" else 0)
    assert prepared.removed == ()


def test_shuffles_that_a_template_undoes_are_not_trained_twice() -> None:
    shuffled = [
        made for s in range(8) if (made := AUGMENTATIONS["shuffle-arguments"](POOL[0], s, ()))
    ]
    done, _ = render_all([POOL[0], shuffled[0]], TEMPLATE)
    kept, removed = without_equal_texts(done)
    assert [row.id for row, _ in kept] == ["x0"]
    assert [item.reason for item in removed] == ["duplicate-text"]


def test_only_training_rows_are_augmented() -> None:
    rows = [row for at in range(60) for row in READERS["xlam"](xlam(f"Weather, {at}?"), f"x{at}")]
    plan = Plan(fractions={"dev": 0.2, "test": 0.3}, shares={"mask-names": 1.0})
    prepared = prepare(rows, (), plan, CHECKER)
    train, dev, test = (prepared.splits[name] for name in ("train", "dev", "test"))
    assert dev
    assert test
    assert all(row.source == "xlam" for row in (*dev, *test))
    made = [row for row in train if row.source == "xlam+mask-names"]
    assert len(made) == len(train) - len(made) == 60 - len(dev) - len(test)
    summary = prepared.summary()
    assert summary["quarantine"] == {}
    assert summary == prepare(rows[::-1], (), plan, CHECKER).summary()


def test_one_description_under_two_names_gives_no_second_right_answer() -> None:
    row = POOL[0]
    twin = replace(row.tools[0], name="weather_of_today")
    assert row.calls[0].name == row.tools[0].name
    made = AUGMENTATIONS["irrelevance"](replace(row, tools=(*row.tools, twin)), 0, ())
    assert made is not None
    assert twin not in made.tools
    call = replace(row.calls[0], name=twin.name)
    question = replace(row.messages[-1], content="How is Tromsø?")
    other = replace(row, id="other", messages=(question,), tools=(twin,), calls=(call,))
    for name in ("several-calls", "follow-up"):
        assert AUGMENTATIONS[name](row, 0, (other,)) is None


def test_parameters_that_a_reference_names_keep_their_names() -> None:
    parameters = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "description": "One."},
            "b": {"$ref": "#/properties/a", "description": "Two."},
        },
    }
    tools = [{"name": "f", "description": "d", "parameters": parameters}]
    answers = [{"name": "f", "arguments": {"a": "x", "b": "y"}}]
    (row,) = READERS["xlam"](xlam("Do it.", answers=answers, tools=tools), "r")
    assert CHECKER.problem(row) is None
    assert AUGMENTATIONS["mask-parameters"](row, 0, ()) is None
