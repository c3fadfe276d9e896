"""Run files: every mistake is one clear line with its place in the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsmith import Catalog, ConfigError, load
from callsmith.config import parse_run_file, read_run_file
from callsmith.wiring import Plan, plan_bakeoff

GOOD = """
kind: bakeoff
name: try
tasks: {use: tiny-tasks}
arms:
  a: {use: tiny, template: gemma4}
verifiers: [calls-match]
"""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load(environment={})


def plan(text: str, catalog: Catalog) -> Plan:
    return plan_bakeoff(parse_run_file(text, "r.yaml"), catalog)


def test_a_good_file_is_resolved_with_all_defaults(catalog: Catalog) -> None:
    found = plan(GOOD, catalog)
    described = found.describe()
    assert described["arms"]["a"]["use"] == "tiny/tiny"
    assert described["arms"]["a"]["template"] == "gemma4/gemma4"
    assert described["arms"]["a"]["sampling"]["temperature"] == 0.0
    assert described["verifiers"] == {
        "calls-match": {
            "use": "checks/calls-match",
            "options": found.verifiers[0][1].options(),
        }
    }


def test_an_arm_may_draw_differently_and_the_rest_is_the_runs(catalog: Catalog) -> None:
    text = GOOD.replace("gemma4}", "gemma4, sampling: {temperature: 0.7}}")
    (arm,) = plan(text + "sampling: {max_tokens: 9, seed: 4}\n", catalog).arms
    assert (arm.sampling.temperature, arm.sampling.max_tokens, arm.sampling.seed) == (0.7, 9, 4)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: bakeoff", "kind: bakeof", r"^r.yaml: kind: unknown kind .*did you mean 'bakeoff'"),
        ("name: try", "nmae: try", r"^r.yaml: unknown option 'nmae'; did you mean 'name'"),
        ("name: try", "name: ../x", r"^r.yaml: name: string should match pattern"),
        ("use: tiny,", "use: tinny,", r"^arms.a: there is no arm 'tinny'; did you mean 'tiny'"),
        ("template: gemma4", "template: gema4", r"^arms.a.template: there is no template 'gema4'"),
        ("template: gemma4", "tmplate: gemma4", r"^r.yaml: arms.a: unknown option 'tmplate'"),
        ("use: tiny,", "use: tiny, options: {x: 1},", r"^arms.a.options: unknown option 'x'"),
        (
            "template: gemma4",
            "template: {use: gemma4, options: {variant: huge}}",
            r"^arms.a.template.options.variant: input should be 'auto'",
        ),
        ("use: tiny, ", "use: ollama-chat, options: {model: m}, ", r"^arms.a.template: .* remove"),
        ("[calls-match]", "[calls-mach]", r"^verifiers\[0\]: there is no verifier 'calls-mach'"),
        ("use: tiny-tasks", "use: nothing", r"^tasks: there is no taskset 'nothing'"),
        ("tasks: {use: tiny-tasks}", "limit: 3", r"needs either `tasks` or `eval`"),
        ("tasks: {use: tiny-tasks}", "tasks: [1]", r"^r.yaml: tasks: "),
        ("  a: {", "  a: {timeout: -1, ", r"^r.yaml: arms.a.timeout: input should be greater"),
        ("name: try", "name: try\nname: again", r"line 4, column 1: the key 'name' stands twice"),
        ("kind: bakeoff", "kind: [", r"^r.yaml: line \d+, column \d+: "),
    ],
)
def test_a_mistake_is_one_line_with_its_place(
    catalog: Catalog, old: str, new: str, message: str
) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError, match=message) as caught:
        plan(GOOD.replace(old, new), catalog)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "just text", "- 1\n- 2", "42", "{" * 600, "\x00", "a: &x [*x]"]
)
def test_what_is_no_run_file_at_all_is_an_error_too(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^r\.yaml: "):
        parse_run_file(text, "r.yaml")


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone.yaml: cannot be read: No such file"):
        read_run_file(tmp_path / "gone.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(ConfigError, match=r"latin.yaml: is not UTF-8 \(byte 9\)"):
        read_run_file(tmp_path / "latin.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_run_file(tmp_path)


def test_a_verifier_may_be_used_twice_with_other_options(catalog: Catalog) -> None:
    found = plan(GOOD.replace("[calls-match]", "[no-faults, no-faults]"), catalog)
    assert [name for name, _ in found.verifiers] == ["no-faults", "no-faults#2"]
