"""`schema-valid`: every call's arguments fit its tool's JSON Schema."""

from __future__ import annotations

from typing import Any

import jsonschema
import referencing
from jsonschema.validators import validator_for

from callsmith import JsonValue, Task, ToolCall, ToolSpec, Trace, Verdict
from callsmith_checks.verdicts import judged, no_calls, shorten


class SchemaValid:
    """Arguments are validated by the dialect that the schema names, 2020-12 by default.

    Nothing is ever fetched: a `$ref` to another document is an invalid schema. A schema that is
    itself invalid is a reason of its own, never an exception.
    """

    def verify(self, task: Task, trace: Trace) -> Verdict:
        """Fails for every call whose arguments do not fit, or whose tool is not declared."""
        name = "schema-valid"
        vacuous = no_calls(name, task, trace)
        if vacuous is not None:
            return vacuous
        tools = {tool.name: tool for tool in task.tools}
        problems = [p for call in trace.calls if (p := problem_of(call, tools.get(call.name)))]
        return judged(name, problems, len(trace.calls) - len(problems), len(trace.calls))


def problem_of(call: ToolCall, tool: ToolSpec | None) -> str:
    """Why a call does not fit its tool's schema; "" if it does."""
    if tool is None:
        return f"{call.name}: there is no such tool"
    if not isinstance(call.arguments, dict):
        return f"{call.name}: the arguments are no object but {shorten(call.arguments)}"
    if tool.parameters is None:
        if call.arguments:
            return f"{call.name}: takes no arguments, got {', '.join(call.arguments)[:80]}"
        return ""
    schema = dict(tool.parameters)
    try:
        kind = validator_for(schema, default=jsonschema.Draft202012Validator)
        kind.check_schema(schema)
        # An empty registry resolves nothing outside the schema: no network, ever.
        validator: Any = kind(schema, registry=referencing.Registry())
        error = jsonschema.exceptions.best_match(validator.iter_errors(call.arguments))
    except jsonschema.SchemaError as invalid:
        return f"{call.name}: the tool's own schema is invalid: {invalid.message[:120]}"
    except RecursionError:
        return f"{call.name}: the arguments are nested too deeply to be validated"
    except Exception as failure:  # a reference that leads nowhere, a pattern that is none, …
        return f"{call.name}: the tool's own schema cannot be used: {shorten(str(failure), 120)}"
    return f"{call.name}: {_place(error)}{error.message[:160]}" if error else ""


def _place(error: jsonschema.ValidationError) -> str:
    path: list[JsonValue] = list(error.absolute_path)
    return ".".join(map(str, path)) + ": " if path else ""
