"""The control tokens of Qwen3, and the two tags around the tool list.

All but `<tools>` and `</tools>` are single tokens of the model's tokenizer; those two are plain
text, but they close the list of tools, so content must not write them either.
"""

from __future__ import annotations

from typing import Final

from callsmith import ControlTokens

TURN_OPEN: Final = "<|im_start|>"
TURN_CLOSE: Final = "<|im_end|>"
END_OF_TEXT: Final = "<|endoftext|>"
THINK_OPEN: Final = "<think>"
THINK_CLOSE: Final = "</think>"
CALL_OPEN: Final = "<tool_call>"
CALL_CLOSE: Final = "</tool_call>"
RESPONSE_OPEN: Final = "<tool_response>"
RESPONSE_CLOSE: Final = "</tool_response>"
TOOLS_OPEN: Final = "<tools>"
TOOLS_CLOSE: Final = "</tools>"

STRUCTURE: Final = (
    TURN_OPEN,
    TURN_CLOSE,
    END_OF_TEXT,
    THINK_OPEN,
    THINK_CLOSE,
    CALL_OPEN,
    CALL_CLOSE,
    RESPONSE_OPEN,
    RESPONSE_CLOSE,
)
"""The tokens that structure a conversation."""

OTHERS: Final = (
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
)
"""The tokens for images, boxes and code completion that share the tokenizer."""

CONTROL_TOKENS: Final = ControlTokens((*STRUCTURE, *OTHERS, TOOLS_OPEN, TOOLS_CLOSE))
"""All of them, prepared for the control-text policy."""
