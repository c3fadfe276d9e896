"""Discovery of plugins and looking components up: what users see when something is wrong."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from callsmith import (
    AmbiguousNameError,
    BrokenPluginError,
    Catalog,
    ConfigError,
    MissingExtraError,
    UnknownNameError,
    load,
)
from callsmith.cli.main import main

GOOD = """
import callsmith
from pydantic import BaseModel, ConfigDict

class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")
    strength: int = 1

class Judge:
    def __init__(self, options):
        self.options = options

    def verify(self, task, trace):
        return callsmith.Verdict(verifier="judge", passed=True, score=1.0)

@callsmith.hookimpl
def callsmith_verifiers():
    here = __name__
    return [callsmith.Component(name="judge", target=f"{here}:Judge", config=f"{here}:Options")]
"""


@pytest.fixture
def installed(
    make_plugin: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, str], Catalog]]:
    """Installs a plugin for this process and returns the catalog."""
    before = set(sys.modules)

    def install(name: str, source: str) -> Catalog:
        monkeypatch.syspath_prepend(str(make_plugin(name, source)))
        importlib.invalidate_caches()
        return load(environment={})

    yield install
    for module in set(sys.modules) - before:
        if module.endswith("_plugin"):
            del sys.modules[module]


def plugin(catalog: Catalog, name: str) -> str:
    (found,) = [p for p in catalog.plugins if p.name == name]
    return found.cause


def test_a_third_party_component_is_built_with_validated_options(
    installed: Callable[[str, str], Catalog],
) -> None:
    catalog = installed("extra", GOOD)
    assert plugin(catalog, "extra") == ""
    for name in ("judge", "extra/judge"):
        assert catalog.build("verifier", name, {"strength": 3}).options.strength == 3


def test_options_are_checked_with_a_hint(installed: Callable[[str, str], Catalog]) -> None:
    catalog = installed("extra", GOOD)
    with pytest.raises(ConfigError, match="unknown option 'strenght'; did you mean 'strength'"):
        catalog.resolve("verifier", "judge", {"strenght": 3})
    with pytest.raises(ConfigError, match=r"^options\.strength: .*integer.*got 'x'"):
        catalog.resolve("verifier", "judge", {"strength": "x"})


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("raise RuntimeError('out of\\norder')", "RuntimeError: out of order"),
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named"),
        ("def broken(:", "SyntaxError"),
        (
            "import callsmith\n@callsmith.hookimpl\ndef callsmith_guards(): return []",
            "hook 'callsmith_guards'.*needs a newer callsmith",
        ),
        (
            "import callsmith\ndef callsmith_arms(): return []",
            "callsmith_arms is not marked with @callsmith.hookimpl",
        ),
        (
            "import callsmith\n@callsmith.hookimpl\ndef callsmith_arms(): return ['x']",
            "must return Components, got 'x'",
        ),
        (
            "import callsmith\n@callsmith.hookimpl\n"
            "def callsmith_arms(): return [callsmith.Component(name='a', target='m:x')]",
            "an arm must say provides",
        ),
        (
            "import callsmith\n@callsmith.hookimpl\n"
            "def callsmith_verifiers(): return [callsmith.Component(name='a', target='m')]",
            "not of the form module:attribute",
        ),
        ("import callsmith\n@callsmith.hookimpl\ndef callsmith_arms(): 1/0", "ZeroDivisionError"),
        (
            "import callsmith\n@callsmith.hookimpl\ndef callsmith_arms(wrong): return []",
            "PluginValidationError",
        ),
    ],
)
def test_a_broken_plugin_is_listed_with_its_cause_and_stops_nobody(
    installed: Callable[[str, str], Catalog], source: str, cause: str
) -> None:
    healthy = len(installed("extra", GOOD).offers("verifier"))
    catalog = installed("bad", source)
    import re

    assert re.search(cause, plugin(catalog, "bad")), plugin(catalog, "bad")
    assert "\n" not in plugin(catalog, "bad")
    assert len(catalog.offers("verifier")) == healthy
    with pytest.raises(BrokenPluginError, match="'bad' is broken"):
        catalog.find("verifier", "bad/judge")


def test_a_name_offered_twice_is_an_error_naming_both(
    installed: Callable[[str, str], Catalog],
) -> None:
    installed("one", GOOD)
    catalog = installed("two", GOOD)
    with pytest.raises(AmbiguousNameError, match="one/judge and two/judge"):
        catalog.find("verifier", "judge")
    assert catalog.find("verifier", "two/judge").plugin == "two"


def test_an_unknown_name_says_what_was_meant(installed: Callable[[str, str], Catalog]) -> None:
    catalog = installed("extra", GOOD)
    with pytest.raises(UnknownNameError, match="no verifier 'jugde'; did you mean 'judge'"):
        catalog.find("verifier", "jugde")
    with pytest.raises(UnknownNameError, match=r"there are: .*judge"):
        catalog.find("verifier", "qqqqqq")


def test_a_missing_library_is_reported_as_what_to_install_after_the_options(
    installed: Callable[[str, str], Catalog], make_plugin: Callable[..., Path]
) -> None:
    heavy = GOOD.replace('config=f"{here}:Options")', 'config=f"{here}:Options", EXTRA)').replace(
        'target=f"{here}:Judge"', 'target="heavy_part:Judge"'
    )
    (make_plugin("other", "") / "heavy_part.py").write_text("import no_such_library_here\n")
    catalog = installed("withextra", heavy.replace("EXTRA", 'extra="jax"'))
    with pytest.raises(ConfigError, match="unknown option 'x'"):
        catalog.build("verifier", "withextra/judge", {"x": 1})
    with pytest.raises(MissingExtraError, match=r"pip install 'callsmith\[jax\]'"):
        catalog.build("verifier", "withextra/judge")
    catalog = installed("withrequirement", heavy.replace("EXTRA", 'requirement="heavy>=2"'))
    with pytest.raises(MissingExtraError, match="pip install 'heavy>=2'"):
        catalog.build("verifier", "withrequirement/judge")
    catalog = installed("withnothing", heavy.replace(", EXTRA", ""))
    with pytest.raises(BrokenPluginError, match="no_such_library_here"):
        catalog.build("verifier", "withnothing/judge")


def test_plugins_can_be_allowed_and_denied(
    installed: Callable[[str, str], Catalog],
) -> None:
    installed("extra", GOOD)
    only = load(environment={"CALLSMITH_PLUGINS": "extra, tasks"})
    assert {p.name for p in only.plugins if not p.disabled} == {"extra", "tasks"}
    without = load(environment={"CALLSMITH_DISABLE": "extra"})
    assert [p.name for p in without.plugins if p.disabled] == ["extra"]
    with pytest.raises(UnknownNameError, match="switched off by CALLSMITH_PLUGINS"):
        without.find("verifier", "extra/judge")


def test_a_template_is_chosen_by_the_models_name(
    installed: Callable[[str, str], Catalog],
) -> None:
    source = (
        "import callsmith\n@callsmith.hookimpl\ndef callsmith_templates():\n"
        "    return [callsmith.Component(name=n, target='m:x', models=('acme-*',)) for n in NAMES]"
    )
    catalog = installed("one", source.replace("NAMES", "('a',)"))
    assert catalog.template_for("Acme-7B") == "one/a"
    with pytest.raises(UnknownNameError, match="no template is known for the model 'other'"):
        catalog.template_for("other")
    catalog = installed("two", source.replace("NAMES", "('b',)"))
    with pytest.raises(AmbiguousNameError, match="one/a, two/b"):
        catalog.template_for("acme-7b")


COMMANDS = """
import callsmith, click

