"""Where the server is: the option `url`, else `OLLAMA_HOST`, else Ollama's own default."""

from __future__ import annotations

import ipaddress

from callsmith import ConfigError

DEFAULT = "http://127.0.0.1:11434"


def base_url(option: str, environment: str | None) -> str:
    """The base URL, without a slash at its end.

    `environment` is the value of `OLLAMA_HOST`, in any form that Ollama itself accepts: `host`,
    `host:port`, `:port`, an IPv6 address with or without brackets, `http://host[:port]` (then
    port 80 by default, and 443 for https). A wildcard address, which is for servers, becomes the
    loopback address. Raises `ConfigError` for anything else.
    """
    if option.strip():
        return _normal(option, "url")
    value = (environment or "").strip().strip("\"'").strip()
    return _normal(value, "OLLAMA_HOST") if value else DEFAULT


def _normal(value: str, source: str) -> str:
    text = value.strip().rstrip("/")
    problem = f"{value!r} is not an address such as 'localhost:11434' or 'https://host'"
    scheme, found, rest = text.partition("://")
    if not found:
        scheme, rest = "http", text
    if scheme not in ("http", "https"):
        raise ConfigError(f"{problem}: the scheme must be http or https", path=source)
    if any(char.isspace() or char in "@?#" for char in rest):
        raise ConfigError(problem, path=source)
    authority, slash, path = rest.partition("/")
    host, port = _split(authority, problem, source)
    if port is None and not found:
        port = 11434
    where = f"[{host}]" if ":" in host else host or "127.0.0.1"
    return f"{scheme}://{where}" + (f":{port}" if port is not None else "") + slash + path


def _split(authority: str, problem: str, source: str) -> tuple[str, int | None]:
    """Host (without brackets) and port of `host`, `host:port`, `:port`, `[v6]:port` or `v6`."""
    if authority.startswith("["):
        host, bracket, tail = authority[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise ConfigError(problem, path=source)
        digits = tail[1:]
    elif authority.count(":") > 1:
        host, digits = authority, ""
    else:
        host, _, digits = authority.partition(":")
    if digits and not (digits.isascii() and digits.isdigit() and int(digits) <= 65535):
        raise ConfigError(f"{problem}: {digits!r} is not a port", path=source)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if ":" in host:
            raise ConfigError(problem, path=source) from None
    else:
        if address.is_unspecified:
            host = "127.0.0.1" if address.version == 4 else "::1"
    return host, int(digits) if digits else None
