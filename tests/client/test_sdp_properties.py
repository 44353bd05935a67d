"""What holds of every description, whatever a browser or an intercom writes."""

from typing import TYPE_CHECKING

from hypothesis import assume, given, settings, strategies as st

from custom_components.bticino_classe.client.errors import OfferTooLargeError
from custom_components.bticino_classe.client.webrtc import sdp
from custom_components.bticino_classe.client.webrtc.sections import parse, serialize
from tests.client.descriptions import (
    BROWSERS,
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
BROWSER = st.sampled_from(BROWSERS).map(read)
OFFER = BROWSER | descriptions()
# A device may know our names, or have its own.
ANSWER = descriptions(role="active") | descriptions(role="actpass") | descriptions(names="avx")
DEVICE = st.sampled_from((read("device_ring_shaped"), read("device_answer_shaped")))
RINGING = DEVICE | descriptions(min_size=1) | descriptions(names="avx", min_size=1)
PIECES = (
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
JUNK = st.text() | st.lists(st.sampled_from(PIECES) | st.text(max_size=8)).flatmap(
    lambda lines: st.sampled_from(("\r\n", "\n", "\r")).map(lambda end: end.join(lines))
)
ONE_TEXT: tuple[Callable[[str], str], ...] = (
    sdp.without_stray_objects,
    sdp.without_foreign_codecs,
    sdp.without_header_extensions,
    sdp.without_useless_candidates,
    sdp.without_candidates,
    sdp.with_sendrecv_audio,
)
TWO_TEXTS: tuple[Callable[[str, str], str], ...] = (
    sdp.device_answer_for_viewer,
    sdp.viewer_answer_for_device,
    sdp.device_offer_as_answer,
)


def all_lines(text: str) -> list[str]:
    """Return the lines with their ends."""
    return text.splitlines(keepends=True)


def is_concerned(line: str) -> bool:
    """Whether the diet may touch a line."""
    return line.startswith(
        ("m=", "a=rtpmap", "a=fmtp", "a=rtcp-fb", "a=extmap", "a=candidate", "a=end-of")
    )


def is_subsequence(lines: list[str], whole: list[str]) -> bool:
    """Whether the lines are in the whole, in their order."""
    rest = iter(whole)
    return all(line in rest for line in lines)


@EXAMPLES
@given(OFFER)
def test_diet(offer: str) -> None:
    """It drops and never adds or moves, and what is not concerned stays; once is enough."""
    slim = sdp.reduced_offer(offer)
    assert len(slim.encode()) <= 8000
    assert sdp.reduced_offer(slim) == slim
    kept = [line for line in all_lines(slim) if not line.startswith("m=")]
    assert is_subsequence(kept, all_lines(offer))
    assert [line for line in all_lines(slim) if not is_concerned(line)] == [
        line for line in all_lines(offer) if not is_concerned(line)
    ]
    before, after = sections(offer)[1:], sections(slim)[1:]
    assert [part[0].split()[:3] for part in before] == [part[0].split()[:3] for part in after]
    assert all(len(part[0].split()) > 3 for part in after)


@EXAMPLES
@given(OFFER, st.integers(0, 9000), st.booleans())
def test_no_offer_above_the_limit_gets_out(offer: str, size: int, is_foreign: bool) -> None:
    """Not even one whose weight nobody knows; the error tells how large it still was."""
    ballast = ("é" if is_foreign else "e") * (size // (2 if is_foreign else 1))
    heavy = f"{offer}a=x-ballast:{ballast}\r\n"
    slim, refused = "", None
    try:
        slim = sdp.reduced_offer(heavy)
    except OfferTooLargeError as error:
        refused = error.size
    if refused is None:
        assert len(slim.encode()) <= 8000
        assert ballast in slim
    else:
        assert 8000 < refused <= len(heavy.encode())
        assert size > 1000


@EXAMPLES
@given(OFFER)
def test_sound_that_wakes(offer: str) -> None:
    """All audio that listened talks as well, with a source of its own; nothing else is touched."""
    woken = sdp.with_sendrecv_audio(offer)
    assert sdp.with_sendrecv_audio(woken) == woken
    session, *before = sections(offer)
    after = sections(woken)[1:]
    for old, new in zip(before, after, strict=True):
        if old[0].startswith("m=audio") and direction(session, old) == "recvonly":
            assert direction(session, new) == "sendrecv"
            assert any(line.startswith("a=ssrc:") for line in new)
            added = [line for line in new if line not in old]
            assert all(line.startswith(("a=ssrc:", "a=msid:", "a=sendrecv")) for line in added)
        else:
            assert new == old
    sources = [line for part in after for line in part if line.endswith(" cname:bticino")]
    assert len(set(sources)) == len(sources)


@EXAMPLES
@given(OFFER, ANSWER)
def test_answer_is_valid(offer: str, answer: str) -> None:
    """For any offer, whatever the device makes of it; a valid one is not mended again."""
    mended = sdp.device_answer_for_viewer(offer, answer)
    assert list(problems(offer, mended)) == []
    assert foreign_extensions(offer, mended) == set()
    assert sdp.device_answer_for_viewer(offer, mended) == mended


@EXAMPLES
@given(OFFER, RINGING)
def test_both_answers_to_a_ring_are_valid(viewer: str, device: str) -> None:
    """Each for the offer that it answers, and they agree on what is talked about."""
    to_device = sdp.viewer_answer_for_device(viewer, device)
    to_viewer = sdp.device_offer_as_answer(device, viewer)
    assert list(problems(device, to_device)) == []
    assert list(problems(viewer, to_viewer)) == []
    assert foreign_extensions(device, to_device) == set()
    assert foreign_extensions(viewer, to_viewer) == set()
    accepted = [
        sorted(part[0].split()[0] for part in sections(one)[1:] if part[0].split()[1] != "0")
        for one in (to_device, to_viewer)
    ]
    assert accepted[0] == accepted[1]


@EXAMPLES
@given(BROWSER, DEVICE)
def test_line_ends_are_kept(viewer: str, device: str) -> None:
    """Descriptions with the line ends of Unix give the same, with those."""
    plain, simple = viewer.replace("\r\n", "\n"), device.replace("\r\n", "\n")
    for one in (*ONE_TEXT, sdp.reduced_offer):
        assert one(plain) == one(viewer).replace("\r\n", "\n")
    for two in TWO_TEXTS:
        assert two(plain, simple) == two(viewer, device).replace("\r\n", "\n")


@EXAMPLES
@given(JUNK | OFFER)
def test_parts_are_the_whole(sdp_text: str) -> None:
    """Nothing is lost but the lack of the last line's end."""
    again = serialize(*parse(sdp_text))
    assert again.startswith(sdp_text.removesuffix("\r"))
    assert again[len(sdp_text.removesuffix("\r")) :] in {"", "\n", "\r\n"}
    assert serialize(*parse(again)) == again


@EXAMPLES
@given(JUNK, JUNK | OFFER, st.none() | st.text(max_size=2), st.none() | st.integers(-2, 3))
def test_nonsense_does_no_harm(one: str, other: str, mid: str | None, index: int | None) -> None:
    """No text raises anything but that it is too large."""
    for mend in ONE_TEXT:
        assert mend(mend(one)) == mend(one)
    for make in TWO_TEXTS:
        assert isinstance(make(one, other), str)
        assert isinstance(make(other, one), str)
    assume(len(one) < 2000)
    assert sdp.reduced_offer(sdp.reduced_offer(one)) == sdp.reduced_offer(one)
    sdp.origin_of(one)
    sdp.matching_section(one, other, mid, index)
    sdp.matching_section(other, one, mid, index)
    assert not sdp.candidate_is_useful(one)
