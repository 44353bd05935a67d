"""Properties that hold for every description, valid or not."""

from typing import TYPE_CHECKING

from hypothesis import assume, given, settings, strategies as st

from custom_components.bticino_classe.client.errors import OfferTooLargeError
from custom_components.bticino_classe.client.models import Candidate
from custom_components.bticino_classe.client.webrtc import sdp, whep
from custom_components.bticino_classe.client.webrtc.sections import parse, serialize
from tests.client.webrtc.descriptions import (
    BROWSERS,
    RELAYS,
    descriptions,
    direction,
    foreign_extensions,
    problems,
    read,
    sections,
)

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = settings(max_examples=150, deadline=None)
BROWSER = st.sampled_from((*BROWSERS, *RELAYS)).map(read)
OFFER = BROWSER | descriptions()
# A device may use the mids of the offer, or its own.
ANSWER = descriptions(role="active") | descriptions(role="actpass") | descriptions(mids="avx")
DEVICE = st.sampled_from((read("device_ring_shaped"), read("device_answer_shaped")))
RINGING = DEVICE | descriptions(min_size=1) | descriptions(mids="avx", min_size=1)
FRAGMENTS = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "m=",
    "m=video",
    "m=application 0",
    "a=mid:0",
    "a=mid:",
    "a=group:BUNDLE 0",
    "a=group:BUNDLE",
    "a=setup:holdconn",
    "a=recvonly",
    "a=rtpmap:111 opus/48000/2",
    "a=rtpmap:111",
    "a=fmtp:111 profile-level-id=",
    "a=candidate:",
    "o=",
    "\ud800",
    "",
)
JUNK = st.text() | st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=8)).flatmap(
    lambda lines: st.sampled_from(("\r\n", "\n", "\r")).map(lambda end: end.join(lines))
)
CHANGES: tuple[Callable[[str], str], ...] = (
    sdp.without_stray_objects,
    sdp.without_foreign_codecs,
    sdp.without_header_extensions,
    sdp.without_useless_candidates,
    sdp.without_candidates,
    sdp.with_sendrecv_audio,
    whep.with_fixed_payload_types,
)
ANSWERS: tuple[Callable[[str, str], str], ...] = (
    sdp.device_answer_for_viewer,
    sdp.viewer_answer_for_device,
    sdp.device_offer_as_answer,
)


def all_lines(text: str) -> list[str]:
    """Return the lines with their line endings."""
    return text.splitlines(keepends=True)


def may_change(line: str) -> bool:
    """Whether a reduced offer may change the line."""
    return line.startswith(
        ("m=", "a=rtpmap", "a=fmtp", "a=rtcp-fb", "a=extmap", "a=candidate", "a=end-of")
    )


def is_subsequence(lines: list[str], whole: list[str]) -> bool:
    """Whether the lines are in the whole, in their order."""
    rest = iter(whole)
    return all(line in rest for line in lines)


@EXAMPLES
@given(OFFER)
def test_reduced_offer(offer: str) -> None:
    """It only drops lines, keeps all that it need not touch, and is idempotent."""
    reduced = sdp.reduced_offer(offer)
    assert len(reduced.encode()) <= 8000
    assert sdp.reduced_offer(reduced) == reduced
    kept = [line for line in all_lines(reduced) if not line.startswith("m=")]
    assert is_subsequence(kept, all_lines(offer))
    assert [line for line in all_lines(reduced) if not may_change(line)] == [
        line for line in all_lines(offer) if not may_change(line)
    ]
    before, after = sections(offer)[1:], sections(reduced)[1:]
    assert [section[0].split()[:3] for section in before] == [
        section[0].split()[:3] for section in after
    ]
    assert all(len(section[0].split()) > 3 for section in after)


