"""Session descriptions for the tests, and a validator that shares no code with the client."""

from pathlib import Path
import re
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator

OFFERS = Path(__file__).with_name("offers")
NAMES = sorted(path.stem for path in OFFERS.glob("*.sdp"))
# Offers of go2rtc 1.9.14: of its WHEP client, and of its own signaling, which also sends sound; of
# GStreamer 1.22 as a WHEP client.
RELAYS = [name for name in NAMES if name.startswith(("go2rtc_", "gstreamer_"))]
BROWSERS = [name for name in NAMES if not name.startswith("device_") and name not in RELAYS]
DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
SENDS = {"sendrecv", "sendonly"}
RECEIVES = {"sendrecv", "recvonly"}
CODECS = {
    "audio": ("opus/48000/2", "OPUS/48000", "red/48000/2", "PCMU/8000", "telephone-event/8000"),
    "video": ("H264/90000", "h264/90000", "VP8/90000", "rtx/90000", "AV1/90000", "ulpfec/90000"),
}
FORMATS = (
    "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f",
    "packetization-mode=1;profile-level-id=42E01F",
    "profile-level-id=640c1f;packetization-mode=0",
    "apt=96",
)
EXTENSIONS = (
    "a=extmap:1 urn:one",
    "a=extmap:2 urn:one",
    "a=extmap:3/recvonly urn:two",
    "a=extmap-allow-mixed",
)


def read(name: str) -> str:
    """Return a captured description, with its line endings."""
    return (OFFERS / f"{name}.sdp").read_bytes().decode()


def sections(sdp: str) -> list[list[str]]:
    """Return the session-level lines, then those of each m-section."""
    found: list[list[str]] = [[]]
    for line in sdp.replace("\r\n", "\n").removesuffix("\n").split("\n"):
        if line[:2] == "m=":
            found.append([])
        found[-1].append(line)
    return found


def values(lines: list[str], name: str) -> list[str]:
    """Return the values of an attribute."""
    return [line.partition(":")[2] for line in lines if line.startswith(f"a={name}:")]


def direction(session: list[str], section: list[str]) -> str:
    """Return the direction of a section, its own or that of the session."""
    words = [line[2:] for line in (*section, *session) if line[2:] in DIRECTIONS]
    return words[0] if words else "sendrecv"


def codecs(section: list[str]) -> dict[str, str]:
    """Return the codec name of each payload type in the m-line."""
    listed = section[0].split(" ")[3:]
    names = dict(value.split(" ", 1) for value in values(section, "rtpmap"))
    return {number: names[number].split("/")[0].lower() for number in listed if number in names}


def problems(offer: str, answer: str) -> Iterator[str]:
    """Yield why an answer is invalid for the offer (RFC 3264, 5763, 8829, 8843)."""
    offer_session, *offered = sections(offer)
    session, *answered = sections(answer)
    if len(offered) != len(answered):
        yield f"{len(offered)} sections offered, {len(answered)} answered"
    if "a=setup:actpass" in answer:
        yield "an open DTLS role"
    accepted = []
    roles = set()
    for offer_section, answer_section in zip(offered, answered, strict=False):
        yield from _mid_problems(offer_section, answer_section)
        if answer_section[0].split(" ")[1] != "0":
            accepted += values(offer_section, "mid")
            roles |= set((values(answer_section, "setup") + values(session, "setup"))[:1])
            yield from _media_problems(offer_session, session, offer_section, answer_section)
    if accepted and (len(roles) != 1 or not roles <= {"active", "passive"}):
        yield f"DTLS roles {roles}"
    yield from _bundle_problems(offer_session, session, accepted)


def _mid_problems(offer_section: list[str], answer_section: list[str]) -> Iterator[str]:
    if offer_section[0].split(" ")[0] != answer_section[0].split(" ")[0]:
        yield f"{answer_section[0]} for {offer_section[0]}"
    if values(offer_section, "mid") != values(answer_section, "mid"):
        yield f"mids {values(answer_section, 'mid')} for {values(offer_section, 'mid')}"
    if len(answer_section[0].split(" ")) < 4:
        yield f"no format in {answer_section[0]}"


