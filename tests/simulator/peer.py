"""The intercom as a real WebRTC peer: it sends a picture and a tone, and hears."""

import asyncio
from contextlib import suppress
import time
from typing import TYPE_CHECKING, Any

import aioice.ice
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError, OperationError
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.sdp import candidate_from_sdp
from av import AudioFrame
import ifaddr

from tests.simulator.rtc_session import AudioStats
from tests.simulator.screen import Screen
from tests.simulator.scripted import sections
from tests.simulator.sound import Ear, Voice

if TYPE_CHECKING:
    from tests.simulator.house import Json
    from tests.simulator.rtc_settings import RtcSettings

CLOSE_SECONDS = 1.0
#: Seconds without a packet after which the microphone sleeps again.
AWAKE_SECONDS = 1.0
CODECS = ("audio/opus", "video/H264")
#: The machine's address for itself.
OWN = "127.0.0.1"
ADDRESS = "a=candidate:"
NO_MORE = "a=end-of-candidates"


class RealPeer:
    """One connection; it asks no server for an address."""

    def __init__(self, settings: RtcSettings) -> None:
        self.audio = AudioStats()
        self._settings = settings
        self._ear = Ear(self.audio)
        self._screen, self._voice = Screen(), Voice(self._is_awake)
        self._offers_sound = True
        self._found: list[Json] = []
        self._listener: asyncio.Task[None] | None = None
        configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self._connection = RTCPeerConnection(configuration)
        self._connection.on("track", self._hear)

    async def answer(self, offer: str) -> str:
        """Take a client's offer and return the answer to it; ValueError: it is none."""
        kinds = [each.kind for each in sections(offer)]
        self._offers_sound = _sends_sound(offer)
        # Only what is there before the offer has a say in the codecs of the answer.
        if "audio" in kinds:
            self._send(self._voice, "sendrecv")
        if "video" in kinds:
            self._send(self._screen, "sendonly")
        await self._take(offer, "offer")
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        return self._own(trickle=self._settings.trickle)

    async def offer(self) -> str:
        """Offer sound both ways and a picture; all addresses are in it."""
        self._send(self._voice, "sendrecv")
        self._send(self._screen, "sendonly")
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return self._own(trickle=False)

    async def take_answer(self, answer: str) -> None:
        """Take the client's answer to the own offer; ValueError: it is none."""
        self._offers_sound = _sends_sound(answer)
        await self._take(answer, "answer")

    async def take_candidate(self, found: Json) -> None:
        """Take an address of the client's, if it is one that can be reached from here."""
        line = str(found["candidate"]).removeprefix("candidate:")
        fields = line.split()
        if len(fields) < 8 or fields[2].lower() != "udp" or fields[4].endswith(".local"):
            return
        candidate = candidate_from_sdp(line)
        mid, index = found.get("sdp_mid"), found.get("sdp_m_line_index")
        candidate.sdpMid = mid if isinstance(mid, str) else None
        candidate.sdpMLineIndex = index if isinstance(index, int) else None
        with suppress(InvalidStateError):
            await self._connection.addIceCandidate(candidate)

    def candidates(self) -> list[Json]:
        """Return the own addresses that are in no description."""
        return self._found

    def show(self, name: str, number: int) -> None:
        """Show what is at this panel, by its name and where it stands among the bridge's."""
        self._screen.name, self._screen.number = name, number

    async def close(self) -> None:
        """End the connection, the tracks and whatever listens."""
        connecting = _tasks_of(self._connection)
        await self._connection.close()
        if connecting:
            await asyncio.wait(connecting, timeout=CLOSE_SECONDS)
        self._screen.stop()
        self._voice.stop()
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)

    async def _take(self, sdp: str, kind: str) -> None:
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(sdp=sdp, type=kind))
        except (OperationError, InvalidStateError, KeyError, IndexError) as error:
            raise ValueError(f"the {kind} cannot be taken: {error}") from error

    def _send(self, track: MediaStreamTrack, direction: str) -> None:
        """Send a track as the intercom does: H.264 or Opus, whatever else there is."""
        able = RTCRtpSender.getCapabilities(track.kind).codecs
        codecs = [codec for codec in able if codec.mimeType in CODECS]
        self._connection.addTransceiver(track, direction).setCodecPreferences(codecs)

    def _own(self, *, trickle: bool) -> str:
        """Return the own description; trickled, its addresses are left out and kept."""
        lines = self._connection.localDescription.sdp.split("\r\n")
        if not trickle:
            return "\r\n".join(lines)
        self._found = _addresses(lines)
        return "\r\n".join(line for line in lines if not line.startswith((ADDRESS, NO_MORE)))

    def _is_awake(self) -> bool:
        """Tell whether the microphone is awake."""
        match self._settings.sound_needs:
            case "rtp":
                return time.monotonic() - self._ear.last_at < AWAKE_SECONDS
            case "sendrecv":
                return self._offers_sound
        return True

    def _hear(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            self._listener = asyncio.ensure_future(self._listen(track))

    async def _listen(self, track: MediaStreamTrack) -> None:
        with suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, AudioFrame):
                    self._ear.take(frame)


def _tasks_of(connection: RTCPeerConnection) -> list[asyncio.Task[Any]]:
    """Return what a connection does in the background; it keeps no hold of it by itself.

    A connection that is closed before it came about needs a moment more to notice.
    """
    frames = [(task, getattr(task.get_coro(), "cr_frame", None)) for task in asyncio.all_tasks()]
    own = [task for task, frame in frames if frame and frame.f_locals.get("self") is connection]
    return [task for task in own if task is not asyncio.current_task()]


def _addresses(lines: list[str]) -> list[Json]:
    """Return the addresses of a description, each for its section."""
    found: list[Json] = []
    index, mid = -1, ""
    mids = [line.removeprefix("a=mid:") for line in lines if line.startswith("a=mid:")]
    for line in lines:
        if line.startswith("m="):
            index += 1
            mid = mids[index]
        elif line.startswith(ADDRESS):
            candidate = line.removeprefix("a=")
            found.append({"sdp_m_line_index": index, "sdp_mid": mid, "candidate": candidate})
    return found


def _sends_sound(sdp: str) -> bool:
    """Tell whether a description wants to send sound."""
    audio = sdp.partition("m=audio")[2].partition("\r\nm=")[0]
    return "a=sendrecv" in audio or "a=sendonly" in audio


def _addresses_of_this_machine(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    """Return all IPv4 addresses, first that of the machine alone: there may be no other."""
    del use_ipv6
    if not use_ipv4:
        return []
    found = [each.ip for adapter in ifaddr.get_adapters() for each in adapter.ips]
    others = [each for each in found if isinstance(each, str) and each != OWN]
    return [OWN, *others]


# aioice leaves 127.0.0.1 out, and has no setting for it.
aioice.ice.get_host_addresses = _addresses_of_this_machine
