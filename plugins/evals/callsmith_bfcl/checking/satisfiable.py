"""Entries that no output can satisfy: found from their functions and answers alone.

The checker looks at one parameter at a time, so an entry can be satisfied exactly if each
parameter of each of its answers can, by being left out or by some value. A value that passes
equals an accepted one, or is built from an object's accepted parts, or is one of the few that
the checker lets pass beside them (`""`, `[]`); those are tried, in all their source texts where
arguments are source text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from callsmith_bfcl.checking.calls import CallChecker, Language


def impossibilities(
    functions: Sequence[Mapping[str, Any]],
    ground_truth: Sequence[Mapping[str, Any]],
    language: Language,
    *,
    first_function: bool = False,
) -> list[str]:
    """Why no output can satisfy an entry, one line for each parameter; [] if one can.

    `first_function` as in the simple categories, which do not look a function up by its name.
    """
    check = CallChecker(functions, language, False)
    reasons = []
    for answer in ground_truth:
        document = functions[0] if first_function else check.document_of(answer)
        accepted = next(iter(answer.values()))
        properties = document["parameters"]["properties"]
        required = document["parameters"]["required"]
        for parameter in dict.fromkeys([*required, *accepted]):
            must = parameter in required or "" not in accepted[parameter]
            if not must:
                continue
            if parameter not in properties:
                reasons.append(f"{parameter} must be given, and the function lacks it")
            elif parameter not in accepted:
                reasons.append(f"{parameter} is required, and the answer lacks it")
            elif not any(
                check.argument(parameter, value, properties[parameter], accepted[parameter]) is None
                for value in candidates(accepted[parameter], language)
            ):
                reasons.append(f"{parameter} must be given, and no value is accepted")
    return reasons


def candidates(alternatives: Sequence[Any], language: Language) -> Iterator[Any]:
    """Values that could pass for some type: the accepted ones, and what passes beside them."""
    for value in ["", [], None, *alternatives]:
        whole = _whole(value)
        if language == "python":
            yield whole
        else:
            yield from _sources(whole, language)


def _whole(value: Any) -> Any:
    """An accepted value as a model would give it: of each key's choices, the first."""
    if type(value) is list:
        return [_whole(item) if type(item) is dict else item for item in value]
    if type(value) is dict:
        # A string in the place of choices is gone through by character.
        return {key: choices[0] for key, choices in value.items() if choices}
    return value


def _sources(value: Any, language: Language) -> Iterator[str]:
    """The source texts of a value, for every declared type that it could have."""
    if type(value) is bool:
        yield str(value).lower()
    elif isinstance(value, int | float):
        yield from (f"{value}{suffix}" for suffix in ("", "L", "f", "n"))
    elif type(value) is str:
        yield value
        yield f'"{value}"'
    elif type(value) is list:
        for items in _spellings(value, language):
            inside = ", ".join(items)
            if language == "javascript":
                yield f"[{inside}]"
            else:
                yield f"new ArrayList<>(Arrays.asList({inside}))" if value else "new ArrayList<>()"
                yield f"new Object[]{{{inside}}}"
    elif type(value) is dict:
        for items in _spellings(list(value.values()), language):
            pairs = list(zip(value, items, strict=True))
            if language == "javascript":
                yield "{" + ", ".join(f"{key}: {item}" for key, item in pairs) + "}"
            else:
                puts = " ".join(f'put("{key}", {item});' for key, item in pairs)
                yield f"new HashMap<String, Object>() {{{{ {puts} }}}}"


def _spellings(values: Sequence[Any], language: Language) -> Iterator[list[str]]:
    """The items' source texts, with the same choice of spelling for all items of a kind."""
    texts = [list(_sources(value, language)) for value in values]
    for number in range(max(map(len, texts), default=1)):
        yield [choices[min(number, len(choices) - 1)] if choices else "null" for choices in texts]
