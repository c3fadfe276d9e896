"""`EpisodeApis`: the simulated APIs of one entry for a model that is talking to them now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from callsmith import JsonValue
from callsmith_bfcl.multi_turn.apis import Apis, InitialStates, MultiTurnEntry, Side
from callsmith_bfcl.multi_turn.loader import ApiSources, SourceReader


class LiveApis:
    """Opens sessions on the simulated APIs of one wheel."""

    def __init__(self, wheel: SourceReader) -> None:
        self._sources = ApiSources(wheel)

    def session(self, entry: MultiTurnEntry, *, model_name: str = "model") -> EpisodeApis:
        """Fresh state for one episode of `entry`."""
        return EpisodeApis(self._sources, entry, model_name=model_name)


class EpisodeApis:
    """The tools of one episode: a call by name gives the text that the official generation gives.

    Each session has modules of its own, so that episodes that run side by side share nothing.
    """

    def __init__(
        self, sources: ApiSources, entry: MultiTurnEntry, *, model_name: str = "model"
    ) -> None:
        initial = InitialStates(Apis(sources.load()), entry)
        self._side = Side(initial, model_name)
        self._initial = initial

    def methods(self) -> dict[str, str]:
        """The class of every function that can be called."""
        apis = self._initial.apis
        return {name: owner for owner in self._initial.classes for name in apis.methods(owner)}

    def execute(self, calls: Sequence[str]) -> list[str]:
        """Carries out the calls of one step, given as texts; one result text each, never raises."""
        return [self._side.execute(call) for call in calls]

    async def call(self, name: str, arguments: Mapping[str, JsonValue]) -> JsonValue:
        """One call by name, as a `ToolSession` makes it. Never raises: errors are result texts.

        It goes through the call's text, as officially, where names and arguments become
        `name(key=repr(value),…)`; NaN, for one, is no Python literal and gives an error there too.
        """
        return self._side.execute(call_text(name, arguments))


def call_text(name: str, arguments: Mapping[str, JsonValue]) -> str:
    """A call as the official FC handlers write it for execution."""
    return f"{name}({','.join(f'{key}={value!r}' for key, value in arguments.items())})"
