"""The options of both arms. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeFloat,
    PositiveFloat,
    field_validator,
)

from callsmith import ControlTextPolicy

CONTROL_TOKENS = (
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

ServerKind = Literal[
    "auto", "vllm", "sglang", "llama.cpp", "lmstudio", "ollama", "transformers", "openai", "other"
]

Token = Annotated[str, Field(min_length=1)]

_SECRET_HEADERS = ("authorization", "api-key", "apikey", "cookie", "token", "secret")


class ServerConfig(BaseModel):
    """What both arms need to know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(
        min_length=1, description="base URL, such as http://localhost:8000 or https://host/v1"
    )
    model: str = Field(min_length=1, description="the model's name on the server")
    server: ServerKind = Field(
        default="auto", description="which server it is; auto finds out by the endpoints it has"
    )
    api_key_env: str = Field(
        default="",
        description="name of the environment variable whose value is sent as a bearer token",
    )
    headers: dict[str, str] = Field(
        default_factory=dict, description="further headers that are no secrets"
    )
    headers_env: dict[str, str] = Field(
        default_factory=dict,
        description="further headers: header name to the name of an environment variable",
    )
    extra_body: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="fields that every generating request gets; they win over the arm's own",
    )
    stream: bool = Field(default=True, description="ask for streamed answers")
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = Field(
        default="max_tokens", description="what the server calls the limit of one completion"
    )
    top_k: Literal["auto", "send", "omit"] = Field(
        default="auto",
        description="auto sends top_k to servers that have it, and elsewhere only if it is on",
    )
    omit_fields: tuple[str, ...] = Field(
        default=(), description="fields of the arm's own that are never sent, such as temperature"
    )
    refused_fields: Literal["drop", "error"] = Field(
        default="drop",
        description=(
            "what to do when the server refuses an optional field by name: leave it out from "
            "then on and say so, or fail"
        ),
    )
    connect_timeout: PositiveFloat = Field(default=10.0, description="seconds to connect")
    first_byte_timeout: PositiveFloat = Field(
        default=600.0, description="seconds until an answer begins"
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
    wait_for_server: NonNegativeFloat = Field(
        default=60.0,
        description="seconds to wait, once, for a server that is not there yet or still loading",
    )
    probe_timeout: PositiveFloat = Field(
        default=120.0, description="seconds that probing may take, after the server is ready"
    )
    check_fields: bool = Field(
        default=True,
        description="find out by a few short requests which sampling fields the server honours",
    )
    control_tokens: tuple[Token, ...] = Field(
        default=CONTROL_TOKENS, description="the model's control tokens"
    )

    @field_validator("headers")
    @classmethod
    def _no_secrets(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if any(word in name.lower() for word in _SECRET_HEADERS):
                raise ValueError(
                    f"the header {name!r} looks like a secret, and options are written to the run "
                    "folder; use api_key_env or headers_env"
                )
        return value

    @field_validator("extra_body")
    @classmethod
    def _no_own_fields(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for name in ("messages", "tools", "prompt", "model", "stream", "n"):
            if name in value:
                raise ValueError(f"extra_body cannot set {name!r}, which is the arm's own")
        return value


class ChatConfig(ServerConfig):
    """Options of `openai-chat`."""

    tool_choice: Literal["auto", "none", "required"] | dict[str, JsonValue] | None = Field(
        default=None, description="sent with tools; null: not sent, which means auto"
    )
    parallel_tool_calls: bool | None = Field(
        default=None, description="sent with tools; null: not sent"
    )
    thinking: Literal["auto", "enable_thinking", "reasoning_effort"] | None = Field(
        default="auto",
        description=(
            "how the run's wish for thinking is sent: in chat_template_kwargs, as "
            "reasoning_effort (none or medium), as it suits the server, or (null) not at all"
        ),
    )
    thinking_on: dict[str, JsonValue] | None = Field(
        default=None, description="fields sent instead when the run asks for thinking"
    )
    thinking_off: dict[str, JsonValue] | None = Field(
        default=None, description="fields sent instead when the run asks for none"
    )
    reasoning_field: Literal["auto", "reasoning", "reasoning_content", "thinking"] | None = Field(
        default="auto",
        description="field of an earlier assistant message that holds its thought; null: not sent",
    )
    control_text: ControlTextPolicy = Field(
        default="refuse",
        description="what to do with control tokens inside messages, tools and results",
    )


class CompletionsConfig(ServerConfig):
    """Options of `openai-completions`."""

    tokens: Literal["auto", "text", "ids"] = Field(
        default="auto",
        description="how the prompt is sent: auto sends token ids where the server takes them",
    )
    logprobs: bool = Field(default=False, description="ask for the log-probability of each token")
    bos: Literal["auto", "keep", "strip"] = Field(
        default="auto",
        description=(
            "what to do with bos_token at the beginning of a prompt that is sent as text; auto "
            "takes it off where the server would put a second one before it"
        ),
    )
    bos_token: str = Field(default="<bos>", description="the model's beginning-of-sequence token")
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
    visible_tokens: tuple[Token, ...] = Field(
        default=("<|tool_call>", "<tool_call|>", '<|"|>', "<|channel>", "<channel|>"),
        description="the control tokens that a parser needs to see in the completion",
    )
