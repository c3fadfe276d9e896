"""The task set and the toolbox `assistant`: a homelab assistant with eight tools.

The tools are in `assistant_tools`, what they know in `assistant_world`, how they work in
`assistant_session`, the tasks in `assistant_questions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from callsmith import Message, Task, ToolSession, ToolSpec
from callsmith_tasks.assistant_questions import QUESTIONS
from callsmith_tasks.assistant_session import AssistantSession
from callsmith_tasks.assistant_tools import TOOLS

SYSTEM_PROMPT = """\
You are Harbour, the assistant of a homelab. Today is Friday, 2026-03-06.
The machines are atlas (containers, GPU), borea (storage) and cinder (Raspberry Pi).

Use the tools for anything about the homelab, the media library, past chats, your memory or the \
web; never guess such facts. Ask for independent things at once, in the same turn. Do not call a \
tool when the conversation or general knowledge is enough, or when no tool fits: then just answer.
Do what the user asks and no more: write to the memory only when asked to.
If a tool fails, try another way; if there is none, say what went wrong.
Answer in one to three sentences and give names, numbers and addresses exactly as the tools \
report them."""

HISTORY: tuple[Message, ...] = (
    Message(role="system", content=SYSTEM_PROMPT),
    Message(role="user", content="Hi! Which port is Vaultwarden on again?"),
    Message(role="assistant", content="Vaultwarden listens on port 8222 on cinder."),
    Message(role="user", content="Right. I have a few more things for you this evening."),
    Message(role="assistant", content="Of course, what is the first one?"),
)
"""The system prompt and the short chat in front of every question."""


class AssistantTasks:
    """Thirty questions to the homelab assistant, from no call to seven."""

    def tasks(self) -> Iterable[Task]:
        """All tasks, the short ones first; each names the toolbox `assistant`."""
        for question in QUESTIONS:
            yield Task(
                id=question.id,
                messages=(*HISTORY, Message(role="user", content=question.text)),
                tools=TOOLS,
                target=question.target,
                toolbox="assistant",
                tags=question.tags,
            )


class AssistantToolbox:
    """The eight tools over the fixed world."""

    def tools(self) -> Sequence[ToolSpec]:
        """What a model is shown."""
        return TOOLS

    def session(self, task: Task) -> ToolSession:
        """Fresh state: every session starts from the same memory."""
        return AssistantSession()
