"""Values of arguments, and words for sentences, from one side of the word split."""

from __future__ import annotations

import random
from typing import Any

from .vocabulary import Pools


class Values:
    """Draws values and fills sentences."""

    def __init__(self, pools: Pools) -> None:
        self.pools = pools

    def value(self, rng: random.Random, schema: dict[str, Any], simple: float) -> Any:
        """A value of a parameter; `simple` is the share of strings that are one word."""
        if "enum" in schema:
            return rng.choice(schema["enum"])
        if schema["type"] == "string":
            if rng.random() < simple:
                return self.pools.word(rng, 0.5)
            return self.string(rng)
        if schema["type"] == "boolean":
            return rng.random() < 0.5
        value = self.pools.integer(rng)
        if schema["type"] == "integer":
            return -value if rng.random() < 0.04 else value
        if rng.random() < 0.25:
            return value
        return (
            value % 1000 + rng.choice((0.5, 0.25, 0.1, 0.75))
            if rng.random() < 0.3
            else round(value % 1000 + rng.randint(1, 99) / 100, 2)
        )

    def string(self, rng: random.Random) -> str:
        """Words, names, dates, addresses, codes, paths: what people give tools."""
        pools, draw = self.pools, rng.random()

        def word() -> str:
            return pools.word(rng, 0.5)

        if rng.random() < 0.10:
            return self._long_string(rng)
        if draw < 0.25:
            return word()
        if draw < 0.40:
            return word().capitalize()
        if draw < 0.60:
            return " ".join(word() for _ in range(rng.choice((2, 2, 3, 4))))
        if draw < 0.70:
            return " ".join(word().capitalize() for _ in range(2))
        if draw < 0.75:
            return f"{word()}@{word()}.{rng.choice(('com', 'org', 'io', 'net'))}"
        if draw < 0.80:
            return f"{rng.randint(2000, 2039)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
        if draw < 0.84:
            return f"{word().upper()[:3]}-{pools.integer(rng)}"
        if draw < 0.88:
            return f"{word()}.{rng.choice(('txt', 'csv', 'py', 'json', 'pdf', 'jpg'))}"
        if draw < 0.91:
            return f"/{word()}/{word()}.{rng.choice(('txt', 'csv', 'log'))}"
        if draw < 0.93:
            return f"https://{word()}.{rng.choice(('com', 'org', 'net'))}/{word()}"
        if draw < 0.95:
            return f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"
        if draw < 0.98:
            return f"{word()}_{pools.integer(rng)}"
        return str(pools.integer(rng))

    def _long_string(self, rng: random.Random) -> str:
        """Values that need their quotation marks, and words with foreign letters."""
        words = [self.pools.word(rng, 0.4) for _ in range(rng.randint(5, 9))]
        draw = rng.random()
        if draw < 0.35:
            words[0] = words[0].capitalize()
            words[2] = rng.choice(("the", "and", "at", "is", "to", "for"))
            return " ".join(words) + rng.choice(("", "", ".", "!"))
        if draw < 0.65:
            return ", ".join(words[: rng.choice((2, 2, 3, 4))])
        accented = self.pools.accented(rng)
        return accented.capitalize() if rng.random() < 0.6 else f"{accented} {words[0]}"

    def fill(self, rng: random.Random, template: str) -> str:
        """A sentence with words for a, b, c, numbers for n, m and a date for d."""
        words = {key: self.pools.word(rng, 0.2) for key in "abc"}
        return template.format(
            **words,
            A=words["a"].capitalize(),
            B=words["b"].capitalize(),
            n=self.pools.integer(rng),
            m=self.pools.integer(rng),
            d=f"{rng.randint(2020, 2030)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}",
        )
