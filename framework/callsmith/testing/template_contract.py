"""What every template and its parser must do: a test class to subclass.

class TestMyTemplate(TemplateContract):
    control_tokens = ("<tool_call>", "</tool_call>")

    def build(self, policy):
        return MyTemplate(MyConfig(control_text=policy))

    def serialise(self, calls):
        return "".join(f"<tool_call>{json.dumps(...)}</tool_call>" for call in calls)
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from callsmith.codec import dumps
from callsmith.errors import ControlTextError, RenderError
from callsmith.prompts.control_text import ControlTextPolicy
from callsmith.protocols import Template
from callsmith.testing import strategies
from callsmith.types import (
    CallParsed,
    ContentDelta,
    Event,
    FaultFound,
    JsonValue,
    Message,
    Prompt,
    ReasoningDelta,
    Reply,
    ToolCall,
    ToolSpec,
)

_USER = "quokkas like apples"
_SYSTEM = "answer about marsupials"
_RESULT = "seven quokkas"
_DESCRIPTION = "counts the animals"

_TOOL = ToolSpec(
    name="count_animals",
    description=_DESCRIPTION,
    parameters={
        "type": "object",
        "properties": {"species": {"type": "string", "description": "which animal"}},
        "required": ["species"],
    },
)
_CALL = ToolCall(name="count_animals", arguments={"species": "quokka"}, id="call_0")


def _conversation(
    *,
    user: str = _USER,
    system: str = _SYSTEM,
    said: str | None = None,
    result: JsonValue = _RESULT,
) -> tuple[Message, ...]:
    return (
        Message(role="system", content=system),
        Message(role="user", content=user),
        Message(role="assistant", content=said, tool_calls=(_CALL,)),
        Message(role="tool", content=result, tool_call_id="call_0", name="count_animals"),
    )


def _essence(calls: Sequence[ToolCall]) -> list[tuple[str, str]]:
    """Names and arguments; as JSON text, because 1, 1.0 and true are equal in Python."""
    return [(call.name, dumps(_ordered(call.arguments))) for call in calls]


def _ordered(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    return value


def _origins(prompt: Prompt) -> list[bool]:
    """For every character of the prompt: was it written by someone else than the template?"""
    out: list[bool] = []
    for segment in prompt.segments:
        out += [segment.origin == "content"] * len(segment.text)
    return out


def _forged(prompt: Prompt, tokens: Sequence[str]) -> str | None:
    """A control token of which at least one character is content, or None."""
    text, foreign = prompt.text, _origins(prompt)
    for token in tokens:
        at = text.find(token)
        while at >= 0:
            if any(foreign[at : at + len(token)]):
                return token
            at = text.find(token, at + 1)
    return None


class TemplateContract:
    """The contract of `Template`. Give it `control_tokens`, `build` and `serialise`."""

    control_tokens: ClassVar[Sequence[str]] = ()
    """The strings that the model reads as control tokens."""

    supports_thinking: ClassVar[bool] = True
    """False for a format without thoughts; `thought` is needed otherwise."""

    def build(self, policy: ControlTextPolicy) -> Template:
        """The template under test, with a control-text policy."""
        raise NotImplementedError("a TemplateContract needs build(policy)")

    def serialise(self, calls: Sequence[ToolCall]) -> str:
        """The completion in which a well-behaved model makes these calls, end of turn excluded."""
        raise NotImplementedError("a TemplateContract needs serialise(calls)")

    def thought(self, text: str) -> str:
        """The completion (or its beginning) in which a model thinks `text` and then goes on."""
        raise NotImplementedError("a TemplateContract needs thought(text)")

    def representable(self, call: ToolCall) -> bool:
        """False for calls that the format cannot say; the round trip leaves them out."""
        return True

    def calls(self) -> SearchStrategy[ToolCall]:
        """Calls for the round trip."""
        return strategies.tool_calls()

    def completions(self) -> SearchStrategy[str]:
        """Texts for the parser: the format's tokens, broken tokens, syntax and noise."""
        noise = strategies.control_rich_text(self.control_tokens)
        serialised = st.lists(self.calls(), min_size=1, max_size=2).map(self.serialise)

        def cut(text: str) -> SearchStrategy[str]:
            return st.integers(0, len(text)).map(lambda end: text[:end])

        parts = st.one_of(noise, serialised, serialised.flatmap(cut))
        return st.lists(parts, max_size=3).map("".join)

    @pytest.fixture
    def template(self) -> Template:
        """The template with the default policy."""
        return self.build("refuse")

    def test_has_the_methods_of_a_template(self, template: Template) -> None:
        """`template` matches the protocol, and the test class says what its tokens are."""
        assert isinstance(template, Template), f"{type(template).__name__} lacks a method"
        assert self.control_tokens, "set control_tokens, or nothing here tests control text"

    def test_digest_is_stable(self, template: Template) -> None:
        """`name:hex`, the same for two equal templates, before and after use."""
        assert re.fullmatch(r"[^\s:]+:[0-9a-f]{8,}", template.digest), (
            f"digest {template.digest!r} is not name:hex"
        )
        before = template.digest
        template.render(_conversation(), (_TOOL,))
        template.parse("hello", (_TOOL,))
        assert template.digest == before, "using the template changed its digest"
        assert self.build("refuse").digest == before, "an equal template has another digest"

    # Rendering

    def test_renders_what_it_is_given_as_content(self, template: Template) -> None:
        """People's, tools' and schemas' words are in the prompt, and none of them is control."""
        prompt = template.render(_conversation(), (_TOOL,))
        control = "\x00".join(s.text for s in prompt.segments if s.origin == "control")
        for words in (_USER, _SYSTEM, _RESULT, _DESCRIPTION, "count_animals", "quokka"):
            assert words in prompt.text, f"{words!r} is not in the prompt"
            assert words not in control, f"{words!r} is in the prompt as control text"
        assert "" not in {s.text for s in prompt.segments}, "a segment is empty"
        assert any(s.origin == "control" for s in prompt.segments), "nothing is control text"

    def test_rendering_is_pure(self, template: Template) -> None:
        """The same conversation gives the same prompt and is not changed."""
        tools = (_TOOL,)

        @given(conversation=strategies.conversations())
        def check(conversation: tuple[Message, ...]) -> None:
            before = dumps([conversation, tools])
            try:
                first = template.render(conversation, tools)
            except RenderError:
                return
            finally:
                assert dumps([conversation, tools]) == before, "render changed its input"
            assert template.render(conversation, tools) == first, "two prompts differ"

        check()

    def test_the_generation_prompt_can_be_left_out(self, template: Template) -> None:
        """Without it, the prompt is shorter: training and history need that."""
        question = (Message(role="user", content=_USER),)
        with_it = template.render(question, add_generation_prompt=True).text
        without = template.render(question, add_generation_prompt=False).text
        assert len(without) < len(with_it), "add_generation_prompt changes nothing"

    def test_control_text_in_content_is_refused(self) -> None:
        """Under `refuse`, a token in anybody's text is a `ControlTextError`."""
        template = self.build("refuse")
        for token in self.control_tokens:
            for place, conversation, tools in self._attacks(token):
                try:
                    template.render(conversation, tools)
                except ControlTextError:
                    continue
                raise AssertionError(f"{token!r} in {place} was let through")

    def test_control_text_in_content_is_neutralised(self) -> None:
        """Under `neutralise`, no token has a character of content, and the change is listed."""
        template = self.build("neutralise")
        for token in self.control_tokens:
            for place, conversation, tools in self._attacks(token):
                prompt = template.render(conversation, tools)
                forged = _forged(prompt, self.control_tokens)
                assert forged is None, f"{token!r} in {place} forged {forged!r}"
                assert prompt.changes, f"{token!r} in {place} was changed, and nothing says so"

    def test_control_text_is_let_through_when_allowed(self) -> None:
        """Under `allow`, rendering does not look."""
        template = self.build("allow")
        for token in self.control_tokens:
            text = f"before {token} after"
            prompt = template.render((Message(role="user", content=text),))
            assert token in prompt.text, f"{token!r} vanished"
            assert not prompt.changes, "nothing was to be changed"

    def _attacks(self, token: str) -> list[tuple[str, tuple[Message, ...], tuple[ToolSpec, ...]]]:
        text = f"before {token} after"
        return [
            ("a user's message", _conversation(user=text), (_TOOL,)),
            ("the system message", _conversation(system=text), (_TOOL,)),
            ("a tool's result", _conversation(result=text), (_TOOL,)),
            ("a tool's structured result", _conversation(result={"note": text}), (_TOOL,)),
            ("a description", _conversation(), (replace(_TOOL, description=text),)),
        ]

    @pytest.mark.parametrize("policy", ["refuse", "neutralise"])
    def test_no_control_token_comes_from_content(self, policy: ControlTextPolicy) -> None:
        """Whatever a conversation says, also across the borders of its pieces."""
        template = self.build(policy)
        for token in self.control_tokens:
            for at in range(1, len(token)):
                parts: list[JsonValue] = [
                    {"type": "text", "text": text} for text in (token[:at], token[at:])
                ]
                self._check_unforged(template, (Message(role="user", content=parts),), ())
                split = _conversation(system=token[:at], user=token[at:])
                self._check_unforged(template, split, (replace(_TOOL, description=token[:at]),))
        texts = strategies.control_rich_text(self.control_tokens, max_size=4)

        @given(
            conversation=strategies.conversations(text=texts, max_rounds=2),
            tools=st.lists(
                strategies.tool_specs(text=texts), max_size=2, unique_by=lambda t: t.name
            ),
        )
        def check(conversation: tuple[Message, ...], tools: list[ToolSpec]) -> None:
            self._check_unforged(template, conversation, tools)

        check()

    def _check_unforged(
        self, template: Template, conversation: Sequence[Message], tools: Sequence[ToolSpec]
    ) -> None:
        """A prompt without forged tokens, or a refusal."""
        try:
            prompt = template.render(conversation, tools)
        except RenderError:
            return
        forged = _forged(prompt, self.control_tokens)
        assert forged is None, f"content is part of the control token {forged!r}"

    # Parsing

    def test_parsing_is_total(self, template: Template) -> None:
        """No text raises, with and without tools and prompt; spans lie inside the text."""
        prompts = [None, template.render((Message(role="user", content=_USER),), (_TOOL,))]

        @given(
            text=self.completions(),
            tools=st.lists(strategies.tool_specs(), max_size=2),
            after=st.sampled_from(prompts),
        )
        def check(text: str, tools: list[ToolSpec], after: Prompt | None) -> None:
            reply = template.parse(text, tools, after)
            assert isinstance(reply, Reply), f"parse returned {reply!r:.80}"
            for fault in reply.faults:
                assert fault.span is None or 0 <= fault.span[0] <= fault.span[1] <= len(text), (
                    f"a fault's span {fault.span} is outside the text ({len(text)} characters)"
                )

        check()

    def test_plain_text_is_content(self, template: Template) -> None:
        """An answer without any markup comes through as it is, and streams before its end."""
        after = template.render((Message(role="user", content=_USER),), (_TOOL,), thinking=False)
        answer = "Quokkas are small marsupials. They eat leaves, grass and, at times, 12 apples."
        reply = template.parse(answer, (_TOOL,), after)
        assert reply.content == answer, f"content is {reply.content!r}"
        bare = replace(reply, content="", completion=None, prompt=None)
        assert bare == Reply(), f"besides its content, plain text was read as {bare!r}"
        decoder = template.decoder((_TOOL,), after)
        early = [event for character in answer for event in decoder.feed(character)]
        assert early, "nothing streamed before the end"

    def test_chunking_changes_nothing(self, template: Template) -> None:
        """Any cut of a text into pieces gives the reply of the whole text, down to one character.

        The events add up to the reply: content, thoughts, calls and faults come in order, and
        only what is uncertain until the end may be missing from them.
        """
        after = template.render((Message(role="user", content=_USER),), (_TOOL,))

        @given(text=self.completions(), data=st.data(), prompt=st.sampled_from([None, after]))
        def check(text: str, data: st.DataObject, prompt: Prompt | None) -> None:
            whole = template.parse(text, (_TOOL,), prompt)
            cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=6).map(sorted))
            borders = [0, *cuts, len(text)]
            pieces = [text[a:b] for a, b in itertools.pairwise(borders)]
            for chunks in (pieces, list(text)):
                decoder = template.decoder((_TOOL,), prompt)
                events = [event for chunk in chunks for event in decoder.feed(chunk)]
                reply = decoder.close()
                assert reply == whole, f"{chunks!r} is read differently from {text!r}"
                self._check_events(events, reply)

        check()

    def _check_events(self, events: Sequence[Event], reply: Reply) -> None:
        content = "".join(e.text for e in events if isinstance(e, ContentDelta))
        assert reply.content.startswith(content), (
            f"the deltas say {content!r}, the reply {reply.content!r}"
        )
        thought = "".join(e.text for e in events if isinstance(e, ReasoningDelta))
        assert reply.reasoning.startswith(thought), (
            f"the deltas say {thought!r}, the reply thinks {reply.reasoning!r}"
        )
        parsed = [e for e in events if isinstance(e, CallParsed)]
        assert [e.index for e in parsed] == list(range(len(parsed))), "calls are out of order"
        assert tuple(e.call for e in parsed) == reply.calls[: len(parsed)], (
            "streamed calls are not the reply's calls"
        )
        found = tuple(e.fault for e in events if isinstance(e, FaultFound))
        assert found == reply.faults[: len(found)], "streamed faults are not the reply's"

    def test_calls_survive_the_round_trip(self, template: Template) -> None:
        """What a well-behaved model writes is read back exactly, with no repair and no fault."""
        tools = (_TOOL,)

        @given(calls=st.lists(self.calls(), min_size=1, max_size=3))
        def check(calls: list[ToolCall]) -> None:
            assume(all(self.representable(call) for call in calls))
            text = self.serialise(calls)
            reply = template.parse(text, tools)
            assert _essence(reply.calls) == _essence(calls), f"{text!r} was read as {reply!r}"
            assert not reply.faults, f"faults in clean text {text!r}: {reply.faults}"
            assert not reply.repairs, f"repairs in clean text {text!r}: {reply.repairs}"

        check()

    def test_a_call_that_is_cut_off_is_not_lost(self, template: Template) -> None:
        """A call that ends anywhere after its name is a call or a fault, never nothing."""
        text = self.serialise([_CALL])
        for end in range(text.index(_CALL.name) + len(_CALL.name), len(text) + 1):
            reply = template.parse(text[:end], (_TOOL,))
            assert reply.calls or reply.faults, f"{text[:end]!r} was read as {reply!r}"

    def test_stop_strings_hide_no_call(self, template: Template) -> None:
        """Stop strings are texts, and none of them ends a completion before its last call."""
        assert isinstance(template.stop, tuple), "stop is not a tuple"
        assert all(isinstance(stop, str) and stop for stop in template.stop), "an empty stop string"
        text = self.serialise((_CALL, replace(_CALL, arguments={"species": "emu"})))
        for stop in template.stop:
            kept = text.partition(stop)[0]
            calls = template.parse(kept, (_TOOL,)).calls
            assert len(calls) == 2, f"stopping at {stop!r} leaves {len(calls)} of 2 calls"

    # Thinking

    def test_thinking_can_be_asked_for(self, template: Template) -> None:
        """The two values of `thinking` give two prompts, and thoughts are not content."""
        question = (Message(role="user", content=_USER),)
        thinking = template.render(question, thinking=True)
        silent = template.render(question, thinking=False)
        if not self.supports_thinking:
            assert thinking == silent, "supports_thinking is False, but prompts differ"
            return
        assert thinking.text != silent.text, "thinking=True and thinking=False render the same"
        idea, answer = "the user wants a fact", "Quokkas like apples."
        reply = template.parse(self.thought(idea) + answer, after=thinking)
        assert reply.reasoning.strip() == idea, f"the thought was read as {reply.reasoning!r}"
        assert reply.content.strip() == answer, f"the answer was read as {reply.content!r}"
