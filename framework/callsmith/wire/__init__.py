"""Other people's JSON: the shapes that servers, clients and data sets exchange."""

from callsmith.wire.control_check import ControlCheck
from callsmith.wire.openai import (
    decode_arguments,
    message_from_openai,
    message_to_openai,
    messages_from_openai,
    tool_from_openai,
    tool_to_openai,
)

__all__ = [
    "ControlCheck",
    "decode_arguments",
    "message_from_openai",
    "message_to_openai",
    "messages_from_openai",
    "tool_from_openai",
    "tool_to_openai",
]
