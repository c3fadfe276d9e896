"""`callsmith bfcl fetch`: pip against a package index of our own, and files that are given."""

from __future__ import annotations

import http.server
import io
import os
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from callsmith_bfcl.commands import bfcl
from callsmith_bfcl.wheel import FILE_NAME, MissingDataError, cached_wheel, wheel_path
from fixtures.small_bfcl import archive, find_wheel


@pytest.fixture(scope="module")
def real() -> bytes:
    """The bytes of the real wheel, found before the cache is changed; skips where missing."""
    find_wheel()
    return wheel_path().read_bytes()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CALLSMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CALLSMITH_BFCL_WHEEL", raising=False)
    return tmp_path / "cache" / "bfcl"


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], list[str]]]:
    """Serves one wheel as a simple package index that pip is pointed at; returns the requests."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def serve(wheel: bytes) -> list[str]:
        requests: list[str] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                requests.append(self.path)
                page = f'<!DOCTYPE html><html><body><a href="/{FILE_NAME}">{FILE_NAME}</a></body>'
                body = wheel if self.path.endswith(".whl") else page.encode()
                self.send_response(200)
                self.send_header(
                    "Content-Type",
                    "application/zip" if self.path.endswith(".whl") else "text/html",
                )
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Silent."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        _only_index(monkeypatch, f"http://127.0.0.1:{server.server_port}/simple/")
        return requests

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def _only_index(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Points pip at `address`, whatever this machine's configuration says."""
    pytest.importorskip("pip")
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", address)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def _fetch(*arguments: str) -> str:
    """Runs the command; errors are raised as the console script would catch them."""
    result = CliRunner().invoke(bfcl, ["fetch", *arguments], standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.output


def _wheel_like() -> bytes:
    """What pip takes for a wheel of that name."""
    data = io.BytesIO(archive())
    info = "bfcl_eval-2025.12.17.dist-info"
    with zipfile.ZipFile(data, "a") as file:
        file.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: bfcl-eval\nVersion: 2025.12.17\n"
        )
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    return data.getvalue()


def test_pip_brings_the_wheel_and_a_second_time_nothing_is_loaded(
    cache: Path, index: Callable[[bytes], list[str]], real: bytes
) -> None:
    requests = index(real)
    assert str(cached_wheel()) in _fetch()
    assert cached_wheel().read_bytes() == real
    assert [path for path in requests if path.endswith(".whl")] == [f"/{FILE_NAME}"]
    before = len(requests)
    assert "already there" in _fetch()
    assert len(requests) == before
    assert [path.name for path in cache.iterdir()] == [FILE_NAME]


def test_a_damaged_wheel_in_the_cache_is_replaced(
    cache: Path, index: Callable[[bytes], list[str]], real: bytes
) -> None:
    index(real)
    cache.mkdir(parents=True)
    cached_wheel().write_bytes(real[:1000])
    assert "is damaged and will be replaced" in _fetch()
    assert cached_wheel().read_bytes() == real


def test_another_wheel_of_that_name_is_not_kept(
    cache: Path, index: Callable[[bytes], list[str]]
) -> None:
    index(_wheel_like())
    with pytest.raises(MissingDataError, match="its sha256 is"):
        _fetch()
    assert not cached_wheel().exists()


def test_without_a_network_the_way_by_hand_is_named(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Port 9 of this machine: nothing listens there.
    _only_index(monkeypatch, "http://127.0.0.1:9/simple/")
    with pytest.raises(MissingDataError) as caught:
        _fetch()
    message = str(caught.value)
    assert "pip could not download bfcl-eval==2025.12.17" in message
    assert "callsmith bfcl fetch --from FILE" in message
    assert not cached_wheel().exists()


def test_without_pip_the_way_by_hand_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)
    with pytest.raises(MissingDataError, match=r"pip is not installed for .*--from FILE"):
        _fetch()


def test_a_file_or_its_folder_is_copied(cache: Path, tmp_path: Path, real: bytes) -> None:
    folder = tmp_path / "brought"
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(real)
    _fetch("--from", str(folder))
    assert cached_wheel().read_bytes() == real
    cached_wheel().unlink()
    # Any name will do: the content decides.
    _fetch("--from", str((folder / FILE_NAME).rename(folder / "renamed")))
    assert cached_wheel().read_bytes() == real
    assert [path.name for path in cache.iterdir()] == [FILE_NAME]


def test_a_wrong_file_is_refused_and_what_was_there_stays(cache: Path, tmp_path: Path) -> None:
    cache.mkdir(parents=True)
    cached_wheel().write_bytes(b"before")
    wrong = tmp_path / "wrong.whl"
    wrong.write_bytes(archive())
    with pytest.raises(MissingDataError, match="its sha256 is") as caught:
        _fetch("--from", str(wrong))
    assert caught.value.path == str(wrong)
    assert cached_wheel().read_bytes() == b"before"


def test_a_file_that_is_not_there(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="No such file"):
        _fetch("--from", str(tmp_path / "gone.whl"))


def test_a_cache_that_cannot_be_written_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real: bytes
) -> None:
    (tmp_path / "file").write_text("no folder")
    source = tmp_path / FILE_NAME
    source.write_bytes(real)
    monkeypatch.setenv("CALLSMITH_CACHE", str(tmp_path / "file"))
    with pytest.raises(MissingDataError, match="choose another folder with CALLSMITH_CACHE"):
        _fetch("--from", str(source))


def test_it_says_when_another_file_will_be_read(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real: bytes
) -> None:
    other = tmp_path / "other.whl"
    other.write_bytes(real)
    monkeypatch.setenv("CALLSMITH_BFCL_WHEEL", str(other))
    assert f"so {other} is read instead" in _fetch("--from", str(other))
