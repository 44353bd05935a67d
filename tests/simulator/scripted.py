"""A peer that answers with fixed SDP and neither sends nor receives media."""

from dataclasses import dataclass
import re
from typing import TYPE_CHECKING

from tests.simulator.pushes import DEVICE_SDP
from tests.simulator.rtc_session import AudioStats

if TYPE_CHECKING:
    from tests.simulator.house import Json

SECURITY = (
    "a=ice-ufrag:sim2",
    "a=ice-pwd:simulatedsimulatedsimula",
    "a=fingerprint:sha-256 " + ":".join(["5B"] * 32),
    "a=setup:passive",
)
CANDIDATES = (
    "candidate:1 1 udp 2130706431 192.0.2.20 50000 typ host",
    "candidate:2 1 udp 1694498815 198.51.100.20 50002 typ srflx raddr 192.0.2.20 rport 50000",
)
CODECS = {"audio": ("opus/48000", 111), "video": ("h264/90000", 109)}
REVERSED = {"sendrecv": "sendrecv", "recvonly": "sendonly", "sendonly": "recvonly"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSection:
    """One m-section of an SDP."""

    kind: str
    protocol: str
    mid: str
    direction: str
    lines: tuple[str, ...]

    def payload_type(self) -> int | None:
        """Return the payload type of the intercom's codec for this kind of media."""
        if self.kind not in CODECS:
            return None
        codec, preferred = CODECS[self.kind]
        found = [
            int(line.split(":")[1].split()[0])
            for line in self.lines
            if line.startswith("a=rtpmap:") and line.split()[1].lower().startswith(codec)
        ]
        if preferred in found:
            return preferred
        # With packetization-mode=0, each NAL unit would have to fit into one packet.
        best = [each for each in found if "packetization-mode=1" in self.parameters(each)]
        return next(iter([*best, *found]), None)

    def parameters(self, payload: int) -> str:
        """Return the fmtp parameters of a payload type; empty if there are none."""
        start = f"a=fmtp:{payload} "
        found = [line.removeprefix(start) for line in self.lines if line.startswith(start)]
        return found[0] if found else ""


def sections(sdp: str) -> list[MediaSection]:
    """Parse an SDP into its m-sections; ValueError: it is not valid."""
    lines = sdp.split("\r\n")
    starts = [index for index, line in enumerate(lines) if line.startswith("m=")]
    if lines[0] != "v=0" or not starts or lines[-1]:
        raise ValueError("not a session description")
    return [
        _section(lines[start:end])
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)
    ]


def answer_error(offer: str, answer: str) -> str | None:
    """Return what is wrong with an answer to an offer, if anything."""
    try:
        offered, answered = sections(offer), sections(answer)
    except ValueError as error:
        return str(error)
    if [(each.kind, each.mid) for each in offered] != [(each.kind, each.mid) for each in answered]:
        return "the m-sections of the answer do not match the offer"
    if "a=setup:actpass" in answer:
        return "an answer must not have setup:actpass"
    return None


class ScriptedPeer:
    """Answers any offer as the intercom would."""

    def __init__(self) -> None:
        self.audio = AudioStats()
        #: The offer of a ring.
        self.offer_sdp = DEVICE_SDP
        self._mid = "0"

    async def answer(self, offer: str) -> str:
        """Answer all m-sections of the offer and reject those without a known codec."""
        offered = sections(offer)
        self._mid = offered[0].mid
        accepted = [each.mid for each in offered if each.payload_type() is not None]
        session = ["v=0", "o=- 1790000001 1 IN IP4 192.0.2.20", "s=-", "t=0 0"]
        if accepted:
            session.append(f"a=group:BUNDLE {' '.join(accepted)}")
        for each in offered:
            session += _reply(each)
        return "\r\n".join([*session, ""])

    async def offer(self) -> str:
        """Offer two-way audio and video."""
        return self.offer_sdp

    async def set_answer(self, answer: str) -> None:
        """Accept any answer that has the offer's m-sections."""
        fault = answer_error(self.offer_sdp, answer)
        if fault:
            raise ValueError(fault)

    async def add_candidate(self, candidate: Json) -> None:
        """Ignore the candidate."""

    def candidates(self) -> list[Json]:
        """Return two candidates without a host behind them."""
        return [
            {"sdp_m_line_index": 0, "sdp_mid": self._mid, "candidate": each} for each in CANDIDATES
        ]

    def show(self, name: str, number: int) -> None:
        """Do nothing: there is no video."""

    async def close(self) -> None:
        """Do nothing."""


def _section(lines: list[str]) -> MediaSection:
    kind, _, protocol = lines[0].removeprefix("m=").split()[:3]
    mids = [line.removeprefix("a=mid:") for line in lines if line.startswith("a=mid:")]
    directions = [
        line for line in lines if re.fullmatch(r"a=(sendrecv|sendonly|recvonly|inactive)", line)
    ]
    return MediaSection(
        kind=kind,
        protocol=protocol,
        mid=mids[0] if mids else "",
        direction=directions[0].removeprefix("a=") if directions else "sendrecv",
        lines=tuple(lines),
    )


def _reply(offered: MediaSection) -> list[str]:
    """Return the lines of the m-section that answers an offered one."""
    payload = offered.payload_type()
    if payload is None:
        format_ = offered.lines[0].split()[3]
        start = f"m={offered.kind} 0 {offered.protocol} {format_}"
        return [start, "c=IN IP4 0.0.0.0", f"a=mid:{offered.mid}", "a=inactive"]
    start = f"m={offered.kind} 9 {offered.protocol} {payload}"
    network = ["c=IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 0.0.0.0", *SECURITY]
    return [
        start,
        *network,
        f"a=mid:{offered.mid}",
        f"a={_direction(offered)}",
        *_codec(offered, payload),
    ]


def _direction(offered: MediaSection) -> str:
    """Return the direction of the answer; the intercom receives no video."""
    direction = REVERSED.get(offered.direction, "inactive")
    if offered.kind == "video":
        return "sendonly" if direction.startswith("send") else "inactive"
    return direction


def _codec(offered: MediaSection, payload: int) -> list[str]:
    if offered.kind == "audio":
        codec = [f"a=rtpmap:{payload} opus/48000/2", f"a=fmtp:{payload} minptime=10;useinbandfec=1"]
        return ["a=rtcp-mux", *codec, "a=ssrc:305419906 cname:simulated"]
    default = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
    parameters = offered.parameters(payload) or default
    codec = [f"a=rtpmap:{payload} H264/90000", f"a=fmtp:{payload} {parameters}"]
    return ["a=rtcp-mux", *codec, "a=ssrc:305419907 cname:simulated"]
