"""Session descriptions of WHEP clients: usable offers, complete answers, SDP fragments.

Pure functions on text. WHEP is draft-ietf-wish-whep, a fragment is that of RFC 8840.
"""

from dataclasses import dataclass
from enum import IntEnum
import re
from typing import TYPE_CHECKING, Final

from ..models import Candidate
from .sdp import bundled_mids, is_processable
from .sections import (
    SUPPORTED_CODECS,
    SdpSection,
    parse,
    serialize,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

# What the device is said to send, whatever was negotiated (protocol.md 3.9).
DEVICE_PAYLOAD_TYPES: Final = {"audio": "111", "video": "109"}

_ICE_UFRAG: Final = re.compile(r"a=ice-ufrag:(.+)")
_ICE_PWD: Final = re.compile(r"a=ice-pwd:(.+)")
_FINGERPRINT: Final = re.compile(r"a=fingerprint:(.+)")
_CONNECTION: Final = (_ICE_UFRAG, _ICE_PWD, _FINGERPRINT)  # what a connection needs
_END_OF_CANDIDATES: Final = "a=end-of-candidates"
_LINE: Final = re.compile(r"[a-z]=.+|")
_CANDIDATE_TYPE: Final = re.compile(r"a=candidate:.* typ ([a-z]+).*")
_NAMES: Final = {"audio": "Opus", "video": "H.264"}


class Gathering(IntEnum):
    """How far a device has come with its candidates: what the least advanced transport has.

    It finds its own addresses first, then its public one, and a relayed one last.
    """

    NOTHING = 0
    HOST = 1
    REFLEXIVE = 2
    RELAYED = 3
    COMPLETE = 4


_STAGES: Final = {"relay": Gathering.RELAYED, "srflx": Gathering.REFLEXIVE}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrickleFragment:
    """The candidates of an SDP fragment, and whether it asks for an ICE restart."""

    candidates: tuple[Candidate, ...]
    restarts_ice: bool


def is_offer(sdp: str) -> bool:
    """Whether a text is an offer of media that a device could connect to."""
    if not (sdp.startswith("v=0") and is_processable(sdp)):
        return False
    session, sections = parse(sdp)
    media = [section for section in sections if section.kind in SUPPORTED_CODECS]
    # What the session has counts for all of them.
    missing = [each for each in _CONNECTION if session.value(each) is None]
    return bool(media) and all(
        section.value(attribute) is not None for section in media for attribute in missing
    )


def missing_codec(offer: str) -> str | None:
    """Return the name of the device's codec that an offered kind of media lacks."""
    if not is_processable(offer):
        return None
    _, sections = parse(offer)
    offered = {section.kind for section in sections}
    supported = {section.kind for section in sections if section.supported_payload_types}
    return next((_NAMES[kind] for kind in SUPPORTED_CODECS if kind in offered - supported), None)


def complete_answer(answer: str, candidates: Iterable[Candidate]) -> str:
    """Add the candidates that came after an answer, and that there are no more."""
    session, sections = _with_candidates(answer, candidates)
    return serialize(session, map(_completed, sections))


def gathering(answer: str, candidates: Iterable[Candidate]) -> Gathering:
    """Return how far a device has come that has sent an answer, and candidates after it."""
    session, sections = _with_candidates(answer, candidates)
    if _END_OF_CANDIDATES in session.bare_lines:
        return Gathering.COMPLETE
    bundled = bundled_mids(session)
    stages: dict[int, Gathering] = {}
    for number, section in enumerate(sections):
        if not section.is_rejected:
            transport = -1 if section.mid in bundled else number
            stages[transport] = max(stages.get(transport, Gathering.NOTHING), _stage(section))
    return min(stages.values(), default=Gathering.COMPLETE)


def with_fixed_payload_types(answer: str) -> str:
    """Write the numbers that the device sends into an answer, for a peer that adopts them."""
    session, sections = parse(answer)
    return serialize(session, map(_with_fixed_payload_type, sections))


def parse_fragment(fragment: str, offer: str) -> TrickleFragment | None:
    """Return the content of a fragment that belongs to an offer; None if it is malformed."""
    lines = fragment.splitlines()
    if not (any(lines) and is_processable(fragment) and all(map(_LINE.fullmatch, lines))):
        return None
    (session, sections), (offer_session, offered) = parse(fragment), parse(offer)
    mids = [section.mid for section in offered]
    restarts_ice = any(
        not _values(attribute, session, *sections) <= _values(attribute, offer_session, *offered)
        for attribute in (_ICE_UFRAG, _ICE_PWD)
    )
    candidates = tuple(
        _candidate(line, mids, section.mid)
        for section in (session, *sections)
        for line in section.bare_lines
        if line.startswith("a=candidate:")
    )
    return TrickleFragment(candidates=candidates, restarts_ice=restarts_ice)


def sectionless_candidate(candidate: str, offer: str) -> Candidate:
    """Return a candidate that came without its section: it is for the first one of the offer."""
    _, sections = parse(offer)
    return _candidate(f"a={candidate}", [section.mid for section in sections], None)


def _candidate(line: str, mids: list[str | None], mid: str | None) -> Candidate:
    """Return a candidate for the offered section with this mid, else for the first."""
    index = mids.index(mid) if mid in mids else 0
    return Candidate(candidate=line[2:], mid=mids[index] if mids else None, index=index)


def _values(attribute: re.Pattern[str], *sections: SdpSection) -> set[str]:
    return {value for section in sections if (value := section.value(attribute)) is not None}


def _index(sections: list[SdpSection], candidate: Candidate) -> int:
    """Return the section that a candidate belongs to: by mid, else by index, else the first."""
    mids = [section.mid for section in sections]
    if candidate.mid is not None and candidate.mid in mids:
        return mids.index(candidate.mid)
    is_known = candidate.index is not None and candidate.index < len(sections)
    return candidate.index if is_known and candidate.index is not None else 0


def _with_candidates(
    answer: str, candidates: Iterable[Candidate]
) -> tuple[SdpSection, list[SdpSection]]:
    """Parse an answer, and add candidates to its sections."""
    session, sections = parse(answer)
    lines: dict[int, list[str]] = {}
    for candidate in candidates:
        lines.setdefault(_index(sections, candidate), []).append(f"a={candidate.candidate}")
    return session, [_with_lines(s, lines.get(n, [])) for n, s in enumerate(sections)]


def _with_lines(section: SdpSection, lines: list[str]) -> SdpSection:
    if section.is_rejected:
        return section
    present = set(section.bare_lines)
    return section.appended(*(line for line in dict.fromkeys(lines) if line not in present))


def _completed(section: SdpSection) -> SdpSection:
    if section.is_rejected:
        return section
    return section.without(_END_OF_CANDIDATES.__eq__).appended(_END_OF_CANDIDATES)


def _stage(section: SdpSection) -> Gathering:
    lines = section.bare_lines
    if _END_OF_CANDIDATES in lines:
        return Gathering.COMPLETE
    types = [found[1] for line in lines if (found := _CANDIDATE_TYPE.fullmatch(line))]
    stages = (_STAGES.get(each, Gathering.HOST) for each in types)
    return max(stages, default=Gathering.NOTHING)


def _with_fixed_payload_type(section: SdpSection) -> SdpSection:
    number = DEVICE_PAYLOAD_TYPES.get(section.kind)
    return section if section.is_rejected or number is None else section.renumbered(number)
