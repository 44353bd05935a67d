"""The real peer: viewing, two-way audio, answering a ring, and the end."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiortc import (
    RTCCertificate,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.rtcdtlstransport import generate_certificate
from av import AudioFrame, VideoFrame
from cryptography.hazmat.primitives.asymmetric import rsa
import pytest

from tests.conftest import HANG_TIMEOUT, advance_loop
from tests.simulator.audio import HERTZ, AudioMeter, ToneTrack
from tests.simulator.peer import LOOPBACK, RealPeer
from tests.simulator.rtc_session import AudioStats
from tests.simulator.signaling_client import OFFER, SignalingClient, open_signaling
from tests.simulator.socket_client import open_socket
from tests.simulator.video import draw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiortc.mediastreams import MediaStreamTrack
    from aiortc.rtcdtlstransport import SRTPProtectionProfile
    from OpenSSL.SSL import Context

    from tests.simulator.http_client import HttpClient
    from tests.simulator.server import Simulator

VIEWER_HERTZ = 700


@pytest.fixture(autouse=True)
def intercom(sim: Simulator) -> None:
    """Give the intercom video and audio."""
    sim.rtc.settings.peer = "real"


class Viewer:
    """A client with a WebRTC peer."""

    def __init__(self, *, talks: bool) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.tracks: dict[str, MediaStreamTrack] = {}
        self.audio = AudioStats()
        self._voice = ToneTrack(lambda: talks, VIEWER_HERTZ) if talks else None
        self.connection.on("track", self._on_track)

    def _on_track(self, track: MediaStreamTrack) -> None:
        self.tracks[track.kind] = track

    async def offer(self) -> str:
        """Return an offer for video, and two-way audio if the viewer talks."""
        if self._voice is None:
            self.connection.addTransceiver("audio", "recvonly")
        else:
            self.connection.addTransceiver(self._voice, "sendrecv")
        video = self.connection.addTransceiver("video", "recvonly")
        able = RTCRtpSender.getCapabilities("video").codecs
        video.setCodecPreferences([each for each in able if each.mimeType == "video/H264"])
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def answer(self, offer: str) -> str:
        """Return an answer to a ring."""
        await self._set_remote(offer, "offer")
        if self._voice is not None:
            self.connection.addTrack(self._voice)
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        return str(self.connection.localDescription.sdp)

    async def set_answer(self, answer: str) -> None:
        """Apply the intercom's answer."""
        await self._set_remote(answer, "answer")

    async def frame(self) -> VideoFrame:
        """Return the next video frame."""
        frame = await self.tracks["video"].recv()
        assert isinstance(frame, VideoFrame)
        return frame

    async def receive_until(self, condition: Callable[[AudioStats], bool]) -> None:
        """Receive audio until its statistics meet a condition."""
        meter = AudioMeter(self.audio)
        while not condition(self.audio):
            frame = await self.tracks["audio"].recv()
            assert isinstance(frame, AudioFrame)
            meter.measure(frame)

    async def _set_remote(self, sdp: str, kind: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp=sdp, type=kind))


class RsaCertificate(RTCCertificate):
    """An RSA certificate, with which ciphers for ECDSA are of no use."""

    def __init__(self) -> None:
        key: Any = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        super().__init__(key, generate_certificate(key))

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(b"ECDHE-RSA-AES128-GCM-SHA256")
        return context


@asynccontextmanager
async def viewer(*, talks: bool = True) -> AsyncIterator[Viewer]:
    """Open a viewer for a while."""
    remote = Viewer(talks=talks)
    try:
        async with asyncio.timeout(HANG_TIMEOUT):
            yield remote
    finally:
        await remote.connection.close()


def luminance(frame: VideoFrame) -> bytes:
    """Return the luminance of each pixel."""
    return bytes(frame.planes[0])


async def dial(signaling: SignalingClient, remote: Viewer) -> dict[str, str]:
    """Send an offer and connect; return the ids. Only the intercom has ICE candidates."""
    sdp = await remote.offer()
    acknowledged = await signaling.offer(without_candidates(sdp))
    await remote.set_answer((await signaling.frame())["data"]["session_description"]["sdp"])
    return {name: acknowledged[name] for name in ("session_id", "tag_id")}


def without_candidates(sdp: str) -> str:
    """Return an SDP without candidates, as from a browser that hides its addresses."""
    lines = sdp.split("\r\n")
    start = ("a=candidate:", "a=end-of-candidates")
    kept = [line for line in lines if not line.startswith(start)]
    return "\r\n".join(kept).replace("a=group:", "a=ice-options:trickle\r\na=group:")


async def test_view_with_two_way_audio(client: HttpClient, sim: Simulator) -> None:
    """The video changes, both sides receive the other's tone, and no task is left over."""
    before = asyncio.all_tasks()
    sim.rtc.settings.trickle = False
    async with open_signaling(client) as signaling, viewer() as remote:
        ids = await dial(signaling, remote)
        first, second = [luminance(await remote.frame()) for _ in range(2)]
        assert first != second
        await remote.receive_until(lambda audio: audio.packets > 50 and audio.level > 0.1)
        assert remote.audio.hertz == pytest.approx(HERTZ, rel=0.02)
        audio = sim.rtc.sessions[ids["session_id"]].audio
        while audio.packets < 30:
            await remote.frame()
        assert audio.hertz == pytest.approx(VIEWER_HERTZ, rel=0.02)
        assert audio.level > 0.1
        assert audio.seconds == pytest.approx(audio.packets * 0.02)
        await signaling.request(ids, "terminate")
        await sim.rtc.close()
    assert asyncio.all_tasks() - before == set()
    assert (sim.rtc.terminates, sim.rtc.held_slots, sim.violations) == (1, 0, [])


