"""Reading what was recorded: run folders and files of recordings.

Nothing is recorded specially: a run that keeps its prompts (`record: full`, the default) can be
replayed. A run folder has `traces.jsonl`, where each turn with a reply gives one record, and
`run.json`, which says how each arm drew its tokens and what its probe found. A file of recordings
has one JSON object per line, either a trace or a record by itself:

    {"prompt": "…", "completion": {"text": "…"}, "seed": 7}
    {"messages": [{"role": "user", "content": "…"}], "reply": {"content": "…"}, "seed": 7}

Both forms may stand in one file, and a record may name its `arm`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from callsmith import (
    Completion,
    ConfigError,
    Fidelity,
    Message,
    Reply,
    Sampling,
    Trace,
    from_json,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One answered request. `prompt` is None where it was hidden or not kept; `completion` too.

    `conversation` is None where only a prompt was recorded. `source` says where it stands.
    """

    source: str
    prompt: str | None = None
    conversation: tuple[Message, ...] | None = None
    completion: Completion | None = None
    reply: Reply | None = None
    error: str | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recordings:
    """All records of one arm, ordered by sample and then as they were recorded.

    `sampling` (seed aside) and `fidelity` are those of the run, where it has told them.
    """

    path: str
    arm: str
    records: tuple[Record, ...]
    sampling: Sampling | None = None
    fidelity: Fidelity | None = None


@dataclass(slots=True)
class _Found:
    """The records of one arm while a file is read, each with its sort key."""

    records: list[tuple[int, int, Record]] = field(default_factory=list)

    def add(self, sample: int, record: Record) -> None:
        self.records.append((sample, len(self.records), record))


def read_recordings(path: Path, arm: str = "") -> Recordings:
    """The records of `arm` in a run folder or a file. Raises `ConfigError` with one clear line."""
    header: Mapping[str, Any] = {}
    file = path
    if path.is_dir():
        file = path / "traces.jsonl"
        header = _header(path / "run.json")
    arms: dict[str, _Found] = {}
    seeds = {name: _sampling(header, name) for name in _arms(header)}
    for number, data in _lines(file):
        where = f"{file}:{number}"
        try:
            if "turns" in data:
                trace = from_json(data, Trace)
                sampling = seeds.get(trace.arm)
                seed = None if sampling is None else sampling.seed + trace.sample
                found = arms.setdefault(trace.arm, _Found())
                for record in _of_trace(trace, seed):
                    found.add(trace.sample, record)
            else:
                name = str(data.get("arm", ""))
                arms.setdefault(name, _Found()).add(0, _of_record(data, where))
        except ConfigError as error:
            raise ConfigError(f"{where} is not a recording: {error}", path="options.path") from None
    if not arms:
        raise ConfigError(f"{file} has no recordings", path="options.path")
    name = _choose(arms, arm, path)
    records = sorted(arms[name].records, key=lambda item: item[:2])
    return Recordings(
        path=str(path),
        arm=name,
        records=tuple(record for _, _, record in records),
        sampling=seeds.get(name),
        fidelity=_fidelity(header, name),
    )


def _choose(arms: Mapping[str, _Found], arm: str, path: Path) -> str:
    if arm:
        if arm in arms:
            return arm
        known = ", ".join(repr(name) for name in arms)
        raise ConfigError(f"{path} has no arm {arm!r}; it has {known}", path="options.arm")
    if len(arms) == 1:
        return next(iter(arms))
    known = ", ".join(repr(name) for name in arms)
    raise ConfigError(f"{path} has several arms: say which: {known}", path="options.arm")


def _of_trace(trace: Trace, seed: int | None) -> Iterator[Record]:
    conversation: tuple[Message, ...] = ()
    for index, turn in enumerate(trace.turns):
        conversation += turn.sent
        reply = turn.reply
        yield Record(
            source=f"task {trace.task!r}, sample {trace.sample}, turn {index + 1}",
            prompt=reply.prompt.text if reply and reply.prompt else None,
            conversation=conversation,
            completion=reply.completion if reply else None,
            reply=reply,
            error=turn.error,
            seed=seed,
        )


_RECORD_KEYS = {"prompt", "completion", "messages", "reply", "seed", "arm"}


def _of_record(data: Mapping[str, Any], where: str) -> Record:
    unknown = [key for key in data if key not in _RECORD_KEYS]
    if unknown:
        raise ConfigError(f"unknown key {unknown[0]!r}; there are {', '.join(_RECORD_KEYS)}")
    prompt, seed = data.get("prompt"), data.get("seed")
    text = isinstance(prompt, str) and "completion" in data
    if not text and not ("messages" in data and "reply" in data):
        raise ConfigError("it needs `prompt` and `completion`, or `messages` and `reply`")
    if seed is not None and type(seed) is not int:
        raise ConfigError(f"`seed` is {seed!r}, which is no integer")
    conversation = data.get("messages")
    return Record(
        source=where,
        prompt=prompt if text else None,
        conversation=None if conversation is None else from_json(conversation, tuple[Message, ...]),
        completion=from_json(data["completion"], Completion) if "completion" in data else None,
        reply=from_json(data["reply"], Reply) if "reply" in data else None,
        seed=seed,
    )


def _lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of every line; a torn last line, without line break, is left out."""
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    if line.strip():
                        yield number, _object(line, f"{file}:{number}")
                except ConfigError:
                    if line.endswith(b"\n"):
                        raise
                    return
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read: {error.strerror or error}; `path` is a run folder or a file "
            "of recordings",
            path="options.path",
        ) from None


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line.decode("utf-8", errors="surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where} is not JSON: {error}", path="options.path") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{where} is not an object", path="options.path")
    return value


def _header(file: Path) -> Mapping[str, Any]:
    """The contents of `run.json`; empty if there is none, for a folder of traces alone."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read: {error}", path="options.path") from None
    return value if isinstance(value, dict) else {}


def _arms(header: Mapping[str, Any]) -> Mapping[str, Any]:
    arms = (header.get("config") or {}).get("arms")
    return arms if isinstance(arms, dict) else {}


def _sampling(header: Mapping[str, Any], arm: str) -> Sampling | None:
    data = (_arms(header).get(arm) or {}).get("sampling")
    try:
        return None if data is None else from_json(data, Sampling)
    except ConfigError:
        return None


def _fidelity(header: Mapping[str, Any], arm: str) -> Fidelity | None:
    """What the arm's probe found when the run was last worked on."""
    for session in reversed(header.get("sessions") or ()):
        data = (session.get("fidelity") or {}).get(arm)
        try:
            if data is not None:
                return from_json(data, Fidelity)
        except ConfigError:
            continue  # the probe failed in that session
    return None
