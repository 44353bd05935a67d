"""A minimal signaling client for the simulator's own tests: it sends what a test says."""

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.simulator.paths import SIGNALING
from tests.simulator.socket_client import SocketClient, open_socket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.simulator.http_client import HttpClient

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


class SignalingClient(SocketClient):
    """A connection to the signaling socket; fields that are ABSENT are left out."""

    def __init__(self, client: HttpClient, socket: SocketClient) -> None:
        super().__init__(client, socket.ws, SIGNALING)
        self._number = 1_700_000_000_000_000_000
        self.bridge = client.sim.house.bridges()[0].id

    async def send(self, data: Any, **fields: Any) -> None:
        """Send one frame."""
        self._number += 1
        defaults = {"action": "rtc", "device_id": self.bridge, "correlation_id": str(self._number)}
        sent = defaults | {"data": data} | fields
        await self.ws.send_json({key: item for key, item in sent.items() if item is not ABSENT})

    async def offer(self, sdp: str = OFFER, *, kind: str = "call", **more: Any) -> Any:
        """Send an offer and return the acknowledgement."""
        description = {"type": kind, "sdp": sdp} | more
        await self.send({"type": "offer", "session_description": description})
        return await self.frame()

    async def dial(self, sdp: str = OFFER, **more: Any) -> tuple[dict[str, str], Any]:
        """Send an offer; return its ids and the answer, which two candidates follow."""
        acknowledged = await self.offer(sdp, **more)
        frames = await self.frames(3)
        ids = {name: acknowledged[name] for name in ("session_id", "tag_id")}
        return ids, frames[0]

    async def request(self, ids: dict[str, str], kind: str, **more: Any) -> Any:
        """Send a frame of a session and return the acknowledgement."""
        await self.send({"type": kind} | more, **ids)
        return await self.frame()


@asynccontextmanager
async def open_signaling(
    client: HttpClient, *, subscribed: bool = True
) -> AsyncIterator[SignalingClient]:
    """Open a connection to the signaling socket and subscribe."""
    async with open_socket(client, SIGNALING, subscribed=subscribed) as socket:
        yield SignalingClient(client, socket)
