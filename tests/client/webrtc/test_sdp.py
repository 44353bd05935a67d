"""Descriptions of real browsers and intercoms, and what the changes make of them."""

import re

import pytest

from custom_components.bticino_classe.client.errors import OfferTooLargeError
from custom_components.bticino_classe.client.webrtc.sdp import (
    MAX_OFFER_BYTES,
    candidate_is_useful,
    device_answer_for_viewer,
    device_offer_as_answer,
    matching_section,
    origin_of,
    reduced_offer,
    viewer_answer_for_device,
    with_sendrecv_audio,
    without_candidates,
    without_foreign_codecs,
    without_header_extensions,
    without_useless_candidates,
)
from custom_components.bticino_classe.client.webrtc.two_way import (
    single_audio_offer,
    split_audio_answer,
)
from tests.client.webrtc.descriptions import (
    BROWSERS,
    codecs,
    direction,
    foreign_extensions,
    problems,
    read,
    sections,
    values,
)

RING = read("device_ring_shaped")
ANSWER = read("device_answer_shaped")
WITHOUT_H264 = [name for name in BROWSERS if name.endswith("without_h264")]
UDP = "candidate:1 1 udp 2122260223 192.0.2.10 50000 typ host"


def lines_of(sdp: str) -> list[str]:
    """Return the lines without their line endings."""
    return sdp.replace("\r\n", "\n").split("\n")


def directions(sdp: str) -> list[str]:
    """Return the direction of each m-section."""
    session, *found = sections(sdp)
    return [direction(session, section) for section in found]


def swapped(sdp: str) -> str:
    """Return a description of two m-sections in the opposite order."""
    session, first, second = sections(sdp)
    return "".join(f"{line}\r\n" for line in (*session, *second, *first))


@pytest.mark.parametrize("name", BROWSERS)
def test_reduced_offer_of_a_browser(name: str) -> None:
    """It is small enough, has one codec per kind of media, and keeps every m-section."""
    offer = read(name)
    reduced = reduced_offer(offer)
    assert len(reduced.encode()) <= MAX_OFFER_BYTES
    audio, video, *rest = sections(reduced)[1:]
    assert set(codecs(audio).values()) == {"opus"}
    assert ("h264" in codecs(video).values()) is (name not in WITHOUT_H264)
    assert len(set(codecs(video).values())) == 1 or name in WITHOUT_H264
    assert len(rest) == sum("m=application" in line for line in lines_of(offer))


def test_reduced_offer_drops_no_more_than_necessary() -> None:
    """An offer that is small without foreign codecs keeps its header extensions and candidates."""
    offer = read("chromium_data_gathered")
    reduced = reduced_offer(offer)
    for kind in ("a=extmap", "a=candidate"):
        assert reduced.count(kind) == offer.count(kind) > 0


def test_reduced_offer_of_a_large_offer() -> None:
    """Header extensions are dropped first, then useless candidates, then all candidates."""
    offer = read("desktop_shaped")
    steps = [without_foreign_codecs(offer)]
    for reduce in (without_header_extensions, without_useless_candidates, without_candidates):
        steps.append(reduce(steps[-1]))
    sizes = [len(step.encode()) for step in steps]
    assert sizes == sorted(set(sizes), reverse=True)

    def left(size: int) -> list[bool]:
        ballast = "x" * (MAX_OFFER_BYTES - size - len("a=x-ballast:\r\n"))
        reduced = reduced_offer(f"{offer}a=x-ballast:{ballast}\r\n")
        assert ballast in reduced
        return [text in reduced for text in ("a=extmap", ".local", "a=candidate")]

    assert left(sizes[0]) == [True, True, True]
    assert left(sizes[0] - 1) == left(sizes[1]) == [False, True, True]
    assert left(sizes[1] - 1) == left(sizes[2]) == [False, False, True]
    assert left(sizes[2] - 1) == left(sizes[3]) == [False, False, False]
    with pytest.raises(OfferTooLargeError) as caught:
        left(sizes[3] - 1)
    assert caught.value.size == MAX_OFFER_BYTES + 1
    assert str(caught.value).endswith(f"({MAX_OFFER_BYTES + 1} bytes)")


