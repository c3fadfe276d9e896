"""Is the model that is served the one that was trained?

A fixed set of tasks is asked of every way of serving. Next tokens are compared at every position of
the gold completions (teacher-forced, so that one early difference does not hide all later ones),
then greedy completions are compared and judged by the same verifier as everywhere. What an arm
wrote elsewhere is read by the trained model, if the arm shows its tokens. A published run
fell from 83.7 % to 47.6 % by merging; its author first took it for under-training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from callsmith import Completion, Template, Verifier
from callsmith_trl.comparing import Drawn, Likeness, Said, estimated_divergence, same_answers
from callsmith_trl.loading import Loaded
from callsmith_trl.probe import generate
from callsmith_trl.reading import trace_of_ids
from callsmith_trl.rows import TrainRow
from callsmith_trl.served import Served
from callsmith_trl.variants import TRAINED

TOP = 4096
"""The most likely tokens of the trained model whose probabilities are kept at each position; the
others count as one. That makes the divergence of a larger vocabulary a lower bound, by very
little, and keeps a quarter of a million numbers per position out of memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distributions:
    """The next tokens at every position of the gold completions, of all rows one after another.

    `ids` and `logs` have shape (positions, at most TOP), sorted from the most likely on; `rest` is
    the logarithm of what all others have together, shape (positions).
    """

    ids: torch.Tensor
    logs: torch.Tensor
    rest: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """The probe set, as rows of one tokenizer, and how answers are judged."""

    rows: tuple[TrainRow, ...]
    template: Template
    verifier: Verifier
    max_new_tokens: int = 256
    batch_size: int = 8


def distributions(loaded: Loaded, probes: Probes) -> Distributions:
    """What the trained model finds likely."""
    ids, logs, rest = [], [], []
    for one in _each(loaded, probes):
        top = one.topk(min(TOP, one.shape[-1]), dim=-1)
        others = 1 - top.values.exp().sum(-1)
        ids.append(top.indices.to(torch.int32))
        logs.append(top.values)
        rest.append(others.clamp_min(1e-12).log())
    return Distributions(ids=torch.cat(ids), logs=torch.cat(logs), rest=torch.cat(rest))


def likeness(
    name: str, loaded: Loaded, probes: Probes, trained: Distributions, said: Sequence[Said]
) -> Likeness:
    """How far `loaded` is from the trained model, whose distributions and answers are given."""
    place = agreed = 0
    divergence = 0.0
    for one in _each(loaded, probes):
        there = slice(place, place + len(one))
        ids, logs = trained.ids[there].long(), trained.logs[there]
        here = one.gather(-1, ids)
        others = (1 - here.exp().sum(-1)).clamp_min(1e-12).log()
        rest = trained.rest[there]
        terms = (logs.exp() * (logs - here)).sum(-1)
        if ids.shape[-1] < one.shape[-1]:
            terms += rest.exp() * (rest - others)
        divergence += float(terms.sum())
        agreed += int((one.argmax(-1) == ids[:, 0]).sum())
        place += len(one)
    ours, right = answers(loaded, probes)
    return Likeness(
        name=name,
        tasks=len(probes.rows),
        right=right,
        same=same_answers(ours, said),
        positions=place,
        agreement=agreed / max(place, 1),
        divergence=max(0.0, divergence / max(place, 1)),
    )


def answers(loaded: Loaded, probes: Probes) -> tuple[list[Said], int]:
    """Greedy answers to all tasks, and how many the verifier finds right."""
    written = generate(
        loaded,
        [row.prompt_ids for row in probes.rows],
        max_new_tokens=probes.max_new_tokens,
        batch_size=probes.batch_size,
    )
    said: list[Said] = []
    right = 0
    for row, ids in zip(probes.rows, written, strict=True):
        trace = trace_of_ids(
            row.task, probes.template, loaded.tokens, ids, loaded.ends, prompt=row.prompt
        )
        reply = trace.turns[0].reply
        assert reply is not None
        said.append(Said(calls=reply.calls, text=reply.content or ""))
        right += probes.verifier.verify(row.task, trace).passed
    return said, right


