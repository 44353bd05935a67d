"""The real peer: another one looks, talks, rings off, and is rung up."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from av import AudioFrame, VideoFrame
import pytest

from tests.simulator.caller import OFFER, Caller, calling
from tests.simulator.listener import listen
from tests.simulator.peer import OWN, RealPeer
from tests.simulator.rtc_session import AudioStats
from tests.simulator.screen import draw
from tests.simulator.sound import HERTZ, Ear, Voice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiortc.mediastreams import MediaStreamTrack

    from tests.simulator.server import Simulator
    from tests.simulator.visitor import Visitor

VIEWER_HERTZ = 700
PATIENCE = 8.0  # seconds


@pytest.fixture(autouse=True)
def intercom(sim: Simulator) -> None:
    """Let the intercom have a picture and a voice."""
    sim.rtc.settings.peer = "real"


class Viewer:
    """A browser without a window."""

    def __init__(self, *, talks: bool) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.tracks: dict[str, MediaStreamTrack] = {}
        self.audio = AudioStats()
        self._voice = Voice(lambda: talks, VIEWER_HERTZ) if talks else None
        self.connection.on("track", self._take)

    def _take(self, track: MediaStreamTrack) -> None:
        self.tracks[track.kind] = track

    async def offer(self) -> str:
        """Offer to look, and to talk if there is a voice."""
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
        """Answer a ring."""
        await self._describe(offer, "offer")
        if self._voice is not None:
            self.connection.addTrack(self._voice)
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        return str(self.connection.localDescription.sdp)

    async def answered(self, answer: str) -> None:
        """Take the intercom's answer."""
        await self._describe(answer, "answer")

    async def picture(self) -> VideoFrame:
        """Return the next picture."""
        frame = await self.tracks["video"].recv()
        assert isinstance(frame, VideoFrame)
        return frame

    async def hears(self, condition: Callable[[AudioStats], bool]) -> None:
        """Listen until what is heard is so."""
        ear = Ear(self.audio)
        while not condition(self.audio):
            frame = await self.tracks["audio"].recv()
            assert isinstance(frame, AudioFrame)
            ear.take(frame)

    async def _describe(self, sdp: str, kind: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp=sdp, type=kind))


@asynccontextmanager
async def viewer(*, talks: bool = True) -> AsyncIterator[Viewer]:
    """Look for a while."""
    there = Viewer(talks=talks)
    try:
        async with asyncio.timeout(PATIENCE):
            yield there
    finally:
        await there.connection.close()


def light(frame: VideoFrame) -> bytes:
    """Return how light each point of a picture is."""
    return bytes(frame.planes[0])


async def dialled(caller: Caller, there: Viewer) -> dict[str, str]:
    """Dial, connect, and return the ids; only the intercom knows of an address to go to."""
    sdp = await there.offer()
    acknowledged = await caller.offer(without_addresses(sdp))
    await there.answered((await caller.frame())["data"]["session_description"]["sdp"])
    return {name: acknowledged[name] for name in ("session_id", "tag_id")}


def without_addresses(sdp: str) -> str:
    """Return a description like that of a browser that hides where it is."""
    lines = sdp.split("\r\n")
    start = ("a=candidate:", "a=end-of-candidates")
    kept = [line for line in lines if not line.startswith(start)]
    return "\r\n".join(kept).replace("a=group:", "a=ice-options:trickle\r\na=group:")


async def test_view_with_sound_both_ways(visitor: Visitor, sim: Simulator) -> None:
    """The picture changes, each hears the other's tone, and nothing is left of it afterwards."""
    before = asyncio.all_tasks()
    sim.rtc.settings.trickle = False
    async with calling(visitor) as caller, viewer() as there:
        ids = await dialled(caller, there)
        first, second = [light(await there.picture()) for _ in range(2)]
        assert first != second
        await there.hears(lambda audio: audio.packets > 50 and audio.level > 0.1)
        assert there.audio.hertz == pytest.approx(HERTZ, rel=0.02)
        audio = sim.rtc.sessions[ids["session_id"]].audio
        assert audio.hertz == pytest.approx(VIEWER_HERTZ, rel=0.02)
        assert audio.level > 0.1
        assert audio.seconds == pytest.approx(audio.packets * 0.02)
        await caller.of(ids, "terminate")
        await sim.rtc.close()
    assert asyncio.all_tasks() - before == set()
    assert (sim.rtc.terminates, sim.rtc.held_slots, sim.violations) == (1, 0, [])


