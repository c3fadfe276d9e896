"""One line for whatever the libraries raise."""

from __future__ import annotations

LENGTH = 400
MEMORY = "lower batch_size, quantise (quantization: nf4), or shorten prompts and lower max_tokens"


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


def out_of_memory(what: str, error: BaseException) -> str:
    """The line for memory that did not suffice."""
    first = one_line(error).partition(". ")[0]
    return f"{what} ran out of memory ({first}): {MEMORY}"
