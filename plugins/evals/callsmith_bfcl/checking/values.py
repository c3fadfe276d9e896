"""Whether one value is an accepted answer: its type, then the value itself.

`alternatives` are the accepted values of a parameter as the data lists them; `""` among them says
that the parameter may be left out. The order of the tests, and what each of them overlooks, are
the official scorer's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from callsmith_bfcl.checking import rules
from callsmith_bfcl.outcome import Failure

_IGNORED: Final = {ord(character): None for character in " ,./-_*^"}

Types = Mapping[str, type]

PYTHON_TYPES: Final[Types] = {
    "string": str,
    "integer": int,
    "float": float,
    "boolean": bool,
    "array": list,
    "tuple": list,
    "dict": dict,
    "any": str,
}


def normal(text: str) -> str:
    """A string as strings are compared: lower case, without blanks and `, . / - _ * ^`.

    Single quotes become double ones. Other white space, brackets and accents stay.
    """
    # In this order: what a character is lowered to can depend on the one that follows it.
    return text.translate(_IGNORED).lower().replace("'", '"')


@lru_cache(maxsize=16_384)
def _normal_answer(text: str) -> str:
    """`normal` of an accepted answer; the data set's answers are compared again and again."""
    return normal(text)


def first_type(alternatives: Sequence[Any]) -> type | None:
    """The type of the first alternative that is not `""`; None if there is none."""
    for alternative in alternatives:
        if alternative != "":
            return type(alternative)
    return None


def check_value(
    parameter: object,
    value: Any,
    declared: str,
    kind: type,
    item_kind: type | None,
    alternatives: Sequence[Any],
) -> Failure | None:
    """Why a value is no accepted answer; None if it is one.

    `kind` is the Python type of the `declared` one, `item_kind` that of a list's items. A value
    of another type than declared is accepted when it has the type of the first alternative; then,
    and when the first alternative has not the declared type, it must equal an alternative as is.
    """
    given: type = type(value)
    first = first_type(alternatives)
    plain = first is not None and first is not kind
    if given is kind:
        if item_kind is not None and not _items_fit(value, item_kind, alternatives):
            if first is not kind:
                return _wrong_type(parameter, value, declared)
            return Failure(
                "type_error:nested",
                rules.ITEM_TYPE,
                "parameter {}: the items of {} have not the declared type " + item_kind.__name__,
                (parameter, value),
            )
    elif given is first:
        plain = True
    else:
        return _wrong_type(parameter, value, declared)
    if not plain:
        if kind is str:
            return _check_string(parameter, value, alternatives)
        if kind is dict:
            return _check_dict(parameter, value, alternatives)
        if kind is list:
            if item_kind is dict:
                return _check_list_of_dicts(parameter, value, alternatives)
            return _check_list(parameter, value, alternatives)
    if value in alternatives:
        return None
    return _not_accepted("value_error:others", rules.EQUAL, parameter, value, alternatives)


def _items_fit(value: list[Any], item_kind: type, alternatives: Sequence[Any]) -> bool:
    """Whether the items have the declared type, or the type that an alternative's first has.

    An alternative that is no list, `""` too, lets any items pass.
    """
    types = {*map(type, value)}
    types.discard(item_kind)
    for alternative in alternatives:
        if type(alternative) is not list or not types or types == {first_type(alternative)}:
            return True
    return False


def _check_string(parameter: object, value: str, alternatives: Sequence[Any]) -> Failure | None:
    if value in alternatives:
        return None
    text = normal(value)
    for alternative in alternatives:
        if type(alternative) is str and _normal_answer(alternative) == text:
            return None
    return _not_accepted("value_error:string", rules.STRING, parameter, value, alternatives)


