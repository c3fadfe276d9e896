"""A stranger's template: what it may not do, and what happens when it tries."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from callsmith import ConfigError, RenderError
from callsmith_jinja.sandbox import Sandbox


def render(text: str, variables: dict[str, object] | None = None, **options: object) -> str:
    with closing(Sandbox(text, place="t.jinja", **options)) as box:  # type: ignore[arg-type]
        return box.render(variables or {})


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.getpid() }}",
        "{{ messages.append(1) }}",
        "{{ lipsum.__globals__['os'].popen('id').read() }}",
        "{% include '/etc/passwd' %}",
        "{{ (messages | attr('__class__')).__mro__ }}",
    ],
)
def test_a_template_reaches_nothing_outside(text: str) -> None:
    with pytest.raises((RenderError, ConfigError)):
        render(text, {"messages": []})


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (
            "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
            {"timeout": 0.3},
            "longer than 0.3 s",
        ),
        (
            "{% for a in range(9999) %}{{ 'x' * 1000 }}{% endfor %}",
            {"max_characters": 100_000},
            "more than 100000 characters",
        ),
        ("{{ 'x' * 3000000000 }}", {"memory_mib": 512}, "memory"),
        ("{{ ('x' * 1000000) | center(2000000000) }}", {"memory_mib": 512}, "memory"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", {}, "nests too deep"),
        ("{{ raise_exception('no such role') }}", {}, "refuses: no such role"),
        ("{{ 1 / 0 }}", {}, "fails: ZeroDivisionError"),
        ("{{ strftime_now('%Y') }}", {}, "give the option `date`"),
    ],
)
def test_a_template_that_goes_too_far_is_one_line(
    text: str, options: dict[str, object], said: str
) -> None:
    with pytest.raises(RenderError) as caught:
        render(text, **options)
    assert said in str(caught.value)
    assert str(caught.value).startswith("t.jinja: the template ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["{{ raise_exception('\x1b[2J' + 'a' * 1000000) }}", "{{ {}['\x1b' + 'a' * 1000000].b }}"],
)
def test_what_a_template_says_is_short_and_no_terminal_obeys_it(text: str) -> None:
    with pytest.raises(RenderError) as caught:
        render(text)
    assert len(str(caught.value)) < 600
    assert "\\x1b" in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_reading_a_template_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callsmith_jinja.sandbox.READ", 0.5)
    with pytest.raises(RenderError, match=r"reading the template takes longer than 0\.5 s"):
        render(
            "{{ 10 ** (9 ** 9) }}", timeout=0.5
        )  # a constant, folded before anything is rendered
    with pytest.raises(RenderError, match="needs more memory than it may have"):
        render("{{ '%1000000000d' % 1 }}", memory_mib=512)


def test_a_text_that_is_no_template_says_where() -> None:
    with pytest.raises(ConfigError, match=r"t\.jinja is no chat template: line 2: "):
        render("{{ a }}\n{% for %}")


def test_a_short_limit_does_not_bound_the_start_of_the_process() -> None:
    # Python alone takes longer to start than this.
    with (
        closing(Sandbox("{{ say }}", place="t.jinja", timeout=0.005)) as made,
        suppress(RenderError),  # the rendering itself may be late
    ):
        made.render({"say": "one"})


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with closing(
        Sandbox(
            "{% if n is defined %}{% for a in range(n) %}{% for b in range(n) %}"
            "{% endfor %}{% endfor %}{% endif %}{{ say }}",
            place="t.jinja",
            timeout=1.0,
        )
    ) as made:
        yield made


def test_the_next_rendering_goes_on_after_one_that_was_killed(box: Sandbox) -> None:
    assert box.render({"say": "one"}) == "one"
    with pytest.raises(RenderError, match="longer"):
        box.render({"say": "never", "n": 99999})
    assert box.render({"say": "two"}) == "two"


def test_a_process_that_died_is_said_and_replaced(box: Sandbox) -> None:
    box.render({"say": "one"})
    process = box._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(RenderError, match="ended the process"):
        box.render({"say": "lost"})
    assert box.render({"say": "two"}) == "two"


def test_threads_get_their_own_texts(box: Sandbox) -> None:
    found: dict[int, str] = {}

    def ask(number: int) -> None:
        found[number] = box.render({"say": str(number) * 5000})

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: str(n) * 5000 for n in range(8)}


def test_odd_text_arrives_as_it_is(box: Sandbox) -> None:
    for say in ("\ud800", "a\nb\r\n\x00\u2028", "é🦘", '{"text": 1}'):
        assert box.render({"say": say}) == say


def test_it_renders_as_transformers_sets_it_up() -> None:
    text = (
        "{% generation %}{{ x | tojson }}{% endgeneration %}"
        "{% for a in [1, 2, 3] %}{% if a == 2 %}{% continue %}{% endif %}{{ a }}{% endfor %}"
        "{{ strftime_now('%d %b %Y') }}"
    )
    given = {"x": {"b": "é<>", "a": 1}}
    assert render(text, given, date="2026-07-09") == '{"b": "é<>", "a": 1}1309 Jul 2026'
