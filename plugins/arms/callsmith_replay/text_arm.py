"""`replay`: recorded completions, found by the exact text of the prompt."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

from callsmith import Completion, Fidelity, Prompt, Sampling
from callsmith_replay.config import ReplayConfig
from callsmith_replay.recordings import read_recordings
from callsmith_replay.shelf import Shelf, replayed


class ReplayTextArm:
    """A `TextArm` over recordings: the prompt must be the recorded one, to the character.

    Several completions of one prompt (samples) are given in recorded order, that of the
    request's own seed first. Recorded times and counts come with them.
    """

    def __init__(self, config: ReplayConfig) -> None:
        self.config = config
        self._recordings = read_recordings(Path(config.path), config.arm)
        self._shelf = Shelf(
            self._recordings,
            "prompt",
            [
                (record.prompt, record.seed, record.source, record.completion)
                for record in self._recordings.records
                if record.prompt is not None and record.completion is not None
            ],
        )

    async def complete(self, prompt: Prompt, sampling: Sampling) -> Completion:
        """The recorded completion. Raises `ArmError` if there is none."""
        free = self.config.sampling == "any"
        return self._shelf.take(prompt.text, sampling, any_sampling=free)

    async def stream(
        self, prompt: Prompt, sampling: Sampling
    ) -> AsyncGenerator[str | Completion, None]:
        """The recorded completion's text in one piece, then the completion."""
        completion = await self.complete(prompt, sampling)
        if completion.text:
            yield completion.text
        yield completion

    async def probe(self) -> Fidelity:
        """What the recorded run knew about its runtime and model."""
        return replayed(self._recordings)

    async def aclose(self) -> None:
        """Nothing is held."""
