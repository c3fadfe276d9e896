"""How the targets of the task set `assistant` are written.

The format is the one that the verifiers `calls-match` and `answer-contains` read.
"""

from __future__ import annotations

from itertools import permutations

from callsmith import JsonValue

ANYTHING: JsonValue = {"anything": True}


def call(name: str, /, **arguments: JsonValue) -> dict[str, JsonValue]:
    """A call with exactly these arguments."""
    return {"name": name, "arguments": arguments}


def search(name: str, /, **arguments: JsonValue) -> dict[str, JsonValue]:
    """A search in any words and, unless `limit` is among the arguments, with any limit."""
    free: dict[str, JsonValue] = {} if "limit" in arguments else {"limit": ANYTHING}
    wanted: dict[str, JsonValue] = {"query": ANYTHING, **arguments}
    return {"name": name, "arguments": wanted, "optional_arguments": free}


def fetch(url: str) -> dict[str, JsonValue]:
    """A fetch of this address, with or without a slash at its end."""
    return call("web_fetch", url=one_of(url, url + "/"))


def library(*titles: str) -> dict[str, JsonValue]:
    """A check of these titles at once, in any order, with or without white space."""
    spellings = [sign.join(order) for order in permutations(titles) for sign in (", ", ",")]
    return call("media_library_check", titles=one_of(*dict.fromkeys(spellings)))


def image(**size: JsonValue) -> dict[str, JsonValue]:
    """An image of anything, with a size if one is given."""
    return call("generate_image", prompt=ANYTHING, **size)


def one_of(*values: JsonValue) -> dict[str, JsonValue]:
    """Any of these values (or, in an answer, any of these texts)."""
    return {"any_of": list(values)}


def optional(call: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """A call that may be left out."""
    return {**call, "optional": True}


def target_of(
    *calls: JsonValue, says: tuple[JsonValue, ...] = (), extra: bool = False
) -> dict[str, JsonValue]:
    """These calls, and an answer that says these facts; `extra` allows further calls."""
    target: dict[str, JsonValue] = {"calls": list(calls)}
    if says:
        target["answer_contains"] = list(says)
    if extra:
        target["extra_calls"] = True
    return target


def answer_only(*says: JsonValue) -> dict[str, JsonValue]:
    """No call at all, and an answer that says these facts."""
    target: dict[str, JsonValue] = {"answer_only": True}
    if says:
        target["answer_contains"] = list(says)
    return target