@EXAMPLES
@given(OFFER, st.integers(0, 9000), st.booleans())
def test_reduced_offer_is_never_too_large(offer: str, size: int, is_foreign: bool) -> None:
    """Not with any attribute that it does not know; the error has the remaining size."""
    ballast = ("é" if is_foreign else "e") * (size // (2 if is_foreign else 1))
    heavy = f"{offer}a=x-ballast:{ballast}\r\n"
    reduced, refused = "", None
    try:
        reduced = sdp.reduced_offer(heavy)
    except OfferTooLargeError as error:
        refused = error.size
    if refused is None:
        assert len(reduced.encode()) <= 8000
        assert ballast in reduced
    else:
        assert 8000 < refused <= len(heavy.encode())
        assert size > 1000


@EXAMPLES
@given(OFFER)
def test_sendrecv_audio(offer: str) -> None:
    """Each recvonly audio section becomes sendrecv with an SSRC; nothing else changes."""
    changed = sdp.with_sendrecv_audio(offer)
    assert sdp.with_sendrecv_audio(changed) == changed
    session, *before = sections(offer)
    after = sections(changed)[1:]
    for old, new in zip(before, after, strict=True):
        if old[0].startswith("m=audio") and direction(session, old) == "recvonly":
            assert direction(session, new) == "sendrecv"
            assert any(line.startswith("a=ssrc:") for line in new)
            added = [line for line in new if line not in old]
            assert all(line.startswith(("a=ssrc:", "a=msid:", "a=sendrecv")) for line in added)
        else:
            assert new == old
    sources = [line for section in after for line in section if line.endswith(" cname:bticino")]
    assert len(set(sources)) == len(sources)


@EXAMPLES
@given(OFFER, ANSWER)
def test_device_answer_is_valid(offer: str, answer: str) -> None:
    """For any offer and any answer of the device; a valid answer does not change."""
    valid = sdp.device_answer_for_viewer(offer, answer)
    assert list(problems(offer, valid)) == []
    assert foreign_extensions(offer, valid) == set()
    assert sdp.device_answer_for_viewer(offer, valid) == valid


@EXAMPLES
@given(OFFER, RINGING)
def test_both_answers_to_a_ring_are_valid(viewer: str, device: str) -> None:
    """Each for its offer, and both accept the same media."""
    to_device = sdp.viewer_answer_for_device(viewer, device)
    to_viewer = sdp.device_offer_as_answer(device, viewer)
    assert list(problems(device, to_device)) == []
    assert list(problems(viewer, to_viewer)) == []
    assert foreign_extensions(device, to_device) == set()
    assert foreign_extensions(viewer, to_viewer) == set()
    accepted = [
        sorted(
            section[0].split()[0] for section in sections(one)[1:] if section[0].split()[1] != "0"
        )
        for one in (to_device, to_viewer)
    ]
    assert accepted[0] == accepted[1]


@EXAMPLES
@given(BROWSER, DEVICE)
def test_line_endings_are_kept(viewer: str, device: str) -> None:
    """Descriptions with LF give the same results, with LF."""
    plain, simple = viewer.replace("\r\n", "\n"), device.replace("\r\n", "\n")
    for one in (*CHANGES, sdp.reduced_offer):
        assert one(plain) == one(viewer).replace("\r\n", "\n")
    for two in ANSWERS:
        assert two(plain, simple) == two(viewer, device).replace("\r\n", "\n")


@EXAMPLES
@given(JUNK | OFFER)
def test_parse_and_serialize(sdp_text: str) -> None:
    """Only an unterminated last line changes."""
    again = serialize(*parse(sdp_text))
    assert again.startswith(sdp_text.removesuffix("\r"))
    assert again[len(sdp_text.removesuffix("\r")) :] in {"", "\n", "\r\n"}
    assert serialize(*parse(again)) == again


@EXAMPLES
@given(JUNK, JUNK | OFFER, st.none() | st.text(max_size=2), st.none() | st.integers(-2, 3))
def test_invalid_descriptions(one: str, other: str, mid: str | None, index: int | None) -> None:
    """They raise nothing but OfferTooLargeError."""
    for change in CHANGES:
        assert change(change(one)) == change(one)
    for build in ANSWERS:
        assert isinstance(build(one, other), str)
        assert isinstance(build(other, one), str)
    assume(len(one) < 2000)
    assert sdp.reduced_offer(sdp.reduced_offer(one)) == sdp.reduced_offer(one)
    sdp.origin_of(one)
    sdp.matching_section(one, other, mid, index)
    sdp.matching_section(other, one, mid, index)
    assert not sdp.candidate_is_useful(one)
    whep.parse_fragment(one, other)
    whep.parse_fragment(other, one)
    whep.complete_answer(one, [Candidate(candidate="candidate:1", mid=mid, index=index)])
    assert not whep.is_offer(one)
    whep.missing_codec(one)