async def test_viewer_with_an_rsa_certificate(client: HttpClient, sim: Simulator) -> None:
    """GStreamer has one; DTLS needs a cipher that fits it."""
    sim.rtc.settings.trickle = False
    async with open_signaling(client) as signaling, viewer() as remote:
        # aiortc has no setting for it.
        vars(remote.connection)["_RTCPeerConnection__certificates"] = [RsaCertificate()]
        await dial(signaling, remote)
        await remote.frame()


@pytest.mark.parametrize(("needs", "speaks"), [("rtp", False), ("nothing", True)])
async def test_microphone_needs_incoming_audio(
    client: HttpClient, sim: Simulator, *, needs: Any, speaks: bool
) -> None:
    """A viewer that does not send receives silence, as from a real intercom."""
    sim.rtc.settings.audio_requires, sim.rtc.settings.trickle = needs, False
    async with open_signaling(client) as signaling, viewer(talks=False) as remote:
        await dial(signaling, remote)
        await remote.receive_until(lambda audio: audio.packets >= 20)
        assert (remote.audio.level > 0.1) is speaks


async def test_ring_is_answered(client: HttpClient, sim: Simulator) -> None:
    """The pushed offer is usable, and the intercom receives the audio of the answering client."""
    async with (
        open_signaling(client) as signaling,
        open_socket(client) as pushes,
        viewer() as remote,
    ):
        call = sim.ring("Posto esterno cortile")
        extra = (await pushes.frames(2))[0]["extra_params"]
        sdp = await remote.answer(extra["data"]["session_description"]["sdp"])
        await signaling.send(
            {"type": "answer", "session_description": {"type": "call", "sdp": sdp}},
            session_id=extra["session_id"],
            tag_id=extra["tag_id"],
            correlation_id=str(extra["correlation_id"]),
        )
        assert (await signaling.frame())["status"] == "ok"
        await remote.frame()
        audio = sim.rtc.sessions[call.session_id].audio
        while audio.packets < 30:
            await remote.frame()
        assert audio.hertz == pytest.approx(VIEWER_HERTZ, rel=0.02)
        sim.hang_up(call)
        assert (await signaling.frame())["data"] == {"type": "terminate"}
    assert sim.violations == []


async def test_trickle_ice(client: HttpClient, sim: Simulator) -> None:
    """Candidates are sent as frames, not in the SDP; the loopback address is among them."""
    async with open_signaling(client) as signaling, viewer(talks=False) as remote:
        await signaling.offer(await remote.offer())
        answer, first = await signaling.frames(2)
        assert "a=candidate" not in answer["data"]["session_description"]["sdp"]
        assert first["data"]["ice_candidate"]["candidate"].startswith("candidate:")
        (session,) = sim.rtc.open
        assert session.peer is not None
        found = [str(each["candidate"]) for each in session.peer.candidates()]
        assert any(f" {LOOPBACK} " in each for each in found)


async def test_invalid_offer(client: HttpClient, sim: Simulator) -> None:
    """An offer without a fingerprint ends with an error and is a violation."""
    async with open_signaling(client) as signaling:
        await signaling.offer(OFFER)
        assert (await signaling.frame())["data"]["error"]["code"] == 21
    assert len(sim.violations) == 1
    assert sim.rtc.held_slots == 0


@pytest.mark.parametrize("end", ["hang_up", "miss", "end_silently", "expiry", "use_house"])
async def test_unanswered_ring_closes_its_peer(
    client: HttpClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """The peer is closed, however the ring ends."""
    async with open_socket(client) as pushes:
        call = sim.ring(expiry=30)
        await pushes.frames(2)
        peer = sim.rtc._rings[call.session_id].peer
        assert isinstance(peer, RealPeer)
        assert peer._connection.signalingState != "closed"
        if end == "expiry":
            advance_loop(monkeypatch, 31)
        else:
            getattr(sim, end)("easykit" if end == "use_house" else call)
        while peer._connection.signalingState != "closed":  # noqa: ASYNC110 - aiortc has no event for it
            await asyncio.sleep(0)


def test_video_of_panels_differs() -> None:
    """Panels differ in colour, and frames in the tenths of a second."""
    at = datetime(2026, 11, 24, 20, 15, 7, tzinfo=UTC)
    colours = {
        tuple(bytes(each)[:1] for each in draw("", number, at).planes) for number in range(6)
    }
    assert len(colours) == 6
    tenth = at.replace(microsecond=100_000)
    frames = [luminance(draw("Cancello", 1, when)) for when in (at, at, tenth)]
    assert frames[0] == frames[1] != frames[2]
