"""Which base an adapter belongs to: trainers write it down, and arms look before they load.

Only files are read, and little of them: no library that loads weights is needed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from callsmith.errors import ConfigError

RECORD = "callsmith.json"
"""The file beside an adapter's weights that says, among other things, what it was trained on:
`base` is its name and `base_fingerprint` its fingerprint."""
SAMPLE = 1 << 16
"""Bytes of a file's beginning, middle and end that go into a fingerprint."""


def weights_fingerprint(folder: Path) -> str:
    """Identifies the weights of a folder without reading gigabytes.

    A hash of the names and sizes of the weights' files (safetensors; `*.bin` where there are
    none), and of the beginning (with every tensor's name and shape), the middle and the end of
    each. Not a checksum: it tells models apart, not damage. The same weights in other files, as
    another library or precision saves them, are others.
    """
    whole = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin")):
        size = file.stat().st_size
        whole.update(f"{file.name}\0{size}\0".encode())
        with file.open("rb") as source:
            for place in (0, size // 2, max(0, size - SAMPLE)):
                source.seek(place)
                whole.update(source.read(SAMPLE))
    return f"sample-sha256:{whole.hexdigest()[:32]}"


def check_adapter_base(adapter: Path, fingerprint: str, base: str, *, path: str) -> None:
    """Raises `ConfigError` for an adapter that was trained on other weights.

    `fingerprint` is that of the base that it is to be put on, and `base` what a message calls it;
    `path` is the option that is wrong. An adapter without a record, or whose record does not say,
    may belong to any base.
    """
    file = adapter / RECORD
    if not file.is_file():
        return
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        trained, name = said.get("base_fingerprint"), said.get("base")
    except (ValueError, AttributeError):
        raise ConfigError(f"{file} is damaged; save the adapter again", path=path) from None
    if trained and trained != fingerprint:
        raise ConfigError(
            f"{adapter} was trained on other weights ({name or 'without a name'}) than those of "
            f"{base}; name the base that it belongs to, or an adapter of this one",
            path=path,
        )
