"""How fast single-turn entries are decoded and checked, beside the official scorer.

    python benchmarks/bench_bfcl_single_turn.py [--repeat N] [--json]

Needs the wheel (`callsmith bfcl fetch`); the corpus row also needs ../shared/bfcl. Each number is
entries per second of processor time, the best of N runs in one process, after import and loading.
`official` was measured with bfcl-eval 2025.12.17 on a machine of this kind (two slow cores,
CPython 3.11), also after import, which alone takes it 5.6 s.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from callsmith_bfcl.categories import CATEGORIES
from callsmith_bfcl.checking import check_calls
from callsmith_bfcl.data import Entry, load_entries
from callsmith_bfcl.decoding import decode_function_calls, decode_text
from callsmith_bfcl.wheel import MissingDataError, open_wheel

CORPUS = Path(__file__).resolve().parents[2] / "shared/bfcl/parity_public.jsonl.gz"
OFFICIAL = {"function calls": 34_600, "Python text": 16_300, "corpus": 58_900}
"""Entries per second of processor time on a quiet core."""
TARGET = 60_000


def gold(entry: Entry) -> list[dict[str, dict[str, Any]]]:
    """Calls with the first accepted value of every parameter that may not be left out."""
    return [
        {
            name: {
                parameter: first(alternatives)
                for parameter, alternatives in accepted.items()
                if "" not in alternatives
            }
        }
        for answer in entry.ground_truth
        for name, accepted in answer.items()
    ]


def first(alternatives: list[Any]) -> Any:
    value = alternatives[0] if alternatives else []
    if isinstance(value, dict):
        return {key: choices[0] for key, choices in value.items() if "" not in choices}
    return value


def source(calls: list[dict[str, dict[str, Any]]]) -> str:
    return (
        "["
        + ", ".join(
            f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"
            for call in calls
            for name, arguments in call.items()
        )
        + "]"
    )


def check(entry: Entry, decoded: object, underscore_to_dot: bool = False) -> bool:
    return check_calls(
        entry.functions,
        decoded,
        entry.ground_truth,
        CATEGORIES[entry.category].language,
        entry.category,
        underscore_to_dot,
    ).valid


def measure(name: str, count: int, work: Callable[[], None], repeat: int) -> dict[str, Any]:
    """One row of the table."""
    best = float("inf")
    for _ in range(repeat):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return {
        "workload": name,
        "entries": count,
        "ours": count / best,
        "official": OFFICIAL[name],
        "ratio": count / best / OFFICIAL[name],
    }


def measurements(repeat: int) -> list[dict[str, Any]]:
    wheel = open_wheel()
    names = [name for name, c in CATEGORIES.items() if c.kind == "single" and c.checker == "ast"]
    entries = {entry.id: entry for name in names for entry in load_entries(wheel, name)}

    calls = [
        (entry, [{name: json.dumps(given) for name, given in call.items()} for call in gold(entry)])
        for entry in entries.values()
    ]
    texts = [
        (entry, source(gold(entry)))
        for entry in entries.values()
        if CATEGORIES[entry.category].language == "python"
    ]

    def check_function_calls() -> None:
        for entry, result in calls:
            check(entry, decode_function_calls(result))

    def check_texts() -> None:
        for entry, text in texts:
            check(entry, decode_text(text))

    table = [
        measure("function calls", len(calls), check_function_calls, repeat),
        measure("Python text", len(texts), check_texts, repeat),
    ]
    if CORPUS.is_file():
        with gzip.open(CORPUS, "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        replayed = [
            (entries[row["id"]], row["output"], row["underscore_to_dot"])
            for row in rows
            if row["kind"] == "decoded" and row["id"] in entries
        ]

        def check_corpus() -> None:
            for entry, decoded, underscore_to_dot in replayed:
                check(entry, decoded, underscore_to_dot)

        table.append(measure("corpus", len(replayed), check_corpus, repeat))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    try:
        table = measurements(arguments.repeat)
    except MissingDataError as error:
        sys.exit(str(error))
    # Linux counts kilobytes, macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    if arguments.json:
        print(json.dumps({"rows": table, "peak_mb": peak, "python": sys.version.split()[0]}))
        return
    print(f"{'workload':<18}{'entries':>9}{'ours/s':>10}{'official/s':>12}{'ratio':>8}")
    for row in table:
        print(
            f"{row['workload']:<18}{row['entries']:>9}{row['ours']:>10.0f}"
            f"{row['official']:>12}{row['ratio']:>8.1f}"
        )
    print(f"peak memory {peak:.0f} MB; target: the corpus at {TARGET} entries per second or more")


if __name__ == "__main__":
    main()
