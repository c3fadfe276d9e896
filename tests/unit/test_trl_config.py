"""Options: recipes that would train nothing are refused, with the fix."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

import callsmith_trl
from callsmith import Catalog, ConfigError
from callsmith.registry import Plugin
from callsmith_trl.config import SftConfig


def trainers() -> Plugin:
    """The plugin, whether its entry point is installed or not."""
    components = tuple(("trainer", one) for one in callsmith_trl.callsmith_trainers())
    return Plugin(name="trl", module="callsmith_trl", components=components)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["lm_head", "model.embed_tokens", "embed_tokens"])
def test_lora_on_embedding_or_head_is_refused_with_the_fix(name: str) -> None:
    with pytest.raises(ValidationError, match="token_rows"):
        SftConfig(targets=("q_proj", name))


@pytest.mark.parametrize("targets", [(), ("all-linear", "q_proj")])
def test_targets_must_mean_something(targets: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError):
        SftConfig(targets=targets)


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ValidationError):
        SftConfig.model_validate({"learning": 1})


def test_the_module_to_register_is_named_register() -> None:
    assert SftConfig.model_validate({"register": "some.module"}).module == "some.module"


def test_every_option_is_described() -> None:
    lacking = [name for name, field in SftConfig.model_fields.items() if not field.description]
    assert lacking == []


def test_a_typo_in_a_run_file_is_one_line() -> None:
    with pytest.raises(ConfigError) as caught:
        Catalog([trainers()]).resolve("trainer", "sft", {"learning_rte": 1})
    assert "learning_rte" in str(caught.value)
    assert "\n" not in str(caught.value)
