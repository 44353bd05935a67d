"""A consumer that is a browser's peer connection."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.exceptions import InvalidStateError, OperationError
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.sdp import candidate_from_sdp

from tests.go2rtc.peer import without_candidates
from tests.go2rtc.streams import KINDS, Stream, StreamError
from tests.simulator.peer import close_connection
from tests.simulator.scripted import sections

if TYPE_CHECKING:
    from aiortc.mediastreams import MediaStreamTrack

    from tests.go2rtc.media import RelayedTrack
    from tests.go2rtc.streams import Producer

CODECS: Final = ("audio/opus", "video/H264")
CONNECT_TIMEOUT: Final = 30.0  # seconds, after which go2rtc gives a consumer up


class Viewer:
    """Gets a stream's tracks; leaves the stream when its connection has ended."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._producer: Producer | None = None
        self._tracks: list[RelayedTrack] = []
        self._early: list[str] | None = []
        self._ended = asyncio.Event()
        configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_COMPAT)
        self._connection = RTCPeerConnection(configuration)
        self._connection.on("connectionstatechange", self._on_state)
        self._connection.on("track", self._on_track)
        self._listening: list[asyncio.Task[None]] = []

    async def answer(self, offer: str) -> tuple[str, list[str]]:
        """Join the stream; return the answer and its candidates. Raises StreamError."""
        self._producer = await self._stream.add(self)
        for kind in [each.kind for each in sections(offer)]:
            if kind in KINDS:
                self._add(kind)
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except (InvalidStateError, OperationError, ValueError) as err:
            raise StreamError(str(err)) from err
        early, self._early = self._early, None
        for candidate in early or []:
            await self.add_candidate(candidate)
        return without_candidates(self._connection.localDescription.sdp)

    async def add_candidate(self, candidate: str) -> None:
        """Add a candidate of the browser, if it is a UDP one and not mDNS."""
        fields = candidate.removeprefix("candidate:").split()
        if len(fields) < 8 or fields[2].lower() != "udp" or fields[4].endswith(".local"):
            return
        if self._early is not None:
            self._early.append(candidate)
            return
        parsed = candidate_from_sdp(candidate.removeprefix("candidate:"))
        parsed.sdpMLineIndex = 0  # go2rtc passes none on; the sections are bundled
        with suppress(InvalidStateError):
            await self._connection.addIceCandidate(parsed)

    async def run(self) -> None:
        """Wait until the connection has ended or has not been established in time; close it."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT) as timeout:
                self._connection.on("connectionstatechange", lambda: self._relax(timeout))
                self._relax(timeout)
                await self._ended.wait()
        except TimeoutError:
            pass
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the connection and leave the stream."""
        await close_connection(self._connection)
        await asyncio.gather(*self._listening)
        if self._producer is not None:
            for track in self._tracks:
                self._producer.relays[track.kind].unsubscribe(track)
            await self._stream.remove(self)

    def _relax(self, timeout: asyncio.Timeout) -> None:
        if self._connection.connectionState == "connected":
            timeout.reschedule(None)

    def _on_state(self) -> None:
        if self._connection.connectionState in {"failed", "closed"}:
            self._ended.set()

    def _on_track(self, track: MediaStreamTrack) -> None:
        """Pass the microphone on."""
        if self._producer is not None and self._producer.can_talk and track.kind == "audio":
            self._listening.append(asyncio.create_task(self._producer.voice.run(track)))

    def _add(self, kind: str) -> None:
        """Add a track of a kind; a second section of a kind is not used."""
        assert self._producer is not None
        if kind in {track.kind for track in self._tracks}:
            transceiver = self._connection.addTransceiver(kind, "inactive")
        else:
            track = self._producer.relays[kind].subscribe()
            self._tracks.append(track)
            is_two_way = kind == "audio" and self._producer.can_talk
            direction = "sendrecv" if is_two_way else "sendonly"
            transceiver = self._connection.addTransceiver(track, direction)
        able = RTCRtpSender.getCapabilities(kind).codecs
        transceiver.setCodecPreferences([each for each in able if each.mimeType in CODECS])
