"""One line for whatever the libraries, the machine or the data do wrong."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from callsmith import CallsmithError, ConfigError

LENGTH = 400
MEMORY = "gradient_checkpointing: true; batch_size: 1 with more accumulation; a lower max_length"


class TrainingError(CallsmithError):
    """Training could not go on. What was finished is kept: the same job resumes from there."""


class OutOfMemoryError(TrainingError):
    """Memory did not suffice, of a GPU or of the machine."""


def one_line(error: BaseException) -> str:
    """What an exception says, shortened."""
    text = " ".join(str(error).split())
    text = text if len(text) <= LENGTH else text[:LENGTH] + "…"
    return text or type(error).__name__


def is_memory(error: BaseException) -> bool:
    """Whether memory did not suffice, of a GPU or of the machine."""
    # PyTorch raises a class of its own for a GPU, and a plain RuntimeError for the CPU.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "t allocate memory" in str(error))
    )


def is_full_disk(error: BaseException | None) -> bool:
    """Whether a disk (or a quota) was full; also where a library wrapped that error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        # safetensors and torch.save raise classes of their own, with the system's words in them.
        if "No space left on device" in str(error) or "os error 28" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def clear_failures(
    what: str, output: str | Path, estimate: Callable[[], str] = lambda: ""
) -> Iterator[None]:
    """Turns whatever is raised inside into one clear line.

    `what` was being done, such as "training"; `estimate` gives what the preflight said about memory
    and what helps most.
    `CallsmithError` passes through. Raises `OutOfMemoryError`, `TrainingError`, `ConfigError`.
    """
    try:
        yield
    except CallsmithError:
        raise
    except Exception as error:
        if is_memory(error):
            first = one_line(error).partition(". ")[0]
            said = estimate() or f"what helps most: {MEMORY}"
            raise OutOfMemoryError(f"{what} ran out of memory ({first}); {said}") from None
        if is_full_disk(error):
            raise TrainingError(
                f"the disk of {output} is full; make room and start the same job again, it goes on "
                "from its last checkpoint"
            ) from None
        if isinstance(error, PermissionError):
            raise ConfigError(
                f"{error.filename or output} may not be written: {one_line(error)}"
            ) from None
        raise TrainingError(f"{what} failed: {type(error).__name__}: {one_line(error)}") from error
