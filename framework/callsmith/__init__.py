"""Callsmith: makes self-hosted language models call tools reliably, and proves it.

This module and `callsmith.testing` are the public surface; plugins import nothing else. Its names
are imported on first use (PEP 562): listing plugins or printing help needs few of them, and all of
them take as long to import as a small job takes.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callsmith.agent import run_episode
    from callsmith.catalog import Catalog, deciding_options, load
    from callsmith.codec import dumps, from_json, loads, to_json
    from callsmith.component import Component
    from callsmith.config import read_run_file
    from callsmith.errors import (
        AmbiguousNameError,
        ArmError,
        ArmTimeoutError,
        BrokenPluginError,
        CallsmithError,
        ConfigError,
        ControlTextError,
        MissingExtraError,
        PromptTooLongError,
        RenderError,
        StepError,
        StoreError,
        ToolError,
        UnknownNameError,
    )
    from callsmith.hookspecs import hookimpl
    from callsmith.pipeline import (
        PipelineFolder,
        plan_pipeline,
        read_pipeline_file,
        run_pipeline,
    )
    from callsmith.prompts.completion import completion_after, cut_prompt
    from callsmith.prompts.control_text import ControlTextPolicy, ControlTokens, PromptBuilder
    from callsmith.prompts.prompt_tokens import PromptTokens
    from callsmith.protocols import (
        ChatArm,
        Decoder,
        Eval,
        Renderer,
        TaskSet,
        Template,
        TextArm,
        TextToolSession,
        Toolbox,
        ToolSession,
        Trainer,
        TrainJob,
        Verifier,
    )
    from callsmith.runs import RunFolder, run_bakeoff, summarize, wilson_interval
    from callsmith.templated import Paired, Templated
    from callsmith.types import (
        CallParsed,
        Checkpoint,
        Completion,
        ContentDelta,
        Event,
        Fault,
        FaultFound,
        Fidelity,
        FollowUp,
        Halt,
        JsonValue,
        Message,
        Prompt,
        ReasoningDelta,
        Repair,
        Reply,
        Sampling,
        Segment,
        Task,
        ToolCall,
        ToolResult,
        ToolSpec,
        Trace,
        Turn,
        Usage,
        Verdict,
    )
    from callsmith.weights.bases import check_adapter_base, weights_fingerprint
    from callsmith.wire import (
        ControlCheck,
        decode_arguments,
        message_from_openai,
        message_to_openai,
        messages_from_openai,
        tool_from_openai,
        tool_to_openai,
    )
    from callsmith.wiring import plan_bakeoff

__version__ = "0.1.0"

__all__ = [
    "AmbiguousNameError",
    "ArmError",
    "ArmTimeoutError",
    "BrokenPluginError",
    "CallParsed",
    "CallsmithError",
    "Catalog",
    "ChatArm",
    "Checkpoint",
    "Completion",
    "Component",
    "ConfigError",
    "ContentDelta",
    "ControlCheck",
    "ControlTextError",
    "ControlTextPolicy",
    "ControlTokens",
    "Decoder",
    "Eval",
    "Event",
    "Fault",
    "FaultFound",
    "Fidelity",
    "FollowUp",
    "Halt",
    "JsonValue",
    "Message",
    "MissingExtraError",
    "Paired",
    "PipelineFolder",
    "Prompt",
    "PromptBuilder",
    "PromptTokens",
    "PromptTooLongError",
    "ReasoningDelta",
    "RenderError",
    "Renderer",
    "Repair",
    "Reply",
    "RunFolder",
    "Sampling",
    "Segment",
    "StepError",
    "StoreError",
    "Task",
    "TaskSet",
    "Template",
    "Templated",
    "TextArm",
    "TextToolSession",
    "ToolCall",
    "ToolError",
    "ToolResult",
    "ToolSession",
    "ToolSpec",
    "Toolbox",
    "Trace",
    "TrainJob",
    "Trainer",
    "Turn",
    "UnknownNameError",
    "Usage",
    "Verdict",
    "Verifier",
    "__version__",
    "check_adapter_base",
    "completion_after",
    "cut_prompt",
    "deciding_options",
    "decode_arguments",
    "dumps",
    "from_json",
    "hookimpl",
    "load",
    "loads",
    "message_from_openai",
    "message_to_openai",
    "messages_from_openai",
    "plan_bakeoff",
    "plan_pipeline",
    "read_pipeline_file",
    "read_run_file",
    "run_bakeoff",
    "run_episode",
    "run_pipeline",
    "summarize",
    "to_json",
    "tool_from_openai",
    "tool_to_openai",
    "weights_fingerprint",
    "wilson_interval",
]

_MODULES = {
    "callsmith.agent": ("run_episode",),
    "callsmith.catalog": (
        "Catalog",
        "deciding_options",
        "load",
    ),
    "callsmith.codec": (
        "dumps",
        "from_json",
        "loads",
        "to_json",
    ),
    "callsmith.component": ("Component",),
    "callsmith.config": ("read_run_file",),
    "callsmith.prompts.control_text": (
        "ControlTextPolicy",
        "ControlTokens",
        "PromptBuilder",
    ),
    "callsmith.errors": (
        "AmbiguousNameError",
        "ArmError",
        "ArmTimeoutError",
        "BrokenPluginError",
        "CallsmithError",
        "ConfigError",
        "ControlTextError",
        "MissingExtraError",
        "PromptTooLongError",
        "RenderError",
        "StepError",
        "StoreError",
        "ToolError",
        "UnknownNameError",
    ),
    "callsmith.hookspecs": ("hookimpl",),
    "callsmith.pipeline": (
        "PipelineFolder",
        "plan_pipeline",
        "read_pipeline_file",
        "run_pipeline",
    ),
    "callsmith.protocols": (
        "ChatArm",
        "Decoder",
        "Eval",
        "Renderer",
        "TaskSet",
        "Template",
        "TextArm",
        "TextToolSession",
        "Toolbox",
        "ToolSession",
        "Trainer",
        "TrainJob",
        "Verifier",
    ),
    "callsmith.runs": (
        "RunFolder",
        "run_bakeoff",
        "summarize",
        "wilson_interval",
    ),
    "callsmith.templated": (
        "Paired",
        "Templated",
    ),
    "callsmith.types": (
        "CallParsed",
        "Checkpoint",
        "Completion",
        "ContentDelta",
        "Event",
        "Fault",
        "FaultFound",
        "Fidelity",
        "FollowUp",
        "Halt",
        "JsonValue",
        "Message",
        "Prompt",
        "ReasoningDelta",
        "Repair",
        "Reply",
        "Sampling",
        "Segment",
        "Task",
        "ToolCall",
        "ToolResult",
        "ToolSpec",
        "Trace",
        "Turn",
        "Usage",
        "Verdict",
    ),
    "callsmith.weights.bases": (
        "check_adapter_base",
        "weights_fingerprint",
    ),
    "callsmith.wire": (
        "ControlCheck",
        "decode_arguments",
        "message_from_openai",
        "message_to_openai",
        "messages_from_openai",
        "tool_from_openai",
        "tool_to_openai",
    ),
    "callsmith.prompts.completion": (
        "completion_after",
        "cut_prompt",
    ),
    "callsmith.prompts.prompt_tokens": ("PromptTokens",),
    "callsmith.wiring": ("plan_bakeoff",),
}
"""Where each public name stands; a test holds it against the imports above."""

_PLACES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    """A public name, imported when it is first asked for."""
    if name not in _PLACES:
        raise AttributeError(f"module 'callsmith' has no attribute {name!r}")
    found: object = getattr(importlib.import_module(_PLACES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
