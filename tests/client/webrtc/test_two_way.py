"""Offers with one section for each direction of sound become one for a device that has one."""

import re
from typing import TYPE_CHECKING

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.bticino_classe.client.models import Candidate
from custom_components.bticino_classe.client.webrtc.sdp import (
    MAX_DESCRIPTION_BYTES,
    device_answer_for_viewer,
    device_offer_as_answer,
    reduced_offer,
    sends_audio,
    viewer_answer_for_device,
    with_sendrecv_audio,
)
from custom_components.bticino_classe.client.webrtc.two_way import (
    may_send,
    moved_candidate,
    single_audio_offer,
    split_audio_answer,
    without_sent_audio,
)
from tests.client.webrtc.descriptions import (
    BROWSERS,
    RELAYS,
    codecs,
    descriptions,
    direction,
    foreign_extensions,
    problems,
    read,
    sections,
    values,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

TWO_WAY = read("go2rtc_two_way")
RING, ANSWER = read("device_ring_shaped"), read("device_answer_shaped")
SOUND_SSRC, OWN_SSRC = "3000000001", "2171197102"
UDP = "candidate:1 1 udp 2122260223 192.0.2.10 50000 typ host"


def two_way(order: Sequence[int] = (0, 1, 2), group: str = "0 1 2") -> str:
    """Return the captured offer with its sections (picture, heard, spoken) in another order."""
    session, *found = sections(TWO_WAY)
    lines = [*session, *(line for index in order for line in found[index])]
    offer = "".join(f"{line}\r\n" for line in lines)
    return offer.replace("a=group:BUNDLE 0 1 2", f"a=group:BUNDLE {group}")


ORDERS = [
    ((0, 1, 2), "0 1 2"),
    ((0, 2, 1), "0 2 1"),
    ((1, 0, 2), "1 0 2"),
    ((2, 1, 0), "2 1 0"),
    ((2, 0, 1), "2 0 1"),
    ((1, 2, 0), "1 2 0"),
    ((0, 1, 2), "2 1 0"),
    ((2, 1, 0), "0 1 2"),
]
in_any_order = pytest.mark.parametrize(("order", "group"), ORDERS)


def audio_of(sdp: str) -> list[list[str]]:
    """Return the sections of sound."""
    return [section for section in sections(sdp) if section[0].startswith("m=audio")]


def directions(sdp: str) -> dict[str, str]:
    """Return the direction of each m-section by its mid."""
    session, *found = sections(sdp)
    return {values(section, "mid")[0]: direction(session, section) for section in found}


def answered(offer: str, *, audio: str = "sendrecv") -> str:
    """Return the device's answer to the offer that it gets, as the viewer gets it."""
    merged = single_audio_offer(offer)
    device = ANSWER.replace("a=sendrecv", f"a={audio}")
    return split_audio_answer(offer, device_answer_for_viewer(merged, device))


@in_any_order
def test_offer_for_the_device(order: Sequence[int], group: str) -> None:
    """It has one section for sound, with what the sending one says about its source."""
    offer = two_way(order, group)
    merged = single_audio_offer(offer)
    (audio,) = audio_of(merged)
    assert directions(merged)["0"] == "recvonly"
    assert directions(merged)[values(audio, "mid")[0]] == "sendrecv"
    assert {value.split()[0] for value in values(audio, "ssrc")} == {OWN_SSRC}
    assert values(audio, "msid") == ["go2rtc go2rtc-audio"]
    assert len([line for line in audio if line in {"a=sendrecv", "a=sendonly", "a=recvonly"}]) == 1
    (kept,) = values(sections(merged)[0], "group")
    mids = {values(section, "mid")[0] for section in sections(merged)[1:]}
    assert kept.split() == ["BUNDLE", *[mid for mid in group.split() if mid in mids]]
    assert kept.split()[1] == group.split(maxsplit=1)[0]
    assert sends_audio(merged)
    assert single_audio_offer(merged) == merged == with_sendrecv_audio(merged)
    assert len(reduced_offer(merged).encode()) < len(reduced_offer(offer).encode())


def test_packets_do_not_name_their_section() -> None:
    """The sender would name the one that the device never sees; other extensions stay."""
    offer = TWO_WAY.replace(
        "a=extmap:4 ", "a=extmap:9/sendonly urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:4 "
    )
    merged = single_audio_offer(
        offer.replace("a=extmap-allow", "a=extmap:8 urn:x\r\na=extmap-allow")
    )
    assert "sdes:" not in merged
    assert merged.count("a=extmap:4 ") == 2
    assert merged.count("a=extmap:8 urn:x") == 1


@in_any_order
@pytest.mark.parametrize(
    ("audio", "heard", "spoken"),
    [
        ("sendrecv", "sendonly", "recvonly"),
        ("sendonly", "sendonly", "inactive"),
        ("recvonly", "inactive", "recvonly"),
        ("inactive", "inactive", "inactive"),
    ],
)
def test_answer_for_the_viewer(
    order: Sequence[int], group: str, audio: str, heard: str, spoken: str
) -> None:
    """Each section gets its direction; only the one that sends has a source."""
    offer = two_way(order, group)
    answer = answered(offer, audio=audio)
    assert list(problems(offer, answer)) == []
    assert foreign_extensions(offer, answer) == set()
    assert directions(answer) == {"0": "sendonly", "1": heard, "2": spoken}
    assert values(sections(answer)[0], "group") == [f"BUNDLE {group}"]
    sources = {
        values(section, "mid")[0]: {value.split()[0] for value in values(section, "ssrc")}
        for section in audio_of(answer)
    }
    assert sources == {"1": {SOUND_SSRC} if heard == "sendonly" else set(), "2": set()}
    with_candidates = [s for s in audio_of(answer) if values(s, "candidate")]
    assert len(with_candidates) == 1
    passwords = [values(section, "ice-pwd") for section in sections(answer)[1:]]
    assert passwords == [passwords[0]] * 3


@in_any_order
def test_answers_to_a_ring(order: Sequence[int], group: str) -> None:
    """The device's offer has one section for both directions as well."""
    offer = two_way(order, group)
    merged = single_audio_offer(offer)
    to_device = viewer_answer_for_device(merged, RING)
    to_viewer = split_audio_answer(offer, device_offer_as_answer(RING, merged))
    assert list(problems(RING, to_device)) == list(problems(offer, to_viewer)) == []
    assert directions(to_device) == {"video": "recvonly", "audio": "sendrecv"}
    assert directions(to_viewer) == {"0": "sendonly", "1": "sendonly", "2": "recvonly"}


@pytest.mark.parametrize("is_ring", [True, False])
@pytest.mark.parametrize(("audio", "video"), [("101", "96"), ("111", "109"), ("101", "98")])
def test_numbers_of_the_answer(audio: str, video: str, *, is_ring: bool) -> None:
    """They are those of the offer, whatever the device's are: such a viewer cannot have others."""
    merged = single_audio_offer(TWO_WAY)
    device = RING if is_ring else ANSWER
    device = re.sub(r"\b111\b", audio, re.sub(r"\b109\b", video, device))
    convert = device_offer_as_answer if is_ring else device_answer_for_viewer
    converted = convert(device, merged) if is_ring else convert(merged, device)
    answer = split_audio_answer(TWO_WAY, converted)
    assert [codecs(s) for s in sections(answer)[1:]] == [
        {"96": "h264"},
        {"101": "opus"},
        {"101": "opus"},
    ]
    assert list(problems(TWO_WAY, answer)) == []
    assert answer.count("a=fmtp:96 ") == 1
    if is_ring:
        to_device = viewer_answer_for_device(merged, device)
        assert [codecs(s) for s in sections(to_device)[1:]] == [{"96": "h264"}, {"101": "opus"}]


@in_any_order
def test_candidates(order: Sequence[int], group: str) -> None:
    """Both sides' belong to the first section of the group, whatever its number."""
    offer = two_way(order, group)
    merged = single_audio_offer(offer)
    mids = {sdp: [values(s, "mid")[0] for s in sections(sdp)[1:]] for sdp in (offer, merged)}
    tagged = group.split(maxsplit=1)[0]
    for target, source in ((offer, merged), (merged, offer)):
        candidate = Candidate(candidate=UDP, mid=tagged, index=mids[source].index(tagged))
        moved = moved_candidate(candidate, target, source)
        assert (moved.mid, moved.index) == (tagged, mids[target].index(tagged))
        assert moved.candidate == UDP
        for mid in mids[source]:
            by_mid = moved_candidate(Candidate(candidate=UDP, mid=mid, index=None), target, source)
            assert by_mid.index is not None
            assert mids[target][by_mid.index] == by_mid.mid
            assert by_mid.mid in {mid, tagged, mids[target][0]}
    same = Candidate(candidate=UDP, mid="unknown", index=None)
    assert moved_candidate(same, offer, offer) == same


@pytest.mark.parametrize("changed", [1, 2])
def test_sections_with_other_numbers(changed: int) -> None:
    """The device learns the numbers of both, so that it knows what it receives."""
    head, *audio = re.split(r"(?=m=audio)", TWO_WAY)
    audio[changed - 1] = re.sub(r"\b101\b", "111", audio[changed - 1])
    offer = "".join([head, *audio])
    (merged,) = audio_of(reduced_offer(single_audio_offer(offer)))
    numbers = ["111", "101"] if changed == 1 else ["101", "111"]
    assert list(codecs(merged)) == numbers
    assert set(codecs(merged).values()) == {"opus"}
    assert [value.split()[0] for value in values(merged, "fmtp")] == numbers
    assert list(problems(offer, answered(offer))) == []


@pytest.mark.parametrize("lacking", ["1", "2"])
def test_section_without_the_codec(lacking: str) -> None:
    """It is rejected; the other one works."""
    head, *audio = re.split(r"(?=m=audio)", TWO_WAY)
    audio[int(lacking) - 1] = (
        audio[int(lacking) - 1].replace("opus/48000/2", "G722/8000").replace("101", "102")
    )
    offer = "".join([head, *audio])
    answer = answered(offer)
    assert list(problems(offer, answer)) == []
    ports = {values(s, "mid")[0]: s[0].split()[1] for s in audio_of(answer)}
    assert [mid for mid, port in ports.items() if port == "0"] == [lacking]


@pytest.mark.parametrize("name", [*BROWSERS, "go2rtc_whep"])
def test_other_offers_are_unchanged(name: str) -> None:
    """Also their answers."""
    offer = read(name)
    assert single_audio_offer(offer) == offer
    assert split_audio_answer(offer, ANSWER) == ANSWER


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a=sendonly", "a=sendrecv"),
        ("a=sendonly", "a=recvonly"),
        ("a=recvonly", "a=sendonly"),
        ("a=recvonly", "a=inactive"),
        ("BUNDLE 0 1 2", "BUNDLE 0 1"),
        ("BUNDLE 0 1 2", "BUNDLE 0 2"),
        ("a=group:BUNDLE 0 1 2\r\n", ""),
        ("a=mid:2\r\n", ""),
        ("a=mid:2\r\n", "a=mid:1\r\n"),
        ("m=audio 9", "m=audio 0"),
        ("m=audio 9", "m=text 9"),
    ],
)
def test_what_is_no_pair(old: str, new: str) -> None:
    """Such sections cannot be one, or have transports of their own."""
    offer = TWO_WAY.replace(old, new)
    assert single_audio_offer(offer) == offer
    assert split_audio_answer(offer, ANSWER) == ANSWER
    third = TWO_WAY + TWO_WAY[TWO_WAY.rindex("m=audio") :].replace("a=mid:2", "a=mid:3")
    assert single_audio_offer(third) == third


