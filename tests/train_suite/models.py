"""The models and tasks of this suite: a few ten thousand parameters, made on the spot."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from callsmith import Checkpoint, JsonValue, Message, Task, Template, ToolSpec, TrainJob, load
from fixtures.tiny_gemma4_episodes import TOOLS
from fixtures.tiny_gemma4_tokenizer import make_tokenizer

NEEDS = ("torch", "transformers", "trl", "peft", "bitsandbytes", "datasets")
QWEN_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
QWEN_ADDED = (
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
)
"""As in the published tokenizer: tokens of their own, but not special."""
CONTEXT = 2048


def need_libraries() -> None:
    """Skips the module where a library is missing."""
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: make test-train", allow_module_level=True)


def template(name: str) -> Template:
    """A template by its name, with its default options."""
    built: Template = load().build("template", name)
    return built


def call_task(name: str, question: str, tool: str, **arguments: JsonValue) -> Task:
    """A task with two tools whose gold is one call."""
    return Task(
        id=name,
        messages=(Message(role="user", content=question),),
        tools=TOOLS,
        target={"calls": [{"name": tool, "arguments": arguments}]},
    )


def answer_task(name: str, question: str, answer: str, tools: Sequence[ToolSpec] = TOOLS) -> Task:
    """A task whose gold is text, and no call."""
    return Task(
        id=name,
        messages=(Message(role="user", content=question),),
        tools=tuple(tools),
        target={"answer": answer, "answer_only": True},
    )


def tasks(count: int = 8) -> list[Task]:
    """Tasks that differ in their numbers and cities; every fourth wants no call."""
    made: list[Task] = []
    for index in range(count):
        if index % 4 == 3:
            made.append(answer_task(f"thanks-{index}", f"Thanks {index}.", "You are welcome."))
        elif index % 4 == 1:
            city = ("Oslo", "Rome", "Bonn", "Lima")[index // 4 % 4]
            made.append(
                call_task(f"weather-{index}", f"Weather in {city}?", "get_weather", city=city)
            )
        else:
            a, b = index % 10, (index * 7 + 3) % 10
            made.append(call_task(f"add-{index}", f"Add {a} and {b}.", "add", a=a, b=b))
    return made


def texts(name: str) -> list[str]:
    """Prompts to learn a tokenizer's merges from."""
    shape = template(name)
    return [shape.render(task.messages, task.tools, thinking=False).text for task in tasks(16)]


def qwen3(
    folder: Path, *, tied: bool = True, seed: int = 0, dead: Sequence[str] = (), **changes: Any
) -> Checkpoint:
    """Writes a Qwen 3 of about 60,000 parameters with random weights.

    The rows of the tokens in `dead` are overwritten, in embedding and head, with one and the same
    short vector: what tokens look like that no training has seen.
    """
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = _qwen3_tokenizer()
    end, pad = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    sizes: dict[str, Any] = {
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 12,
        "max_position_embeddings": CONTEXT,
        **changes,
    }
    _seed(seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        tie_word_embeddings=tied,
        eos_token_id=end,
        pad_token_id=pad,
        **sizes,
    )
    return _write(Qwen3ForCausalLM(config), tokenizer, folder, dead)


def gemma4(folder: Path, *, seed: int = 0, dead: Sequence[str] = ()) -> Checkpoint:
    """Writes a Gemma 4 text model of about 100,000 parameters with random weights."""
    from transformers import Gemma4ForCausalLM, GenerationConfig
    from transformers.models.gemma4.configuration_gemma4 import Gemma4TextConfig

    tokenizer = make_tokenizer(texts("gemma4"), CONTEXT)
    _seed(seed)
    config = Gemma4TextConfig(
        vocab_size=len(tokenizer),
        vocab_size_per_layer_input=len(tokenizer),
        hidden_size=32,
        hidden_size_per_layer_input=8,
        intermediate_size=64,
        num_hidden_layers=4,
        layer_types=["sliding_attention", "full_attention"] * 2,
        num_kv_shared_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        global_head_dim=16,
        sliding_window=128,
        max_position_embeddings=CONTEXT,
        eos_token_id=[1, 106, 50],
        pad_token_id=0,
    )
    model = Gemma4ForCausalLM(config)
    model.generation_config = GenerationConfig(
        eos_token_id=[1, 106, 50], pad_token_id=0, do_sample=True, top_k=64, top_p=0.95
    )
    return _write(model, tokenizer, folder, dead)


def job(base: Checkpoint, output: Path, *, shape: str = "qwen3", **changes: Any) -> TrainJob:
    """A job on eight tasks that are also the dev sample, judged by `calls-match`."""
    output.mkdir(parents=True, exist_ok=True)
    given: dict[str, Any] = {
        "tasks": tasks(),
        "dev": tasks(),
        "template": template(shape),
        "verifiers": {"calls-match": load().build("verifier", "calls-match")},
        **changes,
    }
    return TrainJob(output=str(output), base=base, **given)


def _seed(seed: int) -> None:
    import torch

    torch.manual_seed(seed)


def _write(model: Any, tokenizer: Any, folder: Path, dead: Sequence[str]) -> Checkpoint:
    import torch

    if dead:
        ids = tokenizer.convert_tokens_to_ids(list(dead))
        with torch.no_grad():
            for module in (model.get_input_embeddings(), model.get_output_embeddings()):
                norm = module.weight.norm(dim=1).median()
                row = torch.ones(module.weight.shape[1])
                module.weight[ids] = row / row.norm() * norm * 0.3
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Checkpoint(path=str(folder), base="tiny/base")


def _qwen3_tokenizer() -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts("qwen3"),
        BpeTrainer(
            vocab_size=512,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer.add_special_tokens([AddedToken(one, normalized=False) for one in QWEN_SPECIAL])
    tokenizer.add_tokens([AddedToken(one, normalized=False) for one in QWEN_ADDED])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
