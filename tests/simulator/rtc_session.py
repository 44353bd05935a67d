"""A call between a client and the intercom, as the cloud sees it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import asyncio

    from tests.simulator.calls import Call
    from tests.simulator.connection import Connection
    from tests.simulator.house import Json

type Ender = Literal["client", "device", "limit", "power", "operator"]


@dataclass(slots=True, kw_only=True)
class AudioStats:
    """What reached the intercom's ear."""

    packets: int = 0
    seconds: float = 0.0
    #: The loudest of the last second, as a share of what is possible.
    level: float = 0.0
    #: The tone of the last second, silence left out; 0: there was no other.
    hertz: float = 0.0

    def as_json(self) -> Json:
        """Return what the operator page shows."""
        return {name: getattr(self, name) for name in self.__slots__}


class Peer(Protocol):
    """Who speaks WebRTC for the intercom."""

    audio: AudioStats

    async def answer(self, offer: str) -> str:
        """Take a client's offer and return the answer to it; ValueError: it is none."""

    async def offer(self) -> str:
        """Return an offer, as who rings makes it."""

    async def take_answer(self, answer: str) -> None:
        """Take the client's answer to the own offer; ValueError: it is none."""

    async def take_candidate(self, found: Json) -> None:
        """Take an address of the client's."""

    def candidates(self) -> list[Json]:
        """Return the own addresses that are in no description."""

    def show(self, name: str, number: int) -> None:
        """Show what is at this panel, by its name and where it stands among the bridge's."""

    async def close(self) -> None:
        """End it."""


@dataclass(slots=True, kw_only=True, eq=False)
class Session:
    """One call; times are those of the cloud's clock."""

    id: str
    tag_id: str
    device_id: str
    #: Which panel is shown; None: the intercom unit itself, or nobody knows.
    panel_id: str | None
    #: It began with a ring.
    rang: bool = False
    #: The client's description: its offer, or its answer to the ring.
    sdp: str = field(repr=False)
    #: Its size in bytes.
    sdp_size: int = 0
    #: The intercom's description.
    device_sdp: str = field(default="", repr=False)
    #: The connection that spoke last of it.
    connection: Connection = field(repr=False)
    state: Literal["begun", "answered", "ended"] = "begun"
    ended_by: Ender | None = None
    #: The code with which the intercom ended it.
    error: int | None = None
    #: It takes one of the bridge's places.
    holds_slot: bool = False
    #: The client's addresses, as they came.
    candidates: list[Json] = field(default_factory=list, repr=False)
    #: How often the client said that it is over; once is right.
    terminates: int = 0
    next_modules: int = 0
    started_at: float
    answered_at: float | None = None
    ended_at: float | None = None
    #: What the intercom hears of the client.
    audio: AudioStats = field(default_factory=AudioStats)
    #: Who speaks for the intercom while it goes on.
    peer: Peer | None = field(default=None, repr=False)
    limit: asyncio.TimerHandle | None = field(default=None, repr=False)

    @property
    def is_open(self) -> bool:
        """Tell whether it goes on."""
        return self.state != "ended"

    @property
    def connection_number(self) -> int:
        """The number of the connection that spoke last of it."""
        return self.connection.number

    def given_to(self, peer: Peer) -> None:
        """Let somebody speak for the intercom."""
        self.peer, self.audio = peer, peer.audio

    def as_json(self) -> Json:
        """Return what the operator page shows."""
        shown = ("id", "device_id", "panel_id", "rang", "state", "ended_by", "error", "holds_slot")
        times = (
            "sdp_size",
            "terminates",
            "connection_number",
            "started_at",
            "answered_at",
            "ended_at",
        )
        known: Json = {name: getattr(self, name) for name in (*shown, *times)}
        return known | {"candidates": len(self.candidates), "audio": self.audio.as_json()}


@dataclass(slots=True, kw_only=True, eq=False)
class Ring:
    """A ring that can be answered, until its call is over; `until` is by the cloud's clock."""

    call: Call
    until: float
    offer: str = field(repr=False)
    peer: Peer = field(repr=False)
