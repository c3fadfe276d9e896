"""Where the Ollama arms look for their server."""

from __future__ import annotations

import pytest

from callsmith import ConfigError
from callsmith_ollama.address import base_url


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (None, "http://127.0.0.1:11434"),
        ("", "http://127.0.0.1:11434"),
        ("  ", "http://127.0.0.1:11434"),
        ("gpu-box", "http://gpu-box:11434"),
        ("gpu-box:8080", "http://gpu-box:8080"),
        (" 'gpu-box:8080' ", "http://gpu-box:8080"),
        (":8080", "http://127.0.0.1:8080"),
        ("192.168.1.5", "http://192.168.1.5:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:9", "http://127.0.0.1:9"),
        ("::1", "http://[::1]:11434"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:9", "http://[::1]:9"),
        ("[::]:9", "http://[::1]:9"),
        ("http://gpu-box", "http://gpu-box"),
        ("https://gpu-box", "https://gpu-box"),
        ("https://gpu-box/ollama/", "https://gpu-box/ollama"),
        ("http://gpu-box:8080/", "http://gpu-box:8080"),
    ],
)
def test_forms_of_ollama_host(environment: str | None, expected: str) -> None:
    assert base_url("", environment) == expected


def test_the_option_wins_over_the_environment() -> None:
    assert base_url("http://here:1/", "there:2") == "http://here:1"
    assert base_url("here", "there:2") == "http://here:11434"


@pytest.mark.parametrize(
    "value",
    [
        "ftp://host",
        "host:port",
        "host:99999",
        "http://user@host",
        "a host",
        "[::1",
        "1:2:z",
        "h?x=1",
    ],
)
@pytest.mark.parametrize("as_option", [True, False])
def test_what_is_no_address_is_one_clear_line(value: str, as_option: bool) -> None:
    option, environment = (value, None) if as_option else ("", value)
    with pytest.raises(ConfigError) as caught:
        base_url(option, environment)
    assert repr(value) in str(caught.value)
    assert caught.value.path == ("url" if as_option else "OLLAMA_HOST")
    assert "\n" not in str(caught.value)
