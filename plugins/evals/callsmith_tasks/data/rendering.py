"""What a trainer is given: prompt and completion as strings, rendered by a `Template`.

Strings are the point. A data-set library that is given tools or arguments as structures unifies
them over the rows: every tool then owns every other tool's properties, as null, and that is what
the model learns. Two strings cannot be unified.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from callsmith import PromptTokens, RenderError, Template, ToolCall, completion_after
from callsmith_tasks.data.row import Row, canonical, text_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A row as text: the prompt that serving sends, and what the model must write after it."""

    id: str
    prompt: str
    completion: str


def render_row(row: Row, template: Template, *, thinking: bool = False) -> Rendered:
    """Renders a row. `prompt` is byte-identical to what an arm with this template sends.

    `completion` ends with the stop string at which serving ends. Raises `RenderError` where the
    template refuses the row, or where its rendered conversation does not continue its own prompt.
    """
    prompt = template.render(row.messages, row.tools, thinking=thinking).text
    try:
        completion = completion_after(
            template, row.messages, row.tools, row.turn, thinking=thinking
        ).text
    except RenderError as error:
        raise RenderError(f"row {row.id}: {error}") from error
    return Rendered(id=row.id, prompt=prompt, completion=completion)


def as_tokens(
    row: Row, template: Template, tokens: PromptTokens, *, thinking: bool = False
) -> Rendered:
    """A row as its token ids read: `completion` is decoded from the labels, `prompt` from what
    stands before them, so that whatever a tokenizer changes shows.

    Raises `RenderError` as `render_row`, and what `PromptTokens.encode` raises.
    """
    prompt = template.render(row.messages, row.tools, thinking=thinking)
    completion = completion_after(template, row.messages, row.tools, row.turn, thinking=thinking)
    return Rendered(
        id=row.id,
        prompt=tokens.decode(tokens.encode(prompt)),
        completion=tokens.decode(tokens.encode(completion)),
    )


def parse_problem(
    row: Row, rendered: Rendered, template: Template, *, thinking: bool = False
) -> str:
    """Why the template's parser does not read the gold calls out of the completion; "" if it does.

    The text is given as serving does: up to the first of the template's stop strings.
    """
    text = rendered.completion
    for stop in template.stop:
        text = text.partition(stop)[0]
    prompt = template.render(row.messages, row.tools, thinking=thinking)
    reply = template.parse(text, row.tools, after=prompt)
    wanted = [(call.name, call.arguments) for call in row.calls]
    found = [(call.name, call.arguments) for call in reply.calls]
    if found != wanted:
        return f"row {row.id}: written {canonical(wanted)}, read {canonical(found)}"
    kinds = [fault.kind for fault in reply.faults] + [repair.kind for repair in reply.repairs]
    if kinds:
        return f"row {row.id}: the parser has to mend the template's own text: {kinds[0]}"
    return ""


def to_trl_rows(
    rows: Iterable[Row], template: Template, *, thinking: bool = False
) -> list[dict[str, str]]:
    """Rows for `Dataset.from_list` and TRL's trainers: `id`, `prompt`, `completion`, all text."""
    rendered = (render_row(row, template, thinking=thinking) for row in rows)
    return [{"id": r.id, "prompt": r.prompt, "completion": r.completion} for r in rendered]


def plain(row: Row) -> Rendered:
    """A row as readable text, for looking at data without a template. Nothing trains on it."""
    lines = [f"[tool] {tool.name}: {tool.description}" for tool in row.tools]
    lines += [f"[{m.role}] {text_of(m.content)}{_calls(m.tool_calls)}" for m in row.messages]
    completion = (row.answer + _calls(row.calls)).strip()
    return Rendered(id=row.id, prompt="\n".join(lines) + "\n[assistant] ", completion=completion)


def _calls(calls: Sequence[ToolCall]) -> str:
    return "".join(f" {canonical([c.name, c.arguments])}" for c in calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Lengths of rows in tokens (or characters): of the whole, and of the prompt within."""

    total: tuple[int, ...]
    prompt: tuple[int, ...]

    def percentile(self, share: float) -> int:
        """The smallest length that `share` (0 to 1) of the rows do not exceed."""
        ordered = sorted(self.total)
        return ordered[max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)]

    def cut(self, limit: int) -> tuple[int, int]:
        """(rows longer than `limit`, rows whose completion would be cut off entirely).

        The second kind is dropped by TRL without a word; the first trains on half a call.
        """
        longer = sum(length > limit for length in self.total)
        return longer, sum(length >= limit for length in self.prompt)


def measure(rendered: Iterable[Rendered], count: Callable[[str], int]) -> Lengths:
    """Lengths of rendered rows, the whole as one text, by any way of counting."""
    pairs = [(count(item.prompt + item.completion), count(item.prompt)) for item in rendered]
    return Lengths(total=tuple(t for t, _ in pairs), prompt=tuple(p for _, p in pairs))
