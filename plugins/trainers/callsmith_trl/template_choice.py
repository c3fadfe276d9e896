"""The template that a checkpoint is compared with: its training's, unless another is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from callsmith import Catalog, ConfigError, Paired, Template
from callsmith_trl.recipe import Recipe


def chosen_template(
    catalog: Catalog,
    recipe: Recipe,
    name: str | None,
    given: Sequence[str],
    note: Callable[[str], None],
) -> Template:
    """The template of the recipe, with the options `given` (KEY=VALUE) in place of its own.

    `name` (RENDERER, or RENDERER+PARSER) takes the place of the recipe's template and of all its
    options. `note` gets one line where the template is not the one of the training. Raises
    `ConfigError`.
    """
    reference = _reference(recipe, name)
    recorded = bool(recipe.template_reference) and not name
    options = {**reference["options"], **_options(given)}
    try:
        built: Any = catalog.build("template", reference["use"], options)
        if parser := reference.get("parser"):
            built = Paired(built, catalog.build("template", parser["use"], parser["options"]))
    except ConfigError as error:
        if not recorded:
            raise
        raise ConfigError(
            f"the template of the training cannot be made here ({error}); change its options "
            "with --template-option KEY=VALUE, or name another one: --template"
        ) from None
    if not isinstance(built, Template):
        raise ConfigError(
            f"{reference['use']} has no parser; name one: {reference['use']}+PARSER",
            path="--template",
        )
    template: Template = built
    if recipe.template and template.digest != recipe.template:
        why = (
            "the recorded options make another one here: another version, or other files"
            if recorded and not given
            else "prompts may differ: check --template and --template-option"
        )
        note(f"trained with the template {recipe.template}, compared with {template.digest}; {why}")
    return template


def _reference(recipe: Recipe, name: str | None) -> Mapping[str, Any]:
    """What is to be built, in the words of a run file."""
    if recipe.template_reference and not name:
        return recipe.template_reference
    # A recipe without a reference knows the names alone: they begin the digest.
    name = name or recipe.template.partition(":")[0]
    if not name:
        raise ConfigError(
            "nothing beside the weights says with which template they were trained; say it: "
            "--template"
        )
    name, _, parser = name.partition("+")
    found: dict[str, Any] = {"use": name, "options": {}}
    return {**found, "parser": {"use": parser, "options": {}}} if parser else found


def _options(given: Sequence[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for text in given:
        key, sign, value = text.partition("=")
        if not sign:
            raise ConfigError(f"expected KEY=VALUE, got {text!r}", path="--template-option")
        options[key] = yaml.safe_load(value)
    return options