def test_reduced_offer_keeps_payload_types() -> None:
    """H.264 keeps its numbers, its attributes and their order."""
    video = sections(reduced_offer(read("firefox_watch_shaped")))[2]
    assert video[0] == "m=video 9 UDP/TLS/RTP/SAVPF 126 97"
    described = [line for line in video if re.match("a=(rtpmap|fmtp|rtcp-fb):", line)]
    assert {line.split(":")[1].split(" ")[0] for line in described} == {"126", "97"}
    assert len(described) == 2 * 7


def test_stray_objects_are_dropped() -> None:
    """Home Assistant's player writes early candidates as `[object …]`."""
    offer = read("chromium_watch")
    for spoiled in (
        f"{offer}a=[object RTCIceCandidate]\r\n",
        f"{offer}a=[object Object]\r\na=[object RTCIceCandidate]\r\n",
    ):
        assert reduced_offer(spoiled) == reduced_offer(offer)
        assert viewer_answer_for_device(spoiled, RING) == viewer_answer_for_device(offer, RING)


def test_sendrecv_audio_for_chromium() -> None:
    """Audio gets a source like that of a microphone; video is unchanged."""
    offer = read("chromium_watch")
    changed = lines_of(with_sendrecv_audio(offer))
    added = [line for line in changed if line not in lines_of(offer)]
    assert added == [
        "a=sendrecv",
        "a=msid:- bticino",
        "a=ssrc:1110001 cname:bticino",
        "a=ssrc:1110001 msid:- bticino",
    ]
    assert directions(with_sendrecv_audio(offer)) == ["sendrecv", "recvonly"]


def test_sendrecv_audio_for_firefox() -> None:
    """Firefox writes an SSRC even for recvonly."""
    offer = read("firefox_watch_shaped")
    assert with_sendrecv_audio(offer) == offer.replace("a=recvonly", "a=sendrecv", 1)


def test_sendrecv_audio_uses_a_free_ssrc() -> None:
    """The first number may be taken."""
    taken = read("chromium_watch") + "a=ssrc:1110001 cname:other\r\n"
    assert "a=ssrc:1110002 cname:bticino" in with_sendrecv_audio(taken)


@pytest.mark.parametrize(
    "offer",
    [
        read("chromium_talk"),
        read("chromium_watch").replace("a=recvonly", "a=inactive", 1),
        read("chromium_watch").replace("a=recvonly", "a=sendonly", 1),
        read("chromium_watch").replace("a=recvonly\r\n", "", 1),
    ],
    ids=["sendrecv", "inactive", "sendonly", "default"],
)
def test_only_recvonly_audio_is_changed(offer: str) -> None:
    """Other directions stay."""
    assert with_sendrecv_audio(offer) == offer


def test_sendrecv_audio_with_a_session_direction() -> None:
    """The session-level direction applies to a section without its own."""
    offer = read("chromium_watch").replace("a=recvonly\r\n", "", 1)
    offer = offer.replace("t=0 0\r\n", "t=0 0\r\na=recvonly\r\n")
    assert directions(offer) == ["recvonly", "recvonly"]
    assert directions(with_sendrecv_audio(offer)) == ["sendrecv", "recvonly"]


@pytest.mark.parametrize("name", BROWSERS)
def test_captured_directions(name: str) -> None:
    """Audio is sendrecv in the offers that were captured with a microphone."""
    assert (directions(read(name))[0] == "sendrecv") is ("talk" in name)


@pytest.mark.parametrize("name", BROWSERS)
def test_device_answer_for_each_browser(name: str) -> None:
    """The viewer gets what it may receive; unsupported sections are rejected."""
    offer = read(name)
    answer = device_answer_for_viewer(offer, ANSWER)
    assert list(problems(offer, answer)) == []
    video = "inactive" if name in WITHOUT_H264 else "sendonly"
    assert directions(answer)[:2] == ["sendrecv" if "talk" in name else "sendonly", video]
    rejected = [section[0] for section in sections(answer)[3:]]
    assert rejected in ([], ["m=application 0 UDP/DTLS/SCTP webrtc-datachannel"])


def test_valid_device_answer_is_unchanged() -> None:
    """Byte for byte."""
    assert device_answer_for_viewer(read("chromium_talk"), ANSWER) == ANSWER


