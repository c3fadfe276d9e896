"""From a run file to components: every reference resolved first, everything built afterwards.

`plan_bakeoff` needs no GPU, no server and no extra: it validates names, options and combinations.
`Plan.build_*` import the targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from callsmith.catalog import Catalog, Resolved
from callsmith.component import Kind
from callsmith.config import ArmFrame, BakeoffFile, Reference, TemplateReference
from callsmith.errors import BrokenPluginError, ConfigError
from callsmith.protocols import (
    ChatArm,
    Eval,
    Renderer,
    TaskSet,
    Template,
    TextArm,
    Toolbox,
    Verifier,
)
from callsmith.templated import Paired, Templated
from callsmith.types import Sampling, Task

NO_TEMPLATE: dict[str, Any] = {"template": None, "template_options": {}}


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplatePlan:
    """A template, resolved, with the one whose parser is used if that is another one."""

    template: Resolved
    parser: Resolved | None = None

    def describe(self) -> dict[str, Any]:
        """The template's part of the resolved configuration, as JSON."""
        out: dict[str, Any] = {}
        for name, part in (("template", self.template), ("parser", self.parser)):
            if part is not None:
                out |= {name: part.offer.full_name, f"{name}_options": part.options()}
        return out

    def reference(self) -> dict[str, Any]:
        """The same as a run file refers to it, with all options: `use`, `options`, `parser`."""

        def named(part: Resolved) -> dict[str, Any]:
            return {"use": part.offer.full_name, "options": part.options()}

        return named(self.template) | ({"parser": named(self.parser)} if self.parser else {})

    @property
    def names(self) -> str:
        """The template's name, and the parser's if it is another one's."""
        parser = f", read by {self.parser.offer.full_name}" if self.parser else ""
        return self.template.offer.full_name + parser

    def build(self, catalog: Catalog) -> Template:
        """The template."""
        built = catalog.construct(self.template)
        if self.parser is None:
            template: Template = checked(built, Template, self.template)
            return template
        parser = checked(catalog.construct(self.parser), Template, self.parser)
        return Paired(checked(built, Renderer, self.template), parser)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmPlan:
    """One arm, resolved: an engine, its template if it is a text engine, and how it is run."""

    name: str
    engine: Resolved
    template: TemplatePlan | None
    sampling: Sampling
    concurrency: int
    timeout: float

    def describe(self) -> dict[str, Any]:
        """The arm's part of the resolved configuration, as JSON."""
        return {
            "use": self.engine.offer.full_name,
            "options": self.engine.options(),
            **(self.template.describe() if self.template else NO_TEMPLATE),
            "sampling": {name: getattr(self.sampling, name) for name in self.sampling.__slots__},
            "concurrency": self.concurrency,
            "timeout": self.timeout,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A bake-off, resolved."""

    catalog: Catalog
    frame: BakeoffFile
    arms: tuple[ArmPlan, ...]
    source: Resolved
    verifiers: tuple[tuple[str, Resolved], ...]
    toolbox: Resolved | None

    def describe(self) -> dict[str, Any]:
        """The resolved configuration as JSON: what decides the results, defaults included."""
        return {
            "kind": "bakeoff",
            "name": self.frame.name,
            "samples": self.frame.samples,
            "steps": self.frame.steps,
            "tool_timeout": self.frame.tool_timeout,
            "limit": self.frame.limit,
            "record": self.frame.record,
            "tasks": {"use": self.source.offer.full_name, "options": self.source.options()},
            "toolbox": self.toolbox
            and {"use": self.toolbox.offer.full_name, "options": self.toolbox.options()},
            "arms": {arm.name: arm.describe() for arm in self.arms},
            "verifiers": {
                name: {"use": item.offer.full_name, "options": item.options()}
                for name, item in self.verifiers
            },
        }

    def build_arm(self, arm: ArmPlan) -> ChatArm:
        """The arm, with its template around it if it is a text engine."""
        engine = self.catalog.construct(arm.engine)
        if arm.template is None:
            chat: ChatArm = checked(engine, ChatArm, arm.engine)
            return chat
        return Templated(checked(engine, TextArm, arm.engine), arm.template.build(self.catalog))

    def build_tasks(self) -> tuple[tuple[Task, ...], dict[str, Verifier]]:
        """The tasks (ids unique, `limit` applied) and all verifiers by name."""
        verifiers: dict[str, Verifier] = {}
        built = self.catalog.construct(self.source)
        if self.source.offer.kind == "eval":
            benchmark = checked(built, Eval, self.source)
            verifiers.update(benchmark.verifiers())
            tasks = tuple(benchmark.tasks())
        else:
            tasks = tuple(checked(built, TaskSet, self.source).tasks())
        for name, resolved in self.verifiers:
            verifiers[name] = checked(self.catalog.construct(resolved), Verifier, resolved)
        seen: set[str] = set()
        for task in tasks:
            if task.id in seen:
                raise ConfigError(f"{self.source.offer.full_name} has the task {task.id!r} twice")
            seen.add(task.id)
        if not tasks:
            raise ConfigError(f"{self.source.offer.full_name} has no tasks", path="tasks")
        return tasks[: self.frame.limit], verifiers

    def build_toolboxes(self, tasks: Sequence[Task]) -> dict[str, Toolbox]:
        """Every toolbox that the tasks name; with `toolbox` in the run file, that one for all."""
        if self.toolbox is not None:
            box = checked(self.catalog.construct(self.toolbox), Toolbox, self.toolbox)
            return {task.toolbox or "": box for task in tasks}
        boxes: dict[str, Toolbox] = {}
        for task in tasks:
            if task.toolbox and task.toolbox not in boxes:
                try:
                    resolved = self.catalog.resolve("toolbox", task.toolbox)
                except ConfigError as error:
                    raise error.at(f"task {task.id!r}") from None
                boxes[task.toolbox] = checked(self.catalog.construct(resolved), Toolbox, resolved)
        return boxes


def checked(built: Any, protocol: type, resolved: Resolved) -> Any:
    """`built`, if it has the methods of `protocol`. Raises `BrokenPluginError`."""
    if not isinstance(built, protocol):
        methods = [n for n in dir(protocol) if not n.startswith("_") and not hasattr(built, n)]
        raise BrokenPluginError(
            f"{resolved.offer.full_name} is no {protocol.__name__}: it lacks {', '.join(methods)}"
        )
    return built


def plan_bakeoff(frame: BakeoffFile, catalog: Catalog) -> Plan:
    """Resolves every reference of a run file. Raises `ConfigError` with the path in the file."""
    sampling = frame.sampling.over(Sampling())
    arms = tuple(
        _plan_arm(name, arm, sampling, catalog, f"arms.{name}") for name, arm in frame.arms.items()
    )
    kind: Kind = "eval" if frame.eval else "taskset"
    reference = frame.eval or frame.tasks
    assert reference is not None  # the frame's validator saw to it
    return Plan(
        catalog=catalog,
        frame=frame,
        arms=arms,
        source=resolve_reference(catalog, kind, reference, "eval" if frame.eval else "tasks"),
        verifiers=plan_verifiers(frame.verifiers, catalog),
        toolbox=resolve_reference(catalog, "toolbox", frame.toolbox, "toolbox")
        if frame.toolbox
        else None,
    )


def plan_verifiers(
    references: Sequence[Reference], catalog: Catalog
) -> tuple[tuple[str, Resolved], ...]:
    """The verifiers by name; one that is used again is `name#2`."""
    verifiers: list[tuple[str, Resolved]] = []
    for index, item in enumerate(references):
        resolved = resolve_reference(catalog, "verifier", item, f"verifiers[{index}]")
        name = resolved.offer.component.name
        count = sum(1 for other, _ in verifiers if other.partition("#")[0] == name)
        verifiers.append((f"{name}#{count + 1}" if count else name, resolved))
    return tuple(verifiers)


def resolve_reference(catalog: Catalog, kind: Kind, reference: Reference, path: str) -> Resolved:
    """The component that `reference` names; `path` is its place in the run file."""
    try:
        return catalog.resolve(kind, reference.use, reference.options)
    except ConfigError as error:
        raise error.at(path) from None


def _plan_arm(name: str, arm: ArmFrame, sampling: Sampling, catalog: Catalog, path: str) -> ArmPlan:
    engine = resolve_reference(catalog, "arm", arm, path)
    template: TemplatePlan | None = None
    if engine.offer.component.provides == "text":
        template = plan_template(catalog, engine, arm.template, path)
    elif arm.template is not None:
        raise ConfigError(
            f"{arm.use} renders and parses by itself; remove the template", path=f"{path}.template"
        )
    return ArmPlan(
        name=name,
        engine=engine,
        template=template,
        sampling=arm.sampling.over(sampling),
        concurrency=arm.concurrency,
        timeout=arm.timeout,
    )


def plan_template(
    catalog: Catalog, engine: Resolved | None, reference: TemplateReference | None, path: str
) -> TemplatePlan:
    """The template for a text engine: the one named, or the one meant for the engine's `model`.

    A template whose config has a field `model` is told the engine's `model`, unless its options
    say one. Without an engine (in training) the template must be named.
    """
    model = engine.options().get("model") if engine else None
    if reference is None:
        if not isinstance(model, str):
            name = f"{engine.offer.component.name} is a text engine: " if engine else ""
            raise ConfigError(f"{name}name a template", path=path)
        try:
            reference = TemplateReference(use=catalog.template_for(model))
        except ConfigError as error:
            raise error.at(f"{path}.template") from None
    resolved = resolve_reference(catalog, "template", reference, f"{path}.template")
    config = resolved.config
    if (
        isinstance(model, str)
        and config is not None
        and "model" in type(config).model_fields
        and getattr(config, "model", None) is None
    ):
        options = {**reference.options, "model": model}
        resolved = replace(resolved, config=type(config).model_validate(options))
    parser: Resolved | None = None
    if reference.parser is not None:
        parser = resolve_reference(catalog, "template", reference.parser, f"{path}.template.parser")
    reader = parser or resolved
    if reader.offer.component.provides == "render":
        raise ConfigError(
            f"{reader.offer.component.name} renders and has no parser: name one beside it, such as "
            "parser: qwen3",
            path=f"{path}.template",
        )
    return TemplatePlan(template=resolved, parser=parser)
