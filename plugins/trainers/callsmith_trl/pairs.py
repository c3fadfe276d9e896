"""Pairs of a right and a plausibly wrong completion of one prompt, and which are kept. Pure.

Where pairs come from is in `pair_sources` and `pair_corrections`; this is what they are, and what
is done with all of them: duplicates and rows of `dev` removed, balanced, a part held out, encoded.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from callsmith import JsonValue, Prompt, PromptTokens, Task, to_json
from callsmith_trl.pair_options import PairOptions

Origin = Literal["mined", "correction", "corruption"]
ORIGINS: tuple[Origin, ...] = ("correction", "mined", "corruption")
"""In the order in which they are kept: what the model really did comes before what it might do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One side of a pair: what follows the prompt.

    `text` is the whole of it; its last characters are `end`, which ends the turn ("" where a token
    limit cut it). `prompt` is the same text with the origin of its characters, where a template
    wrote it; `token_ids` are the ids that the model itself wrote, where a trace has them.
    """

    text: str
    end: str = ""
    prompt: Prompt | None = None
    token_ids: tuple[int, ...] | None = None

    def encode(self, tokens: PromptTokens, ends: Collection[int]) -> list[int]:
        """The ids. Those of the trace are used where they are this text in this tokenizer."""
        if self.token_ids:
            ids, body = list(self.token_ids), self.text.removesuffix(self.end)
            if self.end and ids[-1] in ends and tokens.decode(ids[:-1]) == body:
                return ids
            if tokens.decode(ids) == body:
                return [*ids, *tokens.encode_text(self.end)] if self.end else ids
        return tokens.encode(self.prompt) if self.prompt else tokens.encode_text(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A prompt, a right completion and a wrong one.

    `task` has the conversation that is the prompt, and the target by which both were judged;
    `source` is the id of the task that it comes from. `reason` is a stable name of what is wrong,
    `said` what the verifiers, or the tool that refused the call, said about it.
    """

    task: Task
    source: str
    prompt: Prompt
    chosen: Written
    rejected: Written
    reason: str
    origin: Origin
    said: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Identifies the three texts."""
        texts = json.dumps([self.prompt.text, self.chosen.text, self.rejected.text])
        return hashlib.sha256(texts.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """A pair as token ids; lists of ids, without padding."""

    pair: Pair
    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: list[int]

    def __len__(self) -> int:
        """Tokens of the prompt and the longer side."""
        return len(self.prompt_ids) + max(len(self.chosen_ids), len(self.rejected_ids))


@dataclass(slots=True, kw_only=True)
class Dropped:
    """What did not become a pair: ids by reason."""

    ids: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, id_: str) -> None:
        """Counts one."""
        self.ids.setdefault(reason, []).append(id_)

    def counts(self) -> dict[str, JsonValue]:
        """How many, by reason."""
        return {reason: len(ids) for reason, ids in sorted(self.ids.items())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The pairs to train on, and those on which rewards are measured."""

    train: tuple[Pair, ...]
    held_out: tuple[Pair, ...]


def select(
    pairs: Iterable[Pair], dev: Sequence[Task], options: PairOptions, seed: int, dropped: Dropped
) -> Selection:
    """Removes, balances and holds out; the same pairs for the same seed, whatever their order."""
    found = _distinct(pairs, dropped)
    found = _without_dev(found, dev, dropped)
    found.sort(key=lambda pair: (ORIGINS.index(pair.origin), _draw(seed, pair)))
    found = _capped(found, lambda pair: pair.source, options.per_task, "per-task", dropped)
    found = _capped(found, lambda pair: pair.reason, _cap(found, options), "balance", dropped)
    if options.limit and len(found) > options.limit:
        for pair in found[options.limit :]:
            dropped.add("limit", pair.source)
        found = found[: options.limit]
    held = _held_out(found, options.held_out, seed)
    train = [pair for pair in found if pair.source not in held]
    train.sort(key=lambda pair: _draw(seed, pair))
    return Selection(
        train=tuple(train), held_out=tuple(pair for pair in found if pair.source in held)
    )


def encoded(
    pairs: Iterable[Pair], tokens: PromptTokens, ends: Collection[int], dropped: Dropped
) -> list[PairRow]:
    """The rows of pairs, of whatever length."""
    rows: list[PairRow] = []
    for pair in pairs:
        row = PairRow(
            pair=pair,
            prompt_ids=tokens.encode(pair.prompt),
            chosen_ids=pair.chosen.encode(tokens, ends),
            rejected_ids=pair.rejected.encode(tokens, ends),
        )
        if row.chosen_ids == row.rejected_ids or not row.rejected_ids:
            dropped.add("equal tokens", pair.source)
        else:
            rows.append(row)
    return rows


