"""A peer that answers at once with a fixed text, and sends and hears nothing."""

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
ADDRESSES = (
    "candidate:1 1 udp 2130706431 192.0.2.20 50000 typ host",
    "candidate:2 1 udp 1694498815 198.51.100.20 50002 typ srflx raddr 192.0.2.20 rport 50000",
)
WANTED = {"audio": ("opus/48000", 111), "video": ("h264/90000", 109)}
REPLIES = {"sendrecv": "sendrecv", "recvonly": "sendonly", "sendonly": "recvonly"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One `m=` of a description."""

    kind: str
    protocol: str
    mid: str
    direction: str
    lines: tuple[str, ...]

    def payload(self) -> int | None:
        """Return the payload type of the one codec that the intercom has for this kind."""
        if self.kind not in WANTED:
            return None
        codec, usual = WANTED[self.kind]
        found = [
            int(line.split(":")[1].split()[0])
            for line in self.lines
            if line.startswith("a=rtpmap:") and line.split()[1].lower().startswith(codec)
        ]
        if usual in found:
            return usual
        # Without packetization-mode=1 the picture would have to fit into single packets.
        best = [each for each in found if "packetization-mode=1" in self.parameters(each)]
        return next(iter([*best, *found]), None)

    def parameters(self, payload: int) -> str:
        """Return what the codec is to be like; empty: nothing is said."""
        start = f"a=fmtp:{payload} "
        found = [line.removeprefix(start) for line in self.lines if line.startswith(start)]
        return found[0] if found else ""


def sections(sdp: str) -> list[Section]:
    """Take a description apart; ValueError: it is none."""
    lines = sdp.split("\r\n")
    starts = [index for index, line in enumerate(lines) if line.startswith("m=")]
    if lines[0] != "v=0" or not starts or lines[-1]:
        raise ValueError("no session description")
    return [
        _section(lines[start:end])
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)
    ]


def fault_in_answer(offer: str, answer: str) -> str | None:
    """Return what is wrong with an answer to an offer, in words."""
    try:
        asked, given = sections(offer), sections(answer)
    except ValueError as error:
        return str(error)
    if [(each.kind, each.mid) for each in asked] != [(each.kind, each.mid) for each in given]:
        return "the answer has not the sections of the offer, in their order"
    if "a=setup:actpass" in answer:
        return "the answer leaves open who connects (actpass)"
    return None


class ScriptedPeer:
    """Answers any offer with what the intercom would say."""

    def __init__(self) -> None:
        self.audio = AudioStats()
        #: What it offers when it rings.
        self.text = DEVICE_SDP
        self._mid = "0"

    async def answer(self, offer: str) -> str:
        """Answer with the offer's sections, of which only the known ones are taken."""
        asked = sections(offer)
        self._mid = asked[0].mid
        taken = [each.mid for each in asked if each.payload() is not None]
        session = ["v=0", "o=- 1790000001 1 IN IP4 192.0.2.20", "s=-", "t=0 0"]
        if taken:
            session.append(f"a=group:BUNDLE {' '.join(taken)}")
        for each in asked:
            session += _reply(each)
        return "\r\n".join([*session, ""])

    async def offer(self) -> str:
        """Offer sound both ways and a picture."""
        return self.text

    async def take_answer(self, answer: str) -> None:
        """Take any answer that has the offer's sections."""
        fault = fault_in_answer(self.text, answer)
        if fault:
            raise ValueError(fault)

    async def take_candidate(self, found: Json) -> None:
        """Take it, and do nothing with it."""

    def candidates(self) -> list[Json]:
        """Return two addresses where nobody is."""
        return [
            {"sdp_m_line_index": 0, "sdp_mid": self._mid, "candidate": each} for each in ADDRESSES
        ]

    def show(self, name: str, number: int) -> None:
        """Show nothing."""

    async def close(self) -> None:
        """Have nothing to end."""


def _section(lines: list[str]) -> Section:
    kind, _, protocol = lines[0].removeprefix("m=").split()[:3]
    mids = [line.removeprefix("a=mid:") for line in lines if line.startswith("a=mid:")]
    ways = [
        line for line in lines if re.fullmatch(r"a=(sendrecv|sendonly|recvonly|inactive)", line)
    ]
    return Section(
        kind=kind,
        protocol=protocol,
        mid=mids[0] if mids else "",
        direction=ways[0].removeprefix("a=") if ways else "sendrecv",
        lines=tuple(lines),
    )


def _reply(asked: Section) -> list[str]:
    """Return the section that answers one."""
    payload = asked.payload()
    if payload is None:
        format_ = asked.lines[0].split()[3]
        start = f"m={asked.kind} 0 {asked.protocol} {format_}"
        return [start, "c=IN IP4 0.0.0.0", f"a=mid:{asked.mid}", "a=inactive"]
    start = f"m={asked.kind} 9 {asked.protocol} {payload}"
    network = ["c=IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 0.0.0.0", *SECURITY]
    return [start, *network, f"a=mid:{asked.mid}", f"a={_way(asked)}", *_codec(asked, payload)]


def _way(asked: Section) -> str:
    """Return the direction that fits; the intercom has no screen for the client's picture."""
    way = REPLIES.get(asked.direction, "inactive")
    if asked.kind == "video":
        return "sendonly" if way.startswith("send") else "inactive"
    return way


def _codec(asked: Section, payload: int) -> list[str]:
    if asked.kind == "audio":
        codec = [f"a=rtpmap:{payload} opus/48000/2", f"a=fmtp:{payload} minptime=10;useinbandfec=1"]
        return ["a=rtcp-mux", *codec, "a=ssrc:305419906 cname:simulated"]
    mode = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
    known = asked.parameters(payload) or mode
    codec = [f"a=rtpmap:{payload} H264/90000", f"a=fmtp:{payload} {known}"]
    return ["a=rtcp-mux", *codec, "a=ssrc:305419907 cname:simulated"]