def test_device_answer_without_codecs_that_were_not_offered() -> None:
    """They are removed with their attributes."""
    more = ANSWER.replace("SAVPF 111", "SAVPF 111 5 77")
    more = more.replace("a=rtpmap:111", "a=rtpmap:77 unknown/8000\r\na=rtpmap:111")
    assert device_answer_for_viewer(read("chromium_talk"), more) == ANSWER
    known = ANSWER.replace("SAVPF 111", "SAVPF 111 0")
    assert device_answer_for_viewer(read("chromium_talk"), known) == known


def test_device_answer_in_another_order() -> None:
    """The viewer's order applies; its first section gets the transport of the BUNDLE group."""
    original = swapped(ANSWER).replace("BUNDLE 0 1", "BUNDLE 1 0")
    original = original.replace("a=ice-ufrag:EeFf", "a=ice-ufrag:Dead", 1).replace(
        " 50000", " 50001", 2
    )
    answer = device_answer_for_viewer(read("chromium_talk"), original)
    assert list(problems(read("chromium_talk"), answer)) == []
    assert [values(section, "mid") for section in sections(answer)] == [[], ["0"], ["1"]]
    assert [values(section, "ice-ufrag") for section in sections(answer)[1:]] == [["Dead"]] * 2
    assert values(sections(answer)[0], "group") == ["BUNDLE 0 1"]


@pytest.mark.parametrize("names", [("audio", "video"), ("1", "0"), ("0", None), (None, None)])
def test_device_answer_with_other_mids(names: tuple[str | None, str | None]) -> None:
    """A section without a matching mid is matched by its kind, and stays in the BUNDLE group."""
    original = ANSWER
    for old, new in zip(("0", "1"), names, strict=True):
        original = original.replace(f"a=mid:{old}\r\n", f"a=MID:{new}\r\n" if new else "")
    if None not in names:
        original = original.replace("BUNDLE 0 1", f"BUNDLE {' '.join(map(str, names))}")
    answer = device_answer_for_viewer(read("chromium_talk"), original.replace("a=MID", "a=mid"))
    assert list(problems(read("chromium_talk"), answer)) == []
    assert values(sections(answer)[0], "group") == ["BUNDLE 0 1"]


def test_sections_of_one_kind_match_by_mid() -> None:
    """Whatever their order."""
    session, audio, video = sections(read("chromium_talk"))
    second = [line.replace("a=mid:1", "a=mid:2") for line in video]
    offer = "\r\n".join([*session, *audio, *video, *second, ""])
    _, device_audio, device_video = sections(ANSWER)
    other = [line.replace("a=mid:1", "a=mid:2").replace("109", "97") for line in device_video]
    answer = device_answer_for_viewer(
        offer, "\r\n".join([*sections(ANSWER)[0], *other, *device_video, *device_audio, ""])
    )
    assert [codecs(section) for section in sections(answer)[1:]] == [
        {"111": "opus"},
        {"109": "h264"},
        {"97": "h264"},
    ]


def test_sections_without_mid_match_by_order() -> None:
    """Among those of their kind."""
    session, audio, video = sections(ANSWER.replace("a=mid:0\r\n", "").replace("a=mid:1\r\n", ""))
    second = [line.replace("109", "97") for line in video]
    nameless = "\r\n".join([*session, *audio, *video, *second, ""])
    answer = nameless.replace("a=group:BUNDLE 0 1\r\n", "")
    offer = answer.replace("a=setup:active", "a=setup:actpass").replace("sendonly", "recvonly")
    assert device_answer_for_viewer(offer, answer) == answer


def test_device_answer_without_header_extensions_that_were_not_offered() -> None:
    """With ids that were not offered, Firefox shows no video."""
    offer = read("firefox_talk_shaped")
    answer = device_answer_for_viewer(offer, ANSWER)
    assert foreign_extensions(offer, answer) == set()
    assert "a=extmap:1 " in answer
    assert "a=extmap:3 http" in ANSWER
    assert "a=extmap:3 http" not in answer
    mixed = ANSWER.replace("a=mid:0", "a=extmap-allow-mixed\r\na=mid:0")
    assert device_answer_for_viewer(read("chromium_talk"), mixed) == mixed


