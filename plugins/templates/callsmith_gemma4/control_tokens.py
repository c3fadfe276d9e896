"""The control tokens of Gemma 4: openers `<|x>`, closers `<x|>`, stand-alone `<|x|>`.

Each is one special token of the model's tokenizer. The list holds what structures a prompt (turns,
thoughts, tools, calls, results, strings, media) and the sequence marks `<bos>` and `<eos>`.
`<pad>`, `<unk>`, `<mask>` and the reserved `<unusedN>` are left out: they can forge nothing.
"""

from __future__ import annotations

from callsmith import ControlTokens

BOS = "<bos>"
EOS = "<eos>"
TURN_OPEN = "<|turn>"
TURN_CLOSE = "<turn|>"
THINK = "<|think|>"
CHANNEL_OPEN = "<|channel>"
CHANNEL_CLOSE = "<channel|>"
TOOL_OPEN = "<|tool>"
TOOL_CLOSE = "<tool|>"
CALL_OPEN = "<|tool_call>"
CALL_CLOSE = "<tool_call|>"
RESPONSE_OPEN = "<|tool_response>"
RESPONSE_CLOSE = "<tool_response|>"
QUOTE = '<|"|>'
IMAGE = "<|image|>"
AUDIO = "<|audio|>"
VIDEO = "<|video|>"
MEDIA_BRACKETS = ("<|image>", "<image|>", "<|audio>", "<audio|>")

CONTROL_TOKENS = ControlTokens(
    (
        BOS,
        EOS,
        TURN_OPEN,
        TURN_CLOSE,
        THINK,
        CHANNEL_OPEN,
        CHANNEL_CLOSE,
        TOOL_OPEN,
        TOOL_CLOSE,
        CALL_OPEN,
        CALL_CLOSE,
        RESPONSE_OPEN,
        RESPONSE_CLOSE,
        QUOTE,
        IMAGE,
        AUDIO,
        VIDEO,
        *MEDIA_BRACKETS,
    )
)
"""All of them, prepared for the control-text policy."""
