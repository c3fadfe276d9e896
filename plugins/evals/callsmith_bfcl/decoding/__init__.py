"""From what a model wrote to the value that is checked. Nothing a model wrote is ever executed.

`decode_text` reads the answer of a prompting mode in any of the six return formats,
`decode_function_calls` the result of a function-calling mode, `decode_execute` the text of one
step of a multi-turn conversation. Each raises `DecodeError`, and nothing else, on text that it
cannot read. Behaviours of the official decoder that contradict its documentation are kept unless
`fixes` names them; `callsmith_bfcl.strict` says which those are.
"""

from __future__ import annotations

import re
from typing import Literal

from callsmith_bfcl.decoding.errors import MAX_TEXT_LENGTH, DecodeError
from callsmith_bfcl.decoding.function_calls import decode_function_calls, render_function_calls

__all__ = [
    "MAX_TEXT_LENGTH",
    "DecodeError",
    "ReturnFormat",
    "decode_execute",
    "decode_function_calls",
    "decode_text",
    "render_function_calls",
]

ReturnFormat = Literal["python", "java", "javascript", "json", "verbose_xml", "concise_xml"]

_FENCE_LANGUAGE = re.compile(r"\A`{3,}[A-Za-z+]+[ \t]*\n")


def decode_text(
    text: object,
    return_format: ReturnFormat = "python",
    *,
    tool_call_tag: bool = False,
    fixes: frozenset[str] = frozenset(),
) -> object:
    """The calls that an answer in prompting mode makes; normally a list of `{name: arguments}`.

    `return_format` is what the prompt asked for. With `tool_call_tag` the calls are between
    `<TOOLCALL>` and `</TOOLCALL>`. Raises `DecodeError`.
    """
    source = bracketed(text, fixes)
    if tool_call_tag:
        source = _between(source, "<TOOLCALL>", "</TOOLCALL>").strip()
    if return_format == "python":
        from callsmith_bfcl.decoding.python_text import decode_python

        return decode_python(source, fixes)
    if return_format == "json":
        from callsmith_bfcl.decoding.json_text import decode_json

        return decode_json(source)
    # The grammars of Java and JavaScript, and the XML parser, are loaded by whoever needs them.
    if return_format == "java":
        from callsmith_bfcl.decoding.java_text import decode_java

        return decode_java(source[1:-1], fixes)
    if return_format == "javascript":
        from callsmith_bfcl.decoding.javascript_text import decode_javascript

        return decode_javascript(source[1:-1])
    from callsmith_bfcl.decoding.xml_text import decode_xml

    block = "<functions>" + _between(source, "<functions>", "</functions>") + "</functions>"
    return decode_xml(block, verbose=return_format == "verbose_xml")


def decode_execute(text: object, *, fixes: frozenset[str] = frozenset()) -> list[str]:
    """The calls of one multi-turn step in prompting mode, each as the source of one call.

    Raises `DecodeError`.
    """
    from callsmith_bfcl.decoding.execution import execution_calls

    return execution_calls(bracketed(text, fixes), fixes)


def bracketed(text: object, fixes: frozenset[str] = frozenset()) -> str:
    """An answer without the backticks around it, in the brackets of a list if it had none.

    Only bare fences are taken off: the language name of a tagged one stays, and spoils the
    answer, unless the fix D6 is on. Raises `DecodeError` for what is no text, or too long.
    """
    if not isinstance(text, str):
        raise DecodeError(f"the answer is no text but {type(text).__name__}")
    if len(text) > MAX_TEXT_LENGTH:
        raise DecodeError(f"the answer is longer than {MAX_TEXT_LENGTH} characters")
    if "D6" in fixes:
        text = _FENCE_LANGUAGE.sub("", text.strip())
    text = text.strip("`\n ")
    if "D3" in fixes and not text:
        raise DecodeError("the answer is empty")
    if not text.startswith("["):
        text = "[" + text
    return text if text.endswith("]") else text + "]"


def _between(text: str, opening: str, closing: str) -> str:
    start = text.find(opening)
    end = text.find(closing, start + len(opening)) if start >= 0 else -1
    if end < 0:
        raise DecodeError(f"there is no {opening}…{closing} section in the answer")
    return text[start + len(opening) : end]