def test_device_answer_without_surplus_sections() -> None:
    """They leave the BUNDLE group, too."""
    more = ANSWER.replace("BUNDLE 0 1", "BUNDLE 0 1 2")
    more += "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n"
    assert device_answer_for_viewer(read("chromium_talk"), more) == ANSWER


def test_device_answer_with_rejected_sections() -> None:
    """They stay rejected, and leave the BUNDLE group."""
    original = ANSWER.replace("m=video 50000", "m=video 0")
    answer = device_answer_for_viewer(read("chromium_talk"), original)
    assert answer == original.replace("BUNDLE 0 1", "BUNDLE 0")
    nothing = original.replace("m=audio 50000", "m=audio 0")
    assert "BUNDLE" not in device_answer_for_viewer(read("chromium_talk"), nothing)


@pytest.mark.parametrize("hidden", ["\u202e", "\x00", "\r", "\x85", "\u2028", "\ud800"])
@pytest.mark.parametrize("line", ["m={0}", "m={0}audio 9 X 111", "m=audio 9 X{0} 111"])
def test_answer_has_a_section_for_each_offered_one(line: str, hidden: str) -> None:
    """Also for an m-line with hidden characters, which the viewer does not get."""
    odd = f"{line.format(hidden)}\r\na=mid:9\r\n"
    offer = f"{read('go2rtc_two_way')}{odd}"
    count = len(sections(offer))
    for answer in (
        device_answer_for_viewer(offer, f"{ANSWER}{odd}"),
        device_offer_as_answer(f"{RING}{odd}", offer),
    ):
        assert len(sections(answer)) == count
        assert all(each.isprintable() for each in lines_of(answer))
    merged = single_audio_offer(offer)
    split = split_audio_answer(offer, device_answer_for_viewer(merged, ANSWER))
    assert len(sections(split)) == count


@pytest.mark.parametrize("hidden", ["\x85", "\u2028", "\x1c", "\r"])
def test_hidden_separator_in_an_m_line(hidden: str) -> None:
    """It separates fields, so that the kind of media stays."""
    answer = device_offer_as_answer(f"m={hidden}a\r\n", "m=\r\n")
    assert [section[0].split()[0] for section in sections(answer)[1:]] == ["m="]


def test_device_answer_without_a_bundle_group() -> None:
    """It does not get one."""
    original = ANSWER.replace("a=group:BUNDLE 0 1\r\n", "")
    assert device_answer_for_viewer(read("chromium_talk"), original) == original


@pytest.mark.parametrize(
    ("offered", "answered", "role"),
    [
        ("actpass", "active", "active"),
        ("actpass", "passive", "passive"),
        ("actpass", "actpass", "active"),
        ("actpass", "holdconn", "active"),
        ("active", "actpass", "passive"),
        ("passive", "actpass", "active"),
        ("active", "active", "passive"),
    ],
)
def test_dtls_role_of_an_answer(offered: str, answered: str, role: str) -> None:
    """It is always decided, and never the viewer's own."""
    offer = read("chromium_talk").replace("a=setup:actpass", f"a=setup:{offered}")
    answer = device_answer_for_viewer(
        offer, ANSWER.replace("a=setup:active", f"a=setup:{answered}")
    )
    assert {role for section in sections(answer) for role in values(section, "setup")} == {role}


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_unterminated_last_line(end: str) -> None:
    """It gets the line ending of the others, so that it can be moved."""
    offer = read("chromium_talk").replace("\r\n", end)
    assert with_sendrecv_audio(offer.removesuffix(end)) == offer


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_section_in_a_bundle_group_only_is_not_rejected(kind: str) -> None:
    """A browser with the policy max-bundle offers it with port 0 (RFC 8843)."""
    plain = read("chromium_talk")
    marked = re.sub(rf"m={kind} 9 (.*\r\n)", rf"m={kind} 0 \1a=bundle-only\r\n", plain)
    assert marked != plain
    answer = viewer_answer_for_device(marked, RING)
    assert sorted(answer.splitlines()) == sorted(viewer_answer_for_device(plain, RING).splitlines())
    for answered in (device_offer_as_answer(RING, marked), device_answer_for_viewer(marked, RING)):
        assert f"m={kind} 0 " not in answered
        assert "bundle-only" not in answered


