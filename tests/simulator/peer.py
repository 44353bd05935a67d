"""A real WebRTC peer for the intercom: sends video and a tone, and measures received audio."""

import asyncio
from contextlib import suppress
import time
from typing import TYPE_CHECKING, Any

import aioice.ice
from aiortc import (
    RTCCertificate,
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

from tests.simulator.audio import AudioMeter, ToneTrack
from tests.simulator.rtc_session import AudioStats
from tests.simulator.scripted import sections
from tests.simulator.video import PanelVideo

if TYPE_CHECKING:
    from aiortc.rtcdtlstransport import SRTPProtectionProfile
    from OpenSSL.SSL import Context

    from tests.simulator.house import Json
    from tests.simulator.rtc_settings import RtcSettings

#: Of DTLS, for certificates of both kinds.
CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES"
CLOSE_SECONDS = 1.0
#: Seconds without a packet after which the microphone is off again.
AWAKE_SECONDS = 1.0
KINDS = ("audio", "video")
CODECS = ("audio/opus", "video/H264")
FIXED_PAYLOAD_TYPES = {"audio": 111, "video": 109}
SENDS = ("sendrecv", "sendonly")
#: The loopback address.
LOOPBACK = "127.0.0.1"
CANDIDATE = "a=candidate:"
END_OF_CANDIDATES = "a=end-of-candidates"
RELAYED = "candidate:9 1 udp 1015807 203.0.113.9 50009 typ relay raddr 192.0.2.20 rport 50000"


class RealPeer:
    """One peer connection, without STUN or TURN servers."""

    def __init__(self, settings: RtcSettings) -> None:
        self.audio = AudioStats()
        self._settings = settings
        self._meter = AudioMeter(self.audio)
        self._video, self._tone = PanelVideo(), ToneTrack(self._is_awake)
        self._client_sends = True
        self._candidates: list[Json] = []
        self._receivers: list[asyncio.Task[None]] = []
        # A BUNDLE group keeps the transport of its first section and stops those of the others:
        # with other policies, aiortc may stop the one that they share.
        configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_COMPAT)
        self._connection = RTCPeerConnection(configuration)
        self._connection.on("track", self._on_track)

    async def answer(self, offer: str) -> str:
        """Return the answer to a client's offer; ValueError: it is not valid."""
        self._client_sends = _sends_audio(offer)
        # Only transceivers added before the offer determine the codecs of the answer. The first
        # section of a kind gets the track; more of them are only received.
        tracks = {"audio": (self._tone, "sendrecv"), "video": (self._video, "sendonly")}
        for kind in [each.kind for each in sections(offer)]:
            if kind in KINDS:
                self._add(*tracks.pop(kind, (kind, "recvonly")))
        await self._set_remote(offer, "offer")
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        if self._settings.fixed_payload_types:
            for transceiver in self._connection.getTransceivers():
                for codec in transceiver._codecs:
                    codec.payloadType = FIXED_PAYLOAD_TYPES[transceiver.kind]
        return self._local_sdp(trickle=self._settings.trickle)

    async def offer(self) -> str:
        """Return an offer of two-way audio and video, with all candidates in the SDP."""
        self._add(self._tone, "sendrecv")
        self._add(self._video, "sendonly")
        await self._connection.setLocalDescription(await self._connection.createOffer())
        self._yield_ice_role()
        return self._local_sdp(trickle=False)

    def _yield_ice_role(self) -> None:
        """Let the client control ICE: it has made an offer, too, whose answer is our offer.

        Otherwise chance decides who does, and Firefox ignores the error of the other side.
        """
        for transceiver in self._connection.getTransceivers():
            transceiver.sender.transport.transport._connection._tie_breaker = 0

    async def set_answer(self, answer: str) -> None:
        """Apply the client's answer to the offer; ValueError: it is not valid."""
        self._client_sends = _sends_audio(answer)
        await self._set_remote(answer, "answer")

    async def add_candidate(self, candidate: Json) -> None:
        """Add an ICE candidate of the client, if it is a UDP one and not mDNS."""
        line = str(candidate["candidate"]).removeprefix("candidate:")
        fields = line.split()
        if len(fields) < 8 or fields[2].lower() != "udp" or fields[4].endswith(".local"):
            return
        parsed = candidate_from_sdp(line)
        mid, index = candidate.get("sdp_mid"), candidate.get("sdp_m_line_index")
        parsed.sdpMid = mid if isinstance(mid, str) else None
        parsed.sdpMLineIndex = index if isinstance(index, int) else None
        with suppress(InvalidStateError):
            await self._connection.addIceCandidate(parsed)

    def candidates(self) -> list[Json]:
        """Return the ICE candidates that are not in the SDP."""
        if not (self._settings.relayed_candidate and self._candidates):
            return self._candidates
        return [*self._candidates, self._candidates[-1] | {"candidate": RELAYED}]

    def show(self, name: str, number: int) -> None:
        """Show a panel, given its name and its number at the bridge."""
        self._video.name, self._video.number = name, number

    async def close(self) -> None:
        """Close the connection, the tracks and the receiving task."""
        await close_connection(self._connection)
        self._video.stop()
        self._tone.stop()
        for receiver in self._receivers:
            receiver.cancel()
        await asyncio.gather(*self._receivers, return_exceptions=True)

    async def _set_remote(self, sdp: str, kind: str) -> None:
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(sdp=sdp, type=kind))
        except (OperationError, InvalidStateError, KeyError, IndexError) as error:
            raise ValueError(f"invalid {kind}: {error}") from error

    def _add(self, track_or_kind: MediaStreamTrack | str, direction: str) -> None:
        """Add a track, or a section without one, with the intercom's codecs: H.264 and Opus."""
        transceiver = self._connection.addTransceiver(track_or_kind, direction)
        able = RTCRtpSender.getCapabilities(transceiver.kind).codecs
        transceiver.setCodecPreferences([each for each in able if each.mimeType in CODECS])

    def _local_sdp(self, *, trickle: bool) -> str:
        """Return the local SDP; with trickle ICE, its candidates are removed and kept."""
        lines = self._connection.localDescription.sdp.split("\r\n")
        if not trickle:
            return "\r\n".join(lines)
        self._candidates = _candidates_in(lines)
        return "\r\n".join(
            line for line in lines if not line.startswith((CANDIDATE, END_OF_CANDIDATES))
        )

    def _is_awake(self) -> bool:
        """Return whether the microphone is on."""
        match self._settings.audio_requires:
            case "rtp":
                return time.monotonic() - self._meter.last_at < AWAKE_SECONDS
            case "sendrecv":
                return self._client_sends
        return True

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            self._receivers.append(asyncio.ensure_future(self._receive(track)))

    async def _receive(self, track: MediaStreamTrack) -> None:
        with suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, AudioFrame):
                    self._meter.measure(frame)


