"""Run files: the kernel's frames, where components are referred to by name.

References to other components stand here only; a component owns its own `options`. Everything is
validated by pydantic, because this is where strangers' data comes in.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import pydantic
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, PositiveInt

from callsmith.catalog import did_you_mean, first_problem
from callsmith.errors import ConfigError
from callsmith.types import Sampling


class Frame(BaseModel):
    """Base of all frames: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Reference(Frame):
    """A component by name (`use`) with its own options. A bare string is a name without options."""

    use: str = Field(min_length=1, description="name, or plugin/name")
    options: dict[str, Any] = Field(default_factory=dict, description="the component's own")


def as_reference(value: object) -> object:
    """A bare name as a reference without options; anything else as it is."""
    return {"use": value} if isinstance(value, str) else value


Ref = Annotated[Reference, BeforeValidator(as_reference)]


class SamplingFrame(Frame):
    """How tokens are drawn; what is not said keeps the default (or the run's value, in an arm)."""

    temperature: float | None = Field(default=None, ge=0, description="0 is greedy")
    top_p: float | None = Field(default=None, gt=0, le=1, description="1 is off")
    top_k: int | None = Field(default=None, ge=0, description="0 is off")
    max_tokens: PositiveInt | None = Field(default=None, description="bound of one completion")
    seed: int | None = Field(
        default=None, description="every task and sample draws with a seed of its own, made from it"
    )
    stop: tuple[str, ...] | None = Field(default=None, description="texts that end a completion")
    thinking: bool | None = Field(default=None, description="whether models are asked to think")

    def over(self, base: Sampling) -> Sampling:
        """`base` with what is said here put over it."""
        given = {name: value for name, value in self if value is not None}
        return Sampling(**{**_sampling_dict(base), **given})


def _sampling_dict(sampling: Sampling) -> dict[str, Any]:
    return {name: getattr(sampling, name) for name in sampling.__slots__}


class TemplateReference(Reference):
    """A template, and the one whose parser reads replies, if that is another one."""

    parser: Ref | None = Field(
        default=None, description="another template of the same format, whose parser is used"
    )


TemplateRef = Annotated[TemplateReference, BeforeValidator(as_reference)]


class ArmFrame(Reference):
    """One arm of a bake-off."""

    template: TemplateRef | None = Field(
        default=None, description="for text engines; chosen by the arm's `model` when left out"
    )
    concurrency: PositiveInt = Field(default=1, description="episodes of this arm at a time")
    timeout: PositiveFloat = Field(default=300.0, description="seconds for one request")
    sampling: SamplingFrame = Field(
        default=SamplingFrame(), description="what this arm draws differently from the run"
    )


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Bakeoff(Frame):
    """Arms × tasks × samples, judged by verifiers or an eval."""

    sampling: SamplingFrame = Field(
        default=SamplingFrame(), description="how tokens are drawn, in all arms"
    )
    samples: PositiveInt = Field(default=1, description="episodes per arm and task")
    steps: PositiveInt = Field(default=8, description="requests per episode, at most")
    tool_timeout: PositiveFloat = Field(default=60.0, description="seconds for one tool call")
    tasks: Ref | None = Field(default=None, description="a task set (or give `eval`)")
    eval: Ref | None = Field(default=None, description="a benchmark with its own verifiers")
    limit: PositiveInt | None = Field(default=None, description="only the first so many tasks")
    toolbox: Ref | None = Field(default=None, description="instead of the tasks' own toolbox")
    arms: Mapping[Name, Annotated[ArmFrame, BeforeValidator(as_reference)]] = Field(
        min_length=1, description="what is compared"
    )
    verifiers: tuple[Ref, ...] = Field(default=(), description="judges of every episode")
    together: bool = Field(
        default=True,
        description="false: one arm after the other, each closed before the next is loaded, for "
        "models that do not fit into memory together",
    )
    record: Literal["full", "replies"] = Field(
        default="full", description="`full` keeps prompts too, so that the run can be replayed"
    )

    @pydantic.model_validator(mode="after")
    def _one_source_of_tasks(self) -> Self:
        if (self.tasks is None) == (self.eval is None):
            raise ValueError("a bakeoff needs either `tasks` or `eval`")
        return self


class BakeoffFile(Bakeoff):
    """A run file of kind `bakeoff`: arms × tasks × samples, judged by verifiers or an eval."""

    kind: Literal["bakeoff"] = Field(description="what the file is")
    name: Name = Field(description="also the beginning of the run folder's name")


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping, which YAML would silently overwrite."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(str(getattr(key, "value", key)))
        return super().construct_mapping(node, deep=deep)


F = TypeVar("F", bound=Frame)


def read_run_file(path: Path) -> BakeoffFile:
    """Reads and validates a run file of kind `bakeoff`. Raises `ConfigError` with one line."""
    return parse_run_file(read_text(path), str(path))


def parse_run_file(text: str, source: str = "run file") -> BakeoffFile:
    """Validates the text of a run file; `source` names it in errors."""
    return parse_frame(text, source, {"bakeoff": BakeoffFile})


def read_text(path: Path) -> str:
    """The text of a file. Raises `ConfigError` with one clear line."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", path=str(path)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not UTF-8 (byte {error.start})", path=str(path)) from None


def parse_frame(text: str, source: str, kinds: Mapping[str, type[F]]) -> F:
    """The frame of the kind that the text itself names, one of `kinds`."""
    try:
        data = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or "is not YAML"
        raise ConfigError(f"{place}{problem}", path=source) from None
    if not isinstance(data, dict):
        raise ConfigError(f"a run file is a mapping, got {type(data).__name__}", path=source)
    kind = str(data.get("kind"))
    if kind not in kinds:
        hint = did_you_mean(kind, kinds) or f"; there are: {', '.join(kinds)}"
        raise ConfigError(f"unknown kind of run file {kind!r}{hint}", path=f"{source}: kind")
    frame = kinds[kind]
    try:
        return frame.model_validate(data)
    except pydantic.ValidationError as error:
        found = first_problem(error, frame)
        place = f"{source}: {found.path}" if found.path else source
        raise ConfigError(found.message, path=place) from None
