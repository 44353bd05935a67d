"""A session between a client and the intercom, as the cloud sees it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import asyncio

    from tests.simulator.calls import Call
    from tests.simulator.connection import Connection
    from tests.simulator.house import Json

type EndedBy = Literal["client", "device", "limit", "power", "operator"]


@dataclass(slots=True, kw_only=True)
class AudioStats:
    """Statistics of received audio."""

    packets: int = 0
    seconds: float = 0.0
    #: Peak level of the last second, from 0 to 1.
    level: float = 0.0
    #: Frequency of the tone in the last second; 0: silence.
    hertz: float = 0.0

    def as_json(self) -> Json:
        """Return what the operator page shows."""
        return {name: getattr(self, name) for name in self.__slots__}


class Peer(Protocol):
    """The intercom's WebRTC peer."""

    audio: AudioStats

    async def answer(self, offer: str) -> str:
        """Return the answer to a client's offer; ValueError: it is not valid."""

    async def offer(self) -> str:
        """Return the offer of a ring."""

    async def set_answer(self, answer: str) -> None:
        """Apply the client's answer to the offer; ValueError: it is not valid."""

    async def add_candidate(self, candidate: Json) -> None:
        """Add an ICE candidate of the client."""

    def candidates(self) -> list[Json]:
        """Return the ICE candidates that are not in the SDP."""

    def show(self, name: str, number: int) -> None:
        """Show a panel, given its name and its number at the bridge."""

    async def close(self) -> None:
        """Close the peer."""


@dataclass(slots=True, kw_only=True, eq=False)
class Session:
    """One session; times are by the cloud's clock."""

    id: str
    tag_id: str
    device_id: str
    #: The panel that is shown; None: the indoor unit, or unknown.
    panel_id: str | None
    #: It started with a ring.
    from_ring: bool = False
    #: The client's SDP: its offer, or its answer to the ring.
    sdp: str = field(repr=False)
    #: The size of that SDP in bytes.
    sdp_size: int = 0
    #: The intercom's SDP.
    device_sdp: str = field(default="", repr=False)
    #: The connection on which the client last sent a frame of this session.
    connection: Connection = field(repr=False)
    state: Literal["pending", "answered", "ended"] = "pending"
    ended_by: EndedBy | None = None
    #: The error code with which the intercom ended it.
    error: int | None = None
    #: It holds one of the bridge's peer slots.
    holds_slot: bool = False
    #: The client's ICE candidates, in order of arrival.
    candidates: list[Json] = field(default_factory=list, repr=False)
    #: The number of terminates from the client, and their connections; a client may repeat one on
    #: another connection if it was not acknowledged.
    terminates: int = 0
    terminated_on: set[int] = field(default_factory=set)
    next_modules: int = 0
    started_at: float
    answered_at: float | None = None
    ended_at: float | None = None
    #: The audio that the intercom receives from the client.
    audio: AudioStats = field(default_factory=AudioStats)
    #: The intercom's peer while the session is open.
    peer: Peer | None = field(default=None, repr=False)
    limit: asyncio.TimerHandle | None = field(default=None, repr=False)

    @property
    def is_open(self) -> bool:
        """Return whether the session has not ended."""
        return self.state != "ended"

    @property
    def connection_number(self) -> int:
        """The number of the session's connection."""
        return self.connection.number

    def attach(self, peer: Peer) -> None:
        """Attach the intercom's peer."""
        self.peer, self.audio = peer, peer.audio

    def as_json(self) -> Json:
        """Return what the operator page shows."""
        shown = (
            "id",
            "device_id",
            "panel_id",
            "from_ring",
            "state",
            "ended_by",
            "error",
            "holds_slot",
        )
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
    """The offer of a call; it expires at `until`, by the cloud's clock."""

    call: Call
    until: float
    offer: str = field(repr=False)
    peer: Peer = field(repr=False)
