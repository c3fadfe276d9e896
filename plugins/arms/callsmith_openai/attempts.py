"""How a request got through, and how its answer ended."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Attempts:
    """How a request got through, and how its answer ended.

    Attempts made, why they failed, seconds lost with them; `sent` is `time.perf_counter()` when
    the attempt that got through was sent; `complete` says whether the answer said that it is over
    (by `[DONE]`, or by being one whole JSON object).
    """

    count: int = 1
    causes: tuple[str, ...] = ()
    lost: float = 0.0
    sent: float = 0.0
    complete: bool = False
    events: int = 0

    @property
    def note(self) -> str | None:
        """One line for the trace, if anything was sent again."""
        if not self.causes:
            return None
        return (
            f"the request was sent {self.count} times; before any answer had begun, it failed "
            f"with: {'; '.join(self.causes)}"
        )