@click.group()
def group():
    '''A group.'''

@group.command()
@click.argument("word")
def shout(word):
    if not word.isalpha():
        raise callsmith.ConfigError(f"letters only, got {word!r}", path="word")
    click.echo(word.upper())

@callsmith.hookimpl
def callsmith_commands():
    here = __name__
    return [
        callsmith.Component(name="say", target=f"{here}:group", summary="says it loudly"),
        callsmith.Component(name="run", target=f"{here}:shout", summary="never seen"),
        callsmith.Component(name="far", target=f"{here}x:group", summary="is not there"),
    ]
"""


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main([*arguments])
    captured = capsys.readouterr()
    return int(end.value.code or 0), captured.out, captured.err


def test_a_plugin_adds_commands(
    installed: Callable[[str, str], Catalog], capsys: pytest.CaptureFixture[str]
) -> None:
    installed("extra", COMMANDS)
    assert said(capsys, "say", "shout", "hello") == (0, "HELLO\n", "")
    assert said(capsys, "extra/say", "shout", "hello") == (0, "HELLO\n", "")
    code, out, err = said(capsys, "say", "shout", "h3llo")
    assert (code, out, err) == (2, "", "error: word: letters only, got 'h3llo'\n")
    _, out, _ = said(capsys, "--help")
    assert "says it loudly" in out
    assert "never seen" not in out


def test_a_broken_command_is_one_line(
    installed: Callable[[str, str], Catalog], capsys: pytest.CaptureFixture[str]
) -> None:
    installed("extra", COMMANDS)
    code, out, err = said(capsys, "far")
    assert (code, out) == (2, "")
    assert "extra/far cannot be imported" in err
    assert "did you mean 'say'?" in said(capsys, "sya")[2]


def test_no_plugin_takes_a_command_from_the_framework(
    installed: Callable[[str, str], Catalog], capsys: pytest.CaptureFixture[str]
) -> None:
    installed("extra", COMMANDS)
    _, out, _ = said(capsys, "run", "--help")
    assert "Run FILE" in out or "run file" in out.lower()
