"""What `callsmith data` prints: counts, lengths, and rows as they are trained."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from callsmith import ConfigError
from callsmith_tasks.data.rendering import Lengths, Rendered, measure, plain
from callsmith_tasks.data.row import Rejected, Row

PERCENTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 1.0)


def console() -> Console:
    """As wide as the terminal, 100 columns in a pipe."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=100)


_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def seen(text: str) -> str:
    """The text with characters that a terminal obeys, or cannot write, as escapes: ``\\x1b``."""
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


def token_counter(path: Path | None) -> Callable[[str], int]:
    """Counts the tokens of a text, special tokens as the text has them; characters without a file.

    Raises `ConfigError` for a file that is no tokenizer.
    """
    if path is None:
        return len
    import tokenizers

    try:
        found = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises plain Exception, for a missing file too
        raise ConfigError(f"is no tokenizer.json: {error}", path=str(path)) from None
    # A tokenizer.json may carry the limits of its model; what is measured must not be cut.
    found.no_truncation()
    found.no_padding()

    def count(text: str) -> int:
        return len(found.encode(text, add_special_tokens=False).ids)

    return count


def print_counts(rows: Sequence[Row], rejected: Sequence[Rejected]) -> None:
    """Rows kept, by source and kind, and rows left out, by source and reason, with examples."""
    out = console()
    table = Table(title=f"{len(rows)} rows", title_justify="left")
    table.add_column("source")
    for name in ("rows", "one call", "several", "no call", "with history"):
        table.add_column(name, justify="right")
    for source in sorted({row.source for row in rows}):
        own = [row for row in rows if row.source == source]
        calls = Counter(min(len(row.calls), 2) for row in own)
        history = sum(any(m.role == "assistant" for m in row.messages) for row in own)
        numbers = (len(own), calls[1], calls[2], calls[0], history)
        table.add_row(escape(seen(source)), *map(str, numbers))
    out.print(table)
    if not rejected:
        return
    table = Table(title=f"{len(rejected)} left out", title_justify="left")
    for name in ("source", "reason"):
        table.add_column(name)
    table.add_column("rows", justify="right")
    table.add_column("first", overflow="fold")
    found = Counter((item.source, item.reason) for item in rejected)
    for (source, reason), number in sorted(found.items()):
        first = next(i for i in rejected if (i.source, i.reason) == (source, reason))
        table.add_row(
            escape(seen(source)), reason, str(number), escape(seen(f"{first.id}: {first.detail}"))
        )
    out.print(table)


def print_lengths(
    rows: Sequence[Row],
    texts: Sequence[Rendered] | None,
    count: Callable[[str], int],
    unit: str,
    limit: int | None,
) -> None:
    """Percentiles of the lengths, and what `limit` would cut."""
    if not rows:
        return
    out = console()
    lengths = measure(texts if texts is not None else map(plain, rows), count)
    form = "prompt and completion" if texts is not None else "plain text, without a template"
    out.print(f"length in {unit} ({form})", markup=False)
    table = Table()
    for share in PERCENTILES:
        table.add_column("longest" if share == 1 else f"{share:.0%}", justify="right")
    table.add_row(*(str(lengths.percentile(share)) for share in PERCENTILES))
    out.print(table)
    if limit is not None:
        _print_cut(out, lengths, limit, unit)


def _print_cut(out: Console, lengths: Lengths, limit: int, unit: str) -> None:
    longer, dropped = lengths.cut(limit)
    share = longer / len(lengths.total)
    out.print(
        f"a limit of {limit} {unit} cuts {longer} of {len(lengths.total)} rows ({share:.1%}); "
        f"{dropped} of them would lose their whole completion and train nothing",
        markup=False,
    )


def print_rows(rows: Sequence[Row], texts: Sequence[Rendered] | None, shown: int) -> None:
    """The first rows as they are trained: the prompt dim, the completion bright.

    Where there are no colours (a pipe, a log), the completion stands between ⟦ and ⟧.
    """
    out = console()
    for at, row in enumerate(rows[:shown]):
        item = texts[at] if texts is not None else plain(row)
        out.rule(escape(seen(f"{row.id} ({row.source})")), align="left")
        left, right = ("", "") if out.is_terminal else ("⟦", "⟧")
        text = Text()  # a style of the whole would dim the completion too
        text.append(seen(item.prompt), style="dim")
        text.append(f"{left}{seen(item.completion)}{right}", style="bold bright_green")
        out.print(text, soft_wrap=True)
