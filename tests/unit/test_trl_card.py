"""The model card says what was done, and nothing about the machine."""

from __future__ import annotations

from callsmith_trl.card import Card, write_card

CARD = Card(
    method="sft",
    base="Qwen/Qwen3-4B",
    adapter=True,
    template="qwen3:0123",
    seed=7,
    data={"rows": 12, "digest": "sha256:ab"},
    options={"rank": 16},
    results={"steps": 40, "right": 0.8125},
    versions={"trl": "1.16.0"},
    history=[
        {"step": 0, "right": 0.25, "loss": 6.25, "seconds": 3.0},
        {"step": 40, "right": 0.8125, "loss": None, "seconds": 3.0},
    ],
    best=40,
    notes=["a | b"],
)


def test_a_card_has_base_data_options_results_and_versions() -> None:
    text = write_card(CARD)
    for wanted in (
        'base_model: "Qwen/Qwen3-4B"',
        "library_name: peft",
        "| rows | 12 |",
        "| right | 0.8125 |",
        "| 0 | 0.25 | 6.25 |",
        "| 40 | 0.8125 | null |",
        "weights of step 40",
        '"rank": 16',
        "| template | qwen3:0123 |",
        "| seed | 7 |",
        "| trl | 1.16.0 |",
        "- a | b",
    ):
        assert wanted in text
    assert text.startswith("---\n")
    assert "seconds" not in text


def test_a_whole_model_is_no_adapter() -> None:
    text = write_card(Card(**{**{n: getattr(CARD, n) for n in CARD.__slots__}, "adapter": False}))
    assert "library_name: transformers" in text
    assert "A model made from" in text
