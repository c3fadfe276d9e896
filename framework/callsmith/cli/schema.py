"""`callsmith schema`: JSON Schema of run files, with the options of everything installed."""

from __future__ import annotations

import json
from typing import Any

import click
import pydantic

from callsmith.catalog import Catalog, load
from callsmith.component import Kind
from callsmith.config import BakeoffFile
from callsmith.errors import ConfigError
from callsmith.pipeline.checkpoints import FILLED
from callsmith.pipeline.frames import KINDS, PipelineFile

PLACES: dict[str, tuple[Kind, ...]] = {
    "tasks": ("taskset",),
    "eval": ("eval",),
    "toolbox": ("toolbox",),
    "verifiers": ("verifier",),
}
"""Keys of a bakeoff that hold references, and the kinds they refer to."""

TRAIN_PLACES: dict[str, tuple[Kind, ...]] = {
    "tasks": ("taskset",),
    "dev": ("taskset",),
    "verifiers": ("verifier",),
}
"""The same of a train step."""


@click.command()
def schema() -> None:
    """Print the JSON Schema of run files, for editors.

    With the YAML language server, the first line of a run file may say
    `# yaml-language-server: $schema=callsmith.schema.json`.
    """
    click.echo(json.dumps(run_file_schema(load()), indent=2))


def run_file_schema(catalog: Catalog) -> dict[str, Any]:
    """The schema of run files of all kinds; names and options are those of the catalog."""
    found = pydantic.TypeAdapter(BakeoffFile | PipelineFile).json_schema()
    definitions: dict[str, Any] = found["$defs"]
    template = _template(catalog, definitions)
    for frame, arm in (("BakeoffFile", "ArmFrame"), ("ScoreFrame", "ScoreArmFrame")):
        properties = definitions[frame]["properties"]
        arms = properties["arms"]
        bare = {"type": "string", "enum": _names(catalog, ("arm",))}
        arms["patternProperties"] = {
            pattern: {"anyOf": [bare, item]} for pattern, item in arms["patternProperties"].items()
        }
        arms["additionalProperties"] = False
        _put_references(properties, PLACES, catalog, definitions)
        _put_component(definitions[arm], "arm", template, catalog, definitions)
    _leave_open(definitions["ScoreArmFrame"], definitions)
    train = definitions["TrainFrame"]
    _put_references(train["properties"], TRAIN_PLACES, catalog, definitions)
    _put_component(train, "trainer", template, catalog, definitions)
    step = definitions["StepFrame"]
    trainers = {"type": "string", "enum": _names(catalog, ("trainer",))}
    step["properties"]["train"] = {"anyOf": [trainers, {"$ref": "#/$defs/TrainFrame"}]}
    step["properties"]["score"] = {"$ref": "#/$defs/ScoreFrame"}
    step["oneOf"] = [{"required": ["train"]}, {"required": ["score"]}]
    definitions["PipelineFile"]["properties"]["template"] = template
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Callsmith run file",
        "type": "object",
        "properties": {"kind": {"enum": list(KINDS)}},
        "required": ["kind"],
        "if": {"properties": {"kind": {"const": "pipeline"}}},
        "then": {"$ref": "#/$defs/PipelineFile"},
        "else": {"$ref": "#/$defs/BakeoffFile"},
        "$defs": definitions,
    }


def _put_references(
    properties: dict[str, Any],
    places: dict[str, tuple[Kind, ...]],
    catalog: Catalog,
    definitions: dict[str, Any],
) -> None:
    """Where a frame holds references: the names and options of what may stand there."""
    for key, kinds in places.items():
        reference = _reference(catalog, kinds, definitions)
        if key == "verifiers":
            properties[key]["items"] = reference
        else:
            properties[key] = {**reference, "description": properties[key].get("description", "")}


def _put_component(
    frame: dict[str, Any],
    kind: Kind,
    template: dict[str, Any],
    catalog: Catalog,
    definitions: dict[str, Any],
) -> None:
    """A frame that is itself a reference to a component, and has a template."""
    frame["properties"]["template"] = template
    frame["properties"]["use"]["enum"] = _names(catalog, (kind,))
    frame["allOf"] = _options(catalog, (kind,), definitions) or [{}]


def _leave_open(arm: dict[str, Any], definitions: dict[str, Any]) -> None:
    """Requires no option of an arm that a checkpoint can give it."""
    for rule in arm["allOf"]:
        options = rule.get("then", {}).get("properties", {}).get("options", {})
        name = options.get("$ref", "").rpartition("/")[2]
        required = set(definitions.get(name, {}).get("required", ()))
        if required & {"model", *FILLED}:
            left = sorted(required - {"model", *FILLED})
            definitions[f"{name}.checkpoint"] = {**definitions[name], "required": left}
            rule["then"] = {"properties": {"options": {"$ref": f"#/$defs/{name}.checkpoint"}}}


def _template(catalog: Catalog, definitions: dict[str, Any]) -> dict[str, Any]:
    """A template by name, with its options and another one's parser."""
    parser = _reference(catalog, ("template",), definitions)
    found = _reference(catalog, ("template",), definitions)
    found["anyOf"][1]["properties"]["parser"] = parser
    return found


def _names(catalog: Catalog, kinds: tuple[Kind, ...]) -> list[str]:
    offers = [offer for kind in kinds for offer in catalog.offers(kind)]
    names = [offer.component.name for offer in offers] + [offer.full_name for offer in offers]
    return list(dict.fromkeys(names))


def _reference(
    catalog: Catalog, kinds: tuple[Kind, ...], definitions: dict[str, Any]
) -> dict[str, Any]:
    names = _names(catalog, kinds)
    written_out: dict[str, Any] = {
        "type": "object",
        "properties": {"use": {"type": "string", "enum": names}, "options": {}},
        "required": ["use"],
        "additionalProperties": False,
    }
    rules = _options(catalog, kinds, definitions)
    if rules:  # JSON Schema allows no empty `allOf`
        written_out["allOf"] = rules
    return {"anyOf": [{"type": "string", "enum": names}, written_out]}


def _options(
    catalog: Catalog, kinds: tuple[Kind, ...], definitions: dict[str, Any]
) -> list[dict[str, Any]]:
    """For each component: if `use` names it, `options` are of its own model."""
    rules: list[dict[str, Any]] = []
    for kind in kinds:
        for offer in catalog.offers(kind):
            try:
                model = catalog.config_model(offer)
            except ConfigError:
                continue  # its config cannot be imported here; `callsmith check` says why
            options: dict[str, Any] = {"type": "object", "maxProperties": 0}
            if model is not None:
                name = f"{kind}.{offer.full_name}".replace("/", ".")
                options = {"$ref": f"#/$defs/{name}"}
                own = model.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
                for inner, definition in own.pop("$defs", {}).items():
                    definitions[f"{name}.{inner}"] = definition
                definitions[name] = own
            named = {"properties": {"use": {"enum": [offer.component.name, offer.full_name]}}}
            rules.append(
                {"if": {**named, "required": ["use"]}, "then": {"properties": {"options": options}}}
            )
    return rules
