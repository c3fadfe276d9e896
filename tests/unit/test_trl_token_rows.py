"""Rows that were never trained: how they are told, and what is said about a recipe."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from callsmith_trl.findings import Finding
from callsmith_trl.token_rows import Matrices, Row, Trained, Where, judge_rows, row_findings

OPEN, CLOSE, START = (7, "<tool_call>"), (8, "</tool_call>"), (9, "<|im_start|>")
TOKENS = (OPEN, CLOSE, START)


def vectors(seed: int = 0) -> np.ndarray:
    """Rows of about norm 1."""
    found = np.random.default_rng(seed).normal(size=(3, 64)).astype(np.float32)
    unit: np.ndarray = found / np.linalg.norm(found, axis=1, keepdims=True)
    return unit


def matrices(
    dead: tuple[int, ...] = (),
    *,
    tied: bool = True,
    embedding: Trained = frozenset(),
    head: Trained = frozenset(),
    split: bool = False,
) -> Matrices:
    """The three tokens; those in `dead` are short."""
    rows = tuple(
        Row(id=number, token=token, norm=0.1 if number in dead else 1.0) for number, token in TOKENS
    )
    trained: Mapping[Where, Trained] = {"embedding": embedding, "head": head}
    return Matrices(
        tied=tied, embedding=rows, head=() if tied else rows, trained=trained, split=split
    )


def levels(found: list[Finding]) -> list[str]:
    return [one.level for one in found]


def test_trained_rows_are_not_dead() -> None:
    assert not any(row.dead for row in judge_rows(TOKENS, vectors(), 1.0))


def test_short_rows_are_dead() -> None:
    given = vectors()
    given[0] *= 0.3
    found = judge_rows(TOKENS, given, 1.0)
    assert [row.dead for row in found] == [True, False, False]
    assert found[0].norm == pytest.approx(0.3, abs=1e-4)
    assert "<tool_call>" in found[0].text()
    assert "0.3" in found[0].text()


def test_rows_that_point_the_same_way_are_dead_whatever_their_length() -> None:
    given = vectors()
    given[1] = given[0] * 1.4
    found = judge_rows(TOKENS, given, 1.0)
    assert [row.alike for row in found] == ["</tool_call>", "<tool_call>", ""]
    assert [row.dead for row in found] == [True, True, False]


def test_rows_of_zeros_are_dead() -> None:
    assert all(row.dead for row in judge_rows(TOKENS, np.zeros((3, 64), np.float32), 1.0))


def test_one_token_is_judged_by_its_norm_alone() -> None:
    assert not judge_rows(TOKENS[:1], vectors()[:1], 1.0)[0].dead


def test_a_dead_token_that_must_be_written_is_an_error() -> None:
    (found,) = row_findings(matrices((7,)), written={7, 8})
    assert found.level == "error"
    assert "<tool_call>" in found.text
    assert "trainable_token_indices" in found.text


def test_a_dead_token_that_is_only_read_is_a_warning() -> None:
    (found,) = row_findings(matrices((9,)), written={7, 8})
    assert found.level == "warning"
    assert "<|im_start|>" in found.text


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_a_dead_token_that_the_recipe_trains_is_said_and_no_more(tied: bool) -> None:
    rows = frozenset({7})
    found = row_findings(matrices((7,), tied=tied, embedding=rows, head=rows), written={7, 8})
    assert set(levels(found)) == {"info"}


def test_all_weights_train_all_rows() -> None:
    found = row_findings(matrices((7, 8, 9), embedding="all", head="all"), written={7, 8})
    assert set(levels(found)) == {"info"}


def test_rows_of_an_untied_head_that_stay_are_refused() -> None:
    """The silent one: PEFT trains the embedding, and nothing that is written changes."""
    given = matrices((7,), tied=False, embedding=frozenset({7}), head=frozenset())
    found = row_findings(given, written={7})
    assert levels(found) == ["error", "error", "info"]
    assert "untied head" in found[0].text
    assert "lm_head" in found[0].text


def test_the_silent_recipe_is_refused_even_where_no_row_is_dead() -> None:
    given = matrices(tied=False, embedding=frozenset({7}), head=frozenset())
    assert levels(row_findings(given, written={7})) == ["error"]


def test_lora_on_the_head_is_refused() -> None:
    (found,) = row_findings(matrices(tied=False, head="lora"), written={7})
    assert found.level == "error"
    assert "LoRA" in found.text


def test_a_copy_of_a_tied_head_is_refused() -> None:
    (found,) = row_findings(matrices(head="all", split=True), written={7})
    assert found.level == "error"
    assert "unties" in found.text


def test_rows_that_differ_between_the_matrices_are_refused() -> None:
    given = matrices(tied=False, embedding=frozenset({7, 8}), head=frozenset({7}))
    (found,) = row_findings(given, written={7})
    assert "[8]" in found.text


def test_everything_alive_is_silence() -> None:
    assert row_findings(matrices(), written={7, 8}) == []


def test_details_are_json() -> None:
    found = matrices((7,), embedding=frozenset({8, 7}), head="all").details()
    assert found["tied"] is True
    embedding = found["embedding"]
    assert isinstance(embedding, dict)
    assert embedding["trained"] == [7, 8]
