"""Text to token ids and token ids to bytes, with control text apart from content."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from tokenizers import Tokenizer

from callsmith import Prompt

END_MARKS = ("<turn|>", "<|tool_response>", "<eos>")
"""What the model writes when it is done: end of turn, waiting for a result, end of text."""


class Tokens:
    """The tokenizer, twice: for the template's text, and for content.

    In content nothing is a control token: `<|tool_call>` written by a person is tokenised as the
    characters that it is made of. Raises ValueError when `path` is no tokenizer file.
    """

    def __init__(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        try:
            self._control = Tokenizer.from_str(text)
            self._content = Tokenizer.from_str(text)
        except Exception as error:  # the library raises bare Exception
            raise ValueError(f"{path}: not a tokenizer file: {error}") from None
        self._content.encode_special_tokens = True
        size = self._control.get_vocab_size()
        names = [self._control.id_to_token(index) or "" for index in range(size)]
        added = set(self._control.get_added_tokens_decoder())
        self.pieces = tuple(
            name.encode() if index in added else bytes(_BYTES[c] for c in name)
            for index, name in enumerate(names)
        )
        """The bytes that each token stands for, by id."""
        self.ends = frozenset(i for i in added if names[i].startswith(END_MARKS))
        """Tokens that end a completion."""

    def encode(self, prompt: Prompt) -> list[int]:
        """The ids of a prompt; neighbouring segments of one origin count as one text."""
        ids: list[int] = []
        for origin, group in groupby(prompt.segments, key=lambda segment: segment.origin):
            tokenizer = self._control if origin == "control" else self._content
            text = "".join(segment.text for segment in group)
            ids += tokenizer.encode(text, add_special_tokens=False).ids
        return ids


def _byte_characters() -> dict[str, int]:
    """Which byte each character of a byte-level vocabulary stands for.

    Printable Latin-1 characters stand for themselves, all other bytes, in order, for the
    characters from U+0100 on.
    """
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in own]
    table = {chr(byte): byte for byte in own}
    table.update({chr(0x100 + n): byte for n, byte in enumerate(others)})
    return table


_BYTES = _byte_characters()
