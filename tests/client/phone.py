"""A viewer, an intercom that does what a test tells it, and the line between them."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, override

from custom_components.bticino_classe.client.webrtc.session import CallObserver, CallSession
from custom_components.bticino_classe.client.webrtc.signaling import CallTimeouts, SignalingChannel
from custom_components.bticino_classe.client.websocket.backoff import Backoff
from tests.client.lines import Cloud

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from custom_components.bticino_classe.client.auth import AuthHandler
    from custom_components.bticino_classe.client.errors import BticinoError
    from custom_components.bticino_classe.client.models import Candidate
    from tests.client.lines import Line

BRIDGE = "00:03:50:ab:cd:ef"
PANEL = "abcdef-0101-aa11bb22cc33"
USEFUL = "candidate:1 1 udp 2122260223 192.0.2.9 50000 typ host"
QUICK = CallTimeouts(connected=2, acknowledged=0.3, answered=0.3, terminated=0.2, busy=0.01, idle=5)
SENT = ("offer", "answer", "candidate", "terminate", "player")


def description(*, audio: str, video: str, setup: str, first: str = "audio") -> str:
    """Return a short description of two sections with these directions."""
    session = ["v=0", "o=- 42 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1"]
    sections = {
        "audio": [f"a={audio}", "a=rtpmap:111 opus/48000/2"],
        "video": [f"a={video}", "a=rtpmap:109 H264/90000"],
    }
    kinds = ["audio", "video"] if first == "audio" else ["video", "audio"]
    for mid, kind in enumerate(kinds):
        payload = 111 if kind == "audio" else 109
        session += [f"m={kind} 9 UDP/TLS/RTP/SAVPF {payload}", "c=IN IP4 0.0.0.0", f"a=mid:{mid}"]
        session += [f"a=setup:{setup}", "a=rtcp-mux", *sections[kind]]
    return "\r\n".join([*session, ""])


OFFER = description(audio="recvonly", video="recvonly", setup="actpass")
ANSWER = description(audio="sendrecv", video="sendonly", setup="passive")
RINGING = description(audio="sendrecv", video="sendonly", setup="actpass", first="video")


class Watcher(CallObserver):
    """Somebody who writes down what there is to see."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.answers: list[str] = []
        self.candidates: list[Candidate] = []
        self.errors: list[BticinoError] = []

    @override
    def answered(self, sdp: str) -> None:
        self.told.append("answer")
        self.answers.append(sdp)

    @override
    def candidate(self, candidate: Candidate) -> None:
        self.told.append("candidate")
        self.candidates.append(candidate)

    @override
    def ended(self, error: BticinoError) -> None:
        self.told.append("end")
        self.errors.append(error)


@dataclass(slots=True)
class Intercom:
    """The cloud's end of the line: it confirms subscriptions, and keeps all that is sent."""

    frames: list[dict[str, Any]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    subscriptions: int = 0

    async def serve(self, line: Line) -> None:
        """Hold one line."""
        self.lines.append(line)
        while True:
            frame = await line.receive()
            if frame["action"] == "subscribe":
                self.subscriptions += 1
                await line.send({"status": "ok"})
            else:
                self.frames.append(frame)
                await self.take(line, frame)

    async def take(self, line: Line, frame: dict[str, Any]) -> None:
        """Acknowledge and answer as the record has it; tests do otherwise."""
        kind = frame["data"]["type"]
        if kind == "offer":
            await line.send(ack(frame, "s1"))
            await line.send(message("s1", "answer", ANSWER))
        else:
            await line.send(ack(frame))

    def sent(self, kind: str) -> list[dict[str, Any]]:
        """Return what was sent of one kind."""
        return [frame for frame in self.frames if frame["data"]["type"] == kind]


def ack(frame: dict[str, Any], session: str | None = None, **changes: Any) -> dict[str, Any]:
    """Acknowledge a frame; only an offer's acknowledgement bears ids."""
    ids = {"session_id": session, "tag_id": f"tag-{session}" if session else None}
    known = {"type": "ack", "status": "ok", **ids, "correlation_id": frame["correlation_id"]}
    return {key: value for key, value in (known | changes).items() if value != "absent"}


def message(session: str, kind: str, sdp: str | None = None, **more: Any) -> dict[str, Any]:
    """Return what an intercom says in a call."""
    said = {} if sdp is None else {"session_description": {"type": "call", "sdp": sdp}}
    return {"session_id": session, "data": {"type": kind, **said, **more}}


@dataclass(slots=True)
class Phone:
    """The channel under test, and whom it talks to."""

    channel: SignalingChannel
    intercom: Intercom
    cloud: Cloud

    def session(self, viewer: CallObserver, *, panel: str | None = PANEL) -> CallSession:
        """Return a new call of the one intercom."""
        return CallSession(self.channel, viewer, bridge_id=BRIDGE, panel_id=panel)


@asynccontextmanager
async def phone(
    auth: AuthHandler, intercom: Intercom | None = None, *, patience: CallTimeouts = QUICK
) -> AsyncIterator[Phone]:
    """A channel to an intercom; in the end nothing of it is left."""
    there = intercom or Intercom()
    async with Cloud(there.serve) as cloud:
        backoff = Backoff(first=0.01, longest=0.04, draw=lambda: 1.0)
        channel = SignalingChannel(auth, url=cloud.url, patience=patience, backoff=backoff)
        try:
            yield Phone(channel, there, cloud)
        finally:
            await channel.close()
        assert channel.is_idle