@in_any_order
def test_viewer_who_may_not_talk(order: Sequence[int], group: str) -> None:
    """The device gets an offer that only listens; the sending section is answered inactive."""
    offer = without_sent_audio(two_way(order, group))
    assert not sends_audio(offer)
    assert OWN_SSRC not in offer
    merged = single_audio_offer(offer)
    (audio,) = audio_of(merged)
    assert directions(merged)[values(audio, "mid")[0]] == "recvonly"
    assert directions(answered(offer)) == {"0": "sendonly", "1": "sendonly", "2": "inactive"}
    assert list(problems(offer, answered(offer))) == []


@pytest.mark.parametrize("name", BROWSERS)
def test_browser_that_may_not_talk(name: str) -> None:
    """Its section only receives."""
    offer = without_sent_audio(read(name))
    assert not sends_audio(offer)
    if not sends_audio(read(name)):
        assert offer == read(name)


@pytest.mark.parametrize("name", [*BROWSERS, *RELAYS])
def test_offer_that_sends_nothing(name: str) -> None:
    """It is one in which nobody could read anything else."""
    assert may_send(read(name)) is sends_audio(read(name))
    assert not may_send(without_sent_audio(read(name)))


@pytest.mark.parametrize(
    "added", ["a=sendrecv\r\n", "a=x\ra=sendonly\r\n", "\ta=sendrecv\n", "A=SENDONLY\r\n"]
)
def test_offer_with_several_directions(added: str) -> None:
    """Another program may take the last one; a section without any may send."""
    offer = read("go2rtc_whep")
    assert may_send(offer.replace("a=recvonly\r\n", f"a=recvonly\r\n{added}"))
    assert may_send(offer.replace("a=recvonly\r\n", ""))
    assert may_send(offer.replace("a=recvonly\r\n", "a=recvonly\r8\r\n"))
    assert not may_send(offer.replace("t=0 0\r\n", f"t=0 0\r\n{added}"))
    assert may_send(offer + " " * MAX_DESCRIPTION_BYTES)


