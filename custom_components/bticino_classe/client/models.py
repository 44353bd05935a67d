"""The house as the cloud knows it: homes, modules, their state, what happened, who may relay."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class ModuleKind(StrEnum):
    """What a module is to the people of the house."""

    BRIDGE = "bridge"
    DOOR = "door"
    LIGHT = "light"
    PANEL = "panel"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A part of an intercom; `type` is the vendor's word for it, empty where none was given."""

    id: str
    home_id: str
    kind: ModuleKind
    type: str
    name: str | None = None
    bridge_id: str | None = None

    @property
    def intercom_id(self) -> str:
        """The intercom that it hangs on, or is."""
        return self.bridge_id or self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A home of the account, with every module that the cloud lists for it, by id."""

    id: str
    name: str | None
    timezone: str | None
    modules: Mapping[str, Module]

    @property
    def bridges(self) -> tuple[Module, ...]:
        """The intercoms proper: the indoor units that talk to the cloud."""
        return tuple(m for m in self.modules.values() if m.kind is ModuleKind.BRIDGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """All homes of an account by id, and how often each module type came that we do not know."""

    user_id: str | None
    homes: Mapping[str, Home]
    unknown_types: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleState:
    """What the cloud last heard of a module; None where it does not say.

    `uptime` is in seconds, `wifi_strength` in dBm (negative), `last_seen` in seconds since 1970,
    `configs_changed` in milliseconds: when its own settings last changed, by its account.
    """

    id: str
    type: str | None = None
    bridge_id: str | None = None
    reachable: bool = True
    firmware: str | None = None
    uptime: int | None = None
    wifi_strength: int | None = None
    local_address: str | None = field(default=None, repr=False)
    last_seen: int | None = None
    on: bool | None = None
    configs_changed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A signed link to a picture that dies at `expires_at` (seconds since the epoch)."""

    url: str = field(repr=False)
    expires_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, at `time` (seconds since the epoch); a call has parts of its own."""

    id: str
    type: str
    time: float
    module_id: str | None = None
    session_id: str | None = None
    video_id: str | None = None
    snapshot: Picture | None = None
    vignette: Picture | None = None
    parts: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServer:
    """A relay for media, with credentials for a limited time."""

    urls: tuple[str, ...]
    username: str | None = field(default=None, repr=False)
    credential: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RingOffer:
    """What a ringing intercom offers to whoever answers; ids go back to it as they came."""

    session_id: str = field(repr=False)
    tag_id: str = field(repr=False)
    correlation_id: str = field(repr=False)
    sdp: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An address of one side of a call, for the m-line of that name or place."""

    candidate: str = field(repr=False)
    mid: str | None = None
    index: int | None = None
