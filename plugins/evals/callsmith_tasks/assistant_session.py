"""The assistant's tools at work: deterministic, over the fixed world, with an episode's state."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

from callsmith import JsonValue, ToolError
from callsmith_tasks import assistant_world as world
from callsmith_tasks.assistant_tools import DEFAULT_LIMIT, check_arguments

T = TypeVar("T")

_WORD = re.compile(r"[^\W_]+")
_KEY = re.compile(r"[a-z0-9._]+")
_SCHEME = ("http", "https")
_STOP_WORDS = frozenset(
    _WORD.findall(
        "a an and are at by did do does for from how in is it its me my of on or our the to was "
        "we what when where which who why with you your"
    )
)


class AssistantSession:
    """The eight tools in one episode; what one session remembers no other one sees."""

    def __init__(self) -> None:
        self._revisions = dict.fromkeys(world.MEMORY, 0)
        self._values = dict(world.MEMORY)
        self._next_revision = world.FIRST_REVISION
        self._next_image = world.FIRST_IMAGE

    async def call(self, name: str, arguments: Mapping[str, JsonValue]) -> JsonValue:
        """Runs one tool. Raises `ToolError` for wrong arguments and for what the world refuses."""
        check_arguments(name, arguments)
        texts = {key: value for key, value in arguments.items() if isinstance(value, str)}
        limit = arguments.get("limit", DEFAULT_LIMIT)
        assert isinstance(limit, int)  # checked above
        match name:
            case "web_search":
                return _results(_pages(world.WEB, texts["query"], limit))
            case "homelab_search":
                return _results(_homelab(texts["source"], texts["query"], limit))
            case "chat_search":
                return _results(_rows(world.CHATS, texts["query"], limit))
            case "media_library_check":
                return _check_titles(texts["titles"])
            case "memory_read":
                return self._read(texts["key"])
            case "memory_write":
                return self._write(texts["key"], texts["value"])
            case "web_fetch":
                return _fetch(texts["url"])
            case _:
                return self._generate(texts.get("size", "1024x1024"))

    def _read(self, key: str) -> JsonValue:
        key = key.strip()
        if key not in self._values:
            known = ", ".join(sorted(self._values))
            raise ToolError(f"not found: nothing is stored under that key; the keys are: {known}")
        result: dict[str, JsonValue] = {"key": key, "value": self._values[key]}
        if self._revisions[key]:
            result["revision"] = self._revisions[key]
        return result

    def _write(self, key: str, value: str) -> JsonValue:
        key = key.strip()
        if not _KEY.fullmatch(key):
            raise ToolError("a key has lower-case letters, digits, dots and underscores only")
        if key.startswith("system."):
            raise ToolError("permission denied: keys that begin with 'system.' are read-only")
        replaced = key in self._values
        self._values[key], self._revisions[key] = value, self._next_revision
        self._next_revision += 1
        return {"stored": True, "key": key, "replaced": replaced}

    def _generate(self, size: str) -> JsonValue:
        if size == "1536x1024":
            raise ToolError(
                "out of GPU memory: Jellyfin is transcoding; 1024x1024 is the largest size now"
            )
        number = self._next_image
        self._next_image += 1
        return {"image": f"https://images.home.lan/img-{number}.png", "size": size}


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _akin(asked: str, written: str) -> bool:
    """Equal, or equal at the beginning: `backups` finds `backup`, `festival` finds `festivals`."""
    if min(len(asked), len(written)) < 4:
        return asked == written
    return asked.startswith(written) or written.startswith(asked)


def ranked(query: str, items: Iterable[tuple[str, str, T]], limit: int) -> list[T]:
    """The items, given as (title, text, item), that share a word with the query; best first.

    Models word their queries freely, so one common word is enough. A word of the title counts
    twice; ties keep their order.
    """
    words = list(dict.fromkeys(word for word in _words(query) if word not in _STOP_WORDS))
    scored: list[tuple[int, T]] = []
    for title, text, item in items:
        head, body = set(_words(title)), set(_words(text))
        score = sum(_holds(head, word) * 2 or _holds(body, word) for word in words)
        if score:
            scored.append((score, item))
    scored.sort(key=lambda pair: -pair[0])
    return [item for _, item in scored[:limit]]


def _holds(written: set[str], asked: str) -> bool:
    return any(_akin(asked, word) for word in written)


def _pages(pages: Sequence[world.Page], query: str, limit: int) -> list[JsonValue]:
    items = [
        (page.title, f"{page.summary} {page.keywords} {page.text} {page.url}", page)
        for page in pages
    ]
    return [
        {"title": page.title, "url": page.url, "excerpt": page.summary}
        for page in ranked(query, items, limit)
    ]


def _rows(rows: Sequence[Mapping[str, JsonValue]], query: str, limit: int) -> list[JsonValue]:
    items = [
        (str(row.get("name") or row.get("title") or ""), " ".join(map(str, row.values())), row)
        for row in rows
    ]
    return [dict(row) for row in ranked(query, items, limit)]


def _homelab(source: str, query: str, limit: int) -> list[JsonValue]:
    if source == "wiki":
        return _pages(world.WIKI, query, limit)
    return _rows(world.SERVICES if source == "services" else world.LOGS, query, limit)


def _results(results: list[JsonValue]) -> JsonValue:
    return {"count": len(results), "results": results}


def _check_titles(titles: str) -> JsonValue:
    asked = [title.strip() for title in titles.split(",") if title.strip()]
    if not asked:
        raise ToolError("media_library_check: titles holds no title")
    owned = {tuple(_words(str(film["title"]))): film for film in world.LIBRARY}
    results: list[JsonValue] = []
    for title in asked:
        film = owned.get(tuple(_words(re.sub(r"\(\d{4}\)\s*$", "", title))))
        results.append(
            {**film, "in_library": True} if film else {"title": title, "in_library": False}
        )
    return {"results": results}


def _address(url: str) -> tuple[str, str]:
    """Host (with port) and path of an address, in one spelling."""
    try:
        parts = urlsplit(url.strip())
    except ValueError as error:
        raise ToolError(f"web_fetch: this is no address: {error}") from error
    if parts.scheme.lower() not in _SCHEME or not parts.netloc:
        raise ToolError("web_fetch: the address must begin with http:// or https:// and a host")
    return parts.netloc.casefold(), parts.path.rstrip("/")


def _fetch(url: str) -> JsonValue:
    address = _address(url)
    for failing, reason in world.UNREACHABLE.items():
        if address == _address(failing):
            raise ToolError(reason)
    pages = {_address(page.url): page for page in (*world.WIKI, *world.WEB, *world.ENDPOINTS)}
    page = pages.get(address)
    if page is None:
        if any(host == address[0] for host, _ in pages):
            raise ToolError("HTTP 404: there is no such page on this server; try a search")
        raise ToolError("could not resolve the host; check the address or try a search")
    return {"url": page.url, "status": 200, "title": page.title, "text": page.text}