@settings(max_examples=150, deadline=None)
@given(descriptions(mids="0123", min_size=2), descriptions(role="active", mids="avx"))
def test_any_description(offer: str, device: str) -> None:
    """The viewer's answer is valid, and the device never gets more sections of sound."""
    merged = single_audio_offer(offer)
    assert len(audio_of(merged)) <= len(audio_of(offer))
    assert single_audio_offer(merged) == merged
    answer = split_audio_answer(offer, device_answer_for_viewer(merged, device))
    assert list(problems(offer, answer)) == list(
        problems(offer, device_answer_for_viewer(offer, device))
    )


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ORDERS), st.sets(st.integers(0, 200)), st.booleans())
def test_any_loss_of_lines(order: tuple[Sequence[int], str], lost: set[int], is_unix: bool) -> None:
    """What is not known to belong to one direction only belongs to both."""
    needed = ("v=", "m=", "a=mid", "a=group", "a=rtpmap:101 ", "a=rtpmap:96 ", "a=setup")
    lines = two_way(*order).splitlines()
    kept = [line for n, line in enumerate(lines) if line.startswith(needed) or n not in lost]
    offer = ("\n" if is_unix else "\r\n").join([*kept, ""])
    merged = single_audio_offer(offer)
    assert single_audio_offer(merged) == merged
    assert list(problems(offer, answered(offer))) == []
    assert sends_audio(merged) == sends_audio(offer)


@settings(max_examples=100, deadline=None)
@given(st.text() | descriptions(), st.text() | descriptions())
def test_any_text(offer: str, other: str) -> None:
    """None makes it fail; a text without a pair stays as it is."""
    assert isinstance(single_audio_offer(offer), str)
    assert not sends_audio(without_sent_audio(offer))
    candidate = Candidate(candidate=UDP, mid="0", index=7)
    assert moved_candidate(candidate, offer, other).candidate == UDP
