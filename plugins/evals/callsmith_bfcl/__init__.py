"""The Berkeley Function Calling Leaderboard (BFCL V4) as an eval, without running model text."""

from __future__ import annotations

from collections.abc import Iterable

import callsmith


@callsmith.hookimpl
def callsmith_evals() -> Iterable[callsmith.Component]:
    """The benchmark."""
    return [
        callsmith.Component(
            name="bfcl",
            target="callsmith_bfcl.evaluation:BfclEval",
            config="callsmith_bfcl.config:BfclConfig",
            summary="BFCL V4 with the official verdicts; `callsmith bfcl fetch` gets its data",
        )
    ]


@callsmith.hookimpl
def callsmith_toolboxes() -> Iterable[callsmith.Component]:
    """The simulated APIs."""
    return [
        callsmith.Component(
            name="bfcl",
            target="callsmith_bfcl.toolbox:BfclToolbox",
            config="callsmith_bfcl.config:ToolboxConfig",
            summary="the simulated APIs of BFCL's multi-turn entries",
        )
    ]


@callsmith.hookimpl
def callsmith_commands() -> Iterable[callsmith.Component]:
    """`callsmith bfcl`."""
    return [
        callsmith.Component(
            name="bfcl",
            target="callsmith_bfcl.commands:bfcl",
            summary="BFCL V4: get its data, score, compare, explain.",
        )
    ]
