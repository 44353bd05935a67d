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
from av import AudioFrame, VideoFrame

from tests.simulator.audio import AudioMeter, ToneTrack
import tests.simulator.peer  # noqa: F401 - lets aiortc use the loopback address
from tests.simulator.rtc_session import AudioStats

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc.mediastreams import MediaStreamTrack

OFFERS: Final = Path(__file__).parents[1] / "client" / "webrtc" / "offers"
VOICE_HERTZ: Final = 700
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
        self._ended = asyncio.Event()
        self.connection.on("track", self._on_track)
        self.connection.on("connectionstatechange", self._on_state)
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

    async def wait_ended(self) -> None:
        """Wait until the connection has failed, or the other side has closed it."""
        await self._ended.wait()

    async def close(self) -> None:
        """Close the connection; nobody is told."""
        await self.connection.close()
        await asyncio.sleep(0)

    def _on_track(self, track: MediaStreamTrack) -> None:
        self.tracks[track.kind] = track

    def _on_state(self) -> None:
        if self.connection.connectionState in {"failed", "closed"}:
            self._ended.set()


def _line(sdp: str, name: str) -> str:
    """Return the first line of an attribute."""
    found = re.search(rf"a={name}:[^\r]*", sdp)
    assert found is not None
    return found[0]
