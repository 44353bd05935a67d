"""Offers with one m-section for each direction of sound, for a device that has one for both.

Pure functions on text. go2rtc offers such sections: one that receives sound, one that sends it. The
device gets a single one, and the viewer an answer to each of its own, in the numbers of its offer:
go2rtc adopts the payload types of an answer's video, and ignores those of its audio.
"""

from dataclasses import replace
import re
from typing import TYPE_CHECKING, Final

from .sdp import (
    DIRECTIONS,
    bundled_mids,
    matching_section,
    rejection,
    sends_audio,
    with_bundled_mids,
    with_offered_codecs,
    with_shared_codecs,
)
from .sections import DIRECTION, MID, SdpSection, line_ending, parse, serialize

if TYPE_CHECKING:
    from ..models import Candidate

# The directions of two sections that can be one; nothing is sent or received twice.
_PAIRS: Final = (["recvonly", "sendonly"], ["inactive", "recvonly"])
# What the author of a section sends in it.
_MEDIA_SOURCE: Final = re.compile(r"a=(?:ssrc|ssrc-group|msid):.*")
_CANDIDATES: Final = re.compile(r"a=(?:candidate:|end-of-candidates).*")
_PAYLOAD_TYPE: Final = re.compile(r"a=(?:rtpmap|fmtp|rtcp-fb):(\S+).*")
_LINE_BREAK: Final = re.compile(r"[\r\n]")
# By these extensions a packet names its section, which may be the one that the device never sees.
_SECTION_NAME: Final = re.compile(
    r"a=extmap:\S+ urn:ietf:params:rtp-hdrext:sdes:(?:mid|(?:repaired-)?rtp-stream-id)\b.*"
)


def single_audio_offer(offer: str) -> str:
    """Return the offer with one section for both directions of sound; others are unchanged."""
    session, sections = parse(offer)
    if (pair := _pair(session, sections)) is None:
        return offer
    kept, dropped = pair
    sections[kept] = _merged(sections[kept], sections[dropped])
    mids = [mid for mid in bundled_mids(session) if mid != sections[dropped].mid]
    del sections[dropped]
    session, *sections = (
        section.without(_SECTION_NAME.fullmatch)
        for section in (with_bundled_mids(session, mids), *sections)
    )
    return serialize(session, sections)


def split_audio_answer(offer: str, answer: str) -> str:
    """Return the answer to an offer, given the answer to its `single_audio_offer`."""
    offer_session, offered = parse(offer)
    if (pair := _pair(offer_session, offered)) is None:
        return answer
    kept, dropped = pair
    session, answered = parse(answer)
    index = kept - (dropped < kept)
    whole = answered[index]
    answered[index] = _half(whole, offered[kept])
    answered.insert(dropped, _half(whole, offered[dropped]).without(_CANDIDATES.fullmatch))
    group = set(bundled_mids(session))
    if offered[kept].mid in group:
        group.add(offered[dropped].mid or "")
    group -= {section.mid for section in answered if section.is_rejected}
    mids = [mid for mid in bundled_mids(offer_session) if mid in group]
    return serialize(
        with_bundled_mids(session, mids), map(_as_offered, answered, offered, strict=True)
    )


def without_sent_audio(offer: str) -> str:
    """Return the offer of a viewer who may only listen: none of its sections sends sound."""
    session, sections = parse(offer)
    return serialize(session, map(_listening, sections))


def may_send(offer: str) -> bool:
    """Whether anybody could read in an offer that its author sends sound.

    Of several directions in a section, or of lines with odd endings, another program may take
    others than we do.
    """
    if sends_audio(offer):
        return True
    lines = (line.strip() for line in _LINE_BREAK.split(offer.lower()))
    _, sections = parse("\n".join(lines))
    return any(section.kind == "audio" and _may_send(section) for section in sections)


def moved_candidate(candidate: Candidate, target: str, source: str) -> Candidate:
    """Return a candidate of one offer for the other: an offer and its `single_audio_offer`."""
    if target == source:
        return candidate
    mid, index = matching_section(target, source, candidate.mid, candidate.index)
    return replace(candidate, mid=mid, index=index)


def _pair(session: SdpSection, sections: list[SdpSection]) -> tuple[int, int] | None:
    """Return the indexes of the section that the device gets, and of the one that it does not.

    The one that is first in the BUNDLE group has the transport for both. None: there is no pair of
    one that receives sound and one that does not, or each has a transport of its own.
    """
    audio = [n for n, section in enumerate(sections) if section.kind == "audio"]
    if sorted(sections[n].direction for n in audio) not in _PAIRS:
        return None
    group, mids = bundled_mids(session), {sections[n].mid for n in audio}
    if len(mids.intersection(group)) < len(audio) or any(sections[n].is_rejected for n in audio):
        return None
    kept, dropped = sorted(audio, key=lambda n: group.index(sections[n].mid or ""))
    return kept, dropped


def _merged(kept: SdpSection, dropped: SdpSection) -> SdpSection:
    """Return a section with both directions, and with the payload types of both."""
    direction = DIRECTIONS[kept.sends or dropped.sends, kept.receives or dropped.receives]
    new = dict.fromkeys(dropped.payload_types)
    for number in kept.payload_types:
        new.pop(number, None)
    m_line = " ".join([*kept.m_line, *new]) + line_ending(kept.lines[0])
    lines = [
        line
        for line in dropped.bare_lines
        if ((found := _PAYLOAD_TYPE.fullmatch(line)) and found[1] in new)
        or (dropped.sends and _MEDIA_SOURCE.fullmatch(line))
    ]
    merged = kept if kept.sends else kept.without(_MEDIA_SOURCE.fullmatch)
    merged = replace(merged, lines=(m_line, *merged.lines[1:])).appended(*lines)
    return merged.with_line(DIRECTION, f"a={direction}")


def _half(whole: SdpSection, offered: SdpSection) -> SdpSection:
    """Return the answer to a section of a pair, from the one to their merger."""
    codecs = None if whole.is_rejected else with_offered_codecs(whole, offered)
    if codecs is None:
        return rejection(offered)
    sends = whole.sends and offered.receives
    direction = DIRECTIONS[sends, whole.receives and offered.sends]
    half = codecs.with_line(MID, f"a=mid:{offered.mid}").with_line(DIRECTION, f"a={direction}")
    return half if sends else half.without(_MEDIA_SOURCE.fullmatch)


def _as_offered(section: SdpSection, offered: SdpSection) -> SdpSection:
    """Return an answered section with the payload type that was offered for its codec."""
    shared = None if section.is_rejected else with_shared_codecs(offered, section)
    return section.renumbered(shared.payload_types[0]) if shared else section


def _may_send(section: SdpSection) -> bool:
    found = map(DIRECTION.fullmatch, section.bare_lines)
    directions = {match[1] for match in found if match}
    return not directions or not directions <= {"recvonly", "inactive"}


def _listening(section: SdpSection) -> SdpSection:
    if section.kind != "audio" or not section.sends:
        return section
    silent = section.without(_MEDIA_SOURCE.fullmatch)
    return silent.with_line(DIRECTION, "a=recvonly" if section.receives else "a=inactive")
