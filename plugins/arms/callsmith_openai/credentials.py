"""The headers of every request, and the secrets in them.

Secrets come from the environment, by the variables that the options name, and stay here: they
are in no message (should a server echo one, it is blotted out), in no representation, in no log.
"""

from __future__ import annotations

import os

from callsmith import ConfigError
from callsmith_openai.config import ServerConfig

_LEAST_SECRET = 6
"""Characters of a secret that are worth blotting out: a shorter one occurs by chance."""

_SCHEMES = frozenset({"Bearer", "bearer", "Basic", "basic", "Digest", "Token", "token"})
"""Words of an Authorization header that are no secret."""


class Credentials:
    """Built once per client. Raises `ConfigError` for a variable that is not set."""

    def __init__(self, config: ServerConfig) -> None:
        self.headers = {"Content-Type": "application/json", **config.headers}
        secrets: list[str] = []
        for header, variable in config.headers_env.items():
            self.headers[header] = _secret(variable, f"options.headers_env.{header}")
            secrets.append(self.headers[header])
        if config.api_key_env:
            key = _secret(config.api_key_env, "options.api_key_env")
            self.headers["Authorization"] = f"Bearer {key}"
            secrets.append(key)
        self.sends_key = bool(secrets)
        # A header such as "Bearer abc" may come back as "abc" alone.
        parts = {part for secret in secrets for part in (secret, *secret.split())}
        long = {part for part in parts if len(part) >= _LEAST_SECRET and part not in _SCHEMES}
        self._secrets = sorted(long, key=len, reverse=True)  # one may be a part of another

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def blotted(self, text: str) -> str:
        """The text without the secrets in it."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def _secret(variable: str, path: str) -> str:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ConfigError(f"the environment variable {variable} is not set", path=path)
    if not value.isascii() or not value.isprintable():
        raise ConfigError(
            f"the environment variable {variable} holds a character that no header can", path=path
        )
    return value
