"""Candidates that the intercom sends: a browser gets only those that it may use."""

from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from custom_components.bticino_classe.client import Candidate
from custom_components.bticino_classe.client.models import RingOffer
from custom_components.bticino_classe.client.webrtc.sdp import (
    candidate_is_useful,
    device_answer_for_viewer,
    device_offer_as_answer,
)
from tests.client.answers import damaged
from tests.client.running import until
from tests.client.webrtc.scripted_intercom import (
    ANSWER,
    OFFER,
    RINGING,
    USEFUL,
    Frame,
    Recorder,
    ack,
    message,
    replying,
    signaling,
)

if TYPE_CHECKING:
    from custom_components.bticino_classe.client.auth import AuthHandler

LIMIT = 30


def to(address: str, rest: str = "9 typ host", transport: str = "udp") -> str:
    """Return a candidate with an address."""
    return f"candidate:1 1 {transport} 2122260223 {address} {rest}"


USABLE = [
    USEFUL,
    to("192.168.1.20"),
    to("8.8.8.8", "9 typ relay raddr 0.0.0.0 rport 0"),
    to("2001:db8::1"),
    to("fd00::1"),
    to("fe80::1"),
    to("192.0.2.9", "65535 typ srflx raddr 10.0.0.1 rport 5", "UDP"),
]
UNUSABLE = [
    to("127.0.0.1"),
    to("127.8.9.10"),
    to("0.0.0.0"),  # noqa: S104 - nothing is bound
    to("0.1.2.3"),
    to("::1"),
    to("::"),
    to("::ffff:127.0.0.1"),
    to("::127.0.0.1"),
    to("64:ff9b::7f00:1"),
    to("224.0.0.251"),
    to("255.255.255.255"),
    to("ff02::fb"),
    to("fe80::1%lo"),
    to("a.local"),
    to("localhost"),
    to("evil.example"),
    to("192.0.2.9", "9 typ host tcptype passive", "tcp"),
    to("192.0.2.9", transport="ssltcp"),
    to("192.0.2.9", "0 typ host"),
    to("192.0.2.9", "65536 typ host"),
    to("192.0.2.9", "9 typ other"),
    to("192.0.2.9", "9"),
    f"{USEFUL}\r\na={to('127.0.0.1')}",
    f"{USEFUL}\n",
    f"{USEFUL}\r",
    f"{USEFUL}\x00",
    f"{USEFUL} ufrag è",
    f"{USEFUL} ufrag \u2028",
    f"{USEFUL} ufrag {'x' * 512}",
    f"a={USEFUL}",
    "",
    "x",
]


def in_sections(sdp: str, *lines: str) -> str:
    """Return a description with these lines at its start and in each m-section."""
    added = "".join(f"{line}\r\n" for line in lines)
    return sdp.replace("m=", f"{added}m=") + added


def candidates_in(sdp: str) -> list[str]:
    """Return the candidates in a description, however a browser may split its lines."""
    lines = sdp.replace("\r", "\n").split("\n")
    return [line.removeprefix("a=") for line in lines if line.startswith("a=candidate:")]


@pytest.mark.parametrize("candidate", USABLE)
def test_usable_candidate(candidate: str) -> None:
    """It reaches the browser, also inside of an answer."""
    assert candidate_is_useful(candidate)
    shown = device_answer_for_viewer(OFFER, in_sections(ANSWER, f"a={candidate}"))
    assert candidates_in(shown) == [candidate] * 3


@pytest.mark.parametrize("candidate", UNUSABLE)
def test_unusable_candidate(candidate: str) -> None:
    """It does not."""
    assert not candidate_is_useful(candidate)
    hostile = in_sections(ANSWER, f"a={candidate}", f"a=x\ra={to('127.0.0.1')}")
    shown = device_answer_for_viewer(OFFER, hostile)
    assert [each for each in candidates_in(shown) if not candidate_is_useful(each)] == []
    ringing = in_sections(RINGING, f"a={candidate}", f"a=x\ra={to('127.0.0.1')}")
    shown = device_offer_as_answer(ringing, OFFER)
    assert [each for each in candidates_in(shown) if not candidate_is_useful(each)] == []


@pytest.mark.parametrize("separator", ["\r", "\x0b", "\x0c", "\x85", "\u2028", "\x00", "\t"])
@pytest.mark.parametrize("line", ["a=x", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "s=-", "a=mid:0"])
def test_line_inside_of_a_line(separator: str, line: str) -> None:
    """No description brings a browser a line that was not checked."""
    hidden = f"{line}{separator}a={to('127.0.0.1')}"
    for answer in (in_sections(ANSWER, hidden), ANSWER.replace("s=-", hidden)):
        shown = device_answer_for_viewer(OFFER, answer)
        assert "127.0.0.1 9 typ" not in shown


def test_number_of_candidates_in_an_answer() -> None:
    """At most 30, the first ones; useless ones take no place."""
    many = [f"a={to(f'192.0.2.{n}')}" for n in range(1, 41)]
    shown = device_answer_for_viewer(OFFER, in_sections(ANSWER, f"a={to('::1')}", *many))
    assert candidates_in(shown) == [each.removeprefix("a=") for each in many[:LIMIT]]


