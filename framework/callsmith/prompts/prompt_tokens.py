"""`PromptTokens`: a prompt as token ids, with what people wrote apart from what a template wrote.

One rule for every engine that takes ids, and for training: what is trained must be what is sent.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from pathlib import Path

from tokenizers import Encoding, Tokenizer

from callsmith.errors import ConfigError, RenderError
from callsmith.types import Prompt


class PromptTokens:
    """A tokenizer.json, twice: for the template's text, and for content.

    In content nothing is a control token: `<|tool_call>` written by a person is tokenised as the
    characters that it is made of. No token is ever put before or behind a prompt: a template that
    wants `<bos>` writes it. Truncation and padding that the file may ask for do not count.
    """

    def __init__(self, serialised: str, control_tokens: Collection[str] = ()) -> None:
        """`serialised` is the text of a tokenizer.json.

        `control_tokens` are tokens that content must not form although the tokenizer does not
        call them special. Raises `ConfigError` for one that the tokenizer does not have.
        """
        data = json.loads(serialised)
        added = {item["content"]: item for item in data.get("added_tokens", ())}
        for name in control_tokens:
            if name not in added:
                raise ConfigError(
                    f"the tokenizer has no token {name!r}; remove it", path="control_tokens"
                )
            added[name]["special"] = True
        self._control = Tokenizer.from_str(serialised)
        self._content = Tokenizer.from_str(json.dumps(data))
        self._content.encode_special_tokens = True
        for tokenizer in (self._control, self._content):
            tokenizer.no_truncation()
            tokenizer.no_padding()
        self.added: dict[str, int] = {name: item["id"] for name, item in added.items()}
        """The tokens beside the vocabulary proper, special or not, with their ids."""
        self._special = {name: item["id"] for name, item in added.items() if item.get("special")}
        self._names = {number: name for name, number in self.added.items()}

    @classmethod
    def read(cls, file: Path, control_tokens: Collection[str] = ()) -> PromptTokens:
        """The tokens of a tokenizer.json. Raises `ConfigError` for a file that is none."""
        try:
            return cls(file.read_text(encoding="utf-8"), control_tokens)
        except ConfigError:
            raise
        except Exception as error:  # the library raises plain `Exception`
            text = " ".join(str(error).split())
            raise ConfigError(f"{file} is no tokenizer that tokenizers can read: {text}") from None

    def encode(self, prompt: Prompt) -> list[int]:
        """The ids of a prompt. Raises `RenderError` for text that is not Unicode.

        The whole text is tokenised at once, as a server would, so that the borders of segments
        leave no trace. Only if a control token would come to stand in content, every stretch of
        one origin is tokenised by itself.
        """
        whole = _encode(self._control, prompt.text)
        if not self._forged(prompt, whole):
            return list(whole.ids)
        ids: list[int] = []
        for origin, group in groupby(prompt.segments, key=lambda segment: segment.origin):
            tokenizer = self._control if origin == "control" else self._content
            ids += _encode(tokenizer, "".join(segment.text for segment in group)).ids
        return ids

    def encode_text(self, text: str) -> list[int]:
        """The ids of text that a template or a model wrote: control tokens are read as such."""
        return list(_encode(self._control, text).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens included."""
        return self._control.decode(list(ids), skip_special_tokens=False)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The vocabulary's word for each id ("" for an id that it does not have)."""
        return [self._control.id_to_token(number) or "" for number in ids]

    def special(self, texts: Iterable[str]) -> list[int]:
        """The ids of those texts that are one special token."""
        return [self._special[text] for text in texts if text in self._special]

    def find(self, texts: Iterable[str]) -> list[int]:
        """The ids of those texts that are one added token, special or not."""
        return [self.added[text] for text in texts if text in self.added]

    def name(self, number: int) -> str:
        """The text of an added token; its number where it has none."""
        return self._names.get(number, str(number))

    def __len__(self) -> int:
        return int(self._control.get_vocab_size(with_added_tokens=True))

    def _forged(self, prompt: Prompt, whole: Encoding) -> bool:
        control = set(self._special.values())
        content = bytearray()
        for segment in prompt.segments:
            content += (b"\1" if segment.origin == "content" else b"\0") * len(segment.text)
        return any(
            number in control and any(content[start:end])
            for number, (start, end) in zip(whole.ids, whole.offsets, strict=True)
        )


def _encode(tokenizer: Tokenizer, text: str) -> Encoding:
    try:
        return tokenizer.encode(text, add_special_tokens=False)
    except (TypeError, UnicodeError) as error:
        raise RenderError(
            f"the prompt cannot be tokenised, it is not Unicode text: {error}"
        ) from None
