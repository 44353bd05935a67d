"""Descriptions of relays such as go2rtc: video first, other numbers, a section that only sends."""

import re

import pytest

from custom_components.bticino_classe.client.models import Candidate
from custom_components.bticino_classe.client.webrtc.sdp import (
    MAX_DESCRIPTION_BYTES,
    MAX_OFFER_BYTES,
    device_answer_for_viewer,
    device_offer_as_answer,
    matching_section,
    origin_of,
    reduced_offer,
    sends_audio,
    viewer_answer_for_device,
    with_sendrecv_audio,
    without_candidates,
    without_header_extensions,
    without_stray_objects,
    without_useless_candidates,
)
from custom_components.bticino_classe.client.webrtc.whep import (
    Gathering,
    complete_answer,
    gathering,
    is_offer,
    missing_codec,
    parse_fragment,
    with_fixed_payload_types,
)
from tests.client.webrtc.descriptions import (
    BROWSERS,
    RELAYS,
    codecs,
    direction,
    foreign_extensions,
    problems,
    read,
    sections,
    values,
)

WHEP, TWO_WAY = read("go2rtc_whep"), read("go2rtc_two_way")
RING, ANSWER = read("device_ring_shaped"), read("device_answer_shaped")
UDP = "candidate:1 1 udp 2122260223 192.0.2.10 50000 typ host"
TCP = "candidate:2 1 tcp 1518280447 192.0.2.10 9 typ host tcptype active"


def directions(sdp: str) -> list[str]:
    """Return the direction of each m-section."""
    session, *found = sections(sdp)
    return [direction(session, section) for section in found]


def numbers(sdp: str) -> list[dict[str, str]]:
    """Return the codec of each payload type, section by section."""
    return [codecs(section) for section in sections(sdp)[1:]]


def device_answer(audio: str, video: str) -> str:
    """Return the device's answer with these payload types, video first."""
    session, sound, picture = sections(ANSWER)
    sound = [re.sub(r"\b111\b", audio, line) for line in sound]
    picture = [re.sub(r"\b109\b", video, line) for line in picture]
    swapped = [line.replace("a=mid:0", "a=mid:x") for line in sound]
    swapped = [line.replace("a=mid:x", "a=mid:1") for line in swapped]
    picture = [line.replace("a=mid:1", "a=mid:0") for line in picture]
    return "".join(f"{line}\r\n" for line in (*session, *picture, *swapped))


@pytest.mark.parametrize(("name", "size"), [("go2rtc_whep", 2315), ("go2rtc_two_way", 2488)])
def test_offer_as_sent(name: str, size: int) -> None:
    """It is far below the limit, and only the foreign codecs are dropped."""
    offer = read(name)
    sent = reduced_offer(with_sendrecv_audio(offer))
    assert len(sent.encode()) == size < MAX_OFFER_BYTES / 3
    video, *audio = numbers(sent)
    assert video == {"96": "h264", "97": "h264", "98": "h264"}
    assert audio == [{"101": "opus"}] * len(audio)
    assert directions(sent)[:2] == ["recvonly", "sendrecv"]
    for kind in ("a=extmap", "a=candidate", "a=ice-ufrag", "a=end-of-candidates"):
        assert sent.count(kind) == offer.count(kind)


def test_repairs_that_these_offers_do_not_need() -> None:
    """They change only what they are for."""
    for offer in (WHEP, TWO_WAY):
        assert without_stray_objects(offer) == offer
        assert without_useless_candidates(offer) == offer
        assert "a=extmap" not in without_header_extensions(offer)
        assert re.search("a=(candidate|end-of)", without_candidates(offer)) is None
    assert origin_of(WHEP) != origin_of(TWO_WAY)
    assert (sends_audio(WHEP), sends_audio(TWO_WAY)) == (False, True)


@pytest.mark.parametrize("name", RELAYS)
@pytest.mark.parametrize("audio", ["101", "111"])
@pytest.mark.parametrize("video", ["96", "98", "109"])
def test_device_answer(name: str, audio: str, video: str) -> None:
    """It is valid, whether the device numbers as offered or as it always does."""
    offer = read(name)
    answer = device_answer_for_viewer(offer, device_answer(audio, video))
    assert list(problems(offer, answer)) == []
    assert foreign_extensions(offer, answer) == set()
    assert numbers(answer)[:2] == [{video: "h264"}, {audio: "opus"}]
    assert directions(answer)[:2] == ["sendonly", "sendonly"]
    assert [values(s, "mid") for s in sections(answer)] == [
        values(s, "mid") for s in sections(offer)
    ]


