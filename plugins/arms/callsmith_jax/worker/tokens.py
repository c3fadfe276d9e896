"""The tokenizer: the library's own, and one that spells control tokens out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gemma import gm
from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2

from .spans import Segment, is_control_token, runs


class Tokenised(str):
    """A prompt whose tokens are known; passes through the sampler as the text that it is."""

    __slots__ = ("ids",)
    ids: tuple[int, ...]

    def __new__(cls, text: str, ids: Sequence[int]) -> Tokenised:
        """`ids` are without the token that begins the sequence."""
        made = super().__new__(cls, text)
        made.ids = tuple(ids)
        return made


class PromptTokenizer(gm.text.Gemma4Tokenizer):  # type: ignore[misc]
    """The library's tokenizer, which also takes prompts that are tokenised already."""

    def encode(self, text: Any, *, add_bos: bool = False, add_eos: bool = False) -> list[int]:
        """As in the library; a `Tokenised` text keeps its ids."""
        if not isinstance(text, Tokenised):
            ids: list[int] = super().encode(text, add_bos=add_bos, add_eos=add_eos)
            return ids
        begin = [int(self.special_tokens.BOS)] if add_bos else []
        end = [int(self.special_tokens.EOS)] if add_eos else []
        return [*begin, *text.ids, *end]


class Tokens:
    """Tokenises prompts and decodes completions."""

    def __init__(self, tokenizer: PromptTokenizer, serialized: bytes) -> None:
        self.tokenizer = tokenizer
        self.digest = f"sha256:{hashlib.sha256(serialized).hexdigest()}"
        proto = sentencepiece_model_pb2.ModelProto()
        proto.ParseFromString(serialized)
        kinds = sentencepiece_model_pb2.ModelProto.SentencePiece
        self.control: set[str] = set()
        for piece in proto.pieces:
            if piece.type == kinds.USER_DEFINED and is_control_token(piece.piece):
                self.control.add(piece.piece)
                piece.type = kinds.UNUSED
        # The same vocabulary with the same ids, in which a control token is never made from text.
        self._plain = SentencePieceProcessor(model_proto=proto.SerializeToString())

    @classmethod
    def load(cls, path: str) -> Tokens:
        """The tokenizer in the file `path`; "" is the library's own place."""
        tokenizer = PromptTokenizer(path=path) if path else PromptTokenizer()
        # The library's file cache decides which file it is.
        from gemma.gm.utils import _file_cache

        file = _file_cache.maybe_get_from_cache(
            remote_file_path=tokenizer.path, cache_subdir="tokenizer"
        )
        data: bytes = file.read_bytes() if not isinstance(file, str) else Path(file).read_bytes()
        return cls(tokenizer, data)

    @property
    def ends(self) -> dict[int, str]:
        """The tokens at which the library ends a completion, with the reason that each means."""
        special = self.tokenizer.special_tokens
        return {
            int(special.EOS): "eos",
            int(special.END_OF_TURN): "end_of_turn",
            int(special.BEGIN_OF_TOOL_RESPONSE): "tool_response",
        }

    def encode(self, segments: Sequence[Segment]) -> tuple[Tokenised, bool]:
        """The prompt with its tokens, and whether control text in content was spelt out.

        A `<bos>` that the template wrote first is left out: the sampler adds that token itself.
        """
        parts = list(segments)
        if parts and parts[0][1] and parts[0][0].startswith("<bos>"):
            parts[0] = (parts[0][0].removeprefix("<bos>"), True)
        text = "".join(part for part, _ in parts)
        pieces = runs(parts, self.control)
        if pieces is None:
            return Tokenised(text, self.tokenizer.encode(text)), False
        ids: list[int] = []
        for piece, control in pieces:
            ids += [self._plain.PieceToId(piece)] if control else self._plain.EncodeAsIds(piece)
        return Tokenised(text, ids), True

    def decode(self, ids: Sequence[int]) -> str:
        """The text of tokens."""
        text: str = self.tokenizer.decode(list(ids)) if ids else ""
        return text
