"""Greedy completions without sampler and cache: the whole sequence is run for every token.

    python oracle.py FOLDER < {"prompts": […], "max_tokens": n}

Shares with the arm the library's transformer, its parameters and its tokenizer, and nothing of its
samplers, caches, padding and stopping. Prints a list of {"ids", "logprobs", "text"}; `ids` with the
token that ended the completion.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from gemma import gm
from tiny_gemma4 import make_model

ENDS = (1, 50, 106)
LENGTH = 256


def main() -> None:
    folder, job = Path(sys.argv[1]), json.load(sys.stdin)
    tokenizer = gm.text.Gemma4Tokenizer(path=str(folder / "tokenizer.model"))
    model, _ = make_model(tokenizer.vocab_size)
    params = gm.ckpts.load_params(folder / "params")

    @jax.jit
    def forward(tokens):
        return model.apply({"params": params}, tokens).logits

    out = []
    for prompt in job["prompts"]:
        ids = tokenizer.encode(prompt.removeprefix("<bos>"), add_bos=True)
        begin = len(ids)
        logprobs = []
        while len(ids) < min(LENGTH, begin + job["max_tokens"]) and (
            len(ids) == begin or ids[-1] not in ENDS
        ):
            tokens = np.zeros((1, LENGTH), np.int32)
            tokens[0, : len(ids)] = ids
            row = np.asarray(jax.nn.log_softmax(forward(jnp.asarray(tokens))[0, len(ids) - 1]))
            ids.append(int(row.argmax()))
            logprobs.append(float(row.max()))
        new = ids[begin:]
        body = new[:-1] if new[-1] in ENDS else new
        out.append({"ids": new, "logprobs": logprobs, "text": tokenizer.decode(body)})
    print(json.dumps(out))


if __name__ == "__main__":
    main()
