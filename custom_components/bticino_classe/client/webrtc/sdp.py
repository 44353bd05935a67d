"""Session descriptions made compatible between a browser (the viewer) and an intercom (the device).

Pure functions on text: lines that need no change keep their order and line ending. Facts about the
device are from protocol.md 3.8 and 3.9. Payload types are never renumbered: each side sends with
the numbers in the other's description, and a browser accepts only those of its own.
"""

from collections import defaultdict, deque
from dataclasses import replace
import ipaddress
from itertools import count
import re
from typing import TYPE_CHECKING, Final

from ..errors import OfferTooLargeError
from .sections import (
    BUNDLE_ONLY,
    DIRECTION,
    HEADER_EXTENSION,
    MID,
    SETUP,
    SUPPORTED_CODECS,
    SdpSection,
    line_ending,
    parse,
    serialize,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# 7625 bytes worked; after 9632 the intercom lost the cloud and restarted.
MAX_OFFER_BYTES: Final = 8000
# Larger descriptions are not processed; those of browsers have some 10 KB, 250 lines and three
# m-sections.
MAX_DESCRIPTION_BYTES: Final = 64 * 1024
MAX_LINES: Final = 1000
MAX_SECTIONS: Final = 64
MAX_CANDIDATES: Final = 30  # of each side
MAX_CANDIDATE_BYTES: Final = 512

# The lines that make a section look like one with a microphone, as Chromium writes them.
_MEDIA_SOURCE: Final = (
    "a=msid:- bticino",
    "a=ssrc:{0} cname:bticino",
    "a=ssrc:{0} msid:- bticino",
)
_FIRST_SSRC: Final = 1_110_001

_ORIGIN: Final = re.compile(r"o=(\S+ \S+) .*")
_SSRC: Final = re.compile(r"a=ssrc:(.*)")
_USED_SSRC: Final = re.compile(r"a=ssrc:([0-9]+) ")
_FMTP: Final = re.compile(r"a=fmtp:(\S+) +(.*)")
_BUNDLE: Final = re.compile(r"a=group:BUNDLE\b(.*)")
_DIRECTIONAL_EXTENSION: Final = re.compile(r"a=extmap:[0-9]+/.*")
_STRAY_OBJECT: Final = re.compile(r"a=\[object .*\]")
_TRANSPORT: Final = re.compile(
    r"a=(?:ice-ufrag|ice-pwd|ice-options|fingerprint|setup|candidate|end-of-candidates)\b.*"
)
_PACKETIZATION: Final = re.compile(r"packetization-mode=([0-9]+)")
_CARRIAGE_RETURNS: Final = re.compile(r"\r+\n")
_THIS_HOST: Final = ipaddress.ip_network("0.0.0.0/8")
_PROFILE: Final = re.compile(r"profile-level-id=([0-9a-f]{2})([0-9a-f]{2})", re.IGNORECASE)
_CANDIDATE: Final = re.compile(
    r"candidate:\S+ +[0-9]+ +(\S+) +[0-9]+ +(\S+) +([0-9]{1,5})"
    r" +typ +(?:host|srflx|prflx|relay)(?: .*)?"
)
# By whether the answerer sends and receives.
DIRECTIONS: Final = {
    (True, True): "sendrecv",
    (True, False): "sendonly",
    (False, True): "recvonly",
    (False, False): "inactive",
}
# The DTLS roles that may answer a decided one.
_ANSWER_ROLES: Final = {"active": ("passive",), "passive": ("active",)}

type _CodecFilter = Callable[[SdpSection, SdpSection], SdpSection | None]


def is_processable(sdp: str) -> bool:
    """Return whether a description is small enough to be processed in the event loop."""
    if _size(sdp) > MAX_DESCRIPTION_BYTES or sdp.count("\n") > MAX_LINES:
        return False
    return sdp.count("\nm=") <= MAX_SECTIONS


def reduced_offer(offer: str) -> str:
    """Return the offer reduced to what the device can take; OfferTooLargeError if that fails.

    Keeps only H.264 and Opus; drops header extensions and then candidates if the size requires it.
    A section without these codecs keeps what it has: one without any would make the offer invalid.
    """
    reduced = without_foreign_codecs(without_stray_objects(offer))
    for reduce in (without_header_extensions, without_useless_candidates, without_candidates):
        if _size(reduced) > MAX_OFFER_BYTES:
            reduced = reduce(reduced)
    if _size(reduced) > MAX_OFFER_BYTES:
        raise OfferTooLargeError(size=_size(reduced))
    return reduced


def without_stray_objects(offer: str) -> str:
    """Drop the `a=[object …]` lines that Home Assistant's player writes for early candidates."""
    return _without(offer, _STRAY_OBJECT.fullmatch)


def without_foreign_codecs(offer: str) -> str:
    """Drop the codecs that the device does not support, and the lines that describe them."""
    session, sections = parse(offer)
    return serialize(
        session,
        (
            section.with_payload_types(section.supported_payload_types or section.payload_types)
            for section in sections
        ),
    )


def without_header_extensions(offer: str) -> str:
    """Drop the header extensions; media work without them."""
    return _without(offer, HEADER_EXTENSION.fullmatch)


def without_useless_candidates(sdp: str) -> str:
    """Drop the candidates that the other side must not use, and those above the limit."""
    room = MAX_CANDIDATES

    def is_unwanted(line: str) -> bool:
        nonlocal room
        if not _is_candidate(line):
            return False
        is_useful = candidate_is_useful(line[2:])
        room -= is_useful
        return room < 0 or not is_useful

    return _without(sdp, is_unwanted)


def candidates_in(sdp: str) -> int:
    """Return the number of candidates in a description."""
    return sum(map(_is_candidate, sdp.splitlines()))


def without_candidates(offer: str) -> str:
    """Drop all candidates; the device still learns the viewer's address from its ICE checks."""
    return _without(offer, lambda line: _is_candidate(line) or line == "a=end-of-candidates")


def with_sendrecv_audio(offer: str) -> str:
    """Change recvonly audio to sendrecv: the device sends silence for any other offer."""
    session, sections = parse(offer)
    used = set(_USED_SSRC.findall(offer))
    ssrcs = (ssrc for ssrc in count(_FIRST_SSRC) if str(ssrc) not in used)
    return serialize(session, [_with_sendrecv(section, ssrcs) for section in sections])


def device_answer_for_viewer(offer: str, answer: str) -> str:
    """Return the device's answer made valid for the viewer's offer, which the device never saw.

    Sections match by mid, else by the order of their kind. A section without a match or without an
    offered codec is rejected, a surplus one dropped. An undecided DTLS role becomes active
    (RFC 8842).
    """
    roles = (section.setup for section in parse(answer)[1])
    role = next((role for role in roles if role in _ANSWER_ROLES), "active")
    return _for_viewer(_answer(offer, answer, role, with_offered_codecs))


def viewer_answer_for_device(viewer_offer: str, device_offer: str) -> str:
    """Turn the viewer's offer into an answer, with sendrecv audio, to the offer of a ring.

    Keeps the viewer's payload types: an answer states the numbers that its author receives.
    """
    offer = with_sendrecv_audio(without_stray_objects(viewer_offer))
    return _answer(device_offer, offer, "active", with_shared_codecs)


def device_offer_as_answer(device_offer: str, viewer_offer: str) -> str:
    """Turn the device's offer of a ring into an answer to the viewer's offer.

    Keeps the device's payload types: an answer states the numbers that its author receives.
    """
    return _for_viewer(_answer(viewer_offer, device_offer, "passive", with_shared_codecs))


def origin_of(offer: str) -> str | None:
    """Return the user name and session id of the origin: an ICE restart keeps them."""
    if not is_processable(offer):
        return None
    session, _ = parse(offer)
    return session.value(_ORIGIN)


def sends_audio(offer: str) -> bool:
    """Whether the author of an offer sends sound, or could: it is not processable."""
    if not is_processable(offer):
        return True
    _, sections = parse(offer)
    return any(section.kind == "audio" and section.sends for section in sections)


def matching_section(
    target: str, source: str, mid: str | None, index: int | None
) -> tuple[str | None, int | None]:
    """Return mid and index in `target` for a candidate that belongs to a section of `source`.

    A BUNDLE group uses the candidates of its first section only, which may differ on both sides. A
    candidate without a matching section goes to the first one.
    """
    (target_session, targets), (source_session, sources) = parse(target), parse(source)
    source_index = next(
        (n for n, section in enumerate(sources) if mid is not None and section.mid == mid), index
    )
    source_indexes = {id(section): n for n, section in enumerate(sources)}
    matches = enumerate(_matching_sections(targets, sources))
    indexes = {source_indexes[id(match)]: n for n, match in matches if match is not None}
    if bundled_mids(source_session) and bundled_mids(target_session):
        indexes[_bundle_index(source_session, sources)] = _bundle_index(target_session, targets)
    found = indexes.get(-1 if source_index is None else source_index, 0)
    return (targets[found].mid, found) if targets else (mid, index)


def candidate_is_useful(candidate: str) -> bool:
    """Return whether the other side may use a candidate: UDP to an address of the network.

    Not one of its own machine: a browser would contact what listens there.
    """
    if len(candidate) > MAX_CANDIDATE_BYTES or not (
        candidate.isascii() and candidate.isprintable()
    ):
        return False
    found = _CANDIDATE.fullmatch(candidate)
    if found is None or found[1].lower() != "udp" or not 0 < int(found[3]) < 1 << 16:
        return False
    try:
        address = ipaddress.ip_address(found[2])
    except ValueError:
        # A host name, such as mDNS uses to hide an address.
        return False
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        return False
    # Reserved are also the IPv6 addresses that contain an IPv4 address.
    is_scoped = isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None
    return not (address.is_reserved or is_scoped or address in _THIS_HOST)


def _for_viewer(answer: str) -> str:
    """Drop what a browser must not get: candidates that are not useful, and hidden line breaks."""
    session, sections = parse(_CARRIAGE_RETURNS.sub("\r\n", answer))
    plain = serialize(session, map(_with_plain_m_line, sections))
    return without_useless_candidates(_without(plain, lambda line: not line.isprintable()))


def _with_plain_m_line(section: SdpSection) -> SdpSection:
    """Drop hidden characters of an m-line: an answer needs a section for each offered one."""
    m_line = section.bare_lines[0]
    if m_line.isprintable():
        return section
    plain = " ".join("".join(filter(str.isprintable, field)) for field in section.m_line)
    return replace(section, lines=(plain + line_ending(section.lines[0]), *section.lines[1:]))


def _size(sdp: str) -> int:
    return len(sdp.encode(errors="surrogatepass"))


def _without(sdp: str, unwanted: Callable[[str], object]) -> str:
    session, sections = parse(sdp)
    return serialize(session.without(unwanted), (section.without(unwanted) for section in sections))


def _is_candidate(line: str) -> bool:
    return line.startswith("a=candidate:")


def _with_sendrecv(section: SdpSection, ssrcs: Iterator[int]) -> SdpSection:
    if section.kind != "audio" or section.direction != "recvonly":
        return section
    section = section.with_line(DIRECTION, "a=sendrecv")
    if section.value(_SSRC) is not None:
        # Firefox writes an SSRC even for recvonly.
        return section
    ssrc = next(ssrcs)
    return section.appended(*(line.format(ssrc) for line in _MEDIA_SOURCE))


def _matching_sections(
    offered: list[SdpSection], sources: list[SdpSection]
) -> list[SdpSection | None]:
    """Find the source for each offered section: by mid and kind, else by kind and order.

    The device may use its own mids, which match those of an offer only by chance.
    """
    by_mid = {(section.kind, section.mid): section for section in reversed(sources)}
    matches = [by_mid.get((each.kind, each.mid)) if each.mid else None for each in offered]
    matched = set(map(id, matches))
    rest: defaultdict[str, deque[SdpSection]] = defaultdict(deque)
    for section in sources:
        if id(section) not in matched:
            rest[section.kind].append(section)
    return [
        match or (rest[section.kind].popleft() if rest[section.kind] else None)
        for section, match in zip(offered, matches, strict=True)
    ]


def _with_shared_extensions(section: SdpSection, offered: SdpSection) -> SdpSection:
    """Keep the header extensions with an offered id: Firefox refuses an answer with others."""
    own, inherited = offered.header_extensions, offered.defaults.header_extensions
    return section.without(
        lambda line: (
            HEADER_EXTENSION.fullmatch(line)
            and (
                (line not in own and line not in inherited)
                or _DIRECTIONAL_EXTENSION.fullmatch(line)
            )
        )
    )


def with_offered_codecs(section: SdpSection, offered: SdpSection) -> SdpSection | None:
    """Keep the offered codecs; None if there are none: Firefox would refuse the whole answer."""
    names = {*offered.codecs, *offered.codecs.values()}
    kept = [payload_type for payload_type, name in section.codecs.items() if name in names]
    return section.with_payload_types(kept) if kept else None


def with_shared_codecs(section: SdpSection, offered: SdpSection) -> SdpSection | None:
    """Keep the codec that both sides support, in its closest formats; None if there is none.

    H.264 is compared by packetization mode, then profile, then constraints: 42001f and 42e01f
    differ only in the last.
    """
    if section.kind not in SUPPORTED_CODECS:
        return section
    offered_formats, formats = _formats(offered), _formats(section)
    for depth in (3, 2, 1, 0):
        wanted = {parameters[:depth] for parameters in offered_formats.values()}
        kept = [number for number, parameters in formats.items() if parameters[:depth] in wanted]
        if kept:
            return section.with_payload_types(kept)
    return None


def _formats(section: SdpSection) -> dict[str, tuple[str, str, str]]:
    """Return the formats of the supported payload types."""
    found = filter(None, map(_FMTP.fullmatch, reversed(section.bare_lines)))
    parameters = {match[1]: match[2] for match in found}
    return {
        number: _format(parameters.get(number, "")) for number in section.supported_payload_types
    }


def _format(parameters: str) -> tuple[str, str, str]:
    """Return packetization mode, profile and constraints, with the defaults of RFC 6184."""
    mode, profile = _PACKETIZATION.search(parameters), _PROFILE.search(parameters)
    return (
        mode[1] if mode else "0",
        profile[1].lower() if profile else "42",
        profile[2].lower() if profile else "00",
    )


def _answer(offer: str, source: str, role: str, codec_filter: _CodecFilter) -> str:
    """Build an answer to the offer from the sections of `source`."""
    (offer_session, offered), (session, sources) = parse(offer), parse(source)
    matches = [
        match and codec_filter(_with_shared_extensions(match, section), section)
        for section, match in zip(offered, _matching_sections(offered, sources), strict=True)
    ]
    answered = [_answer_section(*pair, role) for pair in zip(offered, matches, strict=True)]
    # Keyed by the mids of the source's BUNDLE group; a source without mids uses the offer's.
    bundled = {
        (match.mid or section.mid): section
        for match, section in zip(matches, answered, strict=True)
        if match and not section.is_rejected
    }
    group = [section for mid in bundled_mids(session) if (section := bundled.get(mid))]
    members = {section.mid: section for section in reversed(group)}
    order = [members[mid] for mid in dict.fromkeys(bundled_mids(offer_session)) if mid in members]
    if order and order[0] is not group[0]:
        in_group = set(map(id, order))
        answered = [_with_transport(s, group[0]) if id(s) in in_group else s for s in answered]
    session = _with_shared_extensions(session, offer_session)
    session = session.without(lambda line: line == "a=setup:actpass")
    return serialize(with_bundled_mids(session, [section.mid for section in order]), answered)


def _answer_section(offered: SdpSection, match: SdpSection | None, role: str) -> SdpSection:
    if match is None:
        return rejection(offered)
    if offered.mid is not None and match.mid != offered.mid:
        match = match.with_line(MID, f"a=mid:{offered.mid}")
    if match.is_rejected:
        return match
    return _with_direction(_with_role(_with_port(match), offered, role), offered)


def _with_port(section: SdpSection) -> SdpSection:
    """Turn an offered section that is in a BUNDLE group only into an answered one (RFC 8843)."""
    if not section.has_no_port:
        return section
    kind, _, *rest = section.m_line
    m_line = " ".join([kind, "9", *rest]) + line_ending(section.lines[0])
    without = section.without(BUNDLE_ONLY.fullmatch)
    return replace(without, lines=(m_line, *without.lines[1:]))


def rejection(offered: SdpSection) -> SdpSection:
    """Reject a section: port 0 and the first format, with the rtpmap that browsers require."""
    end = line_ending(offered.lines[0])
    m_line = " ".join([offered.m_line[0], "0", *offered.m_line[2:4]]) + end
    rtpmap = tuple(f"a=rtpmap:{number} " for number in offered.payload_types[:1])
    copied = [line for line in offered.lines if line.startswith(("a=mid:", *rtpmap))]
    return SdpSection((m_line, f"c=IN IP4 0.0.0.0{end}", f"a=inactive{end}", *copied))


def _with_role(section: SdpSection, offered: SdpSection, preferred: str) -> SdpSection:
    allowed = _ANSWER_ROLES.get(offered.setup or "", tuple(_ANSWER_ROLES))
    if section.setup in allowed:
        return section
    return section.with_line(SETUP, f"a=setup:{preferred if preferred in allowed else allowed[0]}")


def _with_direction(section: SdpSection, offered: SdpSection) -> SdpSection:
    sends, receives = section.sends and offered.receives, section.receives and offered.sends
    direction = DIRECTIONS[sends, receives]
    if section.direction == direction:
        return section
    return section.with_line(DIRECTION, f"a={direction}")


def _with_transport(section: SdpSection, tagged: SdpSection) -> SdpSection:
    """Copy ICE and DTLS attributes from the section that its author's BUNDLE group is tagged with.

    Only those count for a BUNDLE group (RFC 8843), and the other side reads them from the first
    section of its own group.
    """
    lines = tagged.bare_lines
    transport = [line for line in lines if _TRANSPORT.fullmatch(line)]
    return section.without(_TRANSPORT.fullmatch).appended(*transport)


def bundled_mids(session: SdpSection) -> list[str]:
    """Return the mids of the BUNDLE group."""
    return (session.value(_BUNDLE) or "").split()


def _bundle_index(session: SdpSection, sections: list[SdpSection]) -> int:
    """Return the index of the first section of the BUNDLE group."""
    indexes = {section.mid: n for n, section in reversed(list(enumerate(sections)))}
    return next((indexes[mid] for mid in bundled_mids(session) if mid in indexes), 0)


def with_bundled_mids(session: SdpSection, mids: Iterable[str | None]) -> SdpSection:
    """Limit the BUNDLE group, if there is one, to these mids."""
    kept = " ".join(mid for mid in mids if mid)
    if session.value(_BUNDLE) is None:
        return session
    if not kept:
        return session.without(_BUNDLE.fullmatch)
    return session.with_line(_BUNDLE, f"a=group:BUNDLE {kept}")
