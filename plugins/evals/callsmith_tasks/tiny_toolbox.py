"""The toolbox `tiny`: sixteen small tools over a fixed world, a few of which can fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from callsmith import JsonValue, Task, ToolError, ToolSpec

WEATHER = {"oslo": "4 degrees and rain", "madrid": "27 degrees and sun", "quito": "14 degrees"}
CONTACTS = {"marta": "marta@fjordmail.no", "henrik": "henrik@lumen.io"}
SENSORS = {"cellar": "61 percent humidity", "attic": "31.5 degrees", "greenhouse": "18.2 degrees"}
ARTICLES = {"blue whale": "The blue whale grows to 30 metres.", "volvox": "Volvox is a green alga."}
STOCK = {"flour": "12 bags", "yeast": "3 jars", "olive oil": "7 bottles"}


def _tool(name: str, description: str, required: int, /, **parameters: str) -> ToolSpec:
    """A tool whose parameters are `type` or `type: description`; the first ones are required."""
    properties: dict[str, JsonValue] = {}
    for key, text in parameters.items():
        kind, _, about = text.partition(": ")
        schema: dict[str, JsonValue] = {"type": kind}
        if kind.startswith("enum "):
            schema = {"type": "string", "enum": [*kind.split()[1:]]}
        if about:
            schema["description"] = about
        properties[key] = schema
    schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = [*list(parameters)[:required]]
    return ToolSpec(name=name, description=description, parameters=schema)


TOOLS: dict[str, ToolSpec] = {
    tool.name: tool
    for tool in (
        _tool("get_weather", "Get the weather in a city.", 1, city="string: The city."),
        _tool("set_lamp", "Set the lamp of a room.", 2, room="string", level="integer: 0 to 100."),
        _tool("add_note", "Add a note.", 2, title="string", text="string"),
        _tool(
            "send_message", "Send a message.", 2, recipient="string", text="string: What to say."
        ),
        _tool("play_song", "Play a song.", 1, title="string", volume="integer"),
        _tool("start_timer", "Start a timer.", 1, minutes="integer", label="string: Its name."),
        _tool("search_wiki", "Search the wiki.", 1, query="string: The words.", limit="integer"),
        _tool(
            "book_table",
            "Book a table in a restaurant.",
            3,
            restaurant="string: Its name.",
            people="integer: How many.",
            time="string: Such as 19:30.",
        ),
        _tool(
            "set_thermostat",
            "Set the thermostat.",
            2,
            room="string",
            temperature="number: In degrees.",
            mode="enum eco comfort frost",
        ),
        _tool(
            "create_event",
            "Create an event in the calendar.",
            3,
            title="string",
            date="string: Such as 2031-05-17.",
            time="string",
        ),
        _tool("lock_door", "Lock a door.", 1, door="string"),
        _tool("read_sensor", "Read a sensor.", 1, sensor="string: Where it is."),
        _tool("find_contact", "Find the address of a contact.", 1, name="string"),
        _tool("check_stock", "Check the stock of an item.", 1, item="string"),
        _tool("delete_file", "Delete a file.", 1, path="string"),
        _tool("open_garage", "Open the garage.", 0),
    )
}
"""Every tool, by name."""


class TinyToolbox:
    """The tools without any state: equal calls give equal results."""

    def tools(self) -> Sequence[ToolSpec]:
        """All of them; a task of `tiny-tasks` shows the model only some."""
        return tuple(TOOLS.values())

    def session(self, task: Task) -> TinyToolbox:
        """Itself: there is no state."""
        return self

    async def call(self, name: str, arguments: Mapping[str, JsonValue]) -> JsonValue:
        """Runs a tool. Raises `ToolError` for a missing argument, or what its world has not."""
        parameters = TOOLS[name].parameters or {}
        required = parameters.get("required", [])
        assert isinstance(required, list)
        for key in required:
            if key not in arguments:
                raise ToolError(f"{key} is missing")
        return _run(name, {key: _text(value) for key, value in arguments.items()})


def _run(name: str, given: Mapping[str, str]) -> str:
    match name:
        case "get_weather":
            return _look_up(WEATHER, given["city"], "no weather for that city")
        case "read_sensor":
            return _look_up(SENSORS, given["sensor"], "no such sensor")
        case "find_contact":
            return _look_up(CONTACTS, given["name"], "no such contact")
        case "check_stock":
            return _look_up(STOCK, given["item"], "not in stock")
        case "search_wiki":
            return ARTICLES.get(given["query"].casefold().strip(), "no article found")
        case "set_lamp":
            return f"the lamp is at {given['level']}"
        case "set_thermostat":
            return f"the thermostat is at {given['temperature']}"
        case "start_timer":
            return f"timer set to {given['minutes']} minutes"
        case "book_table":
            return f"booked for {given['people']}"
        case "send_message":
            return "sent"
        case "play_song":
            return f"playing {given['title']}"
        case "lock_door":
            if given["door"].casefold().strip() == "cellar":
                raise ToolError("the lock is jammed")
            return "locked"
        case "delete_file":
            raise ToolError("permission denied")
        case "open_garage":
            return "the garage is open"
    return "saved"  # add_note, create_event


def _look_up(table: Mapping[str, str], key: str, missing: str) -> str:
    found = table.get(key.casefold().strip())
    if found is None:
        raise ToolError(missing)
    return found


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else str(value)
