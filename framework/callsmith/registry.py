"""Finding plugins: entry points in the group `callsmith`, the built-in ones included.

One broken plugin is a `Plugin` with a cause and stops nobody. There is no module-level plugin
manager: `discover` is called by `callsmith.load`.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

import pluggy

from callsmith import hookspecs
from callsmith.component import Component, Kind
from callsmith.errors import ConfigError

GROUP = "callsmith"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One entry point. `cause` says why it is broken ("" when it is not)."""

    name: str
    module: str
    distribution: str = ""
    version: str = ""
    cause: str = ""
    disabled: bool = False
    components: tuple[tuple[Kind, Component], ...] = ()


def discover(
    points: Iterable[EntryPoint] | None = None, environment: Mapping[str, str] | None = None
) -> tuple[Plugin, ...]:
    """All plugins, sorted by name.

    `CALLSMITH_PLUGINS` (comma-separated names) allows only those; `CALLSMITH_DISABLE` leaves some
    out. `points` and `environment` default to what is installed and to the process's own.
    """
    environment = os.environ if environment is None else environment
    allowed = _names(environment.get("CALLSMITH_PLUGINS", ""))
    denied = _names(environment.get("CALLSMITH_DISABLE", ""))
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    plugins: list[Plugin] = []
    taken: dict[str, str] = {}
    found = list(entry_points(group=GROUP) if points is None else points)
    for point in sorted(found, key=lambda p: (p.name, p.value)):
        distribution = point.dist.name if point.dist else ""
        version = point.dist.version if point.dist else ""
        if taken.get(point.name) == f"{distribution}:{point.value}":
            continue  # one distribution seen twice on the path (editable and installed)
        components: tuple[tuple[Kind, Component], ...] = ()
        cause = ""
        disabled = point.name in denied or (bool(allowed) and point.name not in allowed)
        if point.name in taken:
            cause = f"the plugin name {point.name!r} is already taken by {taken[point.name]}"
        elif not disabled:
            try:
                components = _components(manager, point)
            except Exception as error:  # a stranger's module may raise anything
                cause = str(error) if isinstance(error, ConfigError) else _describe(error)
        taken.setdefault(point.name, f"{distribution}:{point.value}")
        plugins.append(
            Plugin(
                name=point.name,
                module=point.value,
                distribution=distribution,
                version=version,
                cause=cause,
                disabled=disabled,
                components=components,
            )
        )
    return tuple(plugins)


def _names(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def _describe(error: BaseException) -> str:
    text = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {text}"


def _components(
    manager: pluggy.PluginManager, point: EntryPoint
) -> tuple[tuple[Kind, Component], ...]:
    module = point.load()
    for name in dir(module):
        options = manager.parse_hookimpl_opts(module, name)
        if options is not None and name not in hookspecs.HOOKS and not options.get("optionalhook"):
            raise ConfigError(
                f"it implements the hook {name!r}, which this version does not know: "
                "it needs a newer callsmith"
            )
    manager.register(module, name=point.name)
    found: list[tuple[Kind, Component]] = []
    for hook, kind in hookspecs.HOOKS.items():
        implementation = getattr(module, hook, None)
        if implementation is None:
            continue
        if manager.parse_hookimpl_opts(module, hook) is None:
            raise ConfigError(f"{hook} is not marked with @callsmith.hookimpl")
        if inspect.iscoroutinefunction(implementation):
            raise ConfigError(f"{hook} must be a plain function, not async")
        for component in implementation():
            if not isinstance(component, Component):
                raise ConfigError(f"{hook} must return Components, got {component!r:.80}")
            _check(kind, component)
            if any(k == kind and c.name == component.name for k, c in found):
                raise ConfigError(f"{hook} offers the name {component.name!r} twice")
            found.append((kind, component))
    return tuple(found)


def _check(kind: Kind, component: Component) -> None:
    if not component.name or "/" in component.name or component.name != component.name.strip():
        raise ConfigError(f"{component.name!r} is no name for a component")
    for address in (component.target, component.config):
        module, _, attribute = address.partition(":")
        if address and not (module and attribute):
            raise ConfigError(f"{component.name}: {address!r} is not of the form module:attribute")
    if not component.target:
        raise ConfigError(f"{component.name}: a component needs a target")
    if kind == "arm" and not component.provides:
        raise ConfigError(f"{component.name}: an arm must say provides='text' or provides='chat'")
