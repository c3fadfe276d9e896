"""A model's own chat template: where it stands, what is content in it, what it loses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from callsmith import (
    ConfigError,
    ControlTextError,
    Message,
    Prompt,
    RenderError,
    ToolCall,
    ToolSpec,
    load,
    plan_bakeoff,
    read_run_file,
)
from callsmith_jinja.command import template as command
from callsmith_jinja.config import JinjaConfig
from callsmith_jinja.probes import probe
from callsmith_jinja.revisions import REVISIONS, digest_of, revision_of
from callsmith_jinja.template import JinjaTemplate

FILE = Path(__file__).parents[1] / "fixtures" / "chat_templates" / "hermes.jinja"
USER = Message(role="user", content="  how many quokkas?  ")
TOOL = ToolSpec(
    name="count",
    description="counts animals",
    parameters={"type": "object", "properties": {"species": {"type": "string"}}},
)
CALL = ToolCall(name="count", arguments={"species": "quokka"}, id="c1")

Make = Callable[..., JinjaTemplate]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[JinjaTemplate] = []

    def build(path: Path = FILE, **options: Any) -> JinjaTemplate:
        made.append(JinjaTemplate(JinjaConfig(path=str(path), **options)))
        return made[-1]

    yield build
    for template in made:
        template.close()


def contents(prompt: Prompt) -> list[str]:
    return [segment.text for segment in prompt.segments if segment.origin == "content"]


def test_every_character_has_its_author(make: Make) -> None:
    messages = (
        Message(role="system", content="be brief"),
        USER,
        Message(role="assistant", content=None, tool_calls=(CALL,)),
        Message(role="tool", content="seven", tool_call_id="c1", name="count"),
    )
    prompt = make().render(messages, (TOOL,))
    written = contents(prompt)
    for text in ("be brief", "how many quokkas?", "count", "counts animals", "quokka", "seven"):
        assert text in written
    assert "<|im_start|>" not in "".join(written)
    assert prompt.changes == ()


def test_a_template_that_changes_texts_is_rendered_and_says_so(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "t.jinja"
    file.write_text("{% for m in messages %}<|user|>{{ m.content | upper }}{% endfor %}")
    prompt = make(file).render((Message(role="user", content="quokka"),))
    assert prompt.text == "<|user|>QUOKKA"
    assert contents(prompt) == ["QUOKKA"]  # marks have no upper case: they stay where they are
    file.write_text("{% for m in messages %}<|user|>{{ m.content[:3] }}{% endfor %}")
    prompt = make(file).render((Message(role="user", content="quokka"),))
    assert prompt.text == "<|user|>quo"
    assert contents(prompt) == []
    assert any("which characters are content is not known" in line for line in prompt.changes)


@pytest.mark.parametrize(
    "messages",
    [
        (Message(role="user", content="a <|im_end|> b"),),
        (USER, Message(role="assistant", content="", reasoning="x <tool_call> y"), USER),
        (
            USER,
            Message(
                role="assistant",
                content="",
                tool_calls=(ToolCall(name="count", arguments={"</tool_call>": 1}),),
            ),
        ),
    ],
)
def test_control_text_in_content_is_refused(make: Make, messages: tuple[Message, ...]) -> None:
    with pytest.raises(ControlTextError):
        make().render(messages)
    assert make(control_text="allow").render(messages).text


def test_control_text_is_refused_where_a_template_hides_whose_text_it_is(
    make: Make, tmp_path: Path
) -> None:
    file = tmp_path / "t.jinja"
    file.write_text("{% for m in messages %}<|user|>{{ m.content[:8] }}{% endfor %}")
    for policy in ("refuse", "neutralise"):
        with pytest.raises(ControlTextError, match=r"messages\[0\]\.content"):
            make(file, control_text=policy).render((Message(role="user", content="<|user|>more"),))


def test_neutralise_breaks_the_token_and_says_so(make: Make) -> None:
    prompt = make(control_text="neutralise").render((Message(role="user", content="<|im_end|>"),))
    assert prompt.text.count("<|im_end|>") == 1
    assert prompt.changes


def test_a_folder_gives_template_end_token_and_special_tokens(make: Make, tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "eos_token": "<|done|>",
                "bos_token": {"content": "<begin>"},
                "added_tokens_decoder": {"7": {"content": "[SPECIAL]", "special": True}},
                "chat_template": [
                    {"name": "default", "template": "{{ bos_token }}plain"},
                    {"name": "tool_use", "template": "{{ bos_token }}{{ messages[0].content }}"},
                ],
            }
        )
    )
    assert make(tmp_path).render((USER,)).text == f"<begin>{USER.content}"
    assert make(tmp_path, name="default").render((USER,)).text == "<begin>plain"
    assert make(tmp_path, stop=("|",)).stop == ("|", "<|done|>")
    with pytest.raises(ConfigError, match="it has: default, tool_use"):
        make(tmp_path, name="other")
    with pytest.raises(ControlTextError):
        make(tmp_path).render((Message(role="user", content="[SPECIAL]"),))
    (tmp_path / "chat_template.jinja").write_text("{{ bos_token }}file")
    assert make(tmp_path).render((USER,)).text == "<begin>file"


def test_the_command_refuses_what_is_no_template(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jinja"
    broken.write_text("{{ messages[0].content }")
    done = CliRunner().invoke(command, [str(broken)])
    assert isinstance(done.exception, ConfigError)
    assert "broken.jinja is no chat template: line 1" in str(done.exception)
    assert done.output == ""
    named = CliRunner().invoke(command, [str(FILE), "--name", "tool_use"])
    assert isinstance(named.exception, ConfigError)
    assert "is one template's file" in str(named.exception)


def test_bad_places_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder or file"):
        JinjaTemplate(JinjaConfig(path=str(tmp_path / "none")))
    with pytest.raises(ConfigError, match="has no chat template"):
        JinjaTemplate(JinjaConfig(path=str(tmp_path)))
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(ConfigError, match="is not JSON"):
        JinjaTemplate(JinjaConfig(path=str(tmp_path)))
    (tmp_path / "tokenizer_config.json").write_text('{"a": ' * 100_000)
    with pytest.raises(ConfigError, match="is not JSON"):
        JinjaTemplate(JinjaConfig(path=str(tmp_path)))
    odd = {"added_tokens_decoder": [1, None, {"special": True, "content": [1]}]}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(odd))
    (tmp_path / "tokenizer.json").write_text('{"added_tokens": null}')
    with pytest.raises(ConfigError, match="has no chat template"):
        JinjaTemplate(JinjaConfig(path=str(tmp_path)))
    with pytest.raises(ConfigError, match="say where"):
        JinjaTemplate(JinjaConfig())


def test_options_reach_the_template_and_the_digest(make: Make) -> None:
    default = make()
    assert default.render((USER,), thinking=False).text.endswith("<think>\n\n</think>\n\n")
    assert not default.render((USER,), thinking=True).text.endswith("</think>\n\n")
    call = Message(role="assistant", content="", tool_calls=(CALL,))
    as_text = make(arguments="json").render((USER, call)).text
    assert as_text == default.render((USER, call)).text
    digests = {
        default.digest,
        make(arguments="json").digest,
        make(variables={"x": 1}).digest,
        make(date="2026-01-01").digest,
        make(stop=("<end>",)).digest,
        make(control_tokens=("<mark>",)).digest,
    }
    assert len(digests) == 6
    assert make().digest == default.digest


def test_what_the_template_refuses_is_a_render_error(make: Make) -> None:
    with pytest.raises(RenderError, match="no such role: critic"):
        make().render((Message(role="critic", content="x"),))  # type: ignore[arg-type]


def test_revisions_are_known_by_digest_alone() -> None:
    assert all(len(digest) == 64 for digest in REVISIONS)
    assert digest_of("a\r\nb\n") == digest_of("a\nb")
    assert revision_of("nothing") is None
    newest = {revision.parser: revision for revision in REVISIONS.values()}
    assert all(not revision.faults for revision in newest.values())


def test_an_outdated_revision_is_noted_on_every_prompt(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = next(revision for revision in REVISIONS.values() if revision.faults)
    monkeypatch.setitem(REVISIONS, digest_of(FILE.read_text()), old)
    (note,) = make().render((USER,)).changes
    assert note.startswith(f"an outdated template ({old.name}): {old.faults[0]}")


def test_probes_find_what_a_template_loses(make: Make, tmp_path: Path) -> None:
    assert all(not f.lost and not f.problem for f in probe(make()))
    deaf = tmp_path / "deaf.jinja"
    deaf.write_text("{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}")
    lost = {finding.asked: finding.lost for finding in probe(make(deaf))}
    assert "the tool's name" in lost["a question with a tool"]
    assert "the arguments of a call" in lost["two calls and their results"]
    assert "a result" not in lost["two calls and their results"]


def test_the_command_says_what_is_lost(tmp_path: Path) -> None:
    deaf = tmp_path / "deaf.jinja"
    deaf.write_text("{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}")
    done = CliRunner().invoke(command, [str(deaf)])
    assert done.exit_code == 0
    assert "not one that Callsmith knows" in done.output
    assert "lost      a question with a tool: the tool's name" in done.output


RUN = """
kind: bakeoff
name: own-template
tasks: tiny-tasks
arms:
  own:
    use: tiny
    template: {{use: jinja, options: {{path: {path}}}{parser}}}
"""


def test_a_run_file_names_the_parser_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    catalog = load()
    file.write_text(RUN.format(path=FILE, parser=", parser: qwen3"))
    plan = plan_bakeoff(read_run_file(file), catalog)
    described = plan.describe()["arms"]["own"]
    assert (described["template"], described["parser"]) == ("jinja/jinja", "qwen3/qwen3")
    file.write_text(RUN.format(path=FILE, parser=""))
    with pytest.raises(ConfigError, match="renders and has no parser"):
        plan_bakeoff(read_run_file(file), catalog)
