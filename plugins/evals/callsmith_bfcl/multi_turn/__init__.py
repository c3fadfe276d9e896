"""Multi-turn categories: calls carried out by a small interpreter on the simulated APIs."""

from __future__ import annotations

from callsmith_bfcl.multi_turn.checker import MultiTurnChecker, check_multi_turn, decodable_steps
from callsmith_bfcl.multi_turn.session import EpisodeApis, LiveApis

__all__ = ["EpisodeApis", "LiveApis", "MultiTurnChecker", "check_multi_turn", "decodable_steps"]
