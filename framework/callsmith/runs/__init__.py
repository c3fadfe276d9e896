"""Bake-offs: the run folder, the runner and the summary."""

from callsmith.runs.bakeoff import Progress, run_bakeoff
from callsmith.runs.benchmark import benchmark_rows
from callsmith.runs.fidelity import FidelityRow, fidelity_rows
from callsmith.runs.store import RunFolder
from callsmith.runs.summary import summarize, wilson_interval

__all__ = [
    "FidelityRow",
    "Progress",
    "RunFolder",
    "benchmark_rows",
    "fidelity_rows",
    "run_bakeoff",
    "summarize",
    "wilson_interval",
]
