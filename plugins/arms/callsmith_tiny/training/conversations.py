"""Options of the task set `generated-conversations`. Imports nothing heavy."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

MixName = Literal[
    "first", "quick", "easy", "middle", "full", "natural", "plain", "hard", "everyday", "documented"
]
"""The mixes of `mixes.py` by name; a test holds the two lists together."""

Kind = Literal["single", "several", "none", "follow_up", "chain", "later_turn"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Part(BaseModel):
    """Conversations of one sort."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mix: MixName = Field(
        default="full",
        description="How requests are phrased and how large the tools are: `quick` (one or two "
        "short tools, every value after its name) … `plain` (every value named), `full` (all "
        "phrasings), `natural` (more values without their names, everyday turns), `documented` "
        "(tools as libraries document them: optional parameters, lists, units, few values bare).",
    )
    kinds: tuple[Kind, ...] = Field(
        default=(),
        description="Kinds of conversations, weighted as in the mix; empty: all of the mix. One "
        "call (`single`), two or three in one request (`several`), no call due (`none`), the "
        "answer after results (`follow_up`), a call that needs an earlier result (`chain`), a "
        "request after an earlier exchange (`later_turn`).",
    )
    arguments: tuple[int, ...] = Field(
        default=(),
        description="Numbers of arguments of a call, equally often; empty: as in the mix. Kinds "
        "other than `single` and `later_turn` have their own.",
    )
    tools: tuple[int, ...] = Field(
        default=(),
        description="Numbers of declared tools, equally often; empty: as in the mix.",
    )
    count: int = Field(default=200, ge=1, le=1_000_000, description="How many conversations.")

    @model_validator(mode="after")
    def _sane(self) -> Part:
        if any(not 0 <= number <= 6 for number in self.arguments):
            raise ValueError(f"`arguments` are numbers from 0 to 6, got {list(self.arguments)}")
        if any(not 1 <= number <= 12 for number in self.tools):
            raise ValueError(f"`tools` are numbers from 1 to 12, got {list(self.tools)}")
        if set(self.tools) == {1} and "chain" in self.kinds:
            raise ValueError("a `chain` needs two tools: add 2 to `tools`, or leave out `chain`")
        return self


class ConversationsConfig(Part):
    """Which of the generator's conversations, and how many."""

    split: Literal["train", "heldout"] = Field(
        default="train",
        description="Which words names and values are made of; no word is in both, so that "
        "`heldout` measures what was learnt, not what was remembered.",
    )
    seed: int = Field(default=1, ge=0, description="Another seed gives other conversations.")
    start: int = Field(
        default=0,
        ge=0,
        description="Index of the first conversation: 200 with `start: 200` follow on 200 with "
        "`start: 0`.",
    )
    parts: tuple[Part, ...] = Field(
        default=(),
        description="Several sorts after one another, each with its own mix, kinds, arguments, "
        "tools and count; in place of those options here.",
    )

    @model_validator(mode="after")
    def _one_place(self) -> ConversationsConfig:
        # By value: a run folder records all options, those that were left out as well.
        double = [
            name
            for name, field in Part.model_fields.items()
            if getattr(self, name) != field.get_default(call_default_factory=True)
        ]
        if self.parts and double:
            raise ValueError(f"`{double[0]}` stands beside `parts`; move it into the parts")
        return self

    @property
    def all_parts(self) -> tuple[Part, ...]:
        """The parts, or these options as the only one."""
        if self.parts:
            return self.parts
        return (Part(**{name: getattr(self, name) for name in Part.model_fields}),)
