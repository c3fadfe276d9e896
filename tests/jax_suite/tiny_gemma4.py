"""Makes a tiny Gemma 4 that has learnt a few conversations by heart; runs in the JAX environment.

    python tiny_gemma4.py FOLDER < job.json

The job has `texts`, a list of [prompt, completion], and `dialogs`, a list of conversations that the
`dialog` library renders (what the library's own tool loop will send). The folder gets `params` (the
library's own checkpoint format), `tokenizer.model` and `model.json`.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from pathlib import Path

import dialog
import jax
import jax.numpy as jnp
import mcp
import numpy as np
import optax
from gemma import gm
from gemma.gm.nn.gemma4 import _config, _modules, _transformer
from sentencepiece import sentencepiece_model_pb2

SPECIAL = {
    0: "<pad>",
    1: "<eos>",
    2: "<bos>",
    3: "<unk>",
    4: "<mask>",
    46: "<|tool>",
    47: "<tool|>",
    48: "<|tool_call>",
    49: "<tool_call|>",
    50: "<|tool_response>",
    51: "<tool_response|>",
    52: '<|"|>',
    98: "<|think|>",
    100: "<|channel>",
    101: "<channel|>",
    105: "<|turn>",
    106: "<turn|>",
}
"""The ids that the library has written into its source."""

SHAPE = {
    "embed_dim": 64,
    "hidden_dim": 128,
    "num_heads": 2,
    "head_dim": 32,
    "num_kv_heads": 1,
    "final_logit_softcap": 30.0,
    "use_post_attn_norm": True,
    "use_post_ffw_norm": True,
    "attention_types": ["local_sliding", "global", "local_sliding", "global"],
    "sliding_window_size": 64,
    "global_key_size": 32,
    "global_rope_proportion": 0.25,
    "local_rope_proportion": 1.0,
    "local_base_frequency": 10_000,
    "global_base_frequency": 1_000_000,
    "per_layer_input_dim": 16,
    "kv_cache_sharing_config": {
        "frac_shared_layers": 0.5,
        "share_global": True,
        "share_local": True,
    },
}
"""Everything that makes Gemma 4 special, as small as it goes."""


def make_tokenizer(texts: list[str]) -> bytes:
    """A sentencepiece BPE model: special tokens, bytes, characters, and the texts' words."""
    proto = sentencepiece_model_pb2.ModelProto()
    trainer, kinds = proto.trainer_spec, sentencepiece_model_pb2.ModelProto.SentencePiece
    trainer.model_type = sentencepiece_model_pb2.TrainerSpec.BPE
    trainer.byte_fallback = True
    trainer.pad_id, trainer.eos_id, trainer.bos_id, trainer.unk_id = 0, 1, 2, 3
    normaliser = proto.normalizer_spec
    normaliser.name = "identity"
    normaliser.add_dummy_prefix = False
    normaliser.remove_extra_whitespaces = False
    normaliser.escape_whitespaces = True

    def add(piece: str, kind: int, score: float = 0.0) -> None:
        proto.pieces.add(piece=piece, type=kind, score=score)

    for index in range(107):
        piece = SPECIAL.get(index, f"<unused{index}>")
        if index == 3:
            add(piece, kinds.UNKNOWN)
        elif index in (0, 1, 2, 4):
            add(piece, kinds.CONTROL)
        else:
            add(piece, kinds.USER_DEFINED)
    for byte in range(256):
        add(f"<0x{byte:02X}>", kinds.BYTE)
    known = {piece.piece for piece in proto.pieces}
    characters = sorted({*map(chr, range(33, 127)), "▁", "\n"} - known)
    words: Counter[str] = Counter()
    for text in texts:
        words.update(re.findall(r"[A-Za-z]{2,}", text))
    pieces: dict[str, None] = {}
    for word, _ in sorted(words.items(), key=lambda item: (-item[1], item[0])):
        pieces.update(dict.fromkeys(word[:end] for end in range(2, len(word) + 1)))
    for order, piece in enumerate(pieces):
        add(piece, kinds.NORMAL, -float(order))
    for order, piece in enumerate(characters):
        add(piece, kinds.NORMAL, -float(len(pieces) + order))
    trainer.vocab_size = len(proto.pieces)
    return proto.SerializeToString()


