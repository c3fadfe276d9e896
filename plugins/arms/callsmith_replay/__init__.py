"""Recorded completions and replies as arms: a whole bake-off again, without any server."""

from __future__ import annotations

from collections.abc import Iterable

import callsmith


@callsmith.hookimpl
def callsmith_arms() -> Iterable[callsmith.Component]:
    """`replay` (a text engine) and `replay-chat`."""
    return [
        callsmith.Component(
            name="replay",
            target="callsmith_replay.text_arm:ReplayTextArm",
            config="callsmith_replay.config:ReplayConfig",
            provides="text",
            summary="recorded completions of a run, found by the exact prompt",
        ),
        callsmith.Component(
            name="replay-chat",
            target="callsmith_replay.chat_arm:ReplayChatArm",
            config="callsmith_replay.config:ReplayConfig",
            provides="chat",
            summary="recorded replies of a run, found by the exact conversation",
        ),
    ]
