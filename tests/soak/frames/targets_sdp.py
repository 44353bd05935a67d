"""Targets that read and rewrite session descriptions, of browsers, relays and intercoms."""

from typing import Any

from custom_components.bticino_classe.client.errors import OfferTooLargeError
from custom_components.bticino_classe.client.models import Candidate
from custom_components.bticino_classe.client.webrtc import sdp, two_way, whep
from custom_components.bticino_classe.client.webrtc.sections import parse

from .checks import aside, check, check_error, check_repr
from .seeds import CANDIDATE, DEVICE_SDP, OFFERS
from .target import Target, pure, text

_BROWSERS = [name for name in OFFERS if not name.startswith("device_")]


def _kinds(description: str) -> list[str]:
    """Return the kinds of media; those with hidden characters, which no browser writes, as one."""
    sections = parse(description)[1]
    return [each.kind if each.lines[0].strip().isprintable() else "?" for each in sections]


def _offer(case: Any) -> None:
    """Do what is done with a viewer's offer before it is dialled."""
    offer = text(case, "offer")
    sdp.origin_of(offer)
    whep.missing_codec(offer)
    may_send = two_way.may_send(offer)
    with aside():
        check(may_send or not sdp.sends_audio(offer), "sound that nobody expects")
    if not sdp.is_processable(offer):
        return
    silent = two_way.without_sent_audio(offer)
    with aside():  # a direction may be the line too many
        is_silent = not sdp.sends_audio(silent) or not sdp.is_processable(silent)
        check(is_silent, "a viewer who may only listen sends sound")
    merged = two_way.single_audio_offer(offer)
    active = sdp.with_sendrecv_audio(merged)
    with aside():
        check(sdp.with_sendrecv_audio(active) == active, "sound is activated twice")
        check(_kinds(active) == _kinds(merged), "other sections")
    try:
        reduced = sdp.reduced_offer(active)
    except OfferTooLargeError as err:
        check_error(err)
    else:
        check(len(reduced.encode(errors="surrogatepass")) <= sdp.MAX_OFFER_BYTES, "a large offer")
        with aside():
            check(sdp.reduced_offer(reduced) == reduced, "an offer is reduced twice")


def _answer(case: Any) -> None:
    """Do what is done with an intercom's answer to a viewer's offer."""
    offer, answer = text(case, "offer"), text(case, "answer")
    if not (sdp.is_processable(offer) and sdp.is_processable(answer)):
        return
    merged = two_way.single_audio_offer(offer)
    for_viewer = sdp.device_answer_for_viewer(merged, answer)
    _check_answer(merged, for_viewer)
    split = two_way.split_audio_answer(offer, for_viewer)
    _check_answer(offer, split)
    candidate = Candidate(candidate=CANDIDATE, mid=text(case, "mid"), index=1)
    whep.gathering(split, [candidate])
    whep.complete_answer(split, [candidate])
    whep.with_fixed_payload_types(split)


def _ring(case: Any) -> None:
    """Do what is done with the offers of a ring and of the viewer who answers it."""
    viewer, device = text(case, "offer"), text(case, "answer")
    if not (sdp.is_processable(viewer) and sdp.is_processable(device)):
        return
    merged = two_way.single_audio_offer(viewer)
    for_device = sdp.viewer_answer_for_device(merged, device)
    with aside():
        check(len(_kinds(for_device)) == len(_kinds(device)), "a section is missing")
    _check_answer(merged, sdp.device_offer_as_answer(device, merged))


def _check_answer(offer: str, answer: str) -> None:
    with aside():
        _check_sections(offer, answer)


def _check_sections(offer: str, answer: str) -> None:
    answered, offered = _kinds(answer), _kinds(offer)
    check(len(answered) == len(offered), "a section is missing")
    pairs = zip(answered, offered, strict=True)
    check(all("?" in pair or pair[0] == pair[1] for pair in pairs), "a section of another kind")
    check(sdp.candidates_in(answer) <= sdp.MAX_CANDIDATES, "too many candidates")
    hidden = [line for line in answer.replace("\r\n", "\n").split("\n") if not line.isprintable()]
    # A rejected section repeats lines of the viewer's own offer.
    check(all(line in offer for line in hidden), "a hidden line break for the viewer")


def _candidates(case: Any) -> None:
    """Do what is done with single candidates, which name their section."""
    offer, answer, line = text(case, "offer"), text(case, "answer"), text(case, "candidate")
    check(not sdp.candidate_is_useful(line) or line.isprintable(), "a candidate of several lines")
    if not (sdp.is_processable(offer) and sdp.is_processable(answer)):
        return
    for mid in (text(case, "mid"), None):
        for index in (0, 1, None):
            sdp.matching_section(offer, answer, mid, index)
            candidate = Candidate(candidate=line, mid=mid, index=index)
            check_repr(two_way.moved_candidate(candidate, offer, answer))
    whep.sectionless_candidate(line, offer)


def _whep(case: Any) -> None:
    """Do what is done with a WHEP client's offer and fragments."""
    offer, fragment = text(case, "offer"), text(case, "fragment")
    if not whep.is_offer(offer):
        return
    check(whep.is_offer(two_way.without_sent_audio(offer)), "no offer any more")
    found = whep.parse_fragment(fragment, offer)
    mids = [section.mid for section in parse(offer)[1]]
    for candidate in () if found is None else found.candidates:
        check(candidate.mid in mids, "a section that was not offered")


def _pairs(names: list[str], answers: tuple[str, ...]) -> list[dict[str, str]]:
    return [
        {"offer": OFFERS[name], "answer": answer, "mid": "0", "candidate": CANDIDATE}
        for name in names
        for answer in answers
    ]


_ANSWERS = (OFFERS["device_answer_shaped"], OFFERS["device_ring_shaped"], DEVICE_SDP)
_FRAGMENT = (
    "a=ice-ufrag:x\r\na=ice-pwd:y\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    f"a={CANDIDATE}\r\na=end-of-candidates\r\n"
)

TARGETS: tuple[Target, ...] = (
    pure("offer", _offer, [{"offer": OFFERS[name]} for name in _BROWSERS]),
    pure("answer", _answer, _pairs(_BROWSERS, _ANSWERS)),
    pure("ring", _ring, _pairs(_BROWSERS, _ANSWERS[1:])),
    pure("candidates", _candidates, _pairs(_BROWSERS[:4], _ANSWERS[:1])),
    pure("whep", _whep, [{"offer": OFFERS[each], "fragment": _FRAGMENT} for each in _BROWSERS]),
)
