"""Pairs from traces that went wrong, and from gold messages made wrong on purpose. Pure.

What is right and what is wrong is said by the job's verifiers alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from callsmith import CallsmithError, Message, Prompt, Task, Trace, dumps
from callsmith_trl import corruptions
from callsmith_trl.pair_judges import Judges, as_written, line
from callsmith_trl.pair_options import PairOptions
from callsmith_trl.pair_reasons import reason_of
from callsmith_trl.pairs import Dropped, Pair, Written
from callsmith_trl.rows import prompt_of, target_message


def mined(
    traces: Iterable[tuple[Task, Trace]], judges: Judges, options: PairOptions, dropped: Dropped
) -> list[Pair]:
    """Completions that a verifier refused, each with the right one of the same prompt."""
    # By the whole task: two runs may each have a task of the same name.
    grouped: dict[str, list[tuple[Task, Trace]]] = {}
    for task, trace in traces:
        grouped.setdefault(dumps(task), []).append((task, trace))
    found: list[Pair] = []
    for episodes in grouped.values():
        task = episodes[0][0]
        wrong = [one for _, one in episodes if judges.refusals(task, one)]
        if not wrong:
            continue
        try:
            message = target_message(task)
            prompt = prompt_of(task, judges.template, thinking=judges.thinking)
            gold = judges.write(task, message)
        except CallsmithError as error:
            dropped.add(f"no gold: {line(error)}", task.id)
            continue
        right = [one for _, one in episodes if one not in wrong]
        chosen = (_sample(task, right, judges) if options.chosen == "sample" else None) or gold
        if against := judges.refusals(task, judges.read(task, chosen.text)):
            dropped.add(f"the gold is refused by {against[0].partition(':')[0]}", task.id)
            continue
        for trace in wrong:
            pair = _near_miss(task, trace, message, prompt, judges, dropped)
            if pair is not None:
                rejected, reason, said = pair
                found.append(
                    Pair(
                        task=task,
                        source=task.id,
                        prompt=prompt,
                        chosen=chosen,
                        rejected=rejected,
                        reason=reason,
                        origin="mined",
                        said=said,
                    )
                )
    return found


def _near_miss(
    task: Task, trace: Trace, message: Message, prompt: Prompt, judges: Judges, dropped: Dropped
) -> tuple[Written, str, tuple[str, ...]] | None:
    reply = trace.turns[0].reply if trace.turns else None
    if reply is None:
        dropped.add("no reply in the trace", task.id)
        return None
    if len(trace.turns) > 1 and len(message.tool_calls) > 1:
        # The gold calls may have been made one after the other: no single turn was wrong.
        dropped.add("several turns and several gold calls", task.id)
        return None
    if reply.prompt is not None and reply.prompt.text != prompt.text:
        dropped.add("written after another prompt", task.id)
        return None
    written, cut = as_written(task, reply, judges, dropped)
    if written is None:
        return None
    # Judged once more, as a completion of this prompt and as this template reads it.
    read = judges.read(task, written.text, cut=cut)
    said = judges.refusals(task, read)
    if not said:
        dropped.add("right as a completion of the prompt", task.id)
        return None
    again = read.turns[0].reply
    assert again is not None
    return written, reason_of(task, again, message.tool_calls, cut=cut), said


def _sample(task: Task, right: Sequence[Trace], judges: Judges) -> Written | None:
    """The first right sample of one turn whose text is known and was not cut."""
    for trace in sorted(right, key=lambda one: one.sample):
        reply = trace.turns[0].reply if len(trace.turns) == 1 else None
        if reply is not None and reply.completion is not None and reply.completion.text:
            written, cut = as_written(task, reply, judges, Dropped())
            if written and not cut and not judges.refusals(task, judges.read(task, written.text)):
                return written
    return None


def corrupted(
    tasks: Iterable[Task], judges: Judges, options: PairOptions, seed: int, dropped: Dropped
) -> list[Pair]:
    """Gold messages made wrong; of the corruptions that a task allows, the rarest so far."""
    used: Counter[str] = Counter()
    found: list[Pair] = []
    for task in tasks:
        try:
            message = target_message(task)
            prompt = prompt_of(task, judges.template, thinking=judges.thinking)
            chosen = judges.write(task, message)
            read = judges.read(task, chosen.text)
        except CallsmithError as error:
            dropped.add(f"no gold: {line(error)}", task.id)
            continue
        if against := judges.refusals(task, read):
            dropped.add(f"the gold is refused by {against[0].partition(':')[0]}", task.id)
            continue
        gold = corruptions.Gold(task=task, message=message)
        order = corruptions.generator(seed, task.id).sample(options.kinds, len(options.kinds))
        made = 0
        for kind in sorted(order, key=lambda name: used[name]):
            if made == options.corruptions:
                break
            wrong = _wrong(kind, gold, chosen, read, judges, seed)
            if wrong is None:
                continue
            used[kind] += 1
            made += 1
            found.append(
                Pair(
                    task=task,
                    source=task.id,
                    prompt=prompt,
                    chosen=chosen,
                    rejected=wrong[0],
                    reason=kind,
                    origin="corruption",
                    said=wrong[1],
                )
            )
        if not made:
            dropped.add("no corruption that a verifier refuses", task.id)
    return found


def _wrong(
    kind: str, gold: corruptions.Gold, chosen: Written, read: Trace, judges: Judges, seed: int
) -> tuple[Written, tuple[str, ...]] | None:
    """The first candidate that can be written and that a verifier refuses, and what it says."""
    candidates: list[Written] = []
    if kind in corruptions.CHANGES:
        for message in corruptions.changes(kind, gold, seed):
            try:
                candidates.append(judges.write(gold.task, message))
            except CallsmithError:
                continue  # the template cannot say it, so no model will
    elif read.calls and chosen.prompt is not None:
        raw = read.calls[0].raw
        for prompt in corruptions.damages(kind, gold.task.id, chosen.prompt, raw, seed):
            candidates.append(Written(text=prompt.text, end=judges.end(prompt.text), prompt=prompt))
    for written in candidates:
        if written.text == chosen.text:
            continue
        said = judges.refusals(gold.task, judges.read(gold.task, written.text))
        if said:
            return written, said
    return None