@pytest.mark.parametrize("name", RELAYS)
def test_both_answers_to_a_ring(name: str) -> None:
    """Device and viewer get valid answers."""
    viewer = read(name)
    to_device = viewer_answer_for_device(viewer, RING)
    to_viewer = device_offer_as_answer(RING, viewer)
    assert list(problems(RING, to_device)) == list(problems(viewer, to_viewer)) == []
    opus = "97" if name.startswith("gstreamer_") else "101"
    assert numbers(to_device) == [{"96": "h264"}, {opus: "opus"}]
    assert directions(to_device) == ["recvonly", "sendrecv"]
    assert directions(to_viewer)[:2] == ["sendonly", "sendonly"]


@pytest.mark.parametrize("name", RELAYS)
def test_candidates_of_both_sides(name: str) -> None:
    """They belong to the first section of each group."""
    viewer = read(name)
    (first,) = values(sections(viewer)[1], "mid")
    assert matching_section(viewer, ANSWER, "0", 0) == (first, 0)
    assert matching_section(RING, viewer, first, 0) == ("video", 0)
    assert matching_section(viewer, RING, "video", 0) == (first, 0)


@pytest.mark.parametrize(("audio", "video"), [("101", "96"), ("111", "109"), ("101", "98")])
@pytest.mark.parametrize("is_fixed", [True, False])
def test_both_readings_of_the_devices_payload_types(
    audio: str, video: str, *, is_fixed: bool
) -> None:
    """The answer has the numbers of the device's answer, or the fixed ones."""
    answer = device_answer_for_viewer(WHEP, device_answer(audio, video))
    if is_fixed:
        fixed = with_fixed_payload_types(answer)
        expected = re.sub(rf"(SAVPF |:){video}\b", r"\g<1>109", answer)
        assert fixed == re.sub(rf"(SAVPF |:){audio}\b", r"\g<1>111", expected)
        answer = fixed
    video, audio = ("109", "111") if is_fixed else (video, audio)
    assert numbers(answer) == [{video: "h264"}, {audio: "opus"}]
    assert list(problems(WHEP, answer)) == []


def test_fixed_payload_types_of_an_answer_with_several() -> None:
    """The first of the device's codec counts; rejected and other sections stay."""
    several = ANSWER.replace("SAVPF 111", "SAVPF 0 101 111").replace(
        "a=rtpmap:111", "a=rtpmap:101 opus/48000/2\r\na=rtcp-fb:101 nack\r\na=rtpmap:111"
    )
    fixed = with_fixed_payload_types(several)
    assert numbers(fixed) == [{"111": "opus"}, {"109": "h264"}]
    assert "a=rtcp-fb:111 nack" in fixed
    rejected = device_answer_for_viewer(read("chromium_data"), ANSWER)
    assert with_fixed_payload_types(rejected) == rejected


def test_complete_answer() -> None:
    """Candidates join their section; every accepted section says that there are no more."""
    answer = device_answer_for_viewer(TWO_WAY, without_candidates(ANSWER))
    assert gathering(answer, ()) is Gathering.NOTHING
    more = [
        Candidate(candidate=UDP, mid="0", index=1),
        Candidate(candidate=UDP, mid="0", index=0),
        Candidate(candidate=TCP, mid="unknown", index=1),
        Candidate(candidate=TCP, mid=None, index=99),
    ]
    complete = complete_answer(answer, more)
    assert gathering(complete, ()) is Gathering.COMPLETE
    assert list(problems(TWO_WAY, complete)) == []
    video, audio, rejected = sections(complete)[1:]
    assert video[-3:] == [f"a={UDP}", f"a={TCP}", "a=end-of-candidates"]
    assert audio[-2:] == [f"a={TCP}", "a=end-of-candidates"]
    assert not any("candidate" in line for line in rejected)
    assert complete_answer(complete, more) == complete
    without = complete.replace("a=end-of-candidates\r\n", "").replace(f"a={UDP}\r\n", "")
    assert without.replace(f"a={TCP}\r\n", "") == answer


