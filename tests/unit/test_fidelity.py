"""What is known about arms, side by side: what differs, what is the same, what nobody knows."""

from __future__ import annotations

from typing import Any

from callsmith import Fidelity, to_json
from callsmith.runs import FidelityRow, fidelity_rows


def header(*arms: tuple[Fidelity | None, dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    """The parts of a run's header that count here: (fidelity, sampling, options) for each arm."""
    names = [f"arm{i}" for i in range(len(arms))]
    return {
        "config": {
            "arms": {
                name: {"sampling": sampling, "options": options}
                for name, (_, sampling, options) in zip(names, arms, strict=True)
            }
        },
        "sessions": [
            {"fidelity": {"arm0": {"error": "an earlier session"}}},
            {
                "fidelity": {
                    name: {"error": "no server"} if known is None else to_json(known)
                    for name, (known, _, _) in zip(names, arms, strict=True)
                }
            },
        ],
    }


def rows(*arms: tuple[Fidelity | None, dict[str, Any], dict[str, Any]]) -> dict[str, FidelityRow]:
    return {row.field: row for row in fidelity_rows(header(*arms))}


def test_known_values_that_are_not_equal_differ() -> None:
    found = rows(
        (Fidelity(runtime="a", model="m", context_length=2048), {}, {}),
        (Fidelity(runtime="b", model="m", context_length=4096), {}, {}),
    )
    assert found["context_length"].state == "differs"
    assert found["context_length"].values == ("2048", "4096")
    assert not found["context_length"].expected
    assert found["model"].state == "same"
    assert found["runtime"].state == "differs"
    assert found["runtime"].expected


def test_what_one_arm_does_not_know_is_unknown_not_different() -> None:
    found = rows(
        (Fidelity(runtime="a", model_digest="sha256:1"), {}, {}),
        (Fidelity(runtime="b"), {}, {}),
    )
    assert found["model_digest"].state == "unknown"
    assert found["model_digest"].values == ("sha256:1", None)


def test_a_difference_is_one_although_a_third_arm_knows_nothing() -> None:
    found = rows(
        (Fidelity(runtime="a", quantization="bf16"), {}, {}),
        (None, {}, {}),
        (Fidelity(runtime="a", quantization="Q4_K_M"), {}, {}),
    )
    assert found["quantization"].state == "differs"


def test_sampling_is_shown_as_applied_ignored_or_unknown() -> None:
    asked = {"temperature": 0.5, "top_k": 40, "seed": 7}
    found = rows(
        (Fidelity(runtime="a", sampling={"temperature": "applied", "top_k": "applied"}), asked, {}),
        (Fidelity(runtime="b", sampling={"temperature": "applied", "top_k": "ignored"}), asked, {}),
    )
    assert found["sampling.temperature"].values == ("0.5", "0.5")
    assert found["sampling.top_k"].values == ("40", "ignored")
    assert found["sampling.top_k"].state == "differs"
    assert found["sampling.seed"].values == (None, None)
    assert found["sampling.seed"].state == "unknown"


def test_options_are_there_only_where_they_differ() -> None:
    known = Fidelity(runtime="a")
    found = rows(
        (known, {}, {"constrain": True, "model": "m"}),
        (known, {}, {"constrain": False, "model": "m", "url": "only here"}),
    )
    assert [name for name in found if name.startswith("options")] == ["options.constrain"]


def test_a_run_without_a_session_knows_nothing() -> None:
    empty = header((Fidelity(runtime="a"), {"seed": 1}, {}))
    del empty["sessions"]
    assert {row.state for row in fidelity_rows(empty)} == {"unknown"}
