"""Starts the fuzzer of the Gemma 4 decoder, which stands beside its corpus in `tests/fuzz`.

python benchmarks/fuzz_gemma4.py --minutes 10
"""

from __future__ import annotations

import runpy
from pathlib import Path

if __name__ == "__main__":
    root = Path(__file__).resolve().parent.parent
    runpy.run_path(str(root / "tests" / "fuzz" / "gemma4_fuzz.py"), run_name="__main__")