def _media_problems(
    offer_session: list[str],
    session: list[str],
    offer_section: list[str],
    answer_section: list[str],
) -> Iterator[str]:
    offered, answered = direction(offer_session, offer_section), direction(session, answer_section)
    if answered in SENDS and offered not in RECEIVES:
        yield f"{answered} for {offered}"
    if answered in RECEIVES and offered not in SENDS:
        yield f"{answered} for {offered}"
    if not set(codecs(answer_section).values()) <= set(codecs(offer_section).values()):
        yield f"codecs {codecs(answer_section)} for {codecs(offer_section)}"
    listed = set(answer_section[0].split(" ")[3:])
    described = {
        v.split(" ")[0] for name in ("rtpmap", "fmtp") for v in values(answer_section, name)
    }
    if not described <= listed:
        yield f"{described} described, {listed} listed"


def _bundle_problems(
    offer_session: list[str], session: list[str], accepted: list[str]
) -> Iterator[str]:
    offered = [v.split(" ")[1:] for v in values(offer_session, "group")]
    for group in values(session, "group"):
        kind, *mids = group.split(" ")
        if kind != "BUNDLE" or not mids:
            yield f"group {group}"
        if not any([mid for mid in group_mids if mid in mids] == mids for group_mids in offered):
            yield f"bundle {mids} of {offered}"
        if not set(mids) <= set(accepted):
            yield f"bundle {mids} of accepted {accepted}"


def foreign_extensions(offer: str, answer: str) -> set[str]:
    """Return the header extensions of an answer whose ids were not offered."""
    pattern = re.compile(r"a=extmap(?:-allow-mixed|:\d+ .*)")
    found = {line for section in sections(answer) for line in section if "a=extmap" in line}
    known = {line for section in sections(offer) for line in section if pattern.fullmatch(line)}
    return found - known


@st.composite
def section_of(draw: st.DrawFn, mid: str | None, role: str) -> list[str]:
    """Build an m-section with its attributes in any order."""
    kind = draw(st.sampled_from(("audio", "video", "video", "application")))
    lines = [f"a=mid:{mid}"] if mid else []
    lines += draw(st.lists(st.sampled_from(EXTENSIONS), max_size=2, unique=True))
    lines += [f"a={one}" for one in draw(st.lists(st.sampled_from(DIRECTIONS), max_size=1))]
    lines += [f"a=setup:{role}"] if draw(st.booleans()) or role != "actpass" else []
    lines += [f"a=candidate:1 1 udp 1 192.0.2.{draw(st.integers(1, 9))} 9 typ host"]
    if kind == "application":
        formats = ["webrtc-datachannel"]
    else:
        formats = draw(st.lists(st.sampled_from(("96", "97", "0", "111")), min_size=1, unique=True))
        for number in formats:
            lines.append(f"a=rtpmap:{number} {draw(st.sampled_from(CODECS[kind]))}")
            lines += [f"a=fmtp:{number} {one}" for one in draw(st.lists(_FORMAT, max_size=1))]
    port = draw(st.sampled_from((9, 9, 9, 50000)))
    first = f"m={kind} {port} UDP/TLS/RTP/SAVPF {' '.join(formats)}"
    return [first, "c=IN IP4 0.0.0.0", *draw(st.permutations(lines))]


_FORMAT = st.sampled_from(FORMATS)


@st.composite
def descriptions(
    draw: st.DrawFn, *, mids: str = "012", role: str = "actpass", min_size: int = 0
) -> str:
    """Build a description that has the media kinds, and maybe the mids, of others."""
    order = draw(st.permutations(mids))
    count = draw(st.integers(min_size, len(mids)))
    body = [draw(section_of(mid, role)) for mid in order[:count]]
    session = ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    bundled = [mid for mid in order[:count] if draw(st.integers(0, 4))]
    session += [f"a=group:BUNDLE {' '.join(bundled)}"] if bundled else []
    session += draw(st.lists(st.sampled_from(("a=setup:" + role, "a=sendonly")), max_size=1))
    end = draw(st.sampled_from(("\r\n", "\n")))
    return "".join(line + end for section in (session, *body) for line in section)
