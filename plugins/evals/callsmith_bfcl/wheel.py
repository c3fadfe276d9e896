"""The wheel of `bfcl-eval`: the data set. Where it is kept, how it is fetched, how it is read.

One release is known by its sha256, and nothing else is ever opened: entries, answers, prompt
texts and the simulated APIs all come from this file. It is read as an archive; it is never
installed, and nothing of it is imported here.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from callsmith import ConfigError

VERSION = "2025.12.17"
REQUIREMENT = f"bfcl-eval=={VERSION}"
FILE_NAME = f"bfcl_eval-{VERSION}-py3-none-any.whl"
SHA256 = "8555bc9407a56682ceb7d969e87eb724f6b679deb0ef05114d9c6e786406b103"
WHEEL_VARIABLE = "CALLSMITH_BFCL_WHEEL"
CACHE_VARIABLE = "CALLSMITH_CACHE"

_PACKAGE = "bfcl_eval/"
_BY_HAND = (
    f"fetch it where there is a network with `pip download {REQUIREMENT} --no-deps`, then run "
    "`callsmith bfcl fetch --from FILE`"
)


class MissingDataError(ConfigError):
    """The benchmark's data is not on this machine, or is not the release that is expected."""


class Wheel:
    """An archive laid out as the wheel is, in memory. `place` is what messages call it.

    The constructor takes any such archive, unchecked; `open_wheel` is the way to the real one.
    """

    def __init__(self, archive: bytes, *, place: str = FILE_NAME) -> None:
        self.place = place
        self._archive = zipfile.ZipFile(io.BytesIO(archive))

    def read(self, name: str) -> bytes:
        """The bytes of one file, such as `data/BFCL_v4_multiple.json`.

        `name` is relative to the package's folder in the archive. Raises `MissingDataError`.
        """
        try:
            return self._archive.read(_PACKAGE + name)
        except KeyError:
            raise MissingDataError(
                f"holds no file {_PACKAGE}{name}; this is not {FILE_NAME}", path=self.place
            ) from None

    def names(self) -> list[str]:
        """The files of the package, relative to its folder."""
        return [
            name.removeprefix(_PACKAGE)
            for name in self._archive.namelist()
            if name.startswith(_PACKAGE)
        ]


def cache_folder() -> Path:
    """Where Callsmith keeps what it downloads: `CALLSMITH_CACHE`, or the platform's own place."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "callsmith"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/callsmith"
    # The XDG base directory specification has relative paths ignored.
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".cache") / "callsmith"


def cached_wheel() -> Path:
    """Where `callsmith bfcl fetch` puts the wheel."""
    return cache_folder() / "bfcl" / FILE_NAME


def wheel_path() -> Path:
    """The file that will be read: `CALLSMITH_BFCL_WHEEL`, or the one in the cache."""
    chosen = os.environ.get(WHEEL_VARIABLE)
    return Path(chosen) if chosen else cached_wheel()


def open_wheel(path: Path | None = None) -> Wheel:
    """The wheel at `path` (or at `wheel_path()`), verified. Raises `MissingDataError`."""
    chosen = path is None and bool(os.environ.get(WHEEL_VARIABLE))
    path = path or wheel_path()
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        what = (
            f"{WHEEL_VARIABLE} names this file, and it does not exist; correct it, or unset it and "
            "run `callsmith bfcl fetch`"
            if chosen
            else "the BFCL data is not here; run `callsmith bfcl fetch` (it downloads "
            f"{FILE_NAME}, 1.9 MB), or point {WHEEL_VARIABLE} at the file"
        )
        raise MissingDataError(what, path=str(path)) from None
    except OSError as error:
        raise MissingDataError(
            f"the BFCL data cannot be read: {error.strerror or error}", path=str(path)
        ) from None
    _verify(data, path)
    return Wheel(data, place=str(path))


def fetch_wheel(source: Path | None = None, *, say: Callable[[str], None] = lambda _: None) -> Path:
    """Puts the verified wheel into the cache and returns its path.

    `source` is the file, or a folder that holds it; without it pip downloads the one wheel, without
    dependencies. A cached wheel that verifies is left as it is. The cached file appears whole or
    not at all. `say` is told what is about to happen. Raises `MissingDataError`.
    """
    target = cached_wheel()
    if source is not None:
        if source.is_dir():
            source /= FILE_NAME
        say(f"copying {source}")
        _install(_read_source(source), target)
        return target
    if target.is_file():
        try:
            _verify(target.read_bytes(), target)
        except (MissingDataError, OSError):
            say(f"{target} is damaged and will be replaced")
        else:
            say("already there")
            return target
    say(f"downloading {FILE_NAME} with pip")
    with tempfile.TemporaryDirectory(prefix="callsmith-bfcl-") as folder:
        _pip_download(Path(folder))
        _install(_read_source(Path(folder) / FILE_NAME), target)
    return target


def _read_source(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MissingDataError(
            f"cannot be read: {error.strerror or error}; give the path of {FILE_NAME}",
            path=str(path),
        ) from None
    _verify(data, path)
    return data


def _verify(data: bytes, path: Path) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise MissingDataError(
            f"is not {FILE_NAME}: its sha256 is {found}, expected {SHA256}; delete it and "
            "run `callsmith bfcl fetch`",
            path=str(path),
        )


def _install(data: bytes, target: Path) -> None:
    partial: str | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target, so that the last step is a rename inside one file system.
        handle, partial = tempfile.mkstemp(prefix=".fetch-", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(partial, 0o644)  # public data, and a cache may be shared
        os.replace(partial, target)
    except OSError as error:
        if partial is not None:
            Path(partial).unlink(missing_ok=True)
        raise MissingDataError(
            f"cannot be written: {error.strerror or error}; choose another folder with "
            f"{CACHE_VARIABLE}",
            path=str(target),
        ) from None


def _pip_download(folder: Path) -> None:
    if importlib.util.find_spec("pip") is None:
        raise MissingDataError(f"pip is not installed for {sys.executable}; {_BY_HAND}")
    command = [
        *(sys.executable, "-m", "pip", "download", REQUIREMENT, "--no-deps"),
        # Never a source archive: building one would run its code.
        *("--only-binary", ":all:", "--dest", str(folder)),
        *("--disable-pip-version-check", "--no-input", "--quiet"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR:")] or lines or ["no message"]
        raise MissingDataError(f"pip could not download {REQUIREMENT} ({errors[-1]}); {_BY_HAND}")
