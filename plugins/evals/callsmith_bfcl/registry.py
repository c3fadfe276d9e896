"""The official model registry: which names can be scored, and how each one is treated."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

from callsmith_bfcl.literals import Literals
from callsmith_bfcl.wheel import MissingDataError, Wheel

_FILE = "constants/model_config.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """One registered model.

    `name` is the registry name (a result folder is named so, with `/` as `_`) and `model_name`
    the vendor's, which need not be unique. Prices are US dollars per million tokens, None for
    open models. `underscore_to_dot` says that the checker expects `_` for each `.` of a function's
    name. `handler` is the name of the class that decodes the model's output.
    """

    name: str
    model_name: str
    display_name: str
    url: str
    org: str
    license: str
    handler: str
    input_price: float | None = None
    output_price: float | None = None
    is_fc_model: bool = True
    underscore_to_dot: bool = False

    @property
    def folder(self) -> str:
        """The name of the model's folder under `result` and `score`."""
        return self.name.replace("/", "_")


_KEYWORDS = frozenset(field.name for field in fields(ModelEntry)) - {"name", "handler"}


def registry(wheel: Wheel) -> Mapping[str, ModelEntry]:
    """All registered models by registry name, in the registry's order. Nothing is imported.

    Raises `MissingDataError` when the wheel's registry does not look as in the expected release.
    """
    literals = Literals.of(wheel, _FILE)
    models: dict[str, ModelEntry] = {}
    for key, node in _items(literals, literals.expression("MODEL_CONFIG_MAPPING")):
        if not isinstance(node, ast.Call) or node.args:
            raise _changed(literals, node)
        options: dict[str, object] = {}
        handler = ""
        for keyword in node.keywords:
            if keyword.arg == "model_handler" and isinstance(keyword.value, ast.Name):
                handler = keyword.value.id
            elif keyword.arg in _KEYWORDS:
                options[keyword.arg] = literals.evaluate(keyword.value)
            else:
                raise _changed(literals, node)
        try:
            models[key] = ModelEntry(name=key, handler=handler, **options)  # type: ignore[arg-type]
        except TypeError:
            raise _changed(literals, node) from None
    return MappingProxyType(models)


def _items(literals: Literals, node: ast.expr) -> list[tuple[str, ast.expr]]:
    """The items of a table of models; `**name` stands for the items of that table."""
    if isinstance(node, ast.Name):
        return _items(literals, literals.expression(node.id))
    if not isinstance(node, ast.Dict):
        raise _changed(literals, node)
    found: list[tuple[str, ast.expr]] = []
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:
            found += _items(literals, value)
        else:
            found.append((literals.evaluate(key), value))
    return found


def _changed(literals: Literals, node: ast.expr) -> MissingDataError:
    return MissingDataError(
        f"the model registry is not as expected in line {node.lineno}", path=literals.place
    )
