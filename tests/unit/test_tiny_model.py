"""The NumPy network against PyTorch's numbers, and against itself in pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import callsmith_tiny
from callsmith_tiny.model import BLOCK, TinyModel

FOLDER = Path(callsmith_tiny.__file__).parent
GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "tiny_logits.npz"
KINDS = ("single", "several", "follow_up", "none")
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def model() -> TinyModel:
    return TinyModel(FOLDER / "model.safetensors")


@pytest.mark.parametrize("kind", KINDS)
def test_log_probabilities_are_pytorchs(model: TinyModel, kind: str) -> None:
    golden = np.load(GOLDEN)
    ids, expected = golden[f"ids_{kind}"].astype(int), golden[f"logprobs_{kind}"]
    ours = model.logprobs(ids.tolist())[-len(expected) :]
    assert np.abs(ours - expected).max() < TOLERANCE


def test_the_cache_gives_what_the_whole_text_gives(model: TinyModel) -> None:
    ids = np.load(GOLDEN)["ids_single"].astype(int).tolist()
    whole = model.logprobs(ids)
    # A state that has to grow, fed in uneven pieces.
    state = model.state(4)
    at = 0
    for size in (1, 2, 50, 1, 1, 30, 1000):
        piece = ids[at : at + size]
        at += len(piece)
        if piece:
            assert np.abs(model.feed(piece, state) - whole[at - 1]).max() < TOLERANCE
    assert at == len(ids)


def test_prompts_longer_than_a_block(model: TinyModel) -> None:
    short = np.load(GOLDEN)["ids_none"].astype(int).tolist()
    ids = (short * (2 * BLOCK // len(short) + 2))[: 2 * BLOCK + 7]
    state = model.state()
    one_by_one = model.state()
    for token in ids:
        expected = model.feed([token], one_by_one)
    assert np.abs(model.feed(ids, state) - expected).max() < TOLERANCE
    assert state.length == one_by_one.length == len(ids)


def test_probabilities_add_up_to_one(model: TinyModel) -> None:
    ids = np.load(GOLDEN)["ids_several"].astype(int).tolist()
    sums = np.exp(model.logprobs(ids)).sum(axis=-1)
    assert np.abs(sums - 1).max() < TOLERANCE


def test_texts_do_not_disturb_each_other(model: TinyModel) -> None:
    golden = np.load(GOLDEN)
    first, second = (golden[f"ids_{k}"].astype(int).tolist() for k in ("single", "none"))
    alone = model.feed(first, model.state())
    a, b = model.state(), model.state()
    model.feed(first[:20], a)
    model.feed(second, b)
    assert np.array_equal(model.feed(first[20:], a).argmax(), alone.argmax())
    assert np.abs(model.feed([second[0]], b) - model.logprobs([*second, second[0]])[-1]).max() < (
        TOLERANCE
    )


def test_no_token_is_an_error(model: TinyModel) -> None:
    with pytest.raises(ValueError, match="at least one token"):
        model.feed([], model.state())


def test_another_safetensors_file_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "other.safetensors"
    save_file({"x": np.zeros(2, np.float32)}, str(path))
    with pytest.raises(ValueError, match="not a tiny model"):
        TinyModel(path)


@pytest.mark.torch
def test_numpy_and_pytorch_agree_on_new_conversations(model: TinyModel) -> None:
    pytest.importorskip("torch")
    from callsmith import Prompt, Segment
    from callsmith_tiny.tokens import Tokens
    from callsmith_tiny.training.export import load, torch_logprobs
    from callsmith_tiny.training.generator import Generator

    network = load(FOLDER / "model.safetensors")
    tokens = Tokens(FOLDER / "tokenizer.json")
    generator = Generator("heldout", 99)
    for index in range(12):
        example = generator.example(index)
        text = example.prompt + example.completion
        ids = tokens.encode(Prompt(segments=(Segment(text=text, origin="control"),)))
        theirs = torch_logprobs(network, ids).numpy()
        assert np.abs(model.logprobs(ids) - theirs).max() < TOLERANCE
