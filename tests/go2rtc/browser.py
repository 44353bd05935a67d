"""A browser that watches a stream, through Home Assistant or at the stand-in itself."""

from typing import TYPE_CHECKING

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.sdp import candidate_from_sdp
from av import AudioFrame, VideoFrame

from tests.simulator.audio import AudioMeter
from tests.simulator.peer import close_connection  # the module lets aiortc use the loopback
from tests.simulator.rtc_session import AudioStats

if TYPE_CHECKING:
    from aiortc.mediastreams import MediaStreamTrack


class Browser:
    """A peer connection that receives video and sound, and may have a microphone."""

    def __init__(self, microphone: MediaStreamTrack | None = None) -> None:
        configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self.connection = RTCPeerConnection(configuration)
        self.audio = AudioStats()
        self._meter = AudioMeter(self.audio)
        self._tracks: dict[str, MediaStreamTrack] = {}
        self.connection.on("track", self._on_track)
        if microphone is None:
            self.connection.addTransceiver("audio", "recvonly")
        else:
            self.connection.addTransceiver(microphone, "sendrecv")
        self.connection.addTransceiver("video", "recvonly")

    async def offer(self) -> str:
        """Return an offer with all candidates."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def set_answer(self, answer: str) -> None:
        """Apply the answer, whose candidates follow."""
        description = RTCSessionDescription(sdp=answer, type="answer")
        await self.connection.setRemoteDescription(description)

    async def add_candidate(self, candidate: str) -> None:
        """Add a candidate of the other side."""
        parsed = candidate_from_sdp(candidate.removeprefix("candidate:"))
        parsed.sdpMLineIndex = 0
        await self.connection.addIceCandidate(parsed)

    async def see(self) -> None:
        """Receive two different pictures."""
        assert await self._picture() != await self._picture()

    async def hear(self) -> None:
        """Receive a tone."""
        while self.audio.level < 0.1:
            frame = await self._tracks["audio"].recv()
            assert isinstance(frame, AudioFrame)
            self._meter.measure(frame)

    async def close(self) -> None:
        """Close the connection."""
        await close_connection(self.connection)

    async def _picture(self) -> bytes:
        frame = await self._tracks["video"].recv()
        assert isinstance(frame, VideoFrame)
        return bytes(frame.planes[0])

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._tracks[track.kind] = track
