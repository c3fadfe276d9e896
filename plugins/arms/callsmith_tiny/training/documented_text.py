"""The fixed sentences of documented tools and of requests for them; words are filled in.

`v` is what a tool does, `o` the part it does it to, `c` the thing that has the part; `p` is what
people call a parameter, `v` in a phrase of a request its value; `a` and `b` are any words.
"""

from __future__ import annotations

NAMES = (
    "{v}_{o}", "{v}_{c}_{o}", "{v}_{c}_{o}", "{c}_{v}_{o}", "{c}_{o}", "get_{c}_{o}", "{c}_{o}_{v}",
    "{v}_{o}_{c}", "{c}.{v}_{o}", "{o}_{v}", "{v}_{o}_for_{c}",
)  # fmt: skip
DESCRIPTIONS = (
    "{V} the {o} of a {c}.", "{V} the {o} of a {c}.", "{V} the {o} of the given {c}.",
    "{V} {o} for a {c}.", "Returns the {o} of a {c}.", "Function to {v} the {o} of a {c}.",
    "{V} the {o} in a specific {c}.", "{V} the {o} of a {c} with the {a} {b}.",
    "This function can {v} the {o} of a {c}.", "Used to {v} {c} {o}.", "{V} a {c}'s {o}.",
)  # fmt: skip
TAILS = (
    "Returns the {a} in {b}.", "It needs at least one {a}.", "Returns a {a}.",
    "The {o} is {a} by default.", "Works for every {c} that has a {a}.",
    "Note that the {a} is {b}.",
)  # fmt: skip
PARAMETERS = (
    "the {p} of the {c}.", "the {p} of the {c}", "the {p}.", "{p} of the {c}.", "the {p} to use.",
    "the {p} for which to {v} the {o}.", "the {p} of the {a} {c}.", "the {p} that the {o} has.",
    "a {p}, for example {a}.", "the {a} {p}.",
)  # fmt: skip
DEFAULTS = (
    " Default is {}.", " Defaults to {}.", " Optional, default is {}.", " (optional, default: {})",
    " If it is not given, {} is used.", " The default is {}.",
)  # fmt: skip
SHORT_NAMES = ("a", "b", "x", "y", "n", "val", "num1", "num2", "val1", "x1", "v0", "arg")
UNITS = (
    "units", "meters", "km", "kilograms", "kg", "seconds", "hours", "dollars", "degrees", "percent",
    "cm", "m/s", "miles", "years", "days", "liters", "watts", "grams", "minutes", "mph",
)  # fmt: skip

ASKS = (
    "{v} ", "{v} ", "{v} ", "{v} ", "please {v} ", "can you {v} ", "could you {v} ", "help me {v} ",
    "i want to {v} ", "i need to {v} ", "find ", "calculate ", "determine ", "get ", "tell me ",
    "what is ", "what is ", "what's ", "can you tell me ", "i want to know ", "find out ",
    "what would be ", "could you find ", "get me ", "i need ",
)  # fmt: skip
"""Many of them do not name what the tool does: what it does it to has to decide."""
OBJECTS = (
    "the {o} of a {c}", "the {o} of a {c}", "the {o} of the {c}", "the {o} of my {c}",
    "the {c} {o}", "the {c}'s {o}", "the {o} for a {c}", "the {o} in a {c}", "{o} of {c}",
)  # fmt: skip
PLAIN_OBJECTS = ("the {o}", "the {o}", "{o}")

GLUES = (
    " with ", " with ", " with ", " given ", " that has ", " having ", " if ", " when ", " where ",
    " using ", " for ", ", given that ", ", with ", ": ", " and ",
)  # fmt: skip
JOINS = (" and ", " and ", ", ", ", and ", " and with ")
NAMED = (
    "a {p} of {v}", "a {p} of {v}", "{p} of {v}", "{p} {v}", "{p} {v}", "the {p} is {v}",
    "{p} is {v}", "{p} = {v}", "{p}={v}", "{p}: {v}", "{p} as {v}", "the {p} {v}", "{p} being {v}",
    "its {p} is {v}", "the {p} of {v}", "{p} equal to {v}",
)  # fmt: skip
VALUE_FIRST = ("{v} as the {p}", "{v} as {p}", "{v} for the {p}", "{v} {p}", "a {v} {p}")
PREPOSITIONS = (" for ", " in ", " of ", " from ", " called ", " named ", " on ", " at ")
