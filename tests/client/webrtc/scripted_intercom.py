"""A signaling channel, its viewers, and a scripted intercom behind a real socket."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, override

from custom_components.bticino_classe.client.models import RingOffer
from custom_components.bticino_classe.client.webrtc.call_state import CallObserver
from custom_components.bticino_classe.client.webrtc.session import CallSession
from custom_components.bticino_classe.client.webrtc.signaling import CallTimeouts, SignalingChannel
from custom_components.bticino_classe.client.websocket.backoff import Backoff
from tests.client.lines import Cloud
from tests.conftest import HANG_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from custom_components.bticino_classe.client.auth import AuthHandler
    from custom_components.bticino_classe.client.errors import BticinoError
    from custom_components.bticino_classe.client.models import Candidate
    from tests.client.lines import Line

type Frame = dict[str, Any]
type Replies = Callable[[Frame], list[Frame]]
type Handler = Callable[[ScriptedIntercom, Line, Frame], Awaitable[None]]

BRIDGE = "00:03:50:ab:cd:ef"
PANEL = "abcdef-0101-aa11bb22cc33"
USEFUL = "candidate:1 1 udp 2122260223 192.0.2.9 50000 typ host"
# A test that waits for a time-out shortens that one.
TIMEOUTS = CallTimeouts(
    connected=HANG_TIMEOUT,
    acknowledged=HANG_TIMEOUT,
    answered=HANG_TIMEOUT,
    terminated=HANG_TIMEOUT,
    busy=0.01,
    idle=HANG_TIMEOUT,
)
SHORT = 0.05
# Changes to each acknowledgement; the fixture `ack_mode` sets them.
ACK_CHANGES: Mapping[str, object] = {}


def description(*, audio: str, video: str, setup: str, first: str = "audio") -> str:
    """Return a short description of two m-sections with these directions."""
    lines = ["v=0", "o=- 42 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1"]
    attributes = {
        "audio": [f"a={audio}", "a=rtpmap:111 opus/48000/2"],
        "video": [f"a={video}", "a=rtpmap:109 H264/90000"],
    }
    kinds = ["audio", "video"] if first == "audio" else ["video", "audio"]
    for mid, kind in enumerate(kinds):
        payload_type = 111 if kind == "audio" else 109
        lines += [f"m={kind} 9 UDP/TLS/RTP/SAVPF {payload_type}", "c=IN IP4 0.0.0.0"]
        lines += [f"a=mid:{mid}", f"a=setup:{setup}", "a=rtcp-mux", *attributes[kind]]
    return "\r\n".join([*lines, ""])


OFFER = description(audio="recvonly", video="recvonly", setup="actpass")
ANSWER = description(audio="sendrecv", video="sendonly", setup="passive")
RINGING = description(audio="sendrecv", video="sendonly", setup="actpass", first="video")
RING = RingOffer(
    session_id="ring-1", tag_id="tag-1", correlation_id="9223372036854770001", sdp=RINGING
)


class Recorder(CallObserver):
    """Records what a call reports."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.answers: list[str] = []
        self.candidates: list[Candidate] = []
        self.errors: list[BticinoError] = []

    @override
    def answered(self, sdp: str) -> None:
        self.events.append("answer")
        self.answers.append(sdp)

    @override
    def candidate(self, candidate: Candidate) -> None:
        self.events.append("candidate")
        self.candidates.append(candidate)

    @override
    def ended(self, error: BticinoError) -> None:
        self.events.append("end")
        self.errors.append(error)


def ack(frame: Frame, session: str | None = None, **changes: Any) -> Frame:
    """Return the acknowledgement of a frame, with ids for an offer; "absent" drops a field."""
    ids = {"session_id": session, "tag_id": f"tag-{session}" if session else None}
    fields = {"type": "ack", "status": "ok", **ids, "correlation_id": frame["correlation_id"]}
    changed = {**fields, **ACK_CHANGES, **changes}
    return {key: value for key, value in changed.items() if value != "absent"}


def message(session: str, kind: str, sdp: str | None = None, **more: Any) -> Frame:
    """Return a message from the intercom."""
    fields = {} if sdp is None else {"session_description": {"type": "call", "sdp": sdp}}
    return {"session_id": session, "data": {"type": kind, **fields, **more}}


def kind_of(frame: Frame) -> str:
    """Return the kind of a client's message."""
    return str(frame["data"]["type"])


async def by_the_protocol(intercom: ScriptedIntercom, line: Line, frame: Frame) -> None:
    """Acknowledge a message, and answer an offer; the sessions are s1, s2 and so on."""
    if kind_of(frame) == "offer":
        session = f"s{len(intercom.sent('offer'))}"
        await line.send(ack(frame, session))
        await line.send(message(session, "answer", ANSWER))
    else:
        await line.send(ack(frame))


@dataclass(slots=True)
class ScriptedIntercom:
    """The cloud's end of the socket: confirms subscriptions, keeps and handles other frames."""

    handler: Handler = by_the_protocol
    frames: list[Frame] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    subscriptions: int = 0

    async def serve(self, line: Line) -> None:
        """Serve one connection."""
        self.lines.append(line)
        while True:
            frame = await line.receive()
            if frame["action"] == "subscribe":
                self.subscriptions += 1
                await line.send({"status": "ok"})
            else:
                self.frames.append(frame)
                await self.handler(self, line, frame)

    def sent(self, kind: str) -> list[Frame]:
        """Return the client's messages of one kind."""
        return [frame for frame in self.frames if kind_of(frame) == kind]


def replying(*scripts: Replies) -> ScriptedIntercom:
    """Return an intercom that replies to each message by the next script, then by the last.

    A terminate is acknowledged.
    """
    left = list(scripts)

    async def handle(_: ScriptedIntercom, line: Line, frame: Frame) -> None:
        if kind_of(frame) == "terminate":
            await line.send(ack(frame))
            return
        for reply in (left.pop(0) if len(left) > 1 else left[0])(frame):
            await line.send(reply)

    return ScriptedIntercom(handle)


@dataclass(slots=True)
class Signaling:
    """The channel under test, the intercom and the cloud's socket."""

    channel: SignalingChannel
    intercom: ScriptedIntercom
    cloud: Cloud

    def session(
        self, viewer: CallObserver | None = None, *, panel: str | None = PANEL
    ) -> CallSession:
        """Return a new call to the intercom."""
        observer = CallObserver() if viewer is None else viewer
        return CallSession(self.channel, observer, bridge_id=BRIDGE, panel_id=panel)

    def terminates(self) -> list[str | None]:
        """Return the sessions that the client has terminated."""
        return [frame.get("session_id") for frame in self.intercom.sent("terminate")]


@asynccontextmanager
async def signaling(
    auth: AuthHandler,
    intercom: ScriptedIntercom | None = None,
    *,
    timeouts: CallTimeouts = TIMEOUTS,
) -> AsyncIterator[Signaling]:
    """Provide a channel to an intercom; closing it leaves nothing behind."""
    scripted = intercom or ScriptedIntercom()
    async with Cloud(scripted.serve) as cloud:
        backoff = Backoff(first=0.01, longest=0.04, draw=lambda: 1.0)
        channel = SignalingChannel(auth, url=cloud.url, timeouts=timeouts, backoff=backoff)
        try:
            yield Signaling(channel, scripted, cloud)
        finally:
            await channel.close()
        assert channel.is_idle
