"""Large descriptions take work in proportion to their size."""

from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.client.errors import (
    BticinoError,
    OfferTooLargeError,
    UnexpectedAnswerError,
)
from custom_components.bticino_classe.client.models import Candidate, RingOffer
from custom_components.bticino_classe.client.webrtc.sdp import (
    MAX_DESCRIPTION_BYTES,
    MAX_LINES,
    MAX_SECTIONS,
    device_answer_for_viewer,
    device_offer_as_answer,
    is_processable,
    matching_section,
    viewer_answer_for_device,
    with_sendrecv_audio,
    without_foreign_codecs,
    without_useless_candidates,
)
from custom_components.bticino_classe.client.webrtc.two_way import (
    may_send,
    single_audio_offer,
    split_audio_answer,
    without_sent_audio,
)
from custom_components.bticino_classe.client.webrtc.whep import (
    complete_answer,
    gathering,
    is_offer,
    missing_codec,
    parse_fragment,
    with_fixed_payload_types,
)
from tests.client.running import until
from tests.client.webrtc.scripted_intercom import (
    ANSWER,
    OFFER,
    Recorder,
    ack,
    message,
    replying,
    signaling,
)
from tests.soak.frames.coverage import Coverage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from custom_components.bticino_classe.client.auth import AuthHandler

HEADER = "v=0\r\no=- 42 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n"
SOURCE = "a=ssrc:1 cname:x\r\n"
CANDIDATE = Candidate(candidate="candidate:1 1 udp 1 192.0.2.1 1 typ host", mid="0", index=0)
FACTOR = 8


def bundle(count: int) -> str:
    """Return the line of a BUNDLE group of so many sections."""
    return f"a=group:BUNDLE {' '.join(map(str, range(count)))}\r\n"


SHAPES: dict[str, Callable[[int], str]] = {
    "sections": lambda n: HEADER + n * "m=audio 9 X 0\r\n",
    "equal sections": lambda n: HEADER + n * (AUDIO + "a=mid:0\r\n"),
    "bundled sections": lambda n: (
        HEADER + bundle(n) + "".join(f"{AUDIO}a=mid:{mid}\r\na=recvonly\r\n" for mid in range(n))
    ),
    "payload types": lambda n: (
        f"{HEADER}m=video 9 X {' '.join(map(str, range(n)))}\r\n"
        + "".join(
            f"a=rtpmap:{k} H264/90000\r\na=fmtp:{k} packetization-mode=1\r\n" for k in range(n)
        )
    ),
    "payload types of both directions": lambda n: (
        f"{HEADER}{bundle(2)}"
        f"m=audio 9 X {' '.join(map(str, range(n)))}\r\na=mid:0\r\na=recvonly\r\n"
        f"m=audio 9 X {' '.join(map(str, range(n, 2 * n)))}\r\na=mid:1\r\na=sendonly\r\n"
        + "".join(f"a=fmtp:{n + k} x=y\r\n" for k in range(n))
    ),
    "session lines": lambda n: (
        HEADER + "".join(f"a=extmap:{k} urn:x\r\n" for k in range(n)) + n * "m=audio 9 X 111\r\n"
    ),
    "ssrcs": lambda n: (
        HEADER + "".join(f"{AUDIO}a=recvonly\r\nb=a=ssrc:{1_110_001 + k} x\r\n" for k in range(n))
    ),
    "sources of both directions": lambda n: (
        HEADER
        + bundle(2)
        + f"{AUDIO}a=mid:0\r\na=recvonly\r\n"
        + f"{AUDIO}a=mid:1\r\n{n * SOURCE}a=sendonly\r\n"
    ),
    "candidates": lambda n: HEADER + AUDIO + n * "a=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\n",
}
FUNCTIONS: dict[str, Callable[[str], object]] = {
    "with_sendrecv_audio": with_sendrecv_audio,
    "without_foreign_codecs": without_foreign_codecs,
    "device_answer_for_viewer": lambda sdp: device_answer_for_viewer(sdp, sdp),
    "viewer_answer_for_device": lambda sdp: viewer_answer_for_device(sdp, sdp),
    "device_offer_as_answer": lambda sdp: device_offer_as_answer(sdp, sdp),
    "single_audio_offer": single_audio_offer,
    "split_audio_answer": lambda sdp: split_audio_answer(sdp, single_audio_offer(sdp)),
    "without_sent_audio": without_sent_audio,
    "may_send": may_send,
    "is_offer": is_offer,
    "missing_codec": missing_codec,
    "without_useless_candidates": without_useless_candidates,
    "complete_answer": lambda sdp: complete_answer(sdp, [CANDIDATE]),
    "gathering": lambda sdp: gathering(sdp, [CANDIDATE]),
    "with_fixed_payload_types": with_fixed_payload_types,
    "parse_fragment": lambda sdp: parse_fragment(sdp, sdp),
    "matching_section": lambda sdp: matching_section(sdp, sdp, "0", 0),
}