def compare(
    trained: Callable[[], Loaded],
    others: Sequence[tuple[str, Callable[[], Loaded]]],
    probes: Probes,
    use: Callable[[Callable[[], Loaded], Callable[[Loaded], Any]], Any],
    done: Callable[[Likeness], None] = lambda likeness: None,
    served: Sequence[Served] = (),
) -> list[Likeness]:
    """All ways of serving against the trained model, one in memory at a time (see `released`).

    The trained model comes first, then `others`, then the arms that were asked before.
    """

    def first(loaded: Loaded) -> tuple[Distributions, list[Said], int, list[Likeness]]:
        known = distributions(loaded, probes)
        said, right = answers(loaded, probes)
        return known, said, right, [served_likeness(one, loaded, probes, said) for one in served]

    known, said, right, arms = use(trained, first)
    positions = len(known.ids)
    found = [
        Likeness(
            name=TRAINED,
            tasks=len(probes.rows),
            right=right,
            same=len(probes.rows),
            positions=positions,
            agreement=1.0,
            divergence=0.0,
        )
    ]
    done(found[0])
    for name, load in others:

        def measure(loaded: Loaded, name: str = name) -> Likeness:
            return likeness(name, loaded, probes, known, said)

        found.append(use(load, measure))
        done(found[-1])
    return [*found, *arms]


def served_likeness(arm: Served, loaded: Loaded, probes: Probes, said: Sequence[Said]) -> Likeness:
    """How far an arm is from the trained model, which is `loaded` and answered `said`."""
    positions = agreed = 0
    drawn: list[Drawn] = []
    strange = 0
    for row, completion in zip(probes.rows, arm.greedy, strict=True):
        if completion is None:
            continue
        if not _is_ours(loaded, completion):
            strange += 1
            continue
        ids = torch.tensor(completion.token_ids)
        agreed += int((_after(loaded, row.prompt_ids, ids).argmax(-1) == ids).sum())
        positions += len(ids)
    for row, completion in zip(probes.rows, arm.drawn, strict=False):
        if completion is None or completion.logprobs is None or not _is_ours(loaded, completion):
            continue
        ids = torch.tensor(completion.token_ids)
        logs = _after(loaded, row.prompt_ids, ids).gather(-1, ids[:, None])[:, 0]
        drawn.append(Drawn(arm=completion.logprobs, trained=logs.tolist()))
    divergence, error = estimated_divergence(drawn) or (None, None)
    notes = [arm.note] if arm.note else []
    if strange:
        notes.append(f"the token ids of {strange} completions are not those of this tokenizer")
    return Likeness(
        name=f"arm {arm.name}",
        tasks=len(probes.rows),
        right=arm.right,
        same=same_answers(arm.said, said),
        positions=positions,
        agreement=agreed / positions if positions else None,
        divergence=divergence,
        error=error,
        served=True,
        note="; ".join(notes),
    )


def _is_ours(loaded: Loaded, completion: Completion) -> bool:
    """Whether the token ids mean the completion's text in the trained model's vocabulary."""
    ids = completion.token_ids or ()
    if not ids or max(ids) >= loaded.network.get_input_embeddings().weight.shape[0]:
        return False
    return loaded.tokens.decode(ids).startswith(completion.text)


def _each(loaded: Loaded, probes: Probes) -> Any:
    """Log probabilities (positions, vocabulary) of each row's completion, in float32 on the CPU."""
    for row in probes.rows:
        yield _after(loaded, row.prompt_ids, torch.tensor(row.completion_ids))


def _after(loaded: Loaded, prompt_ids: Sequence[int], ids: torch.Tensor) -> torch.Tensor:
    """Log probabilities (positions, vocabulary) at each of `ids` behind a prompt and each other."""
    whole = torch.cat([torch.tensor(prompt_ids), ids])[None].to(loaded.device)
    with torch.inference_mode():
        logits = loaded.model(input_ids=whole, use_cache=False).logits[0]
    return logits[len(prompt_ids) - 1 : -1].float().log_softmax(-1).cpu()
