"""Chat templates that are known by their digest, and what is wrong with the outdated ones.

The digests are of the templates as their models' repositories had them. The faults were found by
comparing each with its successor and by rendering the same conversations with both;
`tests/train_suite/test_jinja_revisions.py` shows each of them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A published template: its faults, and the component whose parser reads its calls."""

    name: str
    parser: str
    faults: tuple[str, ...] = ()


_NULL = "null is written as None"
_FINAL_THOUGHT = "the thought of a last answer without calls is lost"
_AFTER_RESULT = "with thinking on, no thought is opened after a result"
_TWO_ANSWERS = "two answers in a row are not one turn"
_KEYWORDS = "parameters that are named like words of JSON Schema (type, description) are left out"
_RESULTS = "results of the role `tool` become turns of their own instead of tool responses"
_CALL_THOUGHT = "the thought before a call is lost"
_COMMA = "the declaration of an object has a stray comma"
_THINK = "no line break stands after <|think|>"

_LATER = (_NULL, _FINAL_THOUGHT, _AFTER_RESULT, _TWO_ANSWERS)

REVISIONS: dict[str, Revision] = {
    "55572b8d3c8342044e25874c73fe5234b661fa0a57a57f6ef75b58e03d7d959a": Revision(
        name="Gemma 4, first revision",
        parser="gemma4",
        faults=(_RESULTS, _KEYWORDS, _COMMA, _CALL_THOUGHT, _THINK, *_LATER),
    ),
    "781d10940fbc44be40064b5d43a056fc486c84ceaa55538226368b57314132bf": Revision(
        name="Gemma 4, second revision", parser="gemma4", faults=(_KEYWORDS, *_LATER)
    ),
    "33204f1acb5bd0002713e16a593847f24ceeafe711ed88bda2a352dc996a3373": Revision(
        name="Gemma 4, third revision", parser="gemma4", faults=_LATER
    ),
    "2f1b4d75d067bae3fe44e676721c7f077d243bc007156cb9c2f8b5836613d082": Revision(
        name="Gemma 4, fourth revision", parser="gemma4", faults=_LATER
    ),
    "603a42db292c25278e9b23d94c7abbe77453f13e26a053c43c5c2f900b4136f7": Revision(
        name="Gemma 4, revision of 2026-07-09", parser="gemma4"
    ),
    "a55ee1b1660128b7098723e0abcd92caa0788061051c62d51cbe87d9cf1974d8": Revision(
        name="Qwen3", parser="qwen3"
    ),
    "64f85b198065d0fba2a81f37e10ed68161ce2c19a754c7100e67e0ca2ee9c326": Revision(
        name="Qwen3 Instruct-2507", parser="qwen3"
    ),
    "55b2f4a26ac9ee719330a61a0c39d9e538b0e9322212f048326318cff4f8674a": Revision(
        name="Qwen2.5", parser="qwen3"
    ),
}
"""By `digest_of` the template's text, from the oldest to the current one of each model."""


def digest_of(text: str) -> str:
    """SHA-256 of the text, blind to the kind of line ends and to white space around it."""
    normal = text.replace("\r\n", "\n").strip()
    return hashlib.sha256(normal.encode("utf-8", "surrogatepass")).hexdigest()


def revision_of(text: str) -> Revision | None:
    """The known revision that `text` is."""
    return REVISIONS.get(digest_of(text))
