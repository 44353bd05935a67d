"""A recording that is made with the action, and what the simulated cloud says meanwhile."""

import asyncio
import base64
from collections.abc import Mapping
import json
from pathlib import Path
import re
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from aiohttp import web
from homeassistant.core import Context

from custom_components.bticino_classe.const import DOMAIN
from tests.integration.conftest import advance, get_entry, wait_idle, wait_until
from tests.simulator.connection import Connection, Frame
from tests.simulator.journal import Journal

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.auth.models import User
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    import pytest

    from tests.simulator import Simulator

MINUTES = 10
# Fields whose values tell nothing about a person: words of the protocol, and our own constants.
PUBLIC = frozenset(
    {
        *("action", "app_identifier", "app_type", "app_version", "category", "client_id"),
        *("client_type", "command", "credentialType", "error", "event_type", "firmware_name"),
        *("grant_type", "method", "platform", "push_type", "scope", "sdp_mid", "status", "type"),
        *("value", "variant", "version", "video_status"),
    }
)
_RANDOM_PART = re.compile(r"(?<=[a-z]-)[0-9a-f]{8}(?![0-9a-f])")
_IN_SDP = re.compile(
    r"(?:ice-ufrag|ice-pwd|ssrc|cname|fingerprint:sha-256)[: ](\S+)|(\d+\.\d+\.\d+\.[1-9]\d*)"
    r"|candidate:\S+ \d (?:udp|tcp) (\d+) \S+ (\d{5})"
)


async def record(hass: HomeAssistant, user: User | None = None, **data: Any) -> dict[str, Any]:
    """Call the action and return the only recording."""
    context = Context(user_id=user.id if user else None)
    answer = await hass.services.async_call(
        DOMAIN, "record_protocol", data, blocking=True, return_response=True, context=context
    )
    assert answer is not None
    found: Any = answer["recordings"]
    assert len(found) == 1
    recording: dict[str, Any] = found[0]
    return recording


class Recording:
    """A recording that runs."""

    def __init__(self, hass: HomeAssistant, task: asyncio.Task[dict[str, Any]]) -> None:
        self._hass = hass
        self.task = task

    @classmethod
    async def start(cls, hass: HomeAssistant, **data: Any) -> Self:
        """Start it as an administrator does, and wait until it has read everything once."""
        task = asyncio.create_task(record(hass, **data))
        entry = get_entry(hass) if "config_entry_id" not in data else None
        entry = entry or hass.config_entries.async_get_entry(data["config_entry_id"])
        assert entry is not None
        tap = entry.runtime_data.account.auth.tap
        await wait_until(lambda: task.done() or tap.observer is not None)
        await wait_idle(hass)
        return cls(hass, task)

    async def end(self, freezer: FrozenDateTimeFactory, minutes: float = MINUTES) -> dict[str, Any]:
        """Let the time pass, and return the response of the action."""
        await advance(self._hass, freezer, minutes * 60 + 1)
        return await self.result()

    async def result(self) -> dict[str, Any]:
        """Return the response of the action."""
        await asyncio.wait([self.task])
        return self.task.result()


def path_of(hass: HomeAssistant, entry: ConfigEntry[Any] | None = None) -> Path:
    """Return the file of an account, or of the only one."""
    entry = entry or get_entry(hass)
    return Path(hass.config.path(f".cache/{DOMAIN}/recordings/{entry.entry_id}.jsonl"))


def lines_of(hass: HomeAssistant, entry: ConfigEntry[Any] | None = None) -> list[dict[str, Any]]:
    """Return the lines of a recording."""
    return [json.loads(line) for line in path_of(hass, entry).read_text("utf-8").splitlines()]


def messages_of(hass: HomeAssistant) -> list[dict[str, Any]]:
    """Return the lines between the first and the last one."""
    return lines_of(hass)[1:-1]


def bodies(lines: list[dict[str, Any]], channel: str, kind: str, path: str = "") -> list[Any]:
    """Return the bodies of the messages of one kind, of requests by their path."""
    numbers = {line.get("request") for line in lines if line.get("path") == path} if path else None
    return [
        line.get("body")
        for line in lines
        if (line.get("channel"), line.get("kind")) == (channel, kind)
        and (numbers is None or line.get("request") in numbers)
    ]


class Wire:
    """Collects all that is personal of what passes between the cloud and its client."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.secrets: set[str] = set()
        answer, send, add = web.json_response, Connection.send, Journal.add

        def json_response(body: object, **options: Any) -> web.Response:
            self._collect(body)
            return answer(body, **options)

        def send_frame(connection: Connection, frame: Frame) -> None:
            if isinstance(frame, Frame) and frame.payload.startswith(b"{"):
                self._collect(json.loads(frame.payload))
            send(connection, frame)

        def add_entry(journal: Journal, *, body: object = None, **facts: Any) -> Any:
            if facts["method"] in {"POST", "FRAME"}:  # what the client sent
                self._collect(body)
            return add(journal, body=body, **facts)

        monkeypatch.setattr(web, "json_response", json_response)
        monkeypatch.setattr(Connection, "send", send_frame)
        monkeypatch.setattr(Journal, "add", add_entry)

    def add_account(self, simulator: Simulator) -> None:
        """Add what the account knows: its credentials, homes and tokens."""
        account = simulator.account
        self.secrets |= {account.email, account.password, account.user_id, "8ab584d62ca2a77e"}
        for token in (*account._access, *account._refresh):
            self.secrets |= {token, token.partition("|")[2]}
        for home in simulator.house.homes:
            self.secrets |= {home.id, home.name, home.timezone, *map(str, home.coordinates)}
            for module in home.modules.values():
                self.secrets |= {module.id, module.name or module.id}

    def found_in(self, text: str) -> list[str]:
        """Return the secrets that a text contains, in any case and in other encodings.

        Shorter ones, such as the number 9.1, are in many texts by chance, and four letters in the
        random part of a pseudonym.
        """
        text = _RANDOM_PART.sub("", text.lower())
        long = [each for each in self.secrets if len(each) > 3 or each.isalpha()]
        return [each for each in long if any(form in text for form in _forms(each))]

    def _collect(self, value: object, key: str = "") -> None:
        if isinstance(value, Mapping):
            for name, item in value.items():
                self._collect(item, name)
        elif isinstance(value, list):
            for item in value:
                self._collect(item, key)
        elif isinstance(value, str) and key in {"sdp", "candidate"}:
            self.secrets |= {part for found in _IN_SDP.findall(value) for part in found if part}
        elif isinstance(value, str) and key not in PUBLIC and len(value) > 4:
            self.secrets.add(value)
        elif isinstance(value, float) or (isinstance(value, int) and value > 10**10):
            self.secrets.add(str(value))


def _forms(secret: str) -> set[str]:
    raw = secret.encode()
    texts = (
        *(secret, quote(secret, safe=""), raw.hex(), json.dumps(secret)[1:-1]),
        *(base64.b64encode(raw).decode().rstrip("="), base64.urlsafe_b64encode(raw).decode()),
    )
    return {text.lower() for text in texts}
