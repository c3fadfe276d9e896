"""What a preflight says about rows: refusals, lengths, ends, memory."""

from __future__ import annotations

import pytest

from callsmith_trl import checks
from callsmith_trl.checks import Example
from callsmith_trl.memory import GIB, Estimate, Part
from callsmith_trl.savings import Saving

END, EOS, CALL = 2, 3, 7


def example(name: str = "a", *completions: list[int], prompt: int = 4) -> Example:
    return Example(id=name, prompt_ids=[1] * prompt, completions=completions)


def ends(*examples: Example, own: tuple[int, ...] = (END, EOS)) -> list[str]:
    found = checks.ends(examples, {END, EOS}, own, lambda number: f"<{number}>")
    return [f"{one.level}: {one.text}" for one in found]


def test_a_row_that_is_too_long_is_a_warning_with_its_id() -> None:
    (found,) = checks.lengths([example("short", [5]), example("long", [5] * 20)], 10)
    assert found.level == "warning"
    assert "1 of 2" in found.text
    assert found.details == {"dropped": 1, "longest": 24, "ids": ["long"]}


def test_only_too_long_rows_are_an_error() -> None:
    (found,) = checks.lengths([example("long", [5] * 20)], 10)
    assert found.level == "error"


def test_the_longer_side_of_a_pair_counts() -> None:
    assert checks.lengths([example("pair", [5], [5] * 20)], 10)


def test_generated_tokens_count() -> None:
    assert not checks.lengths([example("prompt")], 10, 6)
    assert checks.lengths([example("prompt")], 10, 7)


def test_a_row_of_just_the_length_fits() -> None:
    assert not checks.lengths([example("fits", [5] * 6)], 10)


def test_many_ids_are_cut() -> None:
    (found,) = checks.lengths([example(f"r{i}", [5] * 20) for i in range(9)], 10)
    assert "r4, …" in found.text
    assert "r5" not in found.text


def test_refused_rows_are_counted_by_reason() -> None:
    refused = [("a", "no target"), ("b", "no name"), ("c", "no target")]
    (found,) = checks.refusals(refused, kept=7)
    assert found.level == "warning"
    assert "3 of 10" in found.text
    assert "a, c: no target" in found.text
    assert "1 other" in found.text


@pytest.mark.parametrize("refused", [[], [("a", "no target")]], ids=["none", "refused"])
def test_nothing_left_is_an_error(refused: list[tuple[str, str]]) -> None:
    (found,) = checks.refusals(refused, kept=0)
    assert found.level == "error"


def test_rows_without_a_fault_are_silence() -> None:
    assert checks.refusals([], kept=3) == []
    assert ends(example("a", [CALL, END])) == []


def test_an_end_that_serving_does_not_know_is_an_error() -> None:
    (found,) = ends(example("a", [CALL, END]), example("b", [CALL]))
    assert found.startswith("error: 1 completions end with '<7>' (b)")
    assert "<2>, <3>" in found


def test_an_end_in_the_middle_is_an_error() -> None:
    (found,) = ends(example("a", [END, CALL, END]))
    assert found.startswith("error")
    assert "before their end" in found


def test_an_empty_completion_is_an_error() -> None:
    (found,) = ends(example("a", []))
    assert "empty" in found


def test_an_end_that_the_checkpoint_does_not_name_is_a_warning() -> None:
    (found,) = ends(example("a", [CALL, END]), own=(EOS,))
    assert found.startswith("warning")
    assert "generation_config.json" in found
    assert "[2]" in found


def test_the_rejected_side_may_be_cut() -> None:
    assert ends(example("a", [CALL, END], [CALL])) == []


def test_prompts_without_completions_have_no_ends() -> None:
    assert ends(example("a")) == []


def found(peak: int, weights: int, limit: int | None) -> tuple[str, str]:
    estimate = Estimate(parts=(Part(name="embedding", size=peak),), moment="generation")
    saving = Saving(change="rank 8", size=GIB)
    (one,) = checks.memory(estimate, weights, limit, [saving])
    return one.level, one.text


def test_memory_that_suffices_is_information() -> None:
    assert found(GIB, GIB, 2 * GIB)[0] == "info"
    assert found(GIB, GIB, None)[0] == "info"


def test_a_peak_that_may_not_fit_is_a_warning_with_what_helps() -> None:
    level, text = found(3 * GIB, GIB, 2 * GIB)
    assert level == "warning"
    assert "rank 8 saves 1.0 GiB" in text
    assert "embedding 3.00" in text


def test_weights_that_cannot_fit_are_an_error() -> None:
    assert found(3 * GIB, 3 * GIB, 2 * GIB)[0] == "error"


def test_percentiles() -> None:
    assert checks.percentiles(range(1, 101)) == {"count": 100, "p50": 51, "p95": 95, "max": 100}
    assert checks.percentiles([]) == {"count": 0}
