"""`Catalog`: looking components up by name, validating their options, building them.

Options are validated against the component's config model *before* its target is imported, so a
typo is reported on a machine without the library, and a missing library is reported as the extra
to install.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from callsmith.component import Component, Kind
from callsmith.errors import (
    AmbiguousNameError,
    BrokenPluginError,
    ConfigError,
    MissingExtraError,
    UnknownNameError,
)
from callsmith.registry import Plugin, discover

if TYPE_CHECKING:
    import pydantic  # half of what finding a plugin's command would take to import


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A component and the plugin that offers it."""

    plugin: str
    kind: Kind
    component: Component

    @property
    def full_name(self) -> str:
        """`plugin/name`: unambiguous whatever else is installed."""
        return f"{self.plugin}/{self.component.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A component with validated options, ready to be built."""

    offer: Offer
    config: pydantic.BaseModel | None

    def options(self) -> dict[str, Any]:
        """All options, defaults included, as JSON."""
        return self.config.model_dump(mode="json") if self.config else {}

    def deciding_options(self) -> dict[str, Any]:
        """The options that a result depends on."""
        return deciding_options(self.config) if self.config else {}


def deciding_options(config: pydantic.BaseModel) -> dict[str, Any]:
    """All options but those that change no result, as JSON, defaults included.

    A field says that it is one of those by `Field(json_schema_extra={"decides": False})`, such as
    an interval of progress lines: a pipeline's step is not run again because it changed.
    """
    shown = {
        name
        for name, field in type(config).model_fields.items()
        if isinstance(field.json_schema_extra, dict)
        and field.json_schema_extra.get("decides") is False
    }
    return config.model_dump(mode="json", exclude=shown)


class Catalog:
    """What is installed. Whoever needs it is handed it; there is no global one."""

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        self.plugins = tuple(plugins)

    def offers(self, kind: Kind) -> tuple[Offer, ...]:
        """All components of a kind, sorted by name."""
        found = [
            Offer(plugin=plugin.name, kind=kind, component=component)
            for plugin in self.plugins
            for k, component in plugin.components
            if k == kind
        ]
        return tuple(sorted(found, key=lambda offer: (offer.component.name, offer.plugin)))

    def find(self, kind: Kind, name: str) -> Offer:
        """The component called `name` or `plugin/name`.

        Raises `UnknownNameError` (with the nearest names), `AmbiguousNameError` (naming both
        plugins) or `BrokenPluginError` (when the name's plugin could not be loaded).
        """
        offers = self.offers(kind)
        matching = [o for o in offers if name in (o.component.name, o.full_name)]
        if len(matching) > 1:
            both = " and ".join(o.full_name for o in matching)
            raise AmbiguousNameError(f"the {kind} {name!r} is offered twice: say {both}")
        if matching:
            return matching[0]
        prefix = name.partition("/")[0]
        for plugin in self.plugins:
            if plugin.name == prefix and plugin.disabled:
                raise UnknownNameError(
                    f"the plugin {prefix!r} is switched off by CALLSMITH_PLUGINS or "
                    "CALLSMITH_DISABLE"
                )
            if plugin.name == prefix and plugin.cause:
                raise BrokenPluginError(f"the plugin {prefix!r} is broken: {plugin.cause}")
        names = [o.component.name for o in offers] + [o.full_name for o in offers]
        hint = did_you_mean(name, names) or (
            f"; there are: {', '.join(o.component.name for o in offers)}" if offers else ""
        )
        broken = [plugin.name for plugin in self.plugins if plugin.cause]
        if broken:
            hint += f" (broken plugins: {', '.join(broken)}; see `callsmith plugins`)"
        raise UnknownNameError(f"there is no {kind} {name!r}{hint}")

    def template_for(self, model: str) -> str:
        """The full name of the one template that is meant for `model`. Raises `ConfigError`."""
        matching = [
            offer.full_name
            for offer in self.offers("template")
            if any(fnmatchcase(model.lower(), glob.lower()) for glob in offer.component.models)
        ]
        if len(matching) == 1:
            return matching[0]
        if matching:
            raise AmbiguousNameError(
                f"several templates are meant for {model!r}: say which: {', '.join(matching)}"
            )
        raise UnknownNameError(f"no template is known for the model {model!r}: name one")

    def resolve(self, kind: Kind, name: str, options: Mapping[str, Any] | None = None) -> Resolved:
        """Finds a component and validates its options, without importing its target."""
        offer = self.find(kind, name)
        given = dict(options or {})
        model = self.config_model(offer)
        if model is None:
            if given:
                raise ConfigError(
                    f"{offer.component.name} takes no options, got {', '.join(given)}",
                    path="options",
                )
            return Resolved(offer=offer, config=None)
        import pydantic

        try:
            return Resolved(offer=offer, config=model.model_validate(given))
        except pydantic.ValidationError as error:
            raise first_problem(error, model).at("options") from None

    def config_model(self, offer: Offer) -> type[pydantic.BaseModel] | None:
        """The pydantic model of a component's options; None when it takes none."""
        if not offer.component.config:
            return None
        import pydantic

        found = _load(offer, offer.component.config)
        if not (inspect.isclass(found) and issubclass(found, pydantic.BaseModel)):
            raise BrokenPluginError(
                f"{offer.full_name}: {offer.component.config} is not a pydantic model"
            )
        return found

    def construct(self, resolved: Resolved) -> Any:
        """Imports the target and calls it with the config. Raises `MissingExtraError`."""
        target = self.target(resolved.offer)
        if resolved.config is None:
            return target()
        return target(resolved.config)

    def target(self, offer: Offer) -> Any:
        """What stands at a component's target, imported and not called."""
        return _load(offer, offer.component.target)

    def build(self, kind: Kind, name: str, options: Mapping[str, Any] | None = None) -> Any:
        """`resolve` and `construct` in one step."""
        return self.construct(self.resolve(kind, name, options))


