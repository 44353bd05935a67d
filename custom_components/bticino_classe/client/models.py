"""Data of the cloud: homes, modules, states, events, TURN servers, calls."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class ModuleKind(StrEnum):
    """The purpose of a module; a CAMERA can be looked at like a PANEL, and never rings."""

    BRIDGE = "bridge"
    DOOR = "door"
    LIGHT = "light"
    PANEL = "panel"
    CAMERA = "camera"
    RELAY = "relay"  # may open a gate; only its owner knows
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A module of a home; `type` is the vendor's name, empty if the cloud names none.

    Ids are in small letters; `cloud_id` and `cloud_bridge_id` are the cloud's own spelling if it
    differs.
    """

    id: str
    home_id: str
    kind: ModuleKind
    type: str
    name: str | None = None
    bridge_id: str | None = None
    cloud_id: str | None = None
    cloud_bridge_id: str | None = None

    @property
    def sent_id(self) -> str:
        """The id for requests."""
        return self.cloud_id or self.id

    @property
    def sent_bridge_id(self) -> str | None:
        """The intercom's id for requests."""
        return self.cloud_bridge_id or self.bridge_id

    @property
    def intercom_id(self) -> str:
        """The id of the intercom it belongs to, or its own id."""
        return self.bridge_id or self.id

    @property
    def sent_intercom_id(self) -> str:
        """The id for requests of the intercom it belongs to, or its own."""
        return self.sent_bridge_id or self.sent_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A home of the account with its modules by id."""

    id: str
    name: str | None
    timezone: str | None
    modules: Mapping[str, Module]

    @property
    def bridges(self) -> tuple[Module, ...]:
        """The indoor units, which are connected to the cloud."""
        return tuple(m for m in self.modules.values() if m.kind is ModuleKind.BRIDGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """All homes of an account by id.

    `is_cut` means that the cloud listed more than an account can have, so some were left out.
    """

    user_id: str | None
    homes: Mapping[str, Home]
    is_cut: bool = False

    @property
    def unknown_types(self) -> Mapping[str, int]:
        """The number of modules of each unknown type."""
        modules = (module for home in self.homes.values() for module in home.modules.values())
        return Counter(m.type for m in modules if m.kind is ModuleKind.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleState:
    """The last known state of a module; None if the cloud does not report it.

    `uptime` is in seconds, `wifi_strength` in dBm (negative), `last_seen` in seconds since 1970.
    `configs_changed` is when the module reports that its settings last changed, in milliseconds.
    What `use_pincode` means is not known.
    """

    id: str
    type: str | None = None
    bridge_id: str | None = None
    cloud_id: str | None = None
    cloud_bridge_id: str | None = None
    reachable: bool = True
    firmware: str | None = None
    uptime: int | None = None
    wifi_strength: int | None = None
    local_address: str | None = field(default=None, repr=False)
    last_seen: int | None = None
    on: bool | None = None
    locked: bool | None = None
    use_pincode: bool | None = None
    configs_changed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A signed link to a picture; it expires at `expires_at` (seconds since 1970)."""

    url: str = field(repr=False)
    expires_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event at `time` (seconds since 1970); the steps of a call are its `parts`."""

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
    """A TURN or STUN server; its credentials are valid for a limited time."""

    urls: tuple[str, ...]
    username: str | None = field(default=None, repr=False)
    credential: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RingOffer:
    """The offer of a ringing intercom; an answer must return the ids unchanged."""

    session_id: str = field(repr=False)
    tag_id: str = field(repr=False)
    correlation_id: str = field(repr=False)
    sdp: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An ICE candidate for the m-section with this mid or index."""

    candidate: str = field(repr=False)
    mid: str | None = None
    index: int | None = None
