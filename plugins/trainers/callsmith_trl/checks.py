"""What a preflight looks at in the rows: lengths, ends, refusals, templates. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from callsmith import JsonValue
from callsmith_trl.findings import Finding, Level
from callsmith_trl.memory import GIB, Estimate
from callsmith_trl.savings import Saving

LISTED = 5
"""How many ids a line names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What is trained on for one row, as token ids.

    `completions`: for SFT the one that is learnt, for DPO chosen and rejected, for GRPO none.
    """

    id: str
    prompt_ids: Sequence[int]
    completions: Sequence[Sequence[int]] = ()

    def length(self, new_tokens: int = 0) -> int:
        """Tokens of the prompt and the longest completion; `new_tokens` where none is given."""
        longest = max((len(one) for one in self.completions), default=new_tokens)
        return len(self.prompt_ids) + longest


def refusals(refused: Sequence[tuple[str, str]], kept: int) -> list[Finding]:
    """Rows (id, reason) that could not be made into examples."""
    if not refused:
        return [] if kept else [_nothing()]
    reasons: dict[str, list[str]] = {}
    for number, reason in refused:
        reasons.setdefault(reason, []).append(number)
    most = sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0]))
    text = (
        f"{len(refused)} of {len(refused) + kept} rows cannot be learnt: "
        f"{_ids(most[0][1])}: {most[0][0]}"
    )
    if len(most) > 1:
        text += f" (and {len(most) - 1} other reasons)"
    return [
        Finding(
            level="warning" if kept else "error",
            check="rows",
            text=text if kept else f"{text}; nothing is left to train on",
            details={"reasons": {reason: list(ids[:LISTED]) for reason, ids in most}},
        )
    ]


def lengths(examples: Sequence[Example], max_length: int, new_tokens: int = 0) -> list[Finding]:
    """Rows that do not fit. They are left out as a whole: a call that is cut teaches to cut."""
    long = [one for one in examples if one.length(new_tokens) > max_length]
    if not long:
        return []
    longest = max(one.length(new_tokens) for one in long)
    room = f" with {new_tokens} tokens to generate" if new_tokens else ""
    all_of_them = len(long) == len(examples)
    return [
        Finding(
            level="error" if all_of_them else "warning",
            check="length",
            text=f"{len(long)} of {len(examples)} rows are longer than max_length {max_length}"
            f"{room} and are left out ({_ids([one.id for one in long])}); the longest has "
            f"{longest} tokens: raise max_length, or declare fewer tools",
            details={
                "dropped": len(long),
                "longest": longest,
                "ids": [one.id for one in long[:LISTED]],
            },
        )
    ]


def ends(
    examples: Sequence[Example],
    stops: Collection[int],
    own: Collection[int],
    name: Callable[[int], str],
) -> list[Finding]:
    """Whether what is learnt ends where serving stops.

    `stops` are the ids that end a completion when it is served with the template, `own` those that
    the checkpoint's generation config names, by which any other server stops. `name` is the text
    of an id. Only the first completion of an example is looked at: a rejected one may be cut.
    """
    learnt = [(one, one.completions[0]) for one in examples if one.completions]
    empty = [one.id for one, ids in learnt if not ids]
    open_ = [(one.id, ids[-1]) for one, ids in learnt if ids and ids[-1] not in stops]
    early = [
        (one.id, next(number for number in ids[:-1] if number in stops))
        for one, ids in learnt
        if any(number in stops for number in ids[:-1])
    ]
    last = sorted({ids[-1] for _, ids in learnt if ids and ids[-1] in stops} - set(own))
    known = ", ".join(sorted(name(number) for number in stops)) or "none"
    found: list[Finding] = []
    if empty:
        found.append(_error("ends", f"{len(empty)} completions are empty ({_ids(empty)})"))
    if open_:
        found.append(
            _error(
                "ends",
                f"{len(open_)} completions end with {name(open_[0][1])!r} "
                f"({_ids([one for one, _ in open_])}), at which serving does not stop (it stops "
                f"at {known}): the model would never end a turn; use the model's own template, "
                "or a checkpoint whose tokenizer has its end token",
            )
        )
    if early:
        found.append(
            _error(
                "ends",
                f"{len(early)} completions hold {name(early[0][1])!r} before their end "
                f"({_ids([one for one, _ in early])}), where serving would stop; use another "
                "template, or take it out of the rows",
            )
        )
    if last:
        names = ", ".join(name(number) for number in last)
        found.append(
            Finding(
                level="warning",
                check="ends",
                text=f"the checkpoint's generation_config.json does not end at {names}, which "
                "ends what is learnt: a server that is not given the template's stop strings "
                f"would run on; add {last} to its eos_token_id",
                details={"ids": list(last)},
            )
        )
    return found


def memory(
    found: Estimate, weights: int, limit: int | None, options: Sequence[Saving]
) -> list[Finding]:
    """The estimate against what there is, in bytes; `weights` are those alone."""
    details: dict[str, JsonValue] = {
        "peak": found.size,
        "moment": found.moment,
        "parts": {part.name: part.size for part in found.parts},
        "limit": limit,
    }
    text = found.text()
    if limit is None:
        return [Finding(level="info", check="memory", text=text, details=details)]
    text = f"{text}; there are {limit / GIB:.1f}"
    if found.size <= limit:
        return [Finding(level="info", check="memory", text=text, details=details)]
    help_ = "; ".join(one.text() for one in options[:3])
    advice = f". What helps most: {help_}" if help_ else ""
    # The estimate may be wrong by a tenth; the weights alone cannot be argued with.
    level: Level = "error" if weights > limit else "warning"
    return [Finding(level=level, check="memory", text=f"{text}{advice}", details=details)]


def percentiles(values: Sequence[int]) -> dict[str, JsonValue]:
    """Count, median, 95th percentile and maximum."""
    ordered = sorted(values)
    if not ordered:
        return {"count": 0}
    last = len(ordered) - 1
    return {
        "count": len(ordered),
        "p50": ordered[round(last * 0.5)],
        "p95": ordered[round(last * 0.95)],
        "max": ordered[-1],
    }


def _nothing() -> Finding:
    return _error("rows", "there are no rows to train on; give the step tasks with a target")


def _error(check: str, text: str) -> Finding:
    return Finding(level="error", check=check, text=text)


def _ids(ids: Sequence[str]) -> str:
    listed = ", ".join(ids[:LISTED])
    return f"{listed}, …" if len(ids) > LISTED else listed
