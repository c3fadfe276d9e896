"""The kinds of repairs and faults that the decoder notes. Names are stable; none is reused."""

from __future__ import annotations

from typing import Final

REPAIR_KINDS: Final[dict[str, str]] = {
    # around calls
    "missing-call-close": "a complete call ended without `<tool_call|>`",
    "several-calls-in-block": "more than one `call:` between `<|tool_call>` and `<tool_call|>`",
    "unmarked-call": "a known tool's call at the start of a line, without control tokens",
    "missing-prefix": "`:NAME{…}` or `NAME{…}` for `call:NAME{…}`",
    "parenthesised-call": "`NAME(key=value)` for `NAME{key:value}`",
    "stray-call-open": "`<|tool_call>` twice in a row",
    "stray-call-close": "`<tool_call|>` outside of a call",
    # inside arguments
    "whitespace": "white space between tokens",
    "json-quotes": 'a string in `"`, with the escapes of JSON',
    "single-quotes": "a string in `'`; only `\\'` is an escape",
    "bare-string": "a one-line string without delimiters",
    "missing-open-delimiter": "a string with a closing delimiter only",
    "missing-close-delimiter": "the last string with an opening delimiter only",
    "dangling-delimiter": "a delimiter too many behind a value",
    "missing-close-brace": "the last braces or brackets are missing; the block was closed",
    "extra-close-brace": "a brace too many behind a call",
    "trailing-comma": "a comma before a closing brace or bracket",
    "equals-sign": "`key=value` for `key:value`",
    "quoted-key": "a key in double or single quotes",
    "wrapped-key": "a key between string delimiters",
    "duplicate-key": "a key twice in one object; the last value counts, as in JSON parsers",
    "foreign-word": "`True`, `False`, `None` and their upper-case forms",
    "loose-number": "`+5`, `007`, `108.`, `.5`",
    "number-range": "a number that cannot be held exactly, kept as text",
    # only where the tool's schema decides
    "schema-string": "a bare number or truth value where the schema allows only text",
    "raw-string": "raw text of any form where the schema allows only text",
    "missing-arguments": "no braces, and the schema requires no argument",
    # thoughts, results, anything else
    "channel-header": "`<|channel>thought` or `<|channel>response` without the line break",
    "channel-without-name": "`<|channel>` without `thought`; read as a thought",
    "response-channel": "`<|channel>response`: read as content",
    "missing-channel-open": "`thought` and a line break, closed by `<channel|>`, never opened",
    "unclosed-channel": "a thought that another control token ended",
    "stray-channel-open": "`<|channel>` twice in a row",
    "stray-channel-close": "`<channel|>` outside of a thought",
    "stray-tool-response": "`<|tool_response>` that is not the stop behind the last call",
    "stray-response-close": "`<tool_response|>` without a result",
    "stray-token": "any other control token in text",
}
"""Every kind of repair, and what it mends."""

SCHEMA_REPAIRS: Final = frozenset(("schema-string", "raw-string", "missing-arguments"))
"""The repairs that only the policy `schema` makes."""

FAULT_KINDS: Final[dict[str, str]] = {
    "malformed": "a call with no reading, or with more than one",
    "cut": "a call that the end of the text cut off in its arguments",
    "depth": "containers nested deeper than the decoder's bound",
    "empty-call": "a block without a call",
    "hallucinated-response": "the model wrote a tool's result itself",
    "text-after-end": "text behind the end of the turn",
}
"""Every kind of fault. With the policy `off`, every kind of repair is one, too."""
