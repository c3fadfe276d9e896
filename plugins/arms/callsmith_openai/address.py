"""Where the API and the server's other endpoints are."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from callsmith import ConfigError


@dataclass(frozen=True, slots=True)
class Address:
    """`api` is the base of the OpenAI endpoints, `root` that of the server's own ones."""

    api: str
    root: str


def address_of(url: str) -> Address:
    """Both bases of a URL such as `http://localhost:8000`, `localhost:8000/v1` or `https://host/x`.

    A URL without a path gets `/v1`; one with a path is the base of the API as it stands, because
    hosted services have paths of their own. Raises `ConfigError` for anything that is no base URL,
    and for a user name or a password in it: the URL is written to the run folder.
    """
    text = url.strip()
    if "://" not in text:
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{url!r} is no URL: {error}", path="url") from None
    if "@" in parts.netloc:
        raise ConfigError(
            "a user name or a password in the URL would be written to the run folder; use "
            "api_key_env or headers_env",
            path="url",
        )
    if parts.scheme not in ("http", "https") or not host or any(c.isspace() for c in text):
        raise ConfigError(
            f"{url!r} is no address such as 'http://localhost:8000/v1' or 'https://host/v1'",
            path="url",
        )
    if parts.query or parts.fragment:
        raise ConfigError(f"{url!r}: a base URL has no query and no fragment", path="url")
    where = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{where}" + (f":{port}" if port is not None else "")
    path = parts.path.rstrip("/")
    for endpoint in ("/chat/completions", "/completions", "/models"):
        if path.endswith(endpoint):
            base = origin + path.removesuffix(endpoint)
            raise ConfigError(f"{url!r} is an endpoint; give the base URL: {base}", path="url")
    if not path:
        return Address(api=f"{origin}/v1", root=origin)
    return Address(api=origin + path, root=origin + path.removesuffix("/v1"))
