"""The run folder: `run.json`, `traces.jsonl`, `verdicts.jsonl`.

The folder is the truth, and it survives `kill -9` at any moment. A record is one line, appended
by one write and flushed to the disk before the episode counts as done; a torn last line is cut
off when the folder is opened again. `run.json` is replaced atomically. A lock, which the system
releases when the process dies, keeps two processes from writing one folder.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import filelock

from callsmith.codec import dumps, from_json, to_json
from callsmith.errors import ConfigError, StoreError
from callsmith.types import Trace, Verdict

Key = tuple[str, str, int]
"""(arm, task, sample): what an episode is known by."""

FORMAT = 1


def digest(data: object) -> str:
    """SHA-256 of `data` as canonical JSON."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def replace_json(path: Path, data: Mapping[str, Any]) -> None:
    """Writes a JSON file so that it is there as a whole or as it was, whatever happens."""
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


class RunFolder:
    """A run folder, for reading; `writing` opens it for one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def header(self) -> dict[str, Any]:
        """The contents of `run.json`. Raises `StoreError` if there is none or it is unreadable."""
        file = self.path / "run.json"
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise StoreError(f"{self.path} is no run folder: {self._lacks()}") from None
        except (OSError, ValueError) as error:
            raise StoreError(f"{file} cannot be read: {error}") from None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise StoreError(f"{file} is not a run of format {FORMAT}; use a matching callsmith")
        config = found.get("config")
        if not isinstance(config, dict) or not isinstance(config.get("arms"), dict):
            raise StoreError(f"{file} is damaged: it names no arms")
        return found

    def _lacks(self) -> str:
        """What is wrong with a folder that has no `run.json`."""
        if not self.path.exists():
            return "there is no such folder"
        if (self.path / "pipeline.json").is_file():
            return f"it is a pipeline's; name one of its score steps in {self.path / 'steps'}"
        return "it has no run.json"

    def traces(self) -> Iterator[Trace]:
        """All finished episodes, in the order in which they finished."""
        for number, data in lines_of(self.path / "traces.jsonl"):
            try:
                yield from_json(data, Trace)
            except ConfigError as error:
                raise StoreError(f"{self.path / 'traces.jsonl'}:{number}: {error}") from None

    def verdicts(self) -> dict[Key, tuple[Verdict, ...]]:
        """The verdicts of every judged episode."""
        found: dict[Key, tuple[Verdict, ...]] = {}
        file = self.path / "verdicts.jsonl"
        for number, data in lines_of(file):
            try:
                key = (str(data["arm"]), str(data["task"]), int(data["sample"]))
                found[key] = tuple(from_json(item, Verdict) for item in data["verdicts"])
            except (KeyError, TypeError, ValueError, ConfigError) as error:
                raise StoreError(f"{file}:{number}: not a verdict: {error}") from None
        return found

    def write_header(self, header: Mapping[str, Any]) -> None:
        """Replaces `run.json` atomically."""
        replace_json(self.path / "run.json", {"format": FORMAT, **header})

    def writing(self) -> RunWriter:
        """Opens the folder for a run, created if need be. Use as a context manager."""
        return RunWriter(self)


class RunWriter:
    """Appends records to a run folder; holds its lock."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._lock: filelock.BaseFileLock | None = None
        self._files: dict[str, int] = {}

    def __enter__(self) -> RunWriter:
        path = self.folder.path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = filelock.FileLock(path / "lock", timeout=0)
            self._lock.acquire()
            for name in ("traces.jsonl", "verdicts.jsonl"):
                cut_torn_line(path / name)
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                self._files[name] = os.open(path / name, flags, 0o644)
        except filelock.Timeout:
            raise StoreError(f"{path} is being written by another process") from None
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror or error}") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for file in self._files.values():
            os.close(file)
        self._files.clear()
        if self._lock is not None:
            self._lock.release()

    def add_trace(self, trace: Trace) -> None:
        """Appends one finished episode."""
        self._append("traces.jsonl", dumps(trace))

    def add_verdicts(self, key: Key, verdicts: Sequence[Verdict]) -> None:
        """Appends the verdicts on one episode, all in one line."""
        arm, task, sample = key
        row = {"arm": arm, "task": task, "sample": sample, "verdicts": to_json(tuple(verdicts))}
        self._append("verdicts.jsonl", json.dumps(row, ensure_ascii=False, separators=(",", ":")))

    def take_out_errors(self) -> int:
        """Moves the episodes that ended with an error to `retried.jsonl`; says how many.

        Verdicts go first: an episode without them is judged again, so a kill in between costs
        nothing.
        """
        failed = [trace for trace in self.folder.traces() if trace.halt == "error"]
        keys = {(trace.arm, trace.task, trace.sample) for trace in failed}
        if not keys:
            return 0
        lines = "".join(dumps(trace) + "\n" for trace in failed)
        with (self.folder.path / "retried.jsonl").open("ab") as file:
            file.write(lines.encode(errors="surrogatepass"))
            file.flush()
            os.fsync(file.fileno())
        for name in ("verdicts.jsonl", "traces.jsonl"):
            path = self.folder.path / name
            kept = [
                json.dumps(row, ensure_ascii=False, separators=(",", ":"))
                for _, row in lines_of(path)
                if (row["arm"], row["task"], row["sample"]) not in keys
            ]
            part = path.with_suffix(".part")
            with part.open("wb") as out:
                out.write("".join(f"{line}\n" for line in kept).encode(errors="surrogatepass"))
                out.flush()
                os.fsync(out.fileno())
            os.close(self._files.pop(name))
            part.replace(path)
            self._files[name] = os.open(path, os.O_WRONLY | os.O_APPEND)
        return len(keys)

    def _append(self, name: str, line: str) -> None:
        file = self._files[name]
        data = line.encode("utf-8", errors="surrogatepass") + b"\n"
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
        os.fsync(file)


def cut_torn_line(path: Path) -> None:
    """Cuts off what follows the last line break: a record whose writer was killed."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        keep = end
        while keep > 0:
            start = max(0, keep - 65536)
            file.seek(start)
            block = file.read(keep - start)
            at = block.rfind(b"\n")
            if at >= 0:
                keep = start + at + 1
                break
            keep = start
        if keep < end:
            file.truncate(keep)


def lines_of(path: Path) -> Iterator[tuple[int, Any]]:
    """(line number, JSON) of every whole line; a torn last line is left out."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield number, json.loads(line.decode("utf-8", errors="surrogatepass"))
            except ValueError as error:
                raise StoreError(f"{path}:{number}: not JSON: {error}") from None
