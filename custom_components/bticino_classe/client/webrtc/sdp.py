"""Repairs of session descriptions between a browser and an intercom.

Pure functions on the text: lines that are not concerned stay as they are, in their order and with
their ends. What is known of the device is from protocol.md 3.8 and 3.9. Payload types are never
renumbered, since nobody can be told of it: either side sends with the numbers that the other wrote
down, and a browser takes only those of its own description.
"""

import ipaddress
from itertools import count
import re
from typing import TYPE_CHECKING, Final

from ..errors import OfferTooLargeError
from .sections import (
    DIRECTION,
    MID,
    SETUP,
    SUPPORTED_CODECS,
    SdpSection,
    line_ending,
    parse,
    serialize,
    without_eol,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# 7 625 bytes worked; 9 632 made the intercom leave the cloud and start anew.
MAX_OFFER_BYTES: Final = 8000

# What makes a section one that sends: the lines that Chromium writes for a microphone.
_SOURCE: Final = ("a=msid:- bticino", "a=ssrc:{0} cname:bticino", "a=ssrc:{0} msid:- bticino")
_FIRST_SSRC: Final = 1_110_001

_ORIGIN: Final = re.compile(r"o=(\S+ \S+) .*")
_SSRC: Final = re.compile(r"a=ssrc:(.*)")
_BUNDLE: Final = re.compile(r"a=group:BUNDLE\b(.*)")
_EXTENSION: Final = re.compile(r"a=extmap(?::|-allow-mixed).*")
_ONE_WAY_EXTENSION: Final = re.compile(r"a=extmap:[0-9]+/.*")
_STRAY_OBJECT: Final = re.compile(r"a=\[object .*\]")
_TRANSPORT: Final = re.compile(
    r"a=(?:ice-ufrag|ice-pwd|ice-options|fingerprint|setup|candidate|end-of-candidates)\b.*"
)
_PACKETIZATION: Final = re.compile(r"packetization-mode=([0-9]+)")
_PROFILE: Final = re.compile(r"profile-level-id=([0-9a-f]{2})([0-9a-f]{2})", re.IGNORECASE)
_CANDIDATE: Final = re.compile(
    r"candidate:\S+ +[0-9]+ +(\S+) +[0-9]+ +(\S+) +([0-9]{1,5}) +typ +\S+(?: .*)?"
)
_DIRECTIONS: Final = {
    (True, True): "sendrecv",
    (True, False): "sendonly",
    (False, True): "recvonly",
    (False, False): "inactive",
}
_ROLES: Final = {"active": ("passive",), "passive": ("active",)}


def reduced_offer(offer: str) -> str:
    """Return the offer small enough for the device, else raise OfferTooLargeError.

    Only H.264 and Opus stay; header extensions go if they must, then candidates. A section that has
    no such codec keeps what it has, since an empty one would spoil the whole offer.
    """
    slim = without_foreign_codecs(without_stray_objects(offer))
    for diet in (without_header_extensions, without_useless_candidates, without_candidates):
        if _size(slim) > MAX_OFFER_BYTES:
            slim = diet(slim)
    if _size(slim) > MAX_OFFER_BYTES:
        raise OfferTooLargeError(size=_size(slim))
    return slim


def without_stray_objects(offer: str) -> str:
    """Drop what Home Assistant's player makes of early candidates: `a=[object …]`."""
    return _without(offer, _STRAY_OBJECT.fullmatch)


def without_foreign_codecs(offer: str) -> str:
    """Drop the codecs that the device does not speak, with all that describes them."""
    session, sections = parse(offer)
    return serialize(
        session,
        (part.with_payloads(part.supported_payload_types or part.payloads) for part in sections),
    )


def without_header_extensions(offer: str) -> str:
    """Drop the header extensions: media flows without them."""
    return _without(offer, _EXTENSION.fullmatch)


def without_useless_candidates(offer: str) -> str:
    """Drop the candidates that the device cannot reach."""
    return _without(offer, lambda line: _is_candidate(line) and not candidate_is_useful(line[2:]))


def without_candidates(offer: str) -> str:
    """Drop all candidates: the device still sees where the viewer's own checks come from."""
    return _without(offer, lambda line: _is_candidate(line) or line == "a=end-of-candidates")


def with_sendrecv_audio(offer: str) -> str:
    """Let audio that only listens seem to talk: to other offers the device sends silence."""
    session, sections = parse(offer)
    numbers = (number for number in count(_FIRST_SSRC) if f"a=ssrc:{number} " not in offer)
    return serialize(session, [_waking(section, numbers) for section in sections])


def device_answer_for_viewer(offer: str, answer: str) -> str:
    """Return the device's answer made valid for the viewer's own offer, which it never saw.

    Sections are found by mid, else by the order of their kind. Missing ones are rejected, as those
    without a codec that was offered, surplus ones dropped. A DTLS role that the device left open
    becomes the active one (RFC 8842).
    """
    given = parse(answer)[1]
    role = next((part.setup for part in given if part.setup in _ROLES), None)
    return _answer(offer, answer, role or "active", _with_offered_codecs)


def viewer_answer_for_device(viewer_offer: str, device_offer: str) -> str:
    """Turn the viewer's offer into an answer to the ringing device's, with sound that wakes it.

    The payload types are the viewer's own: in an answer they say by what numbers it receives.
    """
    offer = with_sendrecv_audio(without_stray_objects(viewer_offer))
    return _answer(device_offer, offer, "active", _with_shared_codecs)


def device_offer_as_answer(device_offer: str, viewer_offer: str) -> str:
    """Turn the ringing device's offer into an answer to the viewer's.

    The payload types are the device's own: in an answer they say by what numbers it receives.
    """
    return _answer(viewer_offer, device_offer, "passive", _with_shared_codecs)


def origin_of(offer: str) -> str | None:
    """Return what a browser's connection is known by, also when it offers anew (ICE restart)."""
    session, _ = parse(offer)
    return session.value(_ORIGIN)


def matching_section(
    target: str, source: str, mid: str | None, index: int | None
) -> tuple[str | None, int | None]:
    """Return mid and position in `target` for a candidate that belongs to a section of `source`.

    A bundle is reached by its first section, whichever that is on either side; what has no
    counterpart at all is given to the first section.
    """
    (asked_session, asked), (session, given) = parse(target), parse(source)
    own = next((n for n, part in enumerate(given) if mid is not None and part.mid == mid), index)
    found = enumerate(_counterparts(asked, given))
    places = {given.index(have): position for position, have in found if have is not None}
    if _bundle(session) and _bundle(asked_session):
        places[_tagged(session, given)] = _tagged(asked_session, asked)
    place = places.get(-1 if own is None else own, 0)
    return (asked[place].mid, place) if asked else (mid, index)


def candidate_is_useful(candidate: str) -> bool:
    """Return whether the device may reach it: UDP, at an address that is not the viewer's alone."""
    found = _CANDIDATE.fullmatch(candidate)
    if found is None or found[1].lower() != "udp" or not 0 < int(found[3]) < 1 << 16:
        return False
    try:
        address = ipaddress.ip_address(found[2])
    except ValueError:
        # A name, such as mDNS gives in the place of an address.
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast)


