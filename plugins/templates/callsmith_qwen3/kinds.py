"""The kinds of repairs and faults that the decoder notes. Names are stable; none is reused."""

from __future__ import annotations

from typing import Final

REPAIR_KINDS: Final[dict[str, str]] = {
    # around calls
    "missing-call-close": "a complete call ended without `</tool_call>`",
    "several-calls-in-block": "more than one object between `<tool_call>` and `</tool_call>`",
    "call-list": "a list of calls in one block",
    "code-fence": "a Markdown fence around the JSON",
    "stray-call-open": "`<tool_call>` twice in a row",
    "stray-call-close": "`</tool_call>` outside of a call",
    # the call's own members
    "wrapped-call": 'the object inside `"function"`, as servers write it',
    "parameters-key": '`"parameters"` for `"arguments"`',
    "missing-arguments": 'no `"arguments"` at all; read as none',
    "extra-members": 'members beside `"name"` and `"arguments"`, which are not read',
    "arguments-as-text": "the arguments are JSON text inside a string",
    # inside the JSON
    "single-quotes": "a string between single quotes",
    "bare-key": "a key without quotes",
    "python-literal": "`True`, `False`, `None`",
    "trailing-comma": "a comma before a closing brace or bracket",
    "raw-control-character": "a line break or another control character inside a string",
    "bad-escape": "a backslash that escapes nothing, kept as it is (`\\'` is the quote)",
    "duplicate-key": "a key twice in one object; the last value counts, as in JSON parsers",
    "number-range": "a number that cannot be held, kept as text",
    "missing-close-brace": "the last braces or brackets are missing; the block was closed",
    "extra-close-brace": "a brace or bracket too many behind a call",
    # thoughts, results, anything else
    "unclosed-thought": "a thought that a call or the end of the turn ended",
    "stray-think-open": "`<think>` inside a thought",
    "stray-think-close": "`</think>` outside of a thought",
    "stray-response-close": "`</tool_response>` without a result",
    "stray-token": "any other control token in text",
}
"""Every kind of repair, and what it mends."""

FAULT_KINDS: Final[dict[str, str]] = {
    "malformed": "a call with no reading, or with more than one",
    "cut": "a call that the end of the text, or another token, cut off",
    "depth": "containers nested deeper than the decoder's bound",
    "empty-call": "a block without a call",
    "no-name": "an object without a tool's name",
    "text-in-block": "text beside a call, inside its block",
    "hallucinated-response": "the model wrote a tool's result itself",
    "text-after-end": "text behind the end of the turn",
}
"""Every kind of fault. With the policy `off`, every kind of repair is one, too."""
