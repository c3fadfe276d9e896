"""A prompt cut so that content cannot be tokenised as control tokens: pure.

Servers tokenise text with their control tokens recognised wherever they stand (vLLM always;
llama.cpp for tokens of some types even when asked not to), so content that holds such a token
would become a real one. A prompt is therefore cut inside every control token that has a character
of content, and the pieces are tokenised one by one. A prompt without such a token, which is nearly
every prompt, stays in one piece and gets exactly the ids that its text would get.
"""

from __future__ import annotations

from itertools import accumulate, pairwise

from callsmith import ControlTextError, ControlTokens, Prompt


def token_pieces(prompt: Prompt, tokens: ControlTokens) -> tuple[str, ...]:
    """The pieces, whose concatenation is the prompt's text.

    Raises `ControlTextError` for a control token in content that is a single character: no cut
    keeps it from being one.
    """
    text = prompt.text
    ends = list(accumulate(len(segment.text) for segment in prompt.segments))
    content = [
        (end - len(segment.text), end)
        for segment, end in zip(prompt.segments, ends, strict=True)
        if segment.origin == "content" and segment.text
    ]
    cuts: list[int] = []
    at = 0  # the first range of content that may touch the tokens that are still to come
    for start, end in tokens.find(text):
        while at < len(content) and content[at][1] <= start:
            at += 1
        if at == len(content):
            break
        if content[at][0] >= end:
            continue
        if end - start == 1:
            raise ControlTextError(
                f"content holds the control text {text[start:end]!r}, a single character that no "
                "cut can separate; remove it"
            )
        cuts.append(start + 1)
    borders = [0, *sorted(set(cuts)), len(text)]
    return tuple(text[a:b] for a, b in pairwise(borders) if a < b)
