"""All the pairs of a job, from all sources. Pure."""

from __future__ import annotations

from callsmith import Template, TrainJob
from callsmith_trl.pair_corrections import corrected
from callsmith_trl.pair_judges import Judges
from callsmith_trl.pair_options import PairOptions
from callsmith_trl.pair_sources import corrupted, mined
from callsmith_trl.pairs import Dropped, Pair, Selection, select


def build_pairs(
    job: TrainJob,
    template: Template,
    options: PairOptions,
    dropped: Dropped,
    *,
    thinking: bool = False,
) -> Selection:
    """The pairs of a job's traces and tasks, the same ones for the same job.

    What did not become a pair is counted in `dropped`.
    """
    judges = Judges(template=template, verifiers=job.verifiers, thinking=thinking)
    found: list[Pair] = []
    if options.mined:
        found += mined(job.traces, judges, options, dropped)
    if options.corrections:
        found += corrected(job.traces, judges, dropped)
    if options.corruptions:
        dev = {task.id for task in job.dev}
        tasks = [task for task in job.tasks if task.id not in dev]
        found += corrupted(tasks, judges, options, job.seed, dropped)
    return select(found, job.dev, options, job.seed, dropped)