@pytest.mark.parametrize("name", [*RELAYS, *BROWSERS])
def test_offers(name: str) -> None:
    """All captured ones are usable, except those without the device's video codec."""
    assert is_offer(read(name))
    assert missing_codec(read(name)) == ("H.264" if "without_h264" in name else None)


@pytest.mark.parametrize(
    "sdp",
    [
        "",
        "v=0\r\n",
        "nonsense",
        "{}",
        WHEP.removeprefix("v=0\r\n"),
        WHEP.partition("m=video")[0],
        re.sub("a=ice-ufrag.*\r\n", "", WHEP),
        re.sub("a=ice-pwd.*\r\n", "", WHEP, count=1),
        re.sub("a=fingerprint.*\r\n", "", WHEP),
        WHEP + "a=x\r\n" * MAX_DESCRIPTION_BYTES,
        WHEP + "m=audio 9 UDP/TLS/RTP/SAVPF 101\r\n" * 100,
        WHEP.partition("m=video")[0] + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
    ],
)
def test_what_is_no_offer(sdp: str) -> None:
    """Without media, keys or an end, a device could not connect to it."""
    assert not is_offer(sdp)


@pytest.mark.parametrize(
    ("old", "new", "missing"),
    [
        ("H264/90000", "VP8/90000", "H.264"),
        ("opus/48000/2", "G722/8000", "Opus"),
        ("m=audio", "m=text", None),
        ("m=video", "m=text", None),
    ],
)
def test_codec_that_an_offer_lacks(old: str, new: str, missing: str | None) -> None:
    """Only for the kinds of media that it has."""
    assert missing_codec(WHEP.replace(old, new)) == missing


FRAGMENT = f"""\
a=ice-options:trickle ice2
a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 0
a=mid:1
a=ice-ufrag:TEeGrFJfkVmpXfaJ
a=ice-pwd:bZFMKMpgsoQjVxUtYOulAKIjjslPrXxu
a={UDP}
a={TCP}
a=end-of-candidates
""".replace("\n", "\r\n")


def test_fragment() -> None:
    """Its candidates belong to the section of the offer with the same mid."""
    fragment = parse_fragment(FRAGMENT, WHEP)
    assert fragment is not None
    assert not fragment.restarts_ice
    assert fragment.candidates == (
        Candidate(candidate=UDP, mid="1", index=1),
        Candidate(candidate=TCP, mid="1", index=1),
    )


@pytest.mark.parametrize(
    "fragment",
    [
        FRAGMENT.replace("a=mid:1", "a=mid:unknown"),
        FRAGMENT.replace("a=mid:1\r\n", ""),
        f"a={UDP}\r\na={TCP}\r\n",
        f"a={UDP}\na={TCP}\n",
    ],
)
def test_fragment_of_no_known_section(fragment: str) -> None:
    """The candidates belong to the first section."""
    found = parse_fragment(fragment, WHEP)
    assert found is not None
    assert {(each.mid, each.index) for each in found.candidates} == {("0", 0)}
    assert not found.restarts_ice


@pytest.mark.parametrize(
    ("old", "new"), [("TEeGrFJfkVmpXfaJ", "other"), ("bZFMKMpgsoQjVxUtYOulAKIjjslPrXxu", "other")]
)
@pytest.mark.parametrize("is_of_session", [True, False])
def test_fragment_that_restarts_ice(old: str, new: str, *, is_of_session: bool) -> None:
    """It has other credentials than the offer."""
    changed = FRAGMENT.replace(old, new)
    if is_of_session:
        changed = "".join(
            sorted(changed.splitlines(keepends=True), key=lambda line: line[:2] == "m=")
        )
    found = parse_fragment(changed, WHEP)
    assert found is not None
    assert found.restarts_ice


@pytest.mark.parametrize(
    "fragment",
    ["", "\r\n", "{}", "nonsense\r\n", f"{FRAGMENT}a\r\n", f"{FRAGMENT}{FRAGMENT * 1000}"],
)
def test_malformed_fragment(fragment: str) -> None:
    """Every line has to be one of SDP, and there must not be too many."""
    assert parse_fragment(fragment, WHEP) is None