def _size(sdp: str) -> int:
    return len(sdp.encode(errors="surrogatepass"))


def _without(sdp: str, unwanted: Callable[[str], object]) -> str:
    session, sections = parse(sdp)
    return serialize(session.without(unwanted), (part.without(unwanted) for part in sections))


def _is_candidate(line: str) -> bool:
    return line.startswith("a=candidate:")


def _waking(section: SdpSection, numbers: Iterator[int]) -> SdpSection:
    if section.kind != "audio" or section.direction != "recvonly":
        return section
    section = section.with_line(DIRECTION, "a=sendrecv")
    if section.value(_SSRC) is not None:
        # Firefox writes one of its own.
        return section
    number = next(numbers)
    return section.appended(*(line.format(number) for line in _SOURCE))


def _counterparts(asked: list[SdpSection], given: list[SdpSection]) -> list[SdpSection | None]:
    """Find the section for each that is asked for: by mid and kind, the others by kind and order.

    A device may answer with mids of its own, and those of two offers agree by chance at best.
    """
    spare = list(given)
    named = {(part.kind, part.mid): part for part in reversed(spare)}
    found = [named.get((part.kind, part.mid)) if part.mid else None for part in asked]
    spare = [part for part in spare if part not in found]
    return [have or _taken(spare, part.kind) for part, have in zip(asked, found, strict=True)]


def _taken(spare: list[SdpSection], kind: str) -> SdpSection | None:
    position = next((n for n, part in enumerate(spare) if part.kind == kind), None)
    return None if position is None else spare.pop(position)


def _with_shared_extensions(part: SdpSection, asked: SdpSection) -> SdpSection:
    """Keep those that both number alike: Firefox refuses an answer with other numbers."""
    shared = {without_eol(line) for line in (*asked.lines, *asked.outer)}
    return part.without(
        lambda line: (
            _EXTENSION.fullmatch(line)
            and (line not in shared or _ONE_WAY_EXTENSION.fullmatch(line))
        )
    )


def _with_offered_codecs(part: SdpSection, asked: SdpSection) -> SdpSection | None:
    """Keep what was offered; None if nothing was: Firefox would refuse the whole answer."""
    offered = {*asked.codecs, *asked.codecs.values()}
    kept = [payload for payload, name in part.codecs.items() if name in offered]
    return part.with_payloads(kept) if kept else None