def make_model(vocabulary: int) -> tuple[_transformer.Transformer, dict[str, object]]:
    """The model, and its description for `model.json`."""
    described = {**SHAPE, "num_embed": vocabulary, "dtype": "float32"}
    fields = {key: value for key, value in described.items() if key != "dtype"}
    kinds = {kind.name.lower(): kind for kind in _modules.AttentionType}
    fields["attention_types"] = tuple(kinds[name] for name in SHAPE["attention_types"])
    fields["kv_cache_sharing_config"] = _config.KVCacheSharingConfig(
        **SHAPE["kv_cache_sharing_config"]
    )

    class Tiny(_transformer.Transformer):
        INFO = _transformer.ModelInfo(tokenizer_version=4)

    return Tiny(config=_config.TransformerConfig(**fields), dtype=jnp.float32), described


def rendered(conversation: dict[str, object]) -> list[tuple[str, str]]:
    """(prompt, completion) pairs of a tool conversation, as the library's tool loop sends them."""
    tools = [
        dialog.Tool(
            mcp.types.Tool(
                name=t["name"], description=t["description"], inputSchema=t["parameters"]
            )
        )
        for t in conversation["tools"]
    ]
    turns = [dialog.System(tools)] if tools else []
    turns.append(dialog.User(conversation["question"]))
    prompt = str(dialog.Conversation(turns).as_text())
    if "call" not in conversation:
        return [(prompt, conversation["answer"] + "<turn|>")]
    call = conversation["call"]
    asked = str(dialog.ToolCall(call).as_text())
    result = {
        "name": call["name"],
        "structuredContent": {"result": conversation["result"]},
    }
    answered = str(dialog.Conversation(dialog.Model(dialog.ToolResponse(result))).as_text())
    first = asked + "<|tool_response>"
    answer = conversation["answer"] + "<turn|>"
    # Without the token that ended the turn: what the library's loop really goes on from, since it
    # never runs that token and gives its position to the next one.
    return [
        (prompt, first),
        (prompt + first + answered, answer),
        (prompt + asked + answered, answer),
    ]


def train(model, tokenizer, pairs, steps, seed=0):
    """Parameters that complete the prompts greedily, and the last loss."""
    rows, weights = [], []
    for prompt, completion in pairs:
        head = tokenizer.encode(prompt.removeprefix("<bos>"), add_bos=True)
        tail = tokenizer.encode(completion)
        rows.append(head + tail)
        weights.append([0.0] * (len(head) - 1) + [1.0] * len(tail))
    length = -(-max(map(len, rows)) // 32) * 32
    tokens = np.zeros((len(rows), length), np.int32)
    mask = np.zeros((len(rows), length - 1), np.float32)
    for index, (row, weight) in enumerate(zip(rows, weights, strict=True)):
        tokens[index, : len(row)] = row
        mask[index, : len(weight)] = weight
    print(f"{len(rows)} rows of {length} tokens", flush=True)
    tokens, mask = jnp.asarray(tokens), jnp.asarray(mask)
    params = jax.jit(model.init)(jax.random.key(seed), tokens[:1])["params"]
    schedule = optax.cosine_decay_schedule(5e-3, steps, alpha=0.05)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
    state = optimiser.init(params)

    def loss_of(params):
        logits = model.apply({"params": params}, tokens).logits[:, :-1]
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:])
        return (losses * mask).sum() / mask.sum()

    @jax.jit
    def step(params, state):
        loss, gradient = jax.value_and_grad(loss_of)(params)
        updates, state = optimiser.update(gradient, state)
        return optax.apply_updates(params, updates), state, loss

    began = time.perf_counter()
    for number in range(steps):
        params, state, loss = step(params, state)
        if number % 20 == 0:
            print(f"step {number} loss {loss:.4f} {time.perf_counter() - began:.0f} s", flush=True)
            if loss < 0.003:
                break
    return params, float(loss)


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    job = json.load(sys.stdin)
    pairs = [tuple(pair) for pair in job["texts"]]
    for conversation in job["dialogs"]:
        pairs += rendered(conversation)
    pairs = list(dict.fromkeys(pairs))
    proto = make_tokenizer([text for pair in pairs for text in pair])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(proto)
    tokenizer = gm.text.Gemma4Tokenizer(path=str(folder / "tokenizer.model"))
    model, described = make_model(tokenizer.vocab_size)
    (folder / "model.json").write_text(json.dumps(described, indent=1))
    params, loss = train(model, tokenizer, pairs, job.get("steps", 400))
    gm.ckpts.save_params(params, folder / "params", wait_until_finished=True)
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    print(json.dumps({"parameters": count, "loss": loss, "vocabulary": tokenizer.vocab_size}))


if __name__ == "__main__":
    main()
