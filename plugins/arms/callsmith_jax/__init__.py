"""Google DeepMind's gemma library on JAX, the reference, in a worker process of its own.

`jax-sampler` is a text engine; `jax-toolsampler` is the library's own tool loop. `callsmith jax`
makes and checks the worker's environment.
"""

from __future__ import annotations

from collections.abc import Iterable

import callsmith


@callsmith.hookimpl
def callsmith_arms() -> Iterable[callsmith.Component]:
    """The two arms."""
    return [
        callsmith.Component(
            name="jax-sampler",
            target="callsmith_jax.sampler_arm:JaxSamplerArm",
            config="callsmith_jax.config:SamplerConfig",
            provides="text",
            summary="The gemma library's stateless sampler on JAX, used with a template of ours",
        ),
        callsmith.Component(
            name="jax-toolsampler",
            target="callsmith_jax.toolsampler_arm:JaxToolSamplerArm",
            config="callsmith_jax.config:ToolSamplerConfig",
            provides="chat",
            summary="The gemma library's own tool loop on JAX: it renders, parses, keeps its state",
        ),
    ]


@callsmith.hookimpl
def callsmith_commands() -> Iterable[callsmith.Component]:
    """`callsmith jax`."""
    return [
        callsmith.Component(
            name="jax",
            target="callsmith_jax.commands:jax",
            summary="Make and check the environment of the JAX arms.",
        )
    ]
