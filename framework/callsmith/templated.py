"""`Templated`: a text engine and a template make a chat arm.

"The same engine through the server's renderer and parser, and through ours" is this composition
against the server's own chat endpoint.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from callsmith.protocols import Decoder, Renderer, Template, TextArm
from callsmith.types import (
    Completion,
    Event,
    Fidelity,
    Message,
    Prompt,
    Reply,
    Sampling,
    ToolSpec,
)

__all__ = ["Paired", "Templated"]


class Paired:
    """A `Template` whose prompts one component renders, and whose replies another one reads."""

    def __init__(self, renderer: Renderer, parser: Template) -> None:
        self.renderer = renderer
        self.parser = parser
        self.render = renderer.render
        self.decoder = parser.decoder
        self.parse = parser.parse

    @property
    def stop(self) -> tuple[str, ...]:
        """What ends a completion for either."""
        return tuple(dict.fromkeys(self.renderer.stop + self.parser.stop))

    @property
    def digest(self) -> str:
        """Both names, as `renderer+parser`, and a hash of both digests."""
        names = [part.digest.partition(":")[0] for part in (self.renderer, self.parser)]
        both = f"{self.renderer.digest} {self.parser.digest}"
        return f"{'+'.join(names)}:{hashlib.sha256(both.encode()).hexdigest()[:16]}"


class Templated:
    """A `ChatArm` whose prompts are rendered, and whose completions are parsed, by `template`."""

    def __init__(self, engine: TextArm, template: Template) -> None:
        self.engine = engine
        self.template = template

    def _prepare(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> tuple[Prompt, Sampling]:
        prompt = self.template.render(messages, tools, thinking=sampling.thinking)
        stop = tuple(dict.fromkeys(sampling.stop + self.template.stop))
        return prompt, replace(sampling, stop=stop)

    async def generate(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> Reply:
        """Renders, completes, parses."""
        prompt, sampling = self._prepare(messages, tools, sampling)
        completion = await self.engine.complete(prompt, sampling)
        reply = self.template.parse(completion.text, tools, after=prompt)
        return _with_origin(reply, completion, prompt)

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> AsyncIterator[Event | Reply]:
        """The engine's pieces through the template's incremental decoder."""
        prompt, sampling = self._prepare(messages, tools, sampling)
        decoder: Decoder = self.template.decoder(tools, after=prompt)
        completion = Completion(text="")
        async for piece in self.engine.stream(prompt, sampling):
            if isinstance(piece, Completion):
                completion = piece
            else:
                for event in decoder.feed(piece):
                    yield event
        reply = decoder.close()
        yield _with_origin(reply, completion, prompt)

    async def probe(self) -> Fidelity:
        """The engine's fidelity, with this template as renderer and parser."""
        fidelity = await self.engine.probe()
        digest = self.template.digest
        names = digest.partition(":")[0].split("+")
        return replace(
            fidelity,
            renderer=f"callsmith {names[0]}",
            parser=f"callsmith {names[-1]}",
            template_digest=digest,
            history="prompt",
            sampling={**fidelity.sampling, "thinking": "applied"},
        )

    async def aclose(self) -> None:
        """Closes the engine."""
        await self.engine.aclose()


def _with_origin(reply: Reply, completion: Completion, prompt: Prompt) -> Reply:
    # What the prompt changed is said with the reply too: a run may keep no prompts.
    return replace(reply, completion=completion, prompt=prompt, notes=reply.notes + prompt.changes)
