"""How long rendering a conversation takes, and how that grows.

    python benchmarks/bench_gemma4_render.py [--repeat N]

Each number is the processor time of the best of N runs in one process, which a busy machine
disturbs less than the clock on the wall. `n vs 2n` is the ratio of the times of a history
and of one twice as long: about 2 is linear.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable

from callsmith import JsonValue, Message, ToolCall, ToolSpec
from callsmith_gemma4.config import Gemma4Config
from callsmith_gemma4.template import Gemma4Template

TARGET_MS = 5.0
"""100 messages and 20 tools, as the project's goal has it."""


def make_tools(count: int) -> tuple[ToolSpec, ...]:
    """Tools as people write them: five parameters, one of them an object, one a list."""

    def one(index: int) -> ToolSpec:
        return ToolSpec(
            name=f"homelab_search_{index}",
            description="Searches the homelab's documents, notes and logs for a phrase.",
            parameters={
                "type": "object",
                "properties": {
                    "query": {"type": "string", "description": "What to look for."},
                    "limit": {"type": "integer", "description": "At most so many results."},
                    "source": {"type": "string", "enum": ["notes", "logs", "wiki"]},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "range": {
                        "type": "object",
                        "properties": {"from": {"type": "string"}, "to": {"type": "string"}},
                        "required": ["from"],
                    },
                },
                "required": ["query"],
            },
        )

    return tuple(one(index) for index in range(count))


def make_messages(count: int, *, text: str) -> tuple[Message, ...]:
    """A long chat: a question, a call, its result, an answer, and so on (system first)."""
    out = [Message(role="system", content="You are a careful homelab assistant.")]
    while len(out) < count:
        index = len(out)
        arguments: dict[str, JsonValue] = {
            "query": f"backup of volume {index}",
            "limit": 5,
            "tags": ["disk", "nightly"],
            "range": {"from": "2026-01-01", "to": None},
        }
        call = ToolCall(name="homelab_search_3", arguments=arguments, id=f"call_{index}")
        out += [
            Message(role="user", content=f"Question {index}: {text}"),
            Message(role="assistant", content="", tool_calls=(call,)),
            Message(role="tool", content=f"3 results: {text}", tool_call_id=call.id),
            Message(role="assistant", content=f"I found three results. {text}"),
        ]
    return tuple(out[:count])


def best_ms(run: Callable[[], object], repeat: int) -> float:
    """The least processor time of `repeat` runs, in milliseconds."""
    times = []
    for _ in range(repeat):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return min(times) * 1000


def machine() -> str:
    """Interpreter, processor and number of cores."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            name = next(x.split(":", 1)[1].strip() for x in lines if x.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return (
        f"{platform.python_implementation()} {platform.python_version()}, {name}, "
        f"{os.cpu_count()} cores, {platform.system()}"
    )


def main() -> int:
    """Prints the table; returns 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=30)
    repeat = parser.parse_args().repeat
    plain = "the nightly backup ran, the disk is at 71 percent, nothing else to report. " * 4
    code = 'if (a < b && c > d) { x["k"] = "<b>" } // <|not a token '
    rows: list[tuple[str, float, float]] = []
    tools = make_tools(20)
    for label, text, policy in (
        ("plain text, refuse", plain, "refuse"),
        ("plain text, allow", plain, "allow"),
        ("code with <, refuse", code * 6, "refuse"),
        ("tokens in content, neutralise", plain + "<|turn>", "neutralise"),
    ):
        template = Gemma4Template(Gemma4Config.model_validate({"control_text": policy}))
        once, twice = (make_messages(n, text=text) for n in (100, 200))
        first = best_ms(lambda t=template, m=once: t.render(m, tools), repeat)  # type: ignore[misc]
        second = best_ms(lambda t=template, m=twice: t.render(m, tools), repeat)  # type: ignore[misc]
        rows.append((label, first, second))
    prompt = Gemma4Template().render(make_messages(100, text=plain), tools)
    print(f"machine: {machine()}")
    print(
        f"100 messages, 20 tools: {len(prompt.text):,} characters, "
        f"{len(prompt.segments)} segments; best of {repeat}"
    )
    print(f"{'':32}{'100 messages':>14}{'200 messages':>14}{'n vs 2n':>9}")
    for label, first, second in rows:
        print(f"{label:32}{first:>11.2f} ms{second:>11.2f} ms{second / first:>9.2f}")
    base = best_ms(lambda: Gemma4Template().render((), tools), repeat)
    print(f"of which the 20 tools: {base:.2f} ms")
    met = rows[0][1] < TARGET_MS
    print(
        f"goal: under {TARGET_MS:g} ms for 100 messages and 20 tools: {'met' if met else 'MISSED'}"
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
