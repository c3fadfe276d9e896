"""What scoring a whole BFCL result folder costs, in a process of its own, start-up included.

    python benchmarks/bench_bfcl_folder.py FOLDER [--model NAME] [--repeat N] [--out] [--json]

FOLDER is a result folder in the official layout, such as the `result` folder of the shared
synthetic results (5,106 entries of one model). Each run is `callsmith bfcl score` in a child
process; CPU seconds and peak memory are the operating system's account of it, the best of N.
The official scorer's figures for the same folder stand beside them: 10.5 CPU seconds and 350 MB on
a quiet core of the machine on which it was measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OFFICIAL = {"cpu_seconds": 10.5, "peak_mb": 350}
"""`bfcl evaluate --test-category all_scoring` of bfcl-eval 2025.12.17 on the 5,106 entries."""


def measure(command: list[str]) -> dict[str, float]:
    """CPU seconds (user and system, children included), wall seconds and peak memory in MB."""
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        output = child.stdout.read()
        errors = child.stderr.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begin
    if child.returncode not in (0, 1):
        sys.exit(f"scoring failed: {errors.decode(errors='replace') or output.decode()}")
    # Linux gives kilobytes, macOS bytes.
    unit = 1e6 if sys.platform == "darwin" else 1e3
    peak = used.ru_maxrss / unit
    return {"cpu_seconds": used.ru_utime + used.ru_stime, "wall_seconds": wall, "peak_mb": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="gpt-4o-2024-11-20-FC")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", action="store_true", help="write score files and tables, too")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    command = [sys.executable, "-m", "callsmith.cli.main", "bfcl", "score", str(arguments.folder)]
    command += ["--model", arguments.model, "--jobs", str(arguments.jobs)]
    with tempfile.TemporaryDirectory() as scores:
        if arguments.out:
            command += ["--out", scores]
        runs = [measure(command) for _ in range(arguments.repeat)]
    best = {name: min(run[name] for run in runs) for name in runs[0]}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    if arguments.json:
        print(json.dumps({"machine": machine, "ours": best, "runs": runs, "official": OFFICIAL}))
        return
    print(machine)
    print(f"ours      {best['cpu_seconds']:6.2f} CPU s  {best['peak_mb']:5.0f} MB  ", end="")
    print(f"{best['wall_seconds']:.2f} s on the clock (best of {arguments.repeat})")
    print(f"official  {OFFICIAL['cpu_seconds']:6.2f} CPU s  {OFFICIAL['peak_mb']:5.0f} MB")


if __name__ == "__main__":
    main()
