"""Verifiers of tool calls: schema, gold calls, faults, and the protocol ladder."""

from __future__ import annotations

from callsmith import Component, hookimpl


def _check(name: str, target: str, summary: str, config: str = "") -> Component:
    return Component(
        name=name,
        target=f"callsmith_checks.{target}",
        config=f"callsmith_checks.config:{config}" if config else "",
        summary=summary,
    )


@hookimpl
def callsmith_verifiers() -> list[Component]:
    """The ladder from the lowest rung to the highest, then what stands beside it."""
    return [
        _check("emits-call", "ladder:EmitsCall", "a call where one is due, none where none is"),
        _check("tool-known", "ladder:ToolKnown", "every call names a declared tool"),
        _check("schema-valid", "schema:SchemaValid", "arguments fit the tool's JSON Schema"),
        _check("names-match", "ladder:NamesMatch", "the gold tools, in any order"),
        _check("calls-match", "gold:CallsMatch", "the gold calls, arguments too", "MatchConfig"),
        _check(
            "arguments-match",
            "arguments:ArgumentsMatch",
            "calls-match with a score for what is partly right, for rewards",
            "MatchConfig",
        ),
        _check(
            "native-wrapper",
            "ladder:NativeWrapper",
            "calls stood in the format's own markers",
            "WrapperConfig",
        ),
        _check("strict", "ladder:Strict", "nothing was mended, nothing unreadable"),
        _check("hallucinated-tool", "ladder:HallucinatedTool", "no call of an undeclared tool"),
        _check("no-faults", "ladder:NoFaults", "nothing unreadable", "FaultsConfig"),
        _check("answer-contains", "answer:AnswerContains", "the answer holds the wanted facts"),
        _check("completed", "answer:Completed", "the episode ended with an answer"),
    ]
