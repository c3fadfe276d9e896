"""`callsmith schema`: JSON Schema of run files, with the options of everything installed."""

from __future__ import annotations

import json
from typing import Any

import click

from callsmith.catalog import Catalog, load
from callsmith.component import Kind
from callsmith.config import BakeoffFile
from callsmith.errors import ConfigError

PLACES: dict[str, tuple[Kind, ...]] = {
    "tasks": ("taskset",),
    "eval": ("eval",),
    "toolbox": ("toolbox",),
    "verifiers": ("verifier",),
}
"""Keys of a bakeoff that hold references, and the kinds they refer to."""


@click.command()
def schema() -> None:
    """Print the JSON Schema of run files, for editors.

    With the YAML language server, the first line of a run file may say
    `# yaml-language-server: $schema=callsmith.schema.json`.
    """
    click.echo(json.dumps(run_file_schema(load()), indent=2))


def run_file_schema(catalog: Catalog) -> dict[str, Any]:
    """The schema of a bakeoff file; names and options are those of the catalog."""
    found = BakeoffFile.model_json_schema()
    found["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    found["title"] = "Callsmith run file"
    definitions: dict[str, Any] = found.setdefault("$defs", {})
    properties = found["properties"]
    arms = properties["arms"]
    bare = {"type": "string", "enum": _names(catalog, ("arm",))}
    arms["patternProperties"] = {
        pattern: {"anyOf": [bare, frame]} for pattern, frame in arms["patternProperties"].items()
    }
    arms["additionalProperties"] = False
    for key, kinds in PLACES.items():
        reference = _reference(catalog, kinds, definitions)
        if key == "verifiers":
            properties[key]["items"] = reference
        else:
            properties[key] = {**reference, "description": properties[key].get("description", "")}
    arm = definitions["ArmFrame"]
    arm["properties"]["template"] = _reference(catalog, ("template",), definitions)
    arm["properties"]["use"]["enum"] = _names(catalog, ("arm",))
    arm["allOf"] = _options(catalog, ("arm",), definitions) or [{}]
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