def test_dtls_role_of_the_session() -> None:
    """An undecided session-level role is decided in each section; a decided one applies to all."""
    original = ANSWER.replace("a=setup:active\r\n", "").replace("t=0 0", "t=0 0\r\na=setup:actpass")
    answer = device_answer_for_viewer(read("chromium_talk"), original)
    assert [values(section, "setup") for section in sections(answer)] == [
        [],
        ["active"],
        ["active"],
    ]
    decided = original.replace("actpass", "passive")
    assert device_answer_for_viewer(read("chromium_talk"), decided) == decided


@pytest.mark.parametrize("name", sorted(set(BROWSERS) - set(WITHOUT_H264)))
def test_both_answers_to_a_ring(name: str) -> None:
    """Device and viewer each get an answer in their own order and with their own mids."""
    viewer = read(name)
    to_device, to_viewer = (
        viewer_answer_for_device(viewer, RING),
        device_offer_as_answer(RING, viewer),
    )
    assert list(problems(RING, to_device)) == []
    assert list(problems(viewer, to_viewer)) == []
    assert directions(to_device) == ["recvonly", "sendrecv"]
    assert directions(to_viewer)[:2] == ["sendrecv" if "talk" in name else "sendonly", "sendonly"]
    assert {r for section in sections(to_device) for r in values(section, "setup")} == {"active"}
    assert {r for section in sections(to_viewer) for r in values(section, "setup")} == {"passive"}
    assert foreign_extensions(RING, to_device) == foreign_extensions(viewer, to_viewer) == set()
    assert values(sections(to_device)[0], "group") == ["BUNDLE video audio"]


def test_payload_types_in_answers_to_a_ring() -> None:
    """Each answer has the numbers that its author receives."""
    viewer = read("firefox_talk_shaped")
    video, audio = sections(viewer_answer_for_device(viewer, RING))[1:]
    assert (codecs(video), codecs(audio)) == ({"126": "h264"}, {"109": "opus"})
    audio, video = sections(device_offer_as_answer(RING, viewer))[1:]
    assert (codecs(video), codecs(audio)) == ({"109": "h264"}, {"111": "opus"})


@pytest.mark.parametrize(
    ("mode", "profile", "numbers"),
    [
        ("packetization-mode=1;", "profile-level-id=42001f", {"102"}),
        ("packetization-mode=1;", "profile-level-id=42E01F", {"108"}),
        ("packetization-mode=0;", "profile-level-id=42e00a", {"114"}),
        ("", "profile-level-id=42001f", {"104"}),
        ("packetization-mode=1;", "x=1", {"102"}),
        ("packetization-mode=1;", "profile-level-id=42801f", {"102", "108"}),
        ("packetization-mode=1;", "profile-level-id=640c1f", {"102", "108", "116", "41"}),
        ("packetization-mode=2;", "", {"102", "104", "108", "114", "116", "39", "41", "43"}),
    ],
)
def test_h264_format_that_both_support(mode: str, profile: str, numbers: set[str]) -> None:
    """The closest format is chosen, and some H.264 in any case."""
    ring = RING.replace("packetization-mode=1;profile-level-id=42001f", mode + profile)
    video = sections(viewer_answer_for_device(read("chromium_watch"), ring))[1]
    assert set(codecs(video)) == numbers


def test_ring_answered_by_a_viewer_without_h264() -> None:
    """Audio works; video is rejected on both sides."""
    viewer = read("firefox_talk_without_h264")
    to_device, to_viewer = (
        viewer_answer_for_device(viewer, RING),
        device_offer_as_answer(RING, viewer),
    )
    assert sections(to_device)[1] == [
        "m=video 0 UDP/TLS/RTP/SAVPF 109",
        "c=IN IP4 0.0.0.0",
        "a=inactive",
        "a=mid:video",
        "a=rtpmap:109 H264/90000",
    ]
    assert sections(to_viewer)[2] == [
        "m=video 0 UDP/TLS/RTP/SAVPF 120",
        "c=IN IP4 0.0.0.0",
        "a=inactive",
        "a=mid:1",
        "a=rtpmap:120 VP8/90000",
    ]
    assert list(problems(RING, to_device)) == list(problems(viewer, to_viewer)) == []


