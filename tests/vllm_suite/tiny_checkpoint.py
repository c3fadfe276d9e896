"""A tiny Gemma 4 with random weights, and an adapter for it, as folders that vLLM loads.

Random weights say nothing, but the same thing every time: enough to see whether a runtime keeps
what it was given. The sizes of the heads are the smallest that vLLM's attention takes on a CPU.
"""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

CONTEXT = 512
SPECIAL = {
    "<pad>": 0, "<eos>": 1, "<bos>": 2, "<unk>": 3,
    "<|tool_call>": 48, "<tool_call|>": 49, "<|tool_response>": 50, "<tool_response|>": 51,
    '<|"|>': 52, "<|turn>": 105, "<turn|>": 106,
}  # fmt: skip
"""The ids that the published tokenizer gives them."""
ENDS = (1, 106, 50)
FIRST_BYTE = 110


def write_model(folder: Path, *, head: int = 32) -> None:
    """Model, generation config and tokenizer."""
    import torch
    from transformers import Gemma4ForCausalLM, GenerationConfig
    from transformers.models.gemma4.configuration_gemma4 import Gemma4TextConfig

    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    config = Gemma4TextConfig(
        vocab_size=len(tokenizer),
        vocab_size_per_layer_input=len(tokenizer),
        hidden_size=64,
        hidden_size_per_layer_input=16,
        intermediate_size=128,
        num_hidden_layers=4,
        layer_types=["sliding_attention", "full_attention"] * 2,
        num_kv_shared_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=head,
        global_head_dim=2 * head,
        sliding_window=128,
        max_position_embeddings=CONTEXT,
        final_logit_softcapping=30.0,
        eos_token_id=list(ENDS),
    )
    model = Gemma4ForCausalLM(config)
    model.generation_config = GenerationConfig(
        bos_token_id=2,
        eos_token_id=list(ENDS),
        pad_token_id=0,
        do_sample=True,
        temperature=0.9,
        top_k=3,
        repetition_penalty=1.5,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def write_adapter(folder: Path, model: Path, *, rank: int = 4) -> None:
    """A LoRA adapter with random weights, in the format of PEFT."""
    import torch
    from safetensors.torch import load_file, save_file

    folder.mkdir(parents=True)
    torch.manual_seed(1)
    tensors = {}
    for name, weight in load_file(model / "model.safetensors").items():
        if ".mlp.down_proj." in name:
            out, inner = weight.shape
            base = "base_model.model." + name.removesuffix(".weight")
            tensors[f"{base}.lora_A.weight"] = torch.randn(rank, inner)
            tensors[f"{base}.lora_B.weight"] = torch.randn(out, rank)
    config = {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": 8,
        "target_modules": ["down_proj"],
        "bias": "none",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(model),
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(tensors, folder / "adapter_model.safetensors")


def make_tokenizer() -> Any:
    """One token per character, byte fallback, one merge, and `<bos>` put before every text."""
    from tokenizers import AddedToken, Tokenizer, decoders, normalizers, processors
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    vocabulary = dict(SPECIAL)
    for index in range(FIRST_BYTE):
        if index not in SPECIAL.values():
            vocabulary[f"<unused{index}>"] = index
    for byte in range(256):
        vocabulary[f"<0x{byte:02X}>"] = FIRST_BYTE + byte
    for character in sorted(set(string.printable) - set(" \t\r\x0b\x0c") | {"▁"}):
        vocabulary[character] = len(vocabulary)
    vocabulary["th"] = len(vocabulary)
    model = BPE(
        vocab=vocabulary, merges=[("t", "h")], unk_token="<unk>", byte_fallback=True, fuse_unk=True
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[("<bos>", 2)]
    )
    named = ("<pad>", "<eos>", "<bos>", "<unk>")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        **{f"{token[1:-1]}_token": token for token in named},
        extra_special_tokens=[token for token in SPECIAL if token not in named],
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
