"""How fast multi-turn entries are scored, beside the official scorer.

    python benchmarks/bench_bfcl_multi_turn.py [--repeat N] [--json]

Needs the wheel (`callsmith bfcl fetch`); the corpus row also needs ../shared/bfcl. Each number is
entries per second of processor time, the best of N runs in one process, after import and loading.
`first` scores each entry once with a new checker: the answers are carried out too. `again` scores
the same entries with the answers remembered, as every further run or model does. The first four
rows are the answers themselves, which are not carried out twice: turns that repeat the answer word
for word are known. The corpus is mostly wrong or worded differently. `official` was
measured with bfcl-eval 2025.12.17 on a machine of this kind (two slow cores, CPython 3.11), also
after import, which alone takes it 5.6 s; it remembers nothing, so `first` is what compares.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from callsmith_bfcl.data import Entry, load_entries
from callsmith_bfcl.multi_turn import MultiTurnChecker
from callsmith_bfcl.wheel import Wheel, open_wheel

OFFICIAL = {
    "multi_turn_base": 759,
    "multi_turn_miss_func": 734,
    "multi_turn_miss_param": 737,
    "multi_turn_long_context": 437,
    "corpus": 825,
}
"""Entries per second of processor time; the corpus is the official figure for 20,800 rows."""
CORPUS = Path(__file__).resolve().parents[2] / "shared/bfcl/parity_multi_turn_public.jsonl.gz"
TARGET = 1_500

Work = Sequence[tuple[Entry, Any]]


def score(checker: MultiTurnChecker, work: Work) -> None:
    for entry, turns in work:
        checker.check(entry, turns)


def rate(count: int, repeat: int, prepare: Callable[[], MultiTurnChecker], work: Work) -> float:
    """Entries per second, the best of `repeat` runs, each with what `prepare` gives."""
    best = float("inf")
    for _ in range(repeat):
        checker = prepare()
        started = time.process_time()
        score(checker, work)
        best = min(best, time.process_time() - started)
    return count / best


def measure(name: str, work: Work, wheel: Wheel, repeat: int) -> dict[str, Any]:
    """One row of the table."""

    def new() -> MultiTurnChecker:
        checker = MultiTurnChecker(wheel, cached_entries=1_000)
        score(checker, work)  # compiles the simulated APIs
        checker.forget()
        return checker

    warm = new()
    score(warm, work)
    return {
        "workload": name,
        "entries": len(work),
        "first": rate(len(work), repeat, new, work),
        "again": rate(len(work), repeat, lambda: warm, work),
        "official": OFFICIAL[name],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    wheel = open_wheel()
    entries: dict[str, Entry] = {}
    rows: list[dict[str, Any]] = []
    for name in OFFICIAL:
        if name != "corpus":
            loaded = load_entries(wheel, name)
            entries |= {entry.id: entry for entry in loaded}
            work: Work = [(entry, [[turn] for turn in entry.ground_truth]) for entry in loaded]
        elif CORPUS.is_file():
            with gzip.open(CORPUS, "rt", encoding="utf-8") as file:
                lines = [json.loads(line) for line in file]
            work = [(entries[line["id"]], line["turns"]) for line in lines]
        else:
            continue
        rows.append(measure(name, work, wheel, arguments.repeat))
    # Linux counts kilobytes, macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    if arguments.json:
        print(json.dumps({"rows": rows, "peak_mb": peak, "python": sys.version.split()[0]}))
        return
    print(
        f"{'workload':<24}{'entries':>8}{'first/s':>10}{'again/s':>10}{'official/s':>12}{'ratio':>8}"
    )
    for row in rows:
        ratio = row["first"] / row["official"]
        print(
            f"{row['workload']:<24}{row['entries']:>8}{row['first']:>10.0f}{row['again']:>10.0f}"
            f"{row['official']:>12}{ratio:>8.1f}"
        )
    print(f"peak memory {peak:.0f} MB; target: the corpus at {TARGET} entries per second or more")


if __name__ == "__main__":
    main()
