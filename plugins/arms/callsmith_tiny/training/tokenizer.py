"""Builds the tokenizer: a byte-level BPE in which a value has the same tokens wherever it stands.

Whitespace, digits and punctuation are tokens of their own, so that ``Paris`` after a space and
``Paris`` after a string delimiter are the same tokens and can be copied one by one. Gemma 4's
control tokens, and the fixed text that its template writes around names and values, are added
tokens; each stands for exactly its own text, so decoding gives back every character.

    python -m callsmith_tiny.training.tokenizer OUT.json
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from .generator import Generator

CONTROL = (
    "<pad>", "<eos>", "<bos>", "<|turn>", "<turn|>", "<|tool>", "<tool|>", "<|tool_call>",
    "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>', "<|channel>", "<channel|>",
    "<|think|>", "<|image|>", "<|audio|>", "<|video|>",
)  # fmt: skip
BOILERPLATE = (
    "<|turn>system\n", "<|turn>user\n", "<|turn>model\n", "<turn|>\n",
    "<|tool>declaration:", '{description:<|"|>', '<|"|>,parameters:{properties:{',
    '<|"|>,parameters:{type:<|"|>', ':{description:<|"|>', '<|"|>,type:<|"|>',
    '<|"|>,enum:[<|"|>', ':{enum:[<|"|>', '<|"|>],type:<|"|>', ':{type:<|"|>', '<|"|>},',
    '<|"|>}},required:[<|"|>', '<|"|>}},type:<|"|>', '<|"|>,<|"|>', '<|"|>}}<tool|>',
    '<|"|>}<tool|>', "<|tool_call>call:", "<|tool_response>response:", '{value:<|"|>',
    '<|"|>}<tool_response|>', ':<|"|>', '<|"|>,', '<|"|>}<tool_call|>', "}<tool_call|>",
)  # fmt: skip
PIECES = r"[A-Z]?[a-z]+|[A-Z]+|\d|\s|[^\sA-Za-z\d]"
VOCABULARY_SIZE = 1280


def texts(count: int, seed: int) -> Iterator[str]:
    """Words first, each as often as any other, so that pieces of words are learnt rather than the
    commonest words whole; then conversations without the added tokens' text."""
    generator = Generator("train", seed)
    rng = random.Random(seed)
    pools = generator.pools
    words = sorted({*pools.words, *pools.verbs, *pools.parameters})
    for word in words:
        yield f"{word} {word} {word.capitalize()}"
    for _ in range(2 * len(words)):
        yield pools.invented(rng)
    added = sorted(CONTROL + BOILERPLATE, key=len, reverse=True)
    for index in range(count):
        example = generator.example(index)
        text = example.prompt + example.completion
        for token in added:
            text = text.replace(token, "\n")
        yield text


def build(count: int = 1000, seed: int = 20260) -> Tokenizer:
    """A tokenizer trained on ``count`` training conversations; the same arguments, the same one."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE - len(BOILERPLATE),
        special_tokens=list(CONTROL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(count, seed), trainer)
    tokenizer.add_special_tokens(
        [AddedToken(text, special=True, normalized=False) for text in BOILERPLATE]
    )
    return tokenizer


if __name__ == "__main__":
    build().save(sys.argv[1])