@pytest.mark.parametrize(("needs", "speaks"), [("rtp", False), ("nothing", True)])
async def test_microphone_sleeps(
    visitor: Visitor, sim: Simulator, *, needs: Any, speaks: bool
) -> None:
    """A viewer who only looks hears silence, as from the real one."""
    sim.rtc.settings.sound_needs, sim.rtc.settings.trickle = needs, False
    async with calling(visitor) as caller, viewer(talks=False) as there:
        await dialled(caller, there)
        await there.hears(lambda audio: audio.packets >= 20)
        assert (there.audio.level > 0.1) is speaks


async def test_ring_is_answered(visitor: Visitor, sim: Simulator) -> None:
    """The push has an offer that works; the answer connects, and the intercom hears who answers."""
    async with calling(visitor) as caller, listen(visitor) as pushes, viewer() as there:
        call = sim.ring("Posto esterno cortile")
        extra = (await pushes.frames(2))[0]["extra_params"]
        sdp = await there.answer(extra["data"]["session_description"]["sdp"])
        await caller.say(
            {"type": "answer", "session_description": {"type": "call", "sdp": sdp}},
            session_id=extra["session_id"],
            tag_id=extra["tag_id"],
            correlation_id=str(extra["correlation_id"]),
        )
        assert (await caller.frame())["status"] == "ok"
        await there.picture()
        audio = sim.rtc.sessions[call.session_id].audio
        while audio.packets < 30:
            await there.picture()
        assert audio.hertz == pytest.approx(VIEWER_HERTZ, rel=0.02)
        sim.hang_up(call)
        assert (await caller.frame())["data"] == {"type": "terminate"}
    assert sim.violations == []


async def test_addresses_come_as_frames(visitor: Visitor, sim: Simulator) -> None:
    """Then they are not in the description; that of the machine itself is among them."""
    async with calling(visitor) as caller, viewer(talks=False) as there:
        await caller.offer(await there.offer())
        answer, first = await caller.frames(2)
        assert "a=candidate" not in answer["data"]["session_description"]["sdp"]
        assert first["data"]["ice_candidate"]["candidate"].startswith("candidate:")
        (session,) = sim.rtc.open
        assert session.peer is not None
        found = [str(each["candidate"]) for each in session.peer.candidates()]
        assert any(f" {OWN} " in each for each in found)


async def test_offer_that_cannot_be_taken(visitor: Visitor, sim: Simulator) -> None:
    """It has no fingerprint: the call ends with an error, and a note."""
    async with calling(visitor) as caller:
        await caller.offer(OFFER)
        assert (await caller.frame())["data"]["error"]["code"] == 21
    assert len(sim.violations) == 1
    assert sim.rtc.held_slots == 0


@pytest.mark.parametrize("end", ["hang_up", "miss", "end_silently", "expiry", "use_house"])
async def test_ring_that_nobody_answers_leaves_nothing(
    visitor: Visitor, sim: Simulator, end: str
) -> None:
    """However it ends, its connection is closed then."""
    async with listen(visitor) as pushes, asyncio.timeout(PATIENCE):
        call = sim.ring(expiry=0.1 if end == "expiry" else 30)
        await pushes.frames(2)
        peer = sim.rtc._rings[call.session_id].peer
        assert isinstance(peer, RealPeer)
        if end != "expiry":
            assert peer._connection.signalingState != "closed"
            getattr(sim, end)("easykit" if end == "use_house" else call)
        while peer._connection.signalingState != "closed":  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)


def test_panels_can_be_told_apart() -> None:
    """By their colours, and the tenths of a second by the clock."""
    at = datetime(2026, 11, 24, 20, 15, 7, tzinfo=UTC)
    colours = {
        tuple(bytes(each)[:1] for each in draw("", number, at).planes) for number in range(6)
    }
    assert len(colours) == 6
    tenth = at.replace(microsecond=100_000)
    frames = [light(draw("Cancello", 1, when)) for when in (at, at, tenth)]
    assert frames[0] == frames[1] != frames[2]
