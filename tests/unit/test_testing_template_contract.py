"""The template contract passes for a small sound format and fails for each way to break it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from callsmith import (
    CallParsed,
    ContentDelta,
    ControlTextPolicy,
    ControlTokens,
    Event,
    Fault,
    Message,
    Prompt,
    PromptBuilder,
    Reply,
    ToolCall,
    ToolSpec,
)
from callsmith.testing import TemplateContract
from contract_runner import failures, names_of_tests

TOKENS = ("<turn>", "</turn>", "<call>", "</call>", "<think>", "</think>")
CONTROL = ControlTokens(TOKENS)


def escaped(value: object) -> str:
    """JSON without the characters that could spell a token."""
    return json.dumps(value).replace("<", "\\u003c")


class Bracket:
    """A format of six tokens; calls are JSON between `<call>` and `</call>`."""

    stop: tuple[str, ...] = ("</turn>",)
    think_gate = True
    policy_ignored = False

    def __init__(self, policy: ControlTextPolicy) -> None:
        self.policy: ControlTextPolicy = "allow" if self.policy_ignored else policy

    @property
    def digest(self) -> str:
        return "bracket:" + hashlib.sha256(self.policy.encode()).hexdigest()[:12]

    def content(self, prompt: PromptBuilder, text: str) -> None:
        prompt.content(text)

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec] = (),
        *,
        thinking: bool | None = None,
        add_generation_prompt: bool = True,
    ) -> Prompt:
        prompt = PromptBuilder(CONTROL, self.policy)
        for tool in tools:
            prompt.control("<turn>tool\n")
            self.content(prompt, f"{tool.name} {tool.description} {json.dumps(tool.parameters)}")
            prompt.control("</turn>\n")
        for message in messages:
            prompt.control("<turn>" + message.role + "\n")
            text = message.content
            if isinstance(text, list) and all(isinstance(part, dict) for part in text):
                for part in text:
                    self.content(prompt, str(part.get("text")))  # type: ignore[union-attr]
            else:
                self.content(prompt, text if isinstance(text, str) else json.dumps(text))
            for call in message.tool_calls:
                prompt.control("<call>")
                self.content(prompt, escaped([call.name, call.arguments]))
                prompt.control("</call>")
            prompt.control("</turn>\n")
        if add_generation_prompt:
            prompt.control("<turn>assistant\n")
            if thinking and self.think_gate:
                prompt.control("<think>")
        return prompt.build()

    def decoder(self, tools: Sequence[ToolSpec] = (), after: Prompt | None = None) -> Reader:
        return Reader(self, bool(after and after.text.endswith("<think>")))

    def parse(
        self, text: str, tools: Sequence[ToolSpec] = (), after: Prompt | None = None
    ) -> Reply:
        reader = self.decoder(tools, after)
        reader.feed(text)
        return reader.close()

    def read(self, text: str, thinking: bool) -> Reply:
        reasoning = ""
        if thinking:
            reasoning, _, text = text.partition("</think>")
        calls: list[ToolCall] = []
        faults: list[Fault] = []
        kept: list[str] = []
        last = 0
        for match in re.finditer(r"<call>(.*?)</call>", text, re.DOTALL):
            kept.append(text[last : match.start()])
            last = match.end()
            try:
                name, arguments = json.loads(match[1])
                calls.append(ToolCall(name=name, arguments=arguments, raw=match[0]))
            except (ValueError, TypeError, RecursionError) as error:
                faults.append(Fault(kind="unreadable", raw=match[0], detail=str(error)))
        kept.append(text[last:])
        content = "".join(kept)
        head, opened, tail = content.partition("<call>")
        if opened:
            faults.append(Fault(kind="unclosed", raw=opened + tail))
        return Reply(content=head, reasoning=reasoning, calls=tuple(calls), faults=tuple(faults))


class Reader:
    """Holds back from the first `<` on; what stands before it is certain."""

    def __init__(self, template: Bracket, thinking: bool) -> None:
        self.template = template
        self.thinking = thinking
        self.text = ""
        self.said = 0

    def feed(self, text: str) -> list[Event]:
        self.text += text
        if self.thinking:
            return []
        certain = self.text.partition("<")[0]
        new, self.said = certain[self.said :], len(certain)
        return [ContentDelta(text=new)] if new else []

    def close(self) -> Reply:
        return self.template.read(self.text, self.thinking)


class BracketContract(TemplateContract):
    control_tokens = TOKENS
    template_class: ClassVar[type[Bracket]] = Bracket

    def build(self, policy: ControlTextPolicy) -> Bracket:
        return self.template_class(policy)

    def serialise(self, calls: Sequence[ToolCall]) -> str:
        return "".join(f"<call>{escaped([c.name, c.arguments])}</call>" for c in calls)

    def thought(self, text: str) -> str:
        return f"{text}</think>"


class TestBracket(BracketContract):
    pass


class DigestChanges(Bracket):
    count = 0

    @property
    def digest(self) -> str:
        DigestChanges.count += 1
        return f"bracket:{DigestChanges.count:08x}"


class DigestHasNoName(Bracket):
    digest = "abcdef012345"  # type: ignore[assignment]


class MarksContentAsControl(Bracket):
    def content(self, prompt: PromptBuilder, text: str) -> None:
        prompt.control(text)


class ForgetsTheSystemMessage(Bracket):
    def render(self, messages: Sequence[Message], *args: Any, **options: Any) -> Prompt:
        return super().render([m for m in messages if m.role != "system"], *args, **options)


class SortsTheCallersList(Bracket):
    def render(self, messages: Sequence[Message], *args: Any, **options: Any) -> Prompt:
        for message in messages:
            for call in message.tool_calls:
                if isinstance(call.arguments, dict):
                    call.arguments["seen"] = True
        return super().render(messages, *args, **options)


class AlwaysAddsTheGenerationPrompt(Bracket):
    def render(self, *args: Any, **options: Any) -> Prompt:
        return super().render(*args, **{**options, "add_generation_prompt": True})


class IgnoresThePolicy(Bracket):
    policy_ignored = True


class RefusesEverything(Bracket):
    def __init__(self, policy: ControlTextPolicy) -> None:
        super().__init__("refuse")


class ChecksPiecesAlone(Bracket):
    """Looks for tokens in each piece by itself, so one across a border goes unseen."""

    policy_ignored = True

    def content(self, prompt: PromptBuilder, text: str) -> None:
        alone = PromptBuilder(CONTROL, "neutralise")
        alone.content(text)
        prompt.content(alone.build().text)


class ParseRaises(Bracket):
    def read(self, text: str, thinking: bool) -> Reply:
        json.loads(text.partition("<call>")[2].partition("</call>")[0] or "0")
        return super().read(text, thinking)


class LosesWhatItCannotRead(Bracket):
    def read(self, text: str, thinking: bool) -> Reply:
        return replace(super().read(text, thinking), faults=())


class StripsContent(Bracket):
    def read(self, text: str, thinking: bool) -> Reply:
        reply = super().read(text, thinking)
        return replace(reply, content=reply.content.rstrip("."))


class ReaderThatForgets(Reader):
    """Sees only the last piece when it looks for the end of a call."""

    def feed(self, text: str) -> list[Event]:
        events = super().feed(text)
        if "</call>" in self.text and "</call>" not in text:
            self.text = self.text.replace("</call>", "")
        return events


class DependsOnChunks(Bracket):
    def decoder(self, tools: Sequence[ToolSpec] = (), after: Prompt | None = None) -> Reader:
        return ReaderThatForgets(self, bool(after and after.text.endswith("<think>")))


class ReaderThatTalksTooMuch(Reader):
    def feed(self, text: str) -> list[Event]:
        super().feed(text)
        return [ContentDelta(text=text)] if text else []


class StreamsMarkup(Bracket):
    def decoder(self, tools: Sequence[ToolSpec] = (), after: Prompt | None = None) -> Reader:
        return ReaderThatTalksTooMuch(self, bool(after and after.text.endswith("<think>")))


class ReaderThatGuesses(Reader):
    def feed(self, text: str) -> list[Event]:
        before = self.text.count("<call>")
        events = super().feed(text)
        guess = CallParsed(index=0, call=ToolCall(name="guessed"))
        return [*events, guess] if self.text.count("<call>") > before == 0 else events


class AnnouncesCallsTooEarly(Bracket):
    def decoder(self, tools: Sequence[ToolSpec] = (), after: Prompt | None = None) -> Reader:
        return ReaderThatGuesses(self, bool(after and after.text.endswith("<think>")))


class ReaderThatWaits(Reader):
    def feed(self, text: str) -> list[Event]:
        super().feed(text)
        return []


class StreamsNothing(Bracket):
    def decoder(self, tools: Sequence[ToolSpec] = (), after: Prompt | None = None) -> Reader:
        return ReaderThatWaits(self, bool(after and after.text.endswith("<think>")))


class TurnsNumbersIntoText(Bracket):
    def read(self, text: str, thinking: bool) -> Reply:
        reply = super().read(text, thinking)
        calls = [
            replace(call, arguments={k: v if isinstance(v, dict) else str(v) for k, v in a.items()})
            for call in reply.calls
            if isinstance(a := call.arguments, dict)
        ]
        return replace(reply, calls=tuple(calls))


class TakesTrueForOne(Bracket):
    """The difference that == does not see in Python."""

    def read(self, text: str, thinking: bool) -> Reply:
        return super().read(text.replace("true", "1"), thinking)


class StopsAfterTheFirstCall(Bracket):
    stop = ("</call>",)


class HasAnEmptyStopString(Bracket):
    stop = ("</turn>", "")


class CannotThink(Bracket):
    think_gate = False


class LeaksThoughts(Bracket):
    def read(self, text: str, thinking: bool) -> Reply:
        return super().read(text, False)


BROKEN: list[tuple[type[Bracket], str]] = [
    (DigestChanges, "test_digest_is_stable"),
    (DigestHasNoName, "test_digest_is_stable"),
    (MarksContentAsControl, "test_renders_what_it_is_given_as_content"),
    (ForgetsTheSystemMessage, "test_renders_what_it_is_given_as_content"),
    (SortsTheCallersList, "test_rendering_is_pure"),
    (AlwaysAddsTheGenerationPrompt, "test_the_generation_prompt_can_be_left_out"),
    (IgnoresThePolicy, "test_control_text_in_content_is_refused"),
    (IgnoresThePolicy, "test_control_text_in_content_is_neutralised"),
    (IgnoresThePolicy, "test_no_control_token_comes_from_content"),
    (ChecksPiecesAlone, "test_no_control_token_comes_from_content"),
    (RefusesEverything, "test_control_text_in_content_is_neutralised"),
    (RefusesEverything, "test_control_text_is_let_through_when_allowed"),
    (ParseRaises, "test_parsing_is_total"),
    (LosesWhatItCannotRead, "test_a_call_that_is_cut_off_is_not_lost"),
    (StripsContent, "test_plain_text_is_content"),
    (StreamsNothing, "test_plain_text_is_content"),
    (DependsOnChunks, "test_chunking_changes_nothing"),
    (StreamsMarkup, "test_chunking_changes_nothing"),
    (AnnouncesCallsTooEarly, "test_chunking_changes_nothing"),
    (TurnsNumbersIntoText, "test_calls_survive_the_round_trip"),
    (TakesTrueForOne, "test_calls_survive_the_round_trip"),
    (StopsAfterTheFirstCall, "test_stop_strings_hide_no_call"),
    (HasAnEmptyStopString, "test_stop_strings_hide_no_call"),
    (CannotThink, "test_thinking_can_be_asked_for"),
    (LeaksThoughts, "test_thinking_can_be_asked_for"),
]


@pytest.mark.parametrize(
    ("template", "test"), BROKEN, ids=lambda item: getattr(item, "__name__", "")
)
def test_a_broken_template_is_caught(template: type[Bracket], test: str) -> None:
    contract = type("Contract", (BracketContract,), {"template_class": template})
    fixtures: dict[str, Callable[[], Any]] = {"template": lambda: template("refuse")}
    assert test in failures(contract, fixtures, only=test)


def test_a_contract_without_tokens_proves_nothing_and_says_so() -> None:
    contract = type("Contract", (BracketContract,), {"control_tokens": ()})
    found = failures(
        contract, {"template": lambda: Bracket("refuse")}, only="test_has_the_methods_of_a_template"
    )
    assert "set control_tokens" in found["test_has_the_methods_of_a_template"]


def test_every_test_of_the_contract_is_shown_to_fail() -> None:
    shown = {"test_has_the_methods_of_a_template", *(test for _, test in BROKEN)}
    assert set(names_of_tests(TemplateContract)) == shown