def cost(function: Callable[[str], object], sdp: str) -> int:
    """Return how many lines of the product are executed."""
    with Coverage(counts_all=True) as coverage:
        function(sdp)
    return coverage.executed


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_cost_grows_with_the_size(shape: str, function: str) -> None:
    """Quadratic growth would be a factor of 64 instead of 8."""
    small, large = (cost(FUNCTIONS[function], SHAPES[shape](n)) for n in (100, 100 * FACTOR))
    assert large < 1.5 * FACTOR * small


def test_cost_of_a_long_session_does_not_grow_with_the_sections() -> None:
    """The keys of a session may come after all its other lines."""
    keys = "a=ice-ufrag:x\r\na=ice-pwd:y\r\na=fingerprint:z\r\n"
    session = HEADER + 800 * "a=x\r\n" + keys
    offers = [session + n * AUDIO for n in (1, MAX_SECTIONS - 1)]
    assert all(map(is_offer, offers))
    small, large = (cost(is_offer, each) for each in offers)
    assert large < 5 * small


def padded(sdp: str, size: int) -> str:
    """Return a description with additional lines of about this size."""
    return sdp + size // 64 * f"a=x-{60 * 'x'}\r\n"


@pytest.mark.parametrize(
    "sdp",
    [
        padded(OFFER, MAX_DESCRIPTION_BYTES),
        OFFER + MAX_SECTIONS * AUDIO,
        OFFER + MAX_LINES * "a=x\r\n",
        OFFER + MAX_LINES * "\n",
    ],
    ids=["bytes", "sections", "lines", "empty lines"],
)
async def test_oversized_descriptions_are_refused(auth: AuthHandler, sdp: str) -> None:
    """Those of viewers, of rings, and of answers: before any work on them."""
    assert not is_processable(sdp)
    ring = RingOffer(session_id="ring-1", tag_id="tag-1", correlation_id="1", sdp=sdp)
    script = replying(lambda f: [ack(f, "s1"), message("s1", "answer", sdp)])
    async with signaling(auth, script) as setup:
        attempts: list[tuple[type[BticinoError], Callable[[Recorder], Awaitable[None]]]] = [
            (OfferTooLargeError, lambda viewer: setup.session(viewer).dial(sdp)),
            (UnexpectedAnswerError, lambda viewer: setup.session(viewer).answer(ring, OFFER)),
            (UnexpectedAnswerError, lambda viewer: setup.session(viewer).dial(OFFER)),
        ]
        for error, attempt in attempts:
            viewer = Recorder()
            with pytest.raises(error):
                await attempt(viewer)
            assert viewer.events == []
        await until(lambda: setup.terminates() == ["s1"])
        assert len(setup.intercom.sent("offer")) == 1


def test_usual_descriptions_are_processed() -> None:
    """A browser's has three m-sections and some 10 KB."""
    assert is_processable(padded(OFFER, 20_000))
    assert is_processable(ANSWER)
