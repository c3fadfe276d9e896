"""The eight tools of the homelab assistant, as a model is shown them, and their argument check."""

from __future__ import annotations

from collections.abc import Mapping

from callsmith import JsonValue, ToolError, ToolSpec

IMAGE_SIZES = ("512x512", "1024x1024", "1536x1024")
SOURCES = ("wiki", "services", "logs")
DEFAULT_LIMIT = 5


def _parameters(required: list[JsonValue], **properties: JsonValue) -> dict[str, JsonValue]:
    return {"type": "object", "properties": properties, "required": required}


def _limit(most: int) -> dict[str, JsonValue]:
    return {
        "type": "integer",
        "description": f"How many results to return at most. Defaults to {DEFAULT_LIMIT}.",
        "minimum": 1,
        "maximum": most,
        "default": DEFAULT_LIMIT,
    }


TOOLS: tuple[ToolSpec, ...] = (
    ToolSpec(
        name="web_search",
        description="Search the public web. Returns titles, addresses and short excerpts; use "
        "web_fetch to read a whole page.",
        parameters=_parameters(
            ["query"],
            query={"type": "string", "description": "Search terms."},
            limit=_limit(10),
        ),
    ),
    ToolSpec(
        name="homelab_search",
        description="Search the homelab's own records. Wiki hits come with an address that "
        "web_fetch can read.",
        parameters=_parameters(
            ["query", "source"],
            query={"type": "string", "description": "Keywords, such as a service or a topic."},
            source={
                "type": "string",
                "description": "Where to look: wiki (guides, runbooks), services (inventory with "
                "hosts, ports, versions, health addresses) or logs (recent log lines).",
                "enum": list(SOURCES),
            },
            limit=_limit(20),
        ),
    ),
    ToolSpec(
        name="media_library_check",
        description="Check which films and series are in the media library. Check several titles "
        "with one call.",
        parameters=_parameters(
            ["titles"],
            titles={
                "type": "string",
                "description": "One or more titles, separated by commas, for example "
                "'Alien, Arrival'.",
            },
        ),
    ),
    ToolSpec(
        name="memory_read",
        description="Read one entry of the assistant's long-term memory.",
        parameters=_parameters(["key"], key={"type": "string", "description": "The entry's key."})
        | {"additionalProperties": False},
    ),
    ToolSpec(
        name="memory_write",
        description="Store a text under a key in the assistant's long-term memory. Replaces what "
        "was stored there.",
        parameters=_parameters(
            ["key", "value"],
            key={
                "type": "string",
                "description": "Lower-case letters, digits, dots and underscores.",
                "maxLength": 64,
            },
            value={"type": "string", "description": "The text to remember."},
        )
        | {"additionalProperties": False},
    ),
    ToolSpec(
        name="web_fetch",
        description="Fetch one page or health address (internet or homelab) and return its text.",
        parameters=_parameters(
            ["url"],
            url={
                "type": "string",
                "format": "uri",
                "description": "The full address, with http:// or https://.",
            },
        ),
    ),
    ToolSpec(
        name="chat_search",
        description="Search the user's past chats with this assistant (not the current one).",
        parameters=_parameters(
            ["query"],
            query={"type": "string", "description": "What the chat was about."},
            limit=_limit(10),
        ),
    ),
    ToolSpec(
        name="generate_image",
        description="Generate an image on the homelab's GPU and return its address.",
        parameters=_parameters(
            ["prompt"],
            prompt={"type": "string", "description": "What the image should show."},
            size={
                "type": "string",
                "description": "Width x height in pixels.",
                "enum": list(IMAGE_SIZES),
                "default": "1024x1024",
            },
        ),
    ),
)

_BY_NAME = {tool.name: tool for tool in TOOLS}


def check_arguments(name: str, arguments: Mapping[str, JsonValue]) -> None:
    """Raises `ToolError` if `arguments` do not fit the tool's schema.

    The schemas above are flat and use strings and integers only, so this covers all of them:
    missing and unknown parameters, types, empty strings, enums, ranges and lengths.
    """
    tool = _BY_NAME.get(name)
    if tool is None:
        raise ToolError(f"there is no such tool; the tools are: {', '.join(_BY_NAME)}")
    parameters = tool.parameters or {}
    properties, required = parameters["properties"], parameters["required"]
    assert isinstance(properties, dict)
    assert isinstance(required, list)
    missing = [str(key) for key in required if key not in arguments]
    if missing:
        raise ToolError(f"{name} needs the parameter {' and '.join(missing)}")
    for key, value in arguments.items():
        schema = properties.get(key)
        if not isinstance(schema, dict):
            known = ", ".join(properties)
            raise ToolError(f"{name} has no such parameter; its parameters are: {known}")
        _check_value(f"{name}: {key}", value, schema)


def _check_value(where: str, value: JsonValue, schema: Mapping[str, JsonValue]) -> None:
    if schema["type"] == "string":
        if not isinstance(value, str):
            raise ToolError(f"{where} must be a string, not {_kind(value)}")
        if not value.strip():
            raise ToolError(f"{where} must not be empty")
        longest = schema.get("maxLength")
        if isinstance(longest, int) and len(value) > longest:
            raise ToolError(f"{where} may have {longest} characters at most")
    else:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ToolError(f"{where} must be an integer, not {_kind(value)}")
        least, most = schema["minimum"], schema["maximum"]
        if isinstance(least, int) and isinstance(most, int) and not least <= value <= most:
            raise ToolError(f"{where} must be from {least} to {most}")
    options = schema.get("enum")
    if isinstance(options, list) and value not in options:
        raise ToolError(f"{where} must be one of {', '.join(map(str, options))}")


def _kind(value: JsonValue) -> str:
    """What JSON calls the type of `value`."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case list():
            return "an array"
        case dict():
            return "an object"
        case _:
            return "a number"
