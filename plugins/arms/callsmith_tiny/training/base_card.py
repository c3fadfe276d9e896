"""The README.md in the folder of a base made by `tiny-base`. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from callsmith import JsonValue


def card(details: Mapping[str, JsonValue]) -> str:
    """The folder's README.md: what this is and what it is not."""
    tokens = details["untrained_tokens"]
    listed = ", ".join(f"`{t!r}`" for t in tokens) if isinstance(tokens, list) else ""
    return f"""# A stand-in for a pretrained base model

**Not a pretrained model.** {details["parameters"]:,} weights, architecture Qwen3, made by the
trainer `tiny-base` in {details["seconds"]} seconds: {details["steps"]} steps,
{details["tokens"]:,} tokens of synthetic conversations of tool calling (Callsmith's generator, the
words of its training split), in Gemma 4's native format, with the embedded model's tokenizer. It
has read nothing else and knows nothing about the world.

It plays the part of a base model that never learned to call: once trained, the rows of these
tokens in the embedding and the head were overwritten, all with one short vector:
{listed or "none"}.

What a call needs (finding the tool, copying the values, the order of the format) it learnt; what
it cannot do is write the tokens that open and close one, as base models cannot whose training never
held their control tokens. Numbers of later stages on it say that the pipeline works. They say
nothing about how much a real base model would gain.

Loss on what the model says, at the end: {details["loss"]}. Options:

```json
{json.dumps(details["config"], indent=1)}
```
"""
