"""`tiny-tasks`: requests of the embedded model's size.

They were written before the model was trained, as people would put them; none was changed or
chosen after looking at what the model gets right. `hard` marks what a model that only matches
words should not be expected to do: paraphrase, counting, arguments that must be worked out.
"""

from __future__ import annotations

from callsmith import JsonValue, Message, Task
from callsmith_tasks.tiny_toolbox import TOOLS

SYSTEM = "You are a home assistant. Call a tool when one fits, otherwise answer in text."

Call = tuple[str, dict[str, JsonValue]]
Row = tuple[str, str, str, list[Call], list[str]]
"""Tags, tools, request, gold calls, texts that the final answer must hold."""

ROWS: dict[str, Row] = {
    # one argument
    "weather-oslo": (
        "one-argument follow-up",
        "get_weather set_lamp",
        "Please get the weather with city Oslo.",
        [("get_weather", {"city": "Oslo"})],
        ["4 degrees and rain"],
    ),
    "weather-madrid": (
        "one-argument unnamed follow-up",
        "get_weather play_song lock_door",
        "What is the weather in Madrid?",
        [("get_weather", {"city": "Madrid"})],
        ["27 degrees and sun"],
    ),
    "sensor-attic": (
        "one-argument follow-up",
        "read_sensor check_stock",
        "Read the sensor, sensor: attic",
        [("read_sensor", {"sensor": "attic"})],
        ["31.5 degrees"],
    ),
    "sensor-greenhouse": (
        "one-argument follow-up",
        "read_sensor",
        "Could you read the sensor with greenhouse as the sensor?",
        [("read_sensor", {"sensor": "greenhouse"})],
        ["18.2 degrees"],
    ),
    "stock-flour": (
        "one-argument follow-up",
        "check_stock add_note start_timer",
        "Can you check the stock with item flour?",
        [("check_stock", {"item": "flour"})],
        ["12 bags"],
    ),
    "stock-oil": (
        "one-argument follow-up",
        "check_stock get_weather",
        "check stock, item = 'olive oil'",
        [("check_stock", {"item": "olive oil"})],
        ["7 bottles"],
    ),
    "wiki-whale": (
        "one-argument unnamed follow-up",
        "search_wiki send_message",
        "Search the wiki for 'blue whale'.",
        [("search_wiki", {"query": "blue whale"})],
        ["30 metres"],
    ),
    "wiki-volvox": (
        "one-argument follow-up",
        "search_wiki get_weather play_song add_note",
        "Search the wiki with query volvox.",
        [("search_wiki", {"query": "volvox"})],
        ["green alga"],
    ),
    "song": (
        "one-argument",
        "play_song start_timer",
        'Play a song with title "Harbour Lights".',
        [("play_song", {"title": "Harbour Lights"})],
        ["Harbour Lights"],
    ),
    "door": (
        "one-argument",
        "lock_door open_garage",
        "Please lock the door with door terrace.",
        [("lock_door", {"door": "terrace"})],
        ["locked"],
    ),
    "timer": (
        "one-argument",
        "start_timer",
        "Start a timer where minutes is 25.",
        [("start_timer", {"minutes": 25})],
        ["25 minutes"],
    ),
    "garage": (
        "no-argument",
        "open_garage lock_door set_lamp",
        "Open the garage, please.",
        [("open_garage", {})],
        ["the garage is open"],
    ),
    # two arguments
    "lamp-kitchen": (
        "two-arguments",
        "set_lamp set_thermostat",
        "Set the lamp with room kitchen and level 40.",
        [("set_lamp", {"room": "kitchen", "level": 40})],
        ["40"],
    ),
    "lamp-study": (
        "two-arguments",
        "set_lamp get_weather lock_door",
        "Please set the lamp with level 75 and room study.",
        [("set_lamp", {"room": "study", "level": 75})],
        ["75"],
    ),
    "lamp-hall": (
        "two-arguments unnamed",
        "set_lamp play_song",
        "Set the lamp in the hall to 15.",
        [("set_lamp", {"room": "hall", "level": 15})],
        ["15"],
    ),
    "note": (
        "two-arguments",
        "add_note search_wiki",
        "Add a note with title 'Bread' and text 'buy rye flour'.",
        [("add_note", {"title": "Bread", "text": "buy rye flour"})],
        ["saved"],
    ),
    "note-short": (
        "two-arguments",
        "add_note start_timer send_message",
        "add note, text: call the plumber, title: Plumber",
        [("add_note", {"title": "Plumber", "text": "call the plumber"})],
        ["saved"],
    ),
    "message": (
        "two-arguments",
        "send_message find_contact",
        "Send a message with recipient Marta and text 'dinner is ready'.",
        [("send_message", {"recipient": "Marta", "text": "dinner is ready"})],
        ["sent"],
    ),
    "message-first": (
        "two-arguments value-first",
        "send_message",
        "Send a message with Henrik as the recipient and 'see you at nine' as the text.",
        [("send_message", {"recipient": "Henrik", "text": "see you at nine"})],
        ["sent"],
    ),
    "song-loud": (
        "two-arguments",
        "play_song set_lamp",
        "Play a song with title Autumn Train and volume 8.",
        [("play_song", {"title": "Autumn Train", "volume": 8})],
        ["Autumn Train"],
    ),
    "timer-label": (
        "two-arguments",
        "start_timer create_event add_note",
        "Start a timer with label pasta and minutes 11.",
        [("start_timer", {"label": "pasta", "minutes": 11})],
        ["11 minutes"],
    ),
    "wiki-limit": (
        "two-arguments unnamed follow-up",
        "search_wiki",
        "Search the wiki for 'volvox' with limit 3.",
        [("search_wiki", {"query": "volvox", "limit": 3})],
        ["green alga"],
    ),
    "thermostat": (
        "two-arguments",
        "set_thermostat read_sensor",
        "Set the thermostat with room bedroom and temperature 18.5.",
        [("set_thermostat", {"room": "bedroom", "temperature": 18.5})],
        ["18.5"],
    ),
    # three arguments
    "thermostat-mode": (
        "three-arguments",
        "set_thermostat set_lamp",
        "Set the thermostat with room nursery, temperature 21 and mode comfort.",
        [("set_thermostat", {"room": "nursery", "temperature": 21, "mode": "comfort"})],
        ["21"],
    ),
    "thermostat-eco": (
        "three-arguments",
        "set_thermostat",
        "Please set the thermostat: mode is eco, room is cellar, temperature is 12.5",
        [("set_thermostat", {"room": "cellar", "temperature": 12.5, "mode": "eco"})],
        ["12.5"],
    ),
    "table": (
        "three-arguments",
        "book_table create_event",
        "Book a table with restaurant Belvedere, people 4 and time 19:30.",
        [("book_table", {"restaurant": "Belvedere", "people": 4, "time": "19:30"})],
        ["booked for 4"],
    ),
    "table-first": (
        "three-arguments value-first",
        "book_table",
        "Book a table with 'Casa Lupo' as the restaurant, 6 as the people and 20:15 as the time.",
        [("book_table", {"restaurant": "Casa Lupo", "people": 6, "time": "20:15"})],
        ["booked for 6"],
    ),
    "event": (
        "three-arguments",
        "create_event start_timer get_weather",
        "Create an event with title Dentist, date 2031-05-17 and time 08:45.",
        [("create_event", {"title": "Dentist", "date": "2031-05-17", "time": "08:45"})],
        ["saved"],
    ),
    "event-order": (
        "three-arguments",
        "create_event add_note",
        "create event, time = 17:00, title = 'Choir practice', date = 2030-11-02",
        [("create_event", {"title": "Choir practice", "date": "2030-11-02", "time": "17:00"})],
        ["saved"],
    ),
    # several calls
    "two-lamps": (
        "two-calls",
        "set_lamp lock_door",
        "Set the lamp with room porch and level 5, and also lock the door with door front.",
        [("set_lamp", {"room": "porch", "level": 5}), ("lock_door", {"door": "front"})],
        ["5", "locked"],
    ),
    "weather-and-song": (
        "two-calls",
        "get_weather play_song read_sensor",
        "Get the weather with city Quito. Also play a song with title Ember.",
        [("get_weather", {"city": "Quito"}), ("play_song", {"title": "Ember"})],
        ["14 degrees", "Ember"],
    ),
    "contact-then-message": (
        "two-calls chain",
        "find_contact send_message",
        "Find the contact with name Marta, then send a message with recipient set to the result "
        "and text 'hello'.",
        [
            ("find_contact", {"name": "Marta"}),
            ("send_message", {"recipient": "marta@fjordmail.no", "text": "hello"}),
        ],
        ["sent"],
    ),
    # no tool
    "hello": ("no-tool", "get_weather set_lamp", "Hello!", [], []),
    "thanks": ("no-tool", "play_song", "Thank you very much", [], []),
    "poem": ("no-tool", "send_message search_wiki", "Write a poem about the sea.", [], []),
    "no-fit": (
        "no-tool",
        "set_lamp lock_door",
        "Water the plants with amount 2.",
        [],
        [],
    ),
    "no-fit-verb": (
        "no-tool",
        "set_lamp start_timer",
        "Set the alarm with time 06:30.",
        [],
        [],
    ),
    # a tool fails
    "jammed": (
        "one-argument tool-fails",
        "lock_door",
        "Lock the door with door cellar.",
        [("lock_door", {"door": "cellar"})],
        ["jammed"],
    ),
    "denied": (
        "one-argument tool-fails",
        "delete_file add_note",
        "Delete the file with path /var/log/old.txt.",
        [("delete_file", {"path": "/var/log/old.txt"})],
        ["permission denied"],
    ),
    "nobody": (
        "one-argument tool-fails",
        "find_contact send_message",
        "Find the contact with name Zeno.",
        [("find_contact", {"name": "Zeno"})],
        ["no such contact"],
    ),
    # too hard
    "paraphrase": (
        "hard paraphrase follow-up",
        "get_weather set_lamp",
        "Do I need an umbrella in Oslo?",
        [("get_weather", {"city": "Oslo"})],
        ["rain"],
    ),
    "darker": (
        "hard paraphrase",
        "set_lamp set_thermostat",
        "It is too bright in the kitchen, ten percent is enough.",
        [("set_lamp", {"room": "kitchen", "level": 10})],
        [],
    ),
    "half-hour": (
        "hard arithmetic",
        "start_timer",
        "Start a timer for half an hour.",
        [("start_timer", {"minutes": 30})],
        [],
    ),
    "everything": (
        "hard many-tools",
        " ".join(TOOLS),
        "Check the stock with item yeast.",
        [("check_stock", {"item": "yeast"})],
        ["3 jars"],
    ),
}


class TinyTasks:
    """All of them, in the order above; every second one with a system prompt."""

    def tasks(self) -> list[Task]:
        """The tasks."""
        return [_task(name, row, at % 2 == 1) for at, (name, row) in enumerate(ROWS.items())]


def _task(name: str, row: Row, system: bool) -> Task:
    tags, tools, request, calls, facts = row
    messages = [Message(role="user", content=request)]
    if system:
        messages.insert(0, Message(role="system", content=SYSTEM))
    target: dict[str, JsonValue] = {"answer_only": True}
    if calls:
        target = {"calls": [{"name": n, "arguments": arguments} for n, arguments in calls]}
    if facts:
        target["answer_contains"] = [*facts]
    return Task(
        id=name,
        messages=tuple(messages),
        tools=tuple(TOOLS[tool] for tool in tools.split()),
        target=target,
        toolbox="tiny",
        tags=tuple(tags.split()),
    )
