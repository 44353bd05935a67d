"""The journal of requests and frames, with all secrets masked."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from tests.simulator.paths import SETSTATE

if TYPE_CHECKING:
    from tests.simulator.house import Json

SECRET = frozenset({"password", "client_secret", "access_token", "refresh_token", "credential"})
MASK = "***"
MAX_TEXT = 2000


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request or WebSocket frame; added on arrival, completed by its response."""

    number: int
    at: float
    method: str
    path: str
    body: object = None
    grant: str | None = None
    #: None: no response (yet).
    status: int | None = None
    #: Why the cloud refused it; None: it did not.
    refused: str | None = None
    #: Refused because of its token, and therefore not run.
    bad_token: bool = False
    #: The failure injected into it.
    fault: str | None = None

    def as_json(self) -> Json:
        """Return what the operator page shows."""
        return {name: getattr(self, name) for name in self.__slots__}


class Journal:
    """Entries in the order of arrival."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._arrived = 0
        self._changed = asyncio.Event()

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Entry:
        return self._entries[index]

    def add(self, *, at: float, method: str, path: str, body: object = None) -> Entry:
        """Add an entry and return it."""
        self._arrived += 1
        grant = body.get("grant_type") if isinstance(body, Mapping) else None
        entry = Entry(
            number=self._arrived,
            at=at,
            method=method,
            path=path,
            body=masked(body),
            grant=grant if isinstance(grant, str) else None,
        )
        self._entries.append(entry)
        self._changed.set()
        self._changed = asyncio.Event()
        return entry

    async def wait_for(self, path: str | None = None, *, count: int = 1) -> None:
        """Wait until a path has `count` entries, with or without a response."""
        while self.count(path) < count:
            await self._changed.wait()

    def of(self, path: str | None = None, *, grant: str | None = None) -> list[Entry]:
        """Return the entries of a path, of a grant, of both."""
        return [
            entry
            for entry in self._entries
            if path in (None, entry.path) and grant in (None, entry.grant)
        ]

    def count(self, path: str | None = None, *, grant: str | None = None) -> int:
        """Count the entries of a path, of a grant, of both."""
        return len(self.of(path, grant=grant))

    @property
    def commands(self) -> list[Entry]:
        """Return every setstate request that may have been run, whatever its response.

        Requests refused because of their token are left out.
        """
        return [entry for entry in self.of(SETSTATE) if not entry.bad_token]

    def newest(self, count: int, *, after: int = 0) -> list[Entry]:
        """Return those of the last `count` entries whose number is above `after`."""
        return [entry for entry in self._entries[-count:] if entry.number > after]

    def clear(self) -> None:
        """Remove all entries; numbering continues."""
        self._entries.clear()


def masked(value: object) -> object:
    """Return a copy of a body without its secrets."""
    match value:
        case dict():
            return {
                key: MASK if key in SECRET and item is not None else masked(item)
                for key, item in value.items()
            }
        case list():
            return [masked(item) for item in value]
        case str():
            return value[:MAX_TEXT]
    return value


def decode_body(raw: bytes, content_type: str) -> object:
    """Decode a body for the journal; for an undecodable body only the size is kept."""
    if not raw:
        return None
    try:
        if content_type == "application/x-www-form-urlencoded":
            return dict(parse_qsl(raw.decode(), keep_blank_values=True))
        return json.loads(raw)
    except ValueError:
        return f"{len(raw)} bytes, unreadable"
