"""The rules that decide on a single-turn entry, each with the sentence that explains it.

The identifiers stand in `Outcome.rule`. Section numbers are those of the benchmark's order of
tests: the format, the number of calls, then one call after the other (name, required, given
parameters with type and value, parameters left out).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ACCEPTED: Final = "accepted"
DECODE: Final = "decode"
FORMAT: Final = "format"
COUNT: Final = "count"
NAME: Final = "name"
REQUIRED: Final = "required"
UNKNOWN_PARAMETER: Final = "unknown-parameter"
SOURCE_TEXT: Final = "source-text"
TYPE: Final = "type"
ITEM_TYPE: Final = "item-type"
STRING: Final = "string"
LIST: Final = "list"
DICT_KEY: Final = "dict-key"
DICT_VALUE: Final = "dict-value"
DICT_COUNT: Final = "dict-count"
EQUAL: Final = "equal"
LEFT_OUT: Final = "left-out"
UNMATCHED: Final = "unmatched"
ABSTAINED: Final = "abstained"
CALLED: Final = "called"
OFFICIAL_STOPS: Final = "official-stops"

RULES: Final[Mapping[str, str]] = {
    ACCEPTED: "Every call has the right name, and every argument equals an accepted answer.",
    DECODE: "The output could not be read as calls in the format that was asked for.",
    FORMAT: "The decoded output must be a list of objects, each with one key, the function's "
    "name, whose value is an object of arguments.",
    COUNT: "The number of calls must be the number of calls of the answer.",
    NAME: "The call must name the function of the answer, letter by letter.",
    REQUIRED: "Every parameter that the function requires must be given.",
    UNKNOWN_PARAMETER: "A given parameter must stand both in the function's schema and in the "
    "answer.",
    SOURCE_TEXT: "In Java and JavaScript every argument is source text: a string.",
    TYPE: "A value must have exactly the declared type, or the type of the first accepted answer; "
    "only an integer counts as a float.",
    ITEM_TYPE: "Every item of a list must have exactly the declared item type, or the type of the "
    "first item of an accepted list.",
    STRING: "A string must equal an accepted one, without regard to case, spaces and the "
    "characters , . / - _ * ^.",
    LIST: "A list must equal an accepted one, item by item; its strings are compared as strings "
    "are.",
    DICT_KEY: "An object may have only the keys of an accepted one, and must have all that may "
    "not be left out.",
    DICT_VALUE: "The value of each key of an object must equal one that is accepted for the key.",
    DICT_COUNT: "A list of objects must be as long as an accepted one.",
    EQUAL: "The value must equal an accepted answer.",
    LEFT_OUT: 'A parameter of the answer may be left out only if "" is among its accepted values.',
    UNMATCHED: "Each call of the answer, in order, takes the first call of the output that fits "
    "and is not yet taken.",
    ABSTAINED: "No call was read, which is right where none is due and wrong where one is.",
    CALLED: "A call was read, which is wrong where none is due and right where one is.",
    OFFICIAL_STOPS: "The official scorer stops with an exception on this value; here it is wrong, "
    "and the run goes on.",
}
