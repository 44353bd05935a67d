"""A client that makes calls, for the simulator's own tests: it says what it is told to."""

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.simulator.listener import Listener, listen
from tests.simulator.paths import SIGNALING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.simulator.visitor import Visitor

ABSENT = object()
OFFER = """\
v=0
o=- 42 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
m=audio 9 UDP/TLS/RTP/SAVPF 111 9
c=IN IP4 0.0.0.0
a=mid:0
a=sendrecv
a=setup:actpass
a=rtpmap:111 opus/48000/2
a=rtpmap:9 G722/8000
m=video 9 UDP/TLS/RTP/SAVPF 96 103 109
c=IN IP4 0.0.0.0
a=mid:1
a=recvonly
a=setup:actpass
a=rtpmap:96 VP8/90000
a=rtpmap:103 H264/90000
a=fmtp:103 packetization-mode=0;profile-level-id=42001f
a=rtpmap:109 H264/90000
a=fmtp:109 packetization-mode=1;profile-level-id=42e01f
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:2
""".replace("\n", "\r\n")
CANDIDATE = {
    "candidate": "candidate:1 1 udp 2122260223 192.0.2.9 50000 typ host",
    "sdp_mid": "0",
    "sdp_m_line_index": 0,
}


class Caller(Listener):
    """One socket for calls; a field that is ABSENT is left out."""

    def __init__(self, visitor: Visitor, listener: Listener) -> None:
        super().__init__(visitor, listener.socket, SIGNALING)
        self._number = 1_700_000_000_000_000_000
        self.bridge = visitor.sim.house.bridges()[0].id

    async def say(self, data: Any, **fields: Any) -> None:
        """Send one frame."""
        self._number += 1
        usual = {"action": "rtc", "device_id": self.bridge, "correlation_id": str(self._number)}
        sent = usual | {"data": data} | fields
        await self.socket.send_json({key: item for key, item in sent.items() if item is not ABSENT})

    async def offer(self, sdp: str = OFFER, *, kind: str = "call", **more: Any) -> Any:
        """Dial, and return the acknowledgement."""
        description = {"type": kind, "sdp": sdp} | more
        await self.say({"type": "offer", "session_description": description})
        return await self.frame()

    async def dial(self, sdp: str = OFFER, **more: Any) -> tuple[dict[str, str], Any]:
        """Dial, and return the ids and the answer; two candidates have come as well."""
        acknowledged = await self.offer(sdp, **more)
        frames = await self.frames(3)
        ids = {name: acknowledged[name] for name in ("session_id", "tag_id")}
        return ids, frames[0]

    async def of(self, ids: dict[str, str], kind: str, **more: Any) -> Any:
        """Send a frame of a call, and return the acknowledgement."""
        await self.say({"type": kind} | more, **ids)
        return await self.frame()


@asynccontextmanager
async def calling(visitor: Visitor, *, subscribed: bool = True) -> AsyncIterator[Caller]:
    """Open a socket for calls, and subscribe on it."""
    async with listen(visitor, SIGNALING, subscribed=subscribed) as listener:
        yield Caller(visitor, listener)
