"""Runs the vector files of a folder against a template, and says per file how many agree.

    python -m callsmith.testing.conformance --template gemma4 DIR [--option repair=schema] [--json]

`callsmith.testing.vectors` has the format of the files and the rules of the comparison.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from callsmith.cli.text import read_options
from callsmith.errors import CallsmithError
from callsmith.protocols import Template
from callsmith.testing.vectors import (
    Status,
    TemplateFactory,
    VectorResult,
    run_folder,
    run_vector,
    same,
)

__all__ = [
    "Status",
    "TemplateFactory",
    "VectorResult",
    "as_json",
    "by_file",
    "installed",
    "main",
    "report",
    "run_folder",
    "run_vector",
    "same",
]


def report(results: Sequence[VectorResult]) -> Iterator[str]:
    """Lines for people: per file how many agree, then each vector that does not."""
    total = [result for result in results if result.status != "not applicable"]
    for file, group in by_file(results).items():
        applicable = [result for result in group if result.status != "not applicable"]
        agreeing = [result for result in applicable if result.status == "agrees"]
        allowed = {
            how: sum(result.how == how for result in agreeing)
            for how in ("white space", "repaired")
        }
        remarks = [f"{count} by {how}" for how, count in allowed.items() if count]
        if len(group) > len(applicable):
            remarks.append(f"{len(group) - len(applicable)} not applicable")
        remark = f" ({', '.join(remarks)})" if remarks else ""
        yield f"{file}: {len(agreeing)} of {len(applicable)} agree{remark}"
        for result in applicable:
            if result.status == "differs":
                yield f"  {result.id}: {result.reason}"
    agree = sum(result.status == "agrees" for result in total)
    yield f"all: {agree} of {len(total)} agree, {len(results) - len(total)} not applicable"


def by_file(results: Sequence[VectorResult]) -> dict[str, list[VectorResult]]:
    """The results of each file, in order."""
    files: dict[str, list[VectorResult]] = {}
    for result in results:
        files.setdefault(result.file, []).append(result)
    return files


def as_json(results: Sequence[VectorResult]) -> str:
    """One JSON document: counts per file, and every result."""
    statuses: tuple[Status, ...] = ("agrees", "differs", "not applicable")
    files = {
        file: {status: sum(result.status == status for result in group) for status in statuses}
        for file, group in by_file(results).items()
    }
    document = {"files": files, "results": [asdict(result) for result in results]}
    return json.dumps(document, ensure_ascii=False, indent=1)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. 0: the vectors were run; 1: `--fail` and some differ; 2: cannot run."""
    parser = argparse.ArgumentParser(
        prog="python -m callsmith.testing.conformance",
        description="Run vector files of the shared format against a template.",
    )
    parser.add_argument("--template", required=True, help="the template's name, as `gemma4`")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the template; a value that is not JSON is text",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    parser.add_argument("--fail", action="store_true", help="exit with 1 if any vector differs")
    parser.add_argument("folder", type=Path, metavar="DIR", help="vector files, and subfolders")
    given = parser.parse_args(arguments)
    try:
        results = run_folder(installed(given.template, read_options(given.option)), given.folder)
    except CallsmithError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if given.json:
        print(as_json(results))
    else:
        for line in report(results):
            print(line)
    return int(given.fail and any(result.status == "differs" for result in results))


def installed(name: str, options: Mapping[str, Any] | None = None) -> TemplateFactory:
    """The factory of an installed template, with `options` beneath those of a vector.

    Raises what `Catalog.build` raises, for an unknown name or a mistyped option, at once.
    """
    import callsmith

    catalog = callsmith.load()
    base = dict(options or {})
    built: dict[str, Template] = {}

    def build(own: Mapping[str, Any]) -> Template:
        wanted = {**base, **own}
        key = json.dumps(wanted, sort_keys=True)
        if key not in built:
            built[key] = catalog.build("template", name, wanted)
        return built[key]

    build({})
    return build


if __name__ == "__main__":
    sys.exit(main())
