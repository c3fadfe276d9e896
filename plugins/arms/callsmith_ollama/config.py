"""The options of both arms. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt

from callsmith import ControlTextPolicy

GEMMA4_CONTROL_TOKENS = (
    "<bos>",
    "<eos>",
    "<pad>",
    "<unk>",
    "<mask>",
    "<|turn>",
    "<turn|>",
    "<|think|>",
    "<|channel>",
    "<channel|>",
    "<|tool>",
    "<tool|>",
    "<|tool_call>",
    "<tool_call|>",
    "<|tool_response>",
    "<tool_response|>",
    '<|"|>',
    "<|image|>",
    "<|audio|>",
    "<|video|>",
)
"""The tokens of Gemma 4's native format that only a template may write."""


Token = Annotated[str, Field(min_length=1)]


class OllamaConfig(BaseModel):
    """What both arms need to know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(min_length=1, description="the model's name on the server, with its tag")
    url: str = Field(
        default="",
        description="base URL; empty: OLLAMA_HOST, and without that http://127.0.0.1:11434",
    )
    num_ctx: PositiveInt = Field(
        default=8192, description="context length in tokens; always sent, never left to the server"
    )
    keep_alive: str | float | None = Field(
        default=None,
        description="how long the model stays loaded: '10m', seconds, or -1 for ever",
    )
    connect_timeout: PositiveFloat = Field(default=10.0, description="seconds to connect")
    first_byte_timeout: PositiveFloat = Field(
        default=600.0,
        description="seconds until an answer begins; includes loading the model",
    )
    idle_timeout: PositiveFloat = Field(
        default=120.0, description="seconds between two pieces of a streamed answer"
    )
    retries: int = Field(
        default=2,
        ge=0,
        le=10,
        description="further attempts after a transport error, before an answer has begun",
    )
    retry_wait: NonNegativeFloat = Field(
        default=0.5, description="seconds before the first further attempt; doubles each time"
    )
    probe_timeout: PositiveFloat = Field(
        default=45.0,
        description="seconds that probing may take, loading the model included",
    )
    api_key_env: str = Field(
        default="",
        description="name of the environment variable whose value is sent as a bearer token",
    )
    headers_env: dict[str, str] = Field(
        default_factory=dict,
        description="further headers: header name to the name of an environment variable",
    )


class ChatConfig(OllamaConfig):
    """Options of `ollama-chat`."""

    control_text: ControlTextPolicy = Field(
        default="refuse",
        description="what to do with control tokens inside messages, tools and results",
    )
    control_tokens: tuple[Token, ...] = Field(
        default=GEMMA4_CONTROL_TOKENS, description="the model's control tokens"
    )
    content_beside_calls: Literal["auto", "keep", "drop"] = Field(
        default="auto",
        description=(
            "visible text of an assistant message that also has calls and results; auto drops "
            "it for Gemma 4, whose template would put it after the results and close the turn"
        ),
    )


class RawConfig(OllamaConfig):
    """Options of `ollama-raw`."""

    control_probe: str = Field(
        default=(
            "<bos><|turn>user\nWhat is the weather in Oslo?<turn|>\n<|turn>model\n"
            "<|tool_call>call:get_weather{city:"
        ),
        description=(
            "a prompt after which the model writes a control token; probing looks whether it is "
            "visible. Empty: not tried"
        ),
    )
    control_tokens: tuple[Token, ...] = Field(
        default=("<|tool_call>", "<tool_call|>", '<|"|>', "<|channel>", "<channel|>"),
        description="the control tokens that a parser needs to see in the completion",
    )