def _check_list(parameter: object, value: list[Any], alternatives: Sequence[Any]) -> Failure | None:
    if value in alternatives:
        return None
    items = [normal(item) if type(item) is str else item for item in value]
    for alternative in alternatives:
        # A string is gone through by character, so "" is the empty list.
        if isinstance(alternative, list | str) and len(alternative) == len(items):
            accepted = [_normal_answer(item) if type(item) is str else item for item in alternative]
            if accepted == items:
                return None
    return _not_accepted("value_error:list/tuple", rules.LIST, parameter, value, alternatives)


def _check_dict(
    parameter: object, value: Mapping[Any, Any], alternatives: Sequence[Any]
) -> Failure | None:
    failure: Failure | None = Failure(
        "dict_checker:unclear",
        rules.DICT_KEY,
        "parameter {}: no object is accepted, got {}",
        (parameter, value),
    )
    for alternative in alternatives:
        if alternative == "":
            continue
        failure = _compare_dict(parameter, value, alternative)
        if failure is None or failure.rule == rules.OFFICIAL_STOPS:
            return failure
    return failure


def _compare_dict(parameter: object, value: Mapping[Any, Any], accepted: Any) -> Failure | None:
    """Why an object is not the accepted one; a missing key is told rather than a wrong value."""
    if type(accepted) is not dict:
        return _official_stops("value_error:dict_key", parameter, value)
    failure = None
    for key, item in value.items():
        if key not in accepted:
            failure = Failure(
                "value_error:dict_key",
                rules.DICT_KEY,
                "parameter {}: unexpected key {}",
                (parameter, key),
            )
            break
        choices = accepted[key]
        # A string instead of a list of choices is gone through by character.
        if not isinstance(choices, list | str):
            return _official_stops("value_error:dict_value", parameter, value)
        text = normal(item) if type(item) is str else item
        if not any(
            text == (_normal_answer(choice) if type(choice) is str else choice)
            for choice in choices
        ):
            failure = Failure(
                "value_error:dict_value",
                rules.DICT_VALUE,
                "parameter {}: the key {} is {}, accepted: {}",
                (parameter, key, item, choices),
            )
            break
    for key, choices in accepted.items():
        if key not in value and "" not in choices:
            return Failure(
                "value_error:dict_key",
                rules.DICT_KEY,
                "parameter {}: missing key {}",
                (parameter, key),
            )
    return failure


def _check_list_of_dicts(
    parameter: object, value: list[Any], alternatives: Sequence[Any]
) -> Failure | None:
    failure: Failure | None = Failure(
        "list_dict_checker:unclear",
        rules.DICT_COUNT,
        "parameter {}: no list is accepted, got {}",
        (parameter, value),
    )
    for alternative in alternatives:
        if not isinstance(alternative, list | str):
            return _official_stops("value_error:list_dict_count", parameter, value)
        if len(value) != len(alternative):
            failure = Failure(
                "value_error:list_dict_count",
                rules.DICT_COUNT,
                "parameter {}: {} objects in a list of {}",
                (parameter, len(value), len(alternative)),
            )
            continue
        for item, accepted in zip(value, alternative, strict=True):
            if type(item) is not dict:
                return _official_stops("value_error:dict_key", parameter, value)
            failure = _check_dict(parameter, item, [accepted])
            if failure is not None:
                if failure.rule == rules.OFFICIAL_STOPS:
                    return failure
                break
        else:
            return None
    return failure


def _wrong_type(parameter: object, value: object, declared: str) -> Failure:
    return Failure(
        "type_error:simple",
        rules.TYPE,
        "parameter {}: {} is of type " + type(value).__name__ + ", declared: " + declared,
        (parameter, value),
    )


def _not_accepted(
    error_type: str, rule: str, parameter: object, value: object, alternatives: Sequence[Any]
) -> Failure:
    return Failure(
        error_type, rule, "parameter {}: {}, accepted: {}", (parameter, value, alternatives)
    )


def _official_stops(error_type: str, parameter: object, value: object) -> Failure:
    return Failure(
        error_type,
        rules.OFFICIAL_STOPS,
        "parameter {}: {} cannot be compared with the accepted answers",
        (parameter, value),
    )