@pytest.mark.parametrize("is_ring", [False, True], ids=["dialled", "ring"])
async def test_candidates_of_the_intercom(auth: AuthHandler, *, is_ring: bool) -> None:
    """Before and after the answer: the usable ones, at most 30 with those of the answer."""
    session_id = "ring-1" if is_ring else "s1"

    def frames() -> list[Frame]:
        listed = [*UNUSABLE, *[USEFUL] * LIMIT]
        return [
            message(session_id, "candidate", ice_candidate={"candidate": each}) for each in listed
        ]

    def reply(frame: Frame) -> list[Frame]:
        answer = message("s1", "answer", in_sections(ANSWER, f"a={USEFUL}"))
        extra = [] if is_ring else [answer]
        return [ack(frame, session_id), *frames(), *extra, *frames()]

    viewer = Recorder()
    async with signaling(auth, replying(reply)) as setup:
        session = setup.session(viewer)
        if is_ring:
            sdp = in_sections(RINGING, f"a={USEFUL}")
            ring = RingOffer(session_id="ring-1", tag_id="t", correlation_id="9", sdp=sdp)
            await session.answer(ring, OFFER)
        else:
            await session.dial(OFFER)
        in_answer = len(candidates_in(viewer.answers[0]))
        await until(lambda: len(viewer.candidates) + in_answer == LIMIT)
        await setup.intercom.lines[0].send(message(session_id, "terminate"))
        await until(lambda: viewer.errors)
    assert {each.candidate for each in viewer.candidates} == {USEFUL}
    assert len(viewer.candidates) + in_answer == LIMIT


@pytest.mark.parametrize(
    ("mid", "index"),
    [
        ("1", 10**18),
        ("1", -1),
        ("1", 1e300),
        ("1", "1"),
        ("1", None),
        (5, 1),
        ("x" * 10_000, 1),
        ("\r\na=x", 1),
        (None, 1),
    ],
)
async def test_section_of_a_candidate(auth: AuthHandler, mid: object, index: object) -> None:
    """The browser gets one of its own sections."""

    def reply(frame: Frame) -> list[Frame]:
        fields = {"candidate": USEFUL, "sdp_mid": mid, "sdp_m_line_index": index}
        candidate = message("s1", "candidate", ice_candidate=fields)
        return [ack(frame, "s1"), candidate, message("s1", "answer", ANSWER), candidate]

    async with signaling(auth, replying(reply)) as setup:
        viewer = Recorder()
        await setup.session(viewer).dial(OFFER)
        await until(lambda: len(viewer.candidates) == 2)
    assert set(viewer.candidates) == {Candidate(candidate=USEFUL, mid="1", index=1)}


@pytest.mark.parametrize("index", [-1, 65, 10**18])
async def test_section_of_a_viewers_candidate(auth: AuthHandler, index: int) -> None:
    """One that no description has is not sent to the cloud."""
    async with signaling(auth) as setup:
        session = setup.session()
        await session.dial(OFFER)
        await session.add_candidate(Candidate(candidate=USEFUL, mid="0", index=index))
        await session.add_candidate(Candidate(candidate=USEFUL, mid="0", index=0))
        await until(lambda: setup.intercom.sent("candidate"))
        sent = [each["data"]["ice_candidate"] for each in setup.intercom.sent("candidate")]
        assert [each["sdp_m_line_index"] for each in sent] == [0]


async def test_candidates_of_a_viewer(auth: AuthHandler) -> None:
    """The same filter and limit, before and after the answer."""
    async with signaling(auth) as setup:
        session = setup.session()
        for each in [*UNUSABLE, *[USEFUL] * 20]:
            await session.add_candidate(Candidate(candidate=each, mid="0", index=0))
        await session.dial(OFFER)
        for each in [*UNUSABLE, *[USEFUL] * 20]:
            await session.add_candidate(Candidate(candidate=each, mid="0", index=0))
        await until(lambda: len(setup.intercom.sent("candidate")) == LIMIT)
        session.hang_up()
        await until(lambda: setup.terminates() == ["s1"])
    sent = [each["data"]["ice_candidate"]["candidate"] for each in setup.intercom.sent("candidate")]
    assert sent == [USEFUL] * LIMIT


LINES = st.sampled_from([f"a={each}" for each in (*USABLE, *UNUSABLE)]) | st.text(max_size=20)


def unclean_in(sdp: str) -> list[str]:
    """Return the lines of a description that a browser must not get."""
    return [
        line
        for line in sdp.removesuffix("\r\n").split("\r\n")
        if not line.isprintable()
        or (line.startswith("a=candidate:") and not candidate_is_useful(line[2:]))
    ]


@given(first=st.lists(LINES, max_size=4), others=st.lists(LINES, max_size=40))
@settings(max_examples=100, deadline=None)
def test_any_answer(first: list[str], others: list[str]) -> None:
    """A browser gets lines without line breaks, and at most 30 usable candidates."""
    for joint in ("\r\n", "\n", "\r"):
        added = joint.join(["s=-", *first])
        answer = in_sections(ANSWER.replace("s=-", added), joint.join(others))
        for shown in (
            device_answer_for_viewer(OFFER, answer),
            device_offer_as_answer(answer, OFFER),
        ):
            assert unclean_in(shown.replace("\r\n", "\n").replace("\n", "\r\n")) == []
            assert len(candidates_in(shown)) <= LIMIT


@given(listed=st.lists(damaged({"candidate": USEFUL, "sdp_mid": "0", "sdp_m_line_index": 0})))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_any_candidate(auth: AuthHandler, listed: list[Any]) -> None:
    """A browser gets usable ones for its own sections only."""

    def reply(frame: Frame) -> list[Frame]:
        sent = [message("s1", "candidate", ice_candidate=fields) for fields in listed]
        return [ack(frame, "s1"), *sent, message("s1", "answer", ANSWER), *sent]

    viewer = Recorder()
    async with signaling(auth, replying(reply)) as setup:
        await setup.session(viewer).dial(OFFER)
        await setup.intercom.lines[0].send(message("s1", "terminate"))
        await until(lambda: viewer.errors)
    assert len(viewer.candidates) <= LIMIT
    for each in viewer.candidates:
        assert candidate_is_useful(each.candidate)
        assert (each.mid, each.index) in {("0", 0), ("1", 1)}
