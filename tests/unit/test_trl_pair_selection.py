"""Which pairs are kept, which are held out, and what they are as token ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from callsmith import Message, Prompt, PromptTokens, Task, Template, load
from callsmith_trl.pair_options import PairOptions
from callsmith_trl.pairs import Dropped, Pair, Written, as_json, counts, encoded, select, table
from fixtures.vllm_tokenizer import SPECIAL, tiny_tokenizer

GEMMA4: Template = load().build("template", "gemma4")
SUM = Task(id="sum", messages=(Message(role="user", content="Add 1 and 2."),))


def pair(index: int, reason: str, origin: str = "corruption", source: str = "") -> Pair:
    return Pair(
        task=replace(SUM, messages=(Message(role="user", content=str(index)),)),
        source=source or f"s{index}",
        prompt=Prompt(segments=()),
        chosen=Written(text="right"),
        rejected=Written(text=f"wrong {index}"),
        reason=reason,
        origin=origin,  # type: ignore[arg-type]
    )


def kept(pairs: Sequence[Pair], dev: Sequence[Task] = (), **options: object) -> tuple[Pair, ...]:
    given = {"held_out": 0, "balance": "off", "per_task": 99, **options}
    return select(pairs, dev, PairOptions.model_validate(given), 0, Dropped()).train


@pytest.mark.parametrize(
    ("balance", "factor", "sizes"),
    [
        ("off", 2, {"a": 30, "b": 6, "c": 2}),
        ("median", 2, {"a": 12, "b": 6, "c": 2}),
        ("rarest", 2, {"a": 4, "b": 4, "c": 2}),
        ("rarest", 1, {"a": 2, "b": 2, "c": 2}),
    ],
)
def test_no_reason_outweighs_the_others(balance: str, factor: float, sizes: dict[str, int]) -> None:
    pairs = [pair(index, "a" if index < 30 else "b" if index < 36 else "c") for index in range(38)]
    found = kept(pairs, balance=balance, balance_factor=factor)
    assert Counter(one.reason for one in found) == sizes


def test_what_the_model_did_is_kept_before_what_it_might_do() -> None:
    pairs = [pair(index, "a", "mined" if index < 3 else "corruption") for index in range(20)]
    pairs += [pair(index, "b") for index in range(20, 22)]
    found = kept(pairs, balance="median", balance_factor=2)
    assert Counter((one.reason, one.origin) for one in found)["a", "mined"] == 3


def test_pairs_of_one_task_and_in_all_are_limited() -> None:
    pairs = [pair(index, "a", source="one" if index < 9 else "") for index in range(12)]
    assert Counter(one.source for one in kept(pairs, per_task=4))["one"] == 4
    assert len(kept(pairs, limit=5)) == 5


def test_dev_is_never_trained_on() -> None:
    same_words = replace(pair(1, "a").task, id="another", target={"answer": "x"})
    found = kept([pair(0, "a"), pair(1, "a"), pair(2, "a")], [replace(SUM, id="s0"), same_words])
    assert [one.source for one in found] == ["s2"]


def test_equal_texts_and_duplicates_are_removed() -> None:
    equal = replace(pair(0, "a"), rejected=Written(text="right"))
    twice = [pair(1, "a"), replace(pair(1, "b", "mined"), said=("better known",))]
    (found,) = kept([equal, *twice])
    assert found.origin == "mined"


def test_of_one_text_with_two_reasons_the_same_one_stays_in_any_order() -> None:
    twice = [pair(1, "wrong-value", source="x"), pair(1, "missing-argument", source="x")]
    assert kept(twice) == kept(twice[::-1])
    assert len(kept(twice)) == 1


def test_whole_tasks_are_held_out() -> None:
    pairs = [pair(index, "a", source=f"s{index // 3}") for index in range(30)]
    options = PairOptions(held_out=0.2, balance="off")
    found = select(pairs, (), options, 0, Dropped())
    assert len({one.source for one in found.held_out}) == 2
    assert not {one.source for one in found.held_out} & {one.source for one in found.train}
    assert len(found.train) + len(found.held_out) == 30
    assert select(pairs, (), PairOptions(held_out=0), 0, Dropped()).held_out == ()
    assert len(select(pairs[:1], (), options, 0, Dropped()).train) == 1


# -- ids and counts ---------------------------------------------------------------------

TOKENS = PromptTokens(tiny_tokenizer().to_str())
CLOSE = SPECIAL["<turn|>"]


def ids(text: str) -> list[int]:
    return TOKENS.encode_text(text)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (Written(text="no<turn|>", end="<turn|>"), [*ids("no"), CLOSE]),
        # The ids that the model wrote, which are not those of its text written at once.
        (
            Written(text="this<turn|>", end="<turn|>", token_ids=(*ids("t"), *ids("his"), CLOSE)),
            [*ids("t"), *ids("his"), CLOSE],
        ),
        (
            Written(text="this<turn|>", end="<turn|>", token_ids=(*ids("t"), *ids("his"))),
            [*ids("t"), *ids("his"), CLOSE],
        ),
        (Written(text="this", token_ids=(*ids("t"), *ids("his"))), [*ids("t"), *ids("his")]),
        # Ids of another tokenizer say something else here.
        (Written(text="this", token_ids=(3, 4, 5)), ids("this")),
    ],
)
def test_the_ids_of_the_model_are_kept(written: Written, expected: list[int]) -> None:
    assert written.encode(TOKENS, {CLOSE}) == expected


def test_rows_with_equal_ids_are_dropped() -> None:
    dropped = Dropped()
    one = replace(pair(0, "a"), prompt=GEMMA4.render(SUM.messages))
    same = replace(one, rejected=Written(text="x", token_ids=tuple(ids("right"))))
    assert same.rejected.encode(TOKENS, ()) == ids("x")
    empty = replace(one, rejected=Written(text=""))
    rows = encoded([one, empty], TOKENS, {CLOSE}, dropped)
    assert [row.chosen_ids for row in rows] == [ids("right")]
    assert len(rows[0]) == len(rows[0].prompt_ids) + len(ids("wrong 0"))
    assert dropped.counts() == {"equal tokens": 1}


def test_counts_for_people() -> None:
    found = [pair(0, "a"), pair(1, "b", "mined"), pair(2, "a")]
    assert counts(found) == {"mined": {"b": 1}, "corruption": {"a": 2}}
    assert table(counts(found)) == "mined 1 (b 1), corruption 2 (a 2)"
    assert table({}) == "none"
    assert as_json(found[0], "train")["rejected"] == "wrong 0"