def _with_shared_codecs(part: SdpSection, asked: SdpSection) -> SdpSection | None:
    """Keep what both speak, as alike as it can be had; None if there is no such codec.

    H.264 is alike by packetization, then by profile: 42001f and 42e01f differ only in constraints.
    """
    if part.kind not in SUPPORTED_CODECS:
        return part
    theirs = [_features(asked, payload) for payload in asked.supported_payload_types]
    mine = {payload: _features(part, payload) for payload in part.supported_payload_types}
    for depth in (3, 2, 1, 0):
        wanted = {features[:depth] for features in theirs}
        kept = [payload for payload, features in mine.items() if features[:depth] in wanted]
        if kept:
            return part.with_payloads(kept)
    return None


def _features(part: SdpSection, payload: str) -> tuple[str, str, str]:
    """Return packetization, profile and constraints; the defaults are those of RFC 6184."""
    parameters = part.value(re.compile(rf"a=fmtp:{re.escape(payload)} +(.*)")) or ""
    mode, profile = _PACKETIZATION.search(parameters), _PROFILE.search(parameters)
    return (
        mode[1] if mode else "0",
        profile[1].lower() if profile else "42",
        profile[2].lower() if profile else "00",
    )


def _answer(
    offer: str,
    source: str,
    role: str,
    fitted: Callable[[SdpSection, SdpSection], SdpSection | None],
) -> str:
    (asked_session, asked), (session, given) = parse(offer), parse(source)
    pairs = [
        (want, have and fitted(_with_shared_extensions(have, want), want))
        for want, have in zip(asked, _counterparts(asked, given), strict=True)
    ]
    answered = [_answering(want, have, role) for want, have in pairs]
    # By the names that the bundle knows, which are the offer's where the answer gives none.
    bundled = {
        (have.mid or now.mid): now
        for (_, have), now in zip(pairs, answered, strict=True)
        if have and not now.is_rejected
    }
    group = [now for mid in _bundle(session) if (now := bundled.get(mid))]
    order = [now for mid in _bundle(asked_session) for now in group if now.mid == mid]
    if order and order[0] is not group[0]:
        answered = [_with_transport(n, group[0]) if n in order else n for n in answered]
    session = _with_shared_extensions(session, asked_session)
    session = session.without(lambda line: line == "a=setup:actpass")
    return serialize(_with_bundle(session, [part.mid for part in order]), answered)


def _answering(want: SdpSection, have: SdpSection | None, role: str) -> SdpSection:
    if have is None:
        return _rejection(want)
    if want.mid is not None and have.mid != want.mid:
        have = have.with_line(MID, f"a=mid:{want.mid}")
    return have if have.is_rejected else _with_direction(_with_role(have, want, role), want)


def _rejection(want: SdpSection) -> SdpSection:
    """Port 0 and the first format, which a browser wants to see described."""
    end = line_ending(want.lines[0])
    first = " ".join([want.words[0], "0", *want.words[2:4]]) + end
    described = tuple(f"a=rtpmap:{payload} " for payload in want.payloads[:1])
    copied = [line for line in want.lines if line.startswith(("a=mid:", *described))]
    return SdpSection((first, f"c=IN IP4 0.0.0.0{end}", f"a=inactive{end}", *copied))


def _with_role(part: SdpSection, want: SdpSection, preferred: str) -> SdpSection:
    legal = _ROLES.get(want.setup or "", tuple(_ROLES))
    if part.setup in legal:
        return part
    return part.with_line(SETUP, f"a=setup:{preferred if preferred in legal else legal[0]}")


def _with_direction(part: SdpSection, want: SdpSection) -> SdpSection:
    legal = _DIRECTIONS[part.sends and want.receives, part.receives and want.sends]
    return part if part.direction == legal else part.with_line(DIRECTION, f"a={legal}")


def _with_transport(part: SdpSection, tagged: SdpSection) -> SdpSection:
    """Give a section the addresses and keys of the one that its own bundle begins with.

    Those alone are a bundle's (RFC 8843), and the other side looks for them in its own first one.
    """
    lines = (without_eol(line) for line in tagged.lines)
    shared = [line for line in lines if _TRANSPORT.fullmatch(line)]
    return part.without(_TRANSPORT.fullmatch).appended(*shared)


def _bundle(session: SdpSection) -> list[str]:
    return (session.value(_BUNDLE) or "").split()


def _tagged(session: SdpSection, sections: list[SdpSection]) -> int:
    """Return the position of the section that the bundle begins with."""
    mids = [part.mid for part in sections]
    return next((mids.index(mid) for mid in _bundle(session) if mid in mids), 0)


def _with_bundle(session: SdpSection, mids: Iterable[str | None]) -> SdpSection:
    """Bundle what the answer bundles, by the offer's names and in the offer's order."""
    kept = " ".join(mid for mid in mids if mid)
    if session.value(_BUNDLE) is None:
        return session
    if not kept:
        return session.without(_BUNDLE.fullmatch)
    return session.with_line(_BUNDLE, f"a=group:BUNDLE {kept}")
