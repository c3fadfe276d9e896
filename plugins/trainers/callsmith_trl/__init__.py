"""Training with TRL: `sft`, `dpo`, `grpo`, and the commands that stand around them."""

from __future__ import annotations

from callsmith import Component, hookimpl


def _trainer(name: str, target: str, config: str, summary: str) -> Component:
    return Component(
        name=name,
        target=f"callsmith_trl.{target}",
        config=f"callsmith_trl.{config}",
        extra="train",
        requirement="trl",
        summary=summary,
    )


@hookimpl
def callsmith_trainers() -> list[Component]:
    """The three stages, in the order in which they are run."""
    return [
        _trainer(
            "sft",
            "sft:SftTrainer",
            "config:SftConfig",
            "gold calls, QLoRA or all weights, loss on the completion only",
        ),
        _trainer(
            "dpo",
            "dpo:DpoTrainer",
            "dpo_config:DpoConfig",
            "pairs of a right and a plausibly wrong completion",
        ),
        _trainer(
            "grpo",
            "grpo:GrpoTrainer",
            "grpo_config:GrpoConfig",
            "the model's own completions, rewarded by verifiers",
        ),
    ]


@hookimpl
def callsmith_commands() -> list[Component]:
    """What is done with checkpoints before and after training."""
    return [
        Component(
            name="parity",
            target="callsmith_trl.commands:parity",
            summary="Is the model that is served the one that was trained?",
        ),
        Component(
            name="merge",
            target="callsmith_trl.commands:merge",
            summary="Writes an adapter into its base's weights; refuses where that loses.",
        ),
        Component(
            name="preflight",
            target="callsmith_trl.preflight_command:preflight",
            summary="What training would stumble over, before any step of it.",
        ),
    ]
