"""Draws many tokens from given logits with the worker's sampling method; prints the counts.

python draws.py < {"logits": […], "count": n, "settings": [{"temperature", "top_k", "top_p"}]}
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

WORKER = Path(__file__).parents[2] / "plugins" / "arms" / "callsmith_jax" / "worker"


def main() -> None:
    spec = importlib.util.spec_from_file_location(
        "callsmith_jax_worker", WORKER / "__init__.py", submodule_search_locations=[str(WORKER)]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["callsmith_jax_worker"] = package
    spec.loader.exec_module(package)
    sampling = importlib.import_module("callsmith_jax_worker.sampling")
    job = json.load(sys.stdin)
    logits = jnp.asarray(job["logits"], jnp.float32)[None]
    keys = jax.random.split(jax.random.key(0), job["count"])
    out = []
    for setting in job["settings"]:
        draw = sampling.Draw(**setting)
        tokens = jax.vmap(lambda key, draw=draw: draw.get_next_tokens(logits, key)[0])(keys)
        out.append(np.bincount(np.asarray(tokens), minlength=logits.shape[-1]).tolist())
    print(json.dumps(out))


if __name__ == "__main__":
    main()
