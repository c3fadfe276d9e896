"""Bake-offs: the run folder, the runner and the summary."""

from callsmith.runs.bakeoff import Progress, run_bakeoff
from callsmith.runs.store import RunFolder
from callsmith.runs.summary import summarize, wilson_interval

__all__ = ["Progress", "RunFolder", "run_bakeoff", "summarize", "wilson_interval"]
