"""The agent loop: one task on one arm."""

from callsmith.agent.loop import run_episode

__all__ = ["run_episode"]
