"""The checker of calls: format, number of calls, and each call against its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from callsmith_bfcl.checking import rules
from callsmith_bfcl.checking.java_values import JAVA_TYPES, convert_java
from callsmith_bfcl.checking.javascript_values import JAVASCRIPT_TYPES, convert_javascript
from callsmith_bfcl.checking.values import PYTHON_TYPES, Types, check_value
from callsmith_bfcl.outcome import Failure, Outcome

Language = Literal["python", "java", "javascript"]
Adapter = Callable[[Any, Sequence[Any], str], tuple[Any, Sequence[Any]]]
"""From a value, its alternatives and the declared type of its items ("" if it has none) to the
value and the alternatives that a strict check compares."""

_ACCEPTED: Final = Outcome(True, None, (), rules.ACCEPTED)
_CALL: Final = "simple_function_checker"
_PARALLEL: Final = "parallel_function_checker_no_order"


def check_calls(
    functions: Sequence[Mapping[str, Any]],
    decoded: object,
    ground_truth: Sequence[Mapping[str, Any]],
    language: Language = "python",
    category: str = "simple",
    underscore_to_dot: bool = False,
    *,
    fixes: frozenset[str] = frozenset(),
) -> Outcome:
    """The verdict on the decoded calls of a single-turn entry.

    `functions` are the entry's documents as the data has them, `decoded` is what a decoder gave
    (any value), `ground_truth` the list of `{name: {parameter: alternatives}}`. The category's
    name (in format sensitivity that of the original id, or the id) says how calls are matched:
    "parallel" in it, "multiple" in it, or neither. `underscore_to_dot` is a property of the model:
    it was shown names with `_` for each `.`, and must call them so.

    `fixes` turns official behaviours off; `callsmith_bfcl.strict` says which there are.
    """
    problem = format_problem(decoded)
    if problem is not None:
        return problem.outcome()
    calls: list[dict[str, Any]] = decoded  # type: ignore[assignment]
    check = CallChecker(functions, language, underscore_to_dot, fixes)
    if "parallel" in category:
        return check.parallel(calls, ground_truth)
    multiple = "multiple" in category
    if len(calls) != (len(ground_truth) if multiple else 1):
        kind = "multiple_function_checker" if multiple else _CALL
        return _wrong_count(kind, calls, len(ground_truth) if multiple else 1)
    answer = ground_truth[0]
    document = check.document_of(answer) if multiple else functions[0]
    failure = check.call(document, calls[0], answer)
    return _ACCEPTED if failure is None else failure.outcome()


def is_call_list(decoded: object) -> bool:
    """Whether a value is a list of `{name: arguments}`, each with one name; `[]` is one."""
    if type(decoded) is not list:
        return False
    for call in decoded:
        if type(call) is not dict or len(call) != 1:
            return False
        for arguments in call.values():
            if type(arguments) is not dict:
                return False
    return True


def format_problem(decoded: object) -> Failure | None:
    """Why a decoded value is no list of calls; None if it is one."""
    if is_call_list(decoded):
        return None
    return Failure(
        "ast_decoder:decoder_wrong_output_format",
        rules.FORMAT,
        "this is no list of calls: {}",
        (decoded,),
    )


class CallChecker:
    """Checks calls against the answers of one entry."""

    def __init__(
        self,
        functions: Sequence[Mapping[str, Any]],
        language: Language,
        underscore_to_dot: bool,
        fixes: frozenset[str] = frozenset(),
    ) -> None:
        self._functions = functions
        self._language = language
        self._underscores = underscore_to_dot
        self._fixes = fixes
        self._adapt: Adapter | None = None
        if fixes:
            from callsmith_bfcl.strict import adapter

            self._adapt = adapter(fixes)

    def document_of(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """The document of the function that an answer calls. Raises `ValueError` if none is."""
        name = next(iter(answer))
        for document in self._functions:
            if document["name"] == name:
                return document
        raise ValueError(f"the answer calls {name!r}, which is none of the entry's functions")

    def parallel(
        self, calls: Sequence[Mapping[str, Any]], ground_truth: Sequence[Mapping[str, Any]]
    ) -> Outcome:
        """The verdict on several calls in any order.

        Each answer in turn takes the first free call that fits; another choice is not tried, so
        that the order can decide (A8).
        """
        if len(calls) != len(ground_truth):
            return _wrong_count(_PARALLEL, calls, len(ground_truth))
        if "A8" in self._fixes:
            from callsmith_bfcl.strict import unmatched_answer

            fits = [
                [self.call(self.document_of(answer), call, answer) is None for call in calls]
                for answer in ground_truth
            ]
            unmatched = unmatched_answer(fits)
            free = list(range(len(calls)))
        else:
            unmatched, free = self._greedy(calls, ground_truth)
        if unmatched is None:
            return _ACCEPTED
        answer = ground_truth[unmatched]

        def messages() -> tuple[str, ...]:
            said = [f"no call fits answer {unmatched}, a call of {next(iter(answer))}"]
            for index in free:
                failure = self.call(self.document_of(answer), calls[index], answer)
                if failure is not None:
                    said.append(f"call {index}: {failure.message()}")
            return tuple(said)

        return Outcome(False, f"{_PARALLEL}:cannot_find_match", messages, rules.UNMATCHED)

    def _greedy(
        self, calls: Sequence[Mapping[str, Any]], ground_truth: Sequence[Mapping[str, Any]]
    ) -> tuple[int | None, list[int]]:
        """The first answer that no free call fits, None if there is none, and the free calls."""
        free = list(range(len(calls)))
        for number, answer in enumerate(ground_truth):
            document = self.document_of(answer)
            for index in free:
                if self.call(document, calls[index], answer) is None:
                    free.remove(index)
                    break
            else:
                return number, free
        return None, free

    def call(
        self, document: Mapping[str, Any], call: Mapping[str, Any], answer: Mapping[str, Any]
    ) -> Failure | None:
        """Why one call is not the answer; None if it is. The order of the tests is official."""
        name = document["name"]
        if self._underscores:
            name = name.replace(".", "_")
        given = call.get(name)
        if given is None:
            return Failure(
                f"{_CALL}:wrong_func_name",
                rules.NAME,
                "the function is {}, called: {}",
                (name, next(iter(call))),
            )
        accepted = next(iter(answer.values()))
        parameters = document["parameters"]
        properties = parameters["properties"]
        for parameter in parameters["required"]:
            if parameter not in given:
                return Failure(
                    f"{_CALL}:missing_required",
                    rules.REQUIRED,
                    "the required parameter {} is missing",
                    (parameter,),
                )
        for parameter, value in given.items():
            if parameter not in properties or parameter not in accepted:
                return Failure(
                    f"{_CALL}:unexpected_param",
                    rules.UNKNOWN_PARAMETER,
                    "the parameter {} = {} is unexpected",
                    (parameter, value),
                )
            failure = self.argument(parameter, value, properties[parameter], accepted[parameter])
            if failure is not None:
                return failure
        for parameter, alternatives in accepted.items():
            if parameter not in given and "" not in alternatives:
                return Failure(
                    f"{_CALL}:missing_optional",
                    rules.LEFT_OUT,
                    "the parameter {} may not be left out, accepted: {}",
                    (parameter, alternatives),
                )
        return None

    def argument(
        self, parameter: str, value: Any, schema: Mapping[str, Any], alternatives: Sequence[Any]
    ) -> Failure | None:
        """Why the value of one parameter is no accepted answer; None if it is one."""
        declared: str = schema["type"]
        if self._language == "python":
            kind = PYTHON_TYPES[declared]
            item_kind = None
            if kind is list:
                item_kind = PYTHON_TYPES[schema["items"]["type"]]
                # In the data a tuple is a list; only a parameter declared as one may be given so.
                if type(value) is tuple and declared == "tuple":
                    value = list(value)
            elif kind is float and type(value) is int:
                try:
                    value = float(value)
                except OverflowError:
                    return _unreadable(parameter, value, "type_error:simple")
        else:
            java = self._language == "java"
            types: Types = JAVA_TYPES if java else JAVASCRIPT_TYPES
            kind = types[declared]
            if type(value) is not str:
                return Failure(
                    "type_error:java" if java else "type_error:js",
                    rules.SOURCE_TEXT,
                    "parameter {}: {} is no text, and arguments are source text",
                    (parameter, value),
                )
            item_declared: str | None = schema["items"]["type"] if kind is list else None
            item_kind = types[item_declared] if item_declared else None
            convert = convert_java if java else convert_javascript
            try:
                value = convert(value, declared, item_declared, self._fixes)
            except ValueError:
                return _unreadable(parameter, value, "type_error:java" if java else "type_error:js")
        if self._adapt is not None:
            items = schema["items"]["type"] if kind is list else ""
            value, alternatives = self._adapt(value, alternatives, items)
        return check_value(parameter, value, declared, kind, item_kind, alternatives)


def _wrong_count(kind: str, calls: Sequence[object], wanted: int) -> Outcome:
    return Outcome(
        False,
        f"{kind}:wrong_count",
        (f"{len(calls)} calls, the answer has {wanted}",),
        rules.COUNT,
    )


def _unreadable(parameter: str, value: object, error_type: str) -> Failure:
    return Failure(
        error_type,
        rules.OFFICIAL_STOPS,
        "parameter {}: {} is a number beyond all bounds",
        (parameter, value),
    )