def test_bundle_group_with_another_first_section() -> None:
    """Its transport attributes move to the first section of the answer."""
    ring = RING.replace("a=ice-ufrag:EeFf", "a=ice-ufrag:Tagd", 1)
    audio, video = sections(device_offer_as_answer(ring, read("chromium_talk")))[1:]
    assert values(audio, "ice-ufrag") == values(video, "ice-ufrag") == ["Tagd"]
    assert values(audio, "setup") == ["passive"]


def test_matching_section_of_a_candidate() -> None:
    """The same section has another mid and index on the other side."""
    viewer = read("chromium_data").replace("a=group:BUNDLE 0 1 2\r\n", "")
    assert matching_section(RING, viewer, "0", 0) == ("audio", 1)
    assert matching_section(RING, viewer, None, 1) == ("video", 0)
    assert matching_section(viewer, RING, "video", 0) == ("1", 1)
    assert matching_section(viewer, RING, "audio", None) == ("0", 0)


def test_matching_section_in_a_bundle_group() -> None:
    """All candidates belong to the first section of the group."""
    viewer = read("chromium_data")
    assert matching_section(RING, viewer, "0", 0) == ("video", 0)
    assert matching_section(viewer, RING, "video", 0) == ("0", 0)
    assert matching_section(ANSWER, viewer, "1", 1) == ("1", 1)
    other = RING.replace("BUNDLE video audio", "BUNDLE unknown audio video")
    assert matching_section(other, viewer, "0", 0) == ("audio", 1)


def test_candidate_without_a_matching_section() -> None:
    """It goes to the first section; without any, it is unchanged."""
    viewer = read("chromium_data")
    assert matching_section(RING, viewer, "2", 2) == ("video", 0)
    assert matching_section(RING, viewer, None, None) == ("video", 0)
    assert matching_section(RING, viewer, "unknown", -7) == ("video", 0)
    assert matching_section(RING.replace("BUNDLE", "LS"), viewer, None, None) == ("video", 0)
    assert matching_section("", viewer, "0", 0) == ("0", 0)


def test_origin_of_an_offer() -> None:
    """An ICE restart keeps it; every other connection has another one."""
    first = read("chromium_watch")
    again = first.replace(" 2 IN IP4", " 3 IN IP4")
    assert again != first
    assert origin_of(again) == origin_of(first) is not None
    assert origin_of(read("chromium_talk")) != origin_of(first)
    assert origin_of("v=0\r\n") is None


@pytest.mark.parametrize(
    "candidate",
    [
        UDP,
        UDP.replace("udp", "UDP"),
        UDP.replace("192.0.2.10", "2001:db8::10"),
        f"{UDP} generation 0 network-id 1",
        "candidate:2 1 udp 1 192.0.2.10 1 typ srflx raddr 0.0.0.0 rport 0",
    ],
)
def test_useful_candidates(candidate: str) -> None:
    """The device can reach these."""
    assert candidate_is_useful(candidate)


@pytest.mark.parametrize(
    "candidate",
    [
        "",
        "nonsense",
        "candidate:",
        UDP.removesuffix(" typ host"),
        UDP.replace("udp", "tcp"),
        UDP.replace("192.0.2.10", "127.0.0.1"),
        UDP.replace("192.0.2.10", "::1"),
        UDP.replace("192.0.2.10", "0.0.0.0"),  # noqa: S104 - nothing is bound
        UDP.replace("192.0.2.10", "224.0.0.1"),
        UDP.replace("192.0.2.10", "192.0.2.256"),
        UDP.replace("192.0.2.10", "00000000-0000-4000-8000-000000000001.local"),
        UDP.replace("50000", "0"),
        UDP.replace("50000", "65536"),
        UDP.replace("50000", "port"),
        f"{UDP}\r\na=setup:active",
        f"a={UDP}",
    ],
)
def test_useless_candidates(candidate: str) -> None:
    """These are invalid, not UDP, or not reachable from another machine."""
    assert not candidate_is_useful(candidate)