def counts(pairs: Iterable[Pair]) -> dict[str, JsonValue]:
    """How many pairs there are of each reason, by origin."""
    table: dict[str, Counter[str]] = {}
    for pair in pairs:
        table.setdefault(pair.origin, Counter())[pair.reason] += 1
    return {
        origin: {reason: table[origin][reason] for reason in sorted(table[origin])}
        for origin in ORIGINS
        if origin in table
    }


def as_json(pair: Pair, part: str) -> dict[str, JsonValue]:
    """A line of pairs.jsonl: the texts as they are trained on, and why. `part`: train, held-out."""
    return {
        "source": pair.source,
        "part": part,
        "origin": pair.origin,
        "reason": pair.reason,
        "prompt": pair.prompt.text,
        "chosen": pair.chosen.text,
        "rejected": pair.rejected.text,
        "said": list(pair.said),
    }


def _distinct(pairs: Iterable[Pair], dropped: Dropped) -> list[Pair]:
    found: dict[str, Pair] = {}
    for pair in pairs:
        key = pair.key
        if pair.chosen.text == pair.rejected.text:
            dropped.add("equal texts", pair.source)
        elif key in found:
            dropped.add("duplicate", pair.source)
            found[key] = min(found[key], pair, key=_precedence)
        else:
            found[key] = pair
    return list(found.values())


def _precedence(pair: Pair) -> tuple[int, str, str]:
    """Which of two pairs of the same texts stays, the lowest: what was written before the same text
    made up; the names only make the choice independent of the order."""
    return ORIGINS.index(pair.origin), pair.source, pair.reason


def _without_dev(pairs: Sequence[Pair], dev: Sequence[Task], dropped: Dropped) -> list[Pair]:
    ids, contents = {task.id for task in dev}, {_content(task) for task in dev}
    kept: list[Pair] = []
    for pair in pairs:
        if pair.source in ids or (contents and _content(pair.task) in contents):
            dropped.add("stands in dev", pair.source)
        else:
            kept.append(pair)
    return kept


def _content(task: Task) -> str:
    plain = replace(task, id="", target={}, tags=(), toolbox=None, follow_ups=())
    return json.dumps(to_json(plain), sort_keys=True)


def _capped(
    pairs: Sequence[Pair], kind: Callable[[Pair], str], cap: int | None, name: str, dropped: Dropped
) -> list[Pair]:
    if cap is None:
        return list(pairs)
    seen: Counter[str] = Counter()
    kept: list[Pair] = []
    for pair in pairs:
        group = kind(pair)
        seen[group] += 1
        if seen[group] > cap:
            dropped.add(name, pair.source)
        else:
            kept.append(pair)
    return kept


def _cap(pairs: Sequence[Pair], options: PairOptions) -> int | None:
    if options.balance == "off" or not pairs:
        return None
    sizes = Counter(pair.reason for pair in pairs).values()
    middle = min(sizes) if options.balance == "rarest" else statistics.median_low(sizes)
    return max(1, int(options.balance_factor * middle))


def _held_out(pairs: Sequence[Pair], share: float, seed: int) -> set[str]:
    """The tasks that are held out: whole tasks, so that no prompt stands on both sides."""
    sources = sorted({pair.source for pair in pairs}, key=lambda one: _hash(seed, "held-out", one))
    count = round(share * len(sources))
    if share and not count and len(sources) > 1:
        count = 1
    return set(sources[: min(count, len(sources) - 1)] if sources else ())


def _draw(seed: int, pair: Pair) -> str:
    return _hash(seed, "draw", pair.key)


def _hash(seed: int, *names: str) -> str:
    text = "\0".join((str(seed), *names))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def table(found: Mapping[str, JsonValue]) -> str:
    """Counts as one line for a person: `mined 12 (no-call 7, wrong-value 5), corruption 30 (…)`."""
    parts: list[str] = []
    for origin, reasons in found.items():
        if isinstance(reasons, Mapping):
            listed = ", ".join(f"{name} {count}" for name, count in reasons.items())
            total = sum(count for count in reasons.values() if isinstance(count, int))
            parts.append(f"{origin} {total} ({listed})")
    return ", ".join(parts) or "none"
