"""Checking rows: calls by the verifiers that judge models, and every tool's own schema."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from callsmith import Reply, ToolCall, ToolSpec, Trace, Turn, Verifier
from callsmith_tasks.data.row import Rejected, Row, RowError, canonical, row_to_json, row_to_task
from callsmith_tasks.data.schema import tool_problem, unified_argument

VERIFIERS = ("tool-known", "schema-valid")
"""The verifiers that every call of a row must pass; their names are the reasons of rejection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Rows that passed, and what did not."""

    rows: tuple[Row, ...]
    rejected: tuple[Rejected, ...]

    def counts(self) -> dict[tuple[str, str], int]:
        """(source, reason) to number; rows that passed have the reason ""."""
        found = Counter([(row.source, "") for row in self.rows])
        found.update((item.source, item.reason) for item in self.rejected)
        return dict(sorted(found.items()))


class RowChecker:
    """Checks rows one by one; remembers the tools that it has seen.

    `verifiers` are the catalog's, by name: data, rewards and evaluation are judged by the same
    code. A row passes if every verifier passes the calls to learn and those of its history.
    """

    def __init__(self, verifiers: Mapping[str, Verifier]) -> None:
        self.verifiers = verifiers
        self._tools: dict[str, tuple[str, str] | None] = {}

    def problem(self, row: Row) -> tuple[str, str] | None:
        """(reason, detail) for a row that must not be trained on; None if it passes."""
        for tool in row.tools:
            found = self._tool_problem(tool)
            if found:
                return found[0], f"row {row.id}: {found[1]}"
        names = [tool.name for tool in row.tools]
        if len(set(names)) < len(names):
            return "invalid-tool", f"row {row.id}: two tools have one name"
        if not row.messages or not (row.calls or row.answer):
            return "no-answer", f"row {row.id}: nothing is asked, or nothing is to be learnt"
        if not row.asked.strip():
            return "no-question", f"row {row.id}: no user says anything"
        history = tuple(call for message in row.messages for call in message.tool_calls)
        task = row_to_task(row)
        # Without calls there is nothing to verify: the answer is not judged here.
        if not (history or row.calls):
            return None
        schemas = {tool.name: tool.parameters for tool in row.tools}
        for call in (*history, *row.calls):
            if found_at := unified_argument(call.arguments, schemas.get(call.name)):
                return "unified-schema", (
                    f"row {row.id}: {call.name}: the argument {found_at!r:.80} is null and the "
                    "tool does not declare it; the file was written by a library that gives every "
                    "call the arguments of all others: write arguments as JSON text"
                )
        trace = _trace(row.id, (*history, *row.calls))
        for name, verifier in self.verifiers.items():
            verdict = verifier.verify(task, trace)
            if not verdict.passed:
                return name, f"row {row.id}: {'; '.join(verdict.reasons)}"
        return None

    def _tool_problem(self, tool: ToolSpec) -> tuple[str, str] | None:
        key = canonical(tool)
        if key not in self._tools:
            self._tools[key] = tool_problem(tool)
        return self._tools[key]

    def require(self, row: Row) -> None:
        """Raises `RowError`, naming row and tool or call, for a row that does not pass."""
        found = self.problem(row)
        if found is not None:
            raise RowError(*found)

    def check(self, rows: Iterable[Row]) -> Checked:
        """All rows, in order. An id that comes again (in another file, say) gets `~2`, `~3`, …"""
        kept: list[Row] = []
        rejected: list[Rejected] = []
        seen: Counter[str] = Counter()
        for row in rows:
            seen[row.id] += 1
            if seen[row.id] > 1:
                row = replace(row, id=f"{row.id}~{seen[row.id]}")
            found = self.problem(row)
            if found is None:
                kept.append(row)
            else:
                rejected.append(
                    Rejected(
                        id=row.id,
                        source=row.source,
                        reason=found[0],
                        detail=found[1],
                        record=row_to_json(row),
                    )
                )
        return Checked(rows=tuple(kept), rejected=tuple(rejected))


def _trace(task: str, calls: tuple[ToolCall, ...]) -> Trace:
    turn = Turn(sent=(), reply=Reply(calls=calls))
    return Trace(arm="data", task=task, sample=0, turns=(turn,), halt="calls")
