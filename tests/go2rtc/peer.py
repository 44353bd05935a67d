"""A WebRTC peer with the offers of go2rtc, which is built on another WebRTC stack (pion).

The offers are captured ones with the addresses, keys and fingerprints of this peer.
"""

import asyncio
from itertools import count
from pathlib import Path
import re
from typing import TYPE_CHECKING, Final

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.sdp import candidate_from_sdp
from av import AudioFrame, VideoFrame

from tests.simulator.audio import AudioMeter, ToneTrack
from tests.simulator.peer import close_connection  # the module lets aiortc use the loopback
from tests.simulator.rtc_session import AudioStats

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc.mediastreams import MediaStreamTrack

OFFERS: Final = Path(__file__).parents[1] / "client" / "webrtc" / "offers"
VOICE_HERTZ: Final = 700
ENDED: Final = ("failed", "closed")
_SESSION_IDS: Final = count(1)
_OWN: Final = re.compile(r"a=(ice-ufrag|ice-pwd|fingerprint):.*")
_CANDIDATE: Final = re.compile(r"a=candidate:.*\r\n")


def captured_offer(name: str) -> str:
    """Return a captured offer: `whep` or `two_way`."""
    return (OFFERS / f"go2rtc_{name}.sdp").read_bytes().decode()


class Go2rtcPeer:
    """A peer that receives video and sound; with `two_way` it also sends a voice, or a tone."""

    def __init__(self, name: str = "whep", voice: MediaStreamTrack | None = None) -> None:
        configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self.connection = RTCPeerConnection(configuration)
        self.tracks: dict[str, MediaStreamTrack] = {}
        self.audio = AudioStats()
        self._captured = captured_offer(name)
        self._meter = AudioMeter(self.audio)
        self._changed = asyncio.Event()
        self.connection.on("track", self._on_track)
        self.connection.on("connectionstatechange", self._changed.set)
        for kind in ("video", "audio"):
            self.connection.addTransceiver(kind, "recvonly")
        if name == "two_way":
            voice = voice or ToneTrack(lambda: True, VOICE_HERTZ)
            self.connection.addTransceiver(voice, "sendonly")

    async def offer(self) -> str:
        """Return the captured offer with what belongs to this peer, and all its candidates."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        own = self.connection.localDescription.sdp
        ssrcs = re.findall(r"a=ssrc:([0-9]+) ", own)
        offer = re.sub(r"o=- [0-9]+", f"o=- {next(_SESSION_IDS)}", self._captured)
        offer = re.sub(r"a=ssrc:[0-9]+", f"a=ssrc:{ssrcs[-1]}", offer)
        offer = _OWN.sub(lambda line: _line(own, line[1]), _CANDIDATE.sub("", offer))
        candidates = "".join(dict.fromkeys(_CANDIDATE.findall(own.partition("m=audio")[0])))
        return offer.replace("a=recvonly\r\n", f"a=recvonly\r\n{candidates}", 1)

    async def set_answer(self, answer: str) -> None:
        """Apply the answer to the offer.

        Without candidates, aiortc would give up; pion waits for the checks of the other side.
        """
        if "a=candidate:" not in answer:
            answer = answer.replace("a=end-of-candidates\r\n", "")
        description = RTCSessionDescription(sdp=answer, type="answer")
        await self.connection.setRemoteDescription(description)

    async def frame(self) -> VideoFrame:
        """Return the next video frame."""
        frame = await self.tracks["video"].recv()
        assert isinstance(frame, VideoFrame)
        return frame

    async def hear(self, condition: Callable[[AudioStats], bool]) -> None:
        """Receive sound until its statistics meet a condition."""
        while not condition(self.audio):
            frame = await self.tracks["audio"].recv()
            assert isinstance(frame, AudioFrame)
            self._meter.measure(frame)

    @property
    def can_talk(self) -> bool:
        """Whether the other side receives what it sends."""
        directions = [each.currentDirection for each in self.connection.getTransceivers()]
        return "sendonly" in directions

    async def add_candidate(self, candidate: str) -> None:
        """Add a candidate that came after the answer."""
        parsed = candidate_from_sdp(candidate.removeprefix("candidate:"))
        parsed.sdpMLineIndex = 0
        await self.connection.addIceCandidate(parsed)

    async def wait_connected(self) -> bool:
        """Wait until the connection is there; False: it has ended."""
        await self._wait_for("connected", *ENDED)
        return self.connection.connectionState == "connected"

    async def wait_ended(self) -> None:
        """Wait until the connection has failed, or the other side has closed it."""
        await self._wait_for(*ENDED)

    async def close(self) -> None:
        """Close the connection; nobody is told."""
        await close_connection(self.connection)
        await asyncio.sleep(0)

    def _on_track(self, track: MediaStreamTrack) -> None:
        self.tracks[track.kind] = track

    async def _wait_for(self, *states: str) -> None:
        while self.connection.connectionState not in states:
            self._changed.clear()
            await self._changed.wait()


def _line(sdp: str, name: str) -> str:
    """Return the first line of an attribute."""
    found = re.search(rf"a={name}:[^\r]*", sdp)
    assert found is not None
    return found[0]


def without_candidates(sdp: str) -> tuple[str, list[str]]:
    """Return a description without its candidates, and these."""
    lines = sdp.split("\r\n")
    found = [line.removeprefix("a=") for line in lines if line.startswith("a=candidate:")]
    kept = [line for line in lines if not line.startswith(("a=candidate:", "a=end-of-candidates"))]
    return "\r\n".join(kept), list(dict.fromkeys(found))