async def close_connection(connection: RTCPeerConnection) -> None:
    """Close a connection; one that is being established is waited for."""
    connecting = _tasks_of(connection)
    # If somebody who waits for its end is cancelled, aiortc cannot end it.
    await asyncio.shield(connection.close())
    if connecting:
        await asyncio.wait(connecting, timeout=CLOSE_SECONDS)


def _tasks_of(connection: RTCPeerConnection) -> list[asyncio.Task[Any]]:
    """Return the background tasks of a connection, which it does not track itself.

    A connection that is closed while it is being established takes a moment to end them.
    """
    frames = [(task, getattr(task.get_coro(), "cr_frame", None)) for task in asyncio.all_tasks()]
    own = [task for task, frame in frames if frame and frame.f_locals.get("self") is connection]
    return [task for task in own if task is not asyncio.current_task()]


def _candidates_in(lines: list[str]) -> list[Json]:
    """Return the candidates of an SDP, each with its m-section."""
    found: list[Json] = []
    index, mid = -1, ""
    mids = [line.removeprefix("a=mid:") for line in lines if line.startswith("a=mid:")]
    for line in lines:
        if line.startswith("m="):
            index += 1
            mid = mids[index]
        elif line.startswith(CANDIDATE):
            candidate = line.removeprefix("a=")
            found.append({"sdp_m_line_index": index, "sdp_mid": mid, "candidate": candidate})
    return found


def _sends_audio(sdp: str) -> bool:
    """Return whether an audio m-section of an SDP sends."""
    return any(each.kind == "audio" and each.direction in SENDS for each in sections(sdp))


def _host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    """Return all IPv4 addresses, the loopback first: there may be no other."""
    del use_ipv6
    if not use_ipv4:
        return []
    found = [each.ip for adapter in ifaddr.get_adapters() for each in adapter.ips]
    others = [each for each in found if isinstance(each, str) and each != LOOPBACK]
    return [LOOPBACK, *others]


def _ssl_context(self: RTCCertificate, srtp_profiles: list[SRTPProtectionProfile]) -> Context:
    """Return a DTLS context that accepts peers with an RSA certificate, too."""
    context = _create_ssl_context(self, srtp_profiles)
    context.set_cipher_list(CIPHERS)
    return context


# aioice leaves out 127.0.0.1, aiortc the cipher suites for RSA certificates, which GStreamer has.
# Neither has a setting for it.
aioice.ice.get_host_addresses = _host_addresses
_create_ssl_context = RTCCertificate._create_ssl_context
RTCCertificate._create_ssl_context = _ssl_context  # type: ignore[method-assign]