def load(environment: Mapping[str, str] | None = None) -> Catalog:
    """Everything that is installed. Cheap: imports the plugins' declarations only."""
    return Catalog(discover(environment=environment))


def _load(offer: Offer, address: str) -> Any:
    module, _, attribute = address.partition(":")
    component = offer.component
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        own = module.partition(".")[0]
        missing = error.name or ""
        if isinstance(error, ModuleNotFoundError) and missing.partition(".")[0] != own:
            if component.extra:
                raise MissingExtraError(
                    f"{component.name} needs {missing!r}, which is not installed: "
                    f"pip install 'callsmith[{component.extra}]'"
                ) from error
            if component.requirement:
                raise MissingExtraError(
                    f"{component.name} needs {missing!r}, which is not installed: "
                    f"pip install '{component.requirement}'"
                ) from error
        raise BrokenPluginError(f"{offer.full_name} cannot be imported: {error}") from error
    except Exception as error:  # a stranger's module may raise anything
        cause = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise BrokenPluginError(f"{offer.full_name} cannot be imported: {cause}") from error
    for part in attribute.split("."):
        found = getattr(found, part, None)
        if found is None:
            raise BrokenPluginError(f"{offer.full_name}: {module} has no {attribute!r}")
    return found


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or "" when nothing is near."""
    near = difflib.get_close_matches(name, list(dict.fromkeys(names)), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def first_problem(error: pydantic.ValidationError, model: type[pydantic.BaseModel]) -> ConfigError:
    """The first problem of a validation as one line, with its place and the nearest right name."""
    problems = error.errors()
    # Of a union's many complaints the deepest is about what the user wrote.
    problem = max(problems, key=lambda item: len(item["loc"]) if item["type"] != "missing" else 0)
    place = [part for part in problem["loc"] if not _is_union_tag(part)]
    path = ""
    for part in place:
        path += f"[{part}]" if isinstance(part, int) else (f".{part}" if path else str(part))
    if problem["type"] == "extra_forbidden":
        fields = _fields_at(model, place[:-1])
        known = f"; there are: {', '.join(fields)}" if fields else ""
        hint = did_you_mean(str(place[-1]), fields) or known
        parent = path.rpartition(".")[0]
        return ConfigError(f"unknown option {str(place[-1])!r}{hint}", path=parent)
    if problem["type"] == "missing":
        return ConfigError("is required", path=path)
    text = problem["msg"][0].lower() + problem["msg"][1:]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return ConfigError(f"{text}, got {problem['input']!r:.80}{more}", path=path)


def _is_union_tag(part: str | int) -> bool:
    # pydantic puts the name of the union's member into the location; it is no part of the file.
    return isinstance(part, str) and (part in ("str", "int", "float") or part[:1].isupper())


def _fields_at(model: type[pydantic.BaseModel], place: list[str | int]) -> list[str]:
    for part in place:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        if field is None:
            continue  # a key of a mapping: the fields are those of its values
        nested = _models_in(field.annotation)
        if not nested:
            return []
        model = nested[0]
    return list(model.model_fields)


def _models_in(annotation: Any) -> list[type[pydantic.BaseModel]]:
    import pydantic

    if inspect.isclass(annotation) and issubclass(annotation, pydantic.BaseModel):
        return [annotation]
    found: list[type[pydantic.BaseModel]] = []
    for argument in getattr(annotation, "__args__", ()):
        found += _models_in(argument)
    return found
