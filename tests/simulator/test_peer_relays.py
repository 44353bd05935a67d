"""The real peer and relays such as go2rtc: video first, other payload types, a talk track."""

import asyncio
from contextlib import asynccontextmanager
import re
from typing import TYPE_CHECKING

import pytest

from tests.conftest import HANG_TIMEOUT
from tests.go2rtc import VOICE_HERTZ, Go2rtcPeer, captured_offer
from tests.simulator.audio import HERTZ
from tests.simulator.scripted import sections
from tests.simulator.signaling_client import SignalingClient, open_signaling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.simulator.http_client import HttpClient
    from tests.simulator.server import Simulator


@pytest.fixture(autouse=True)
def intercom(sim: Simulator) -> None:
    """Give the intercom video and audio; its sound needs no sound of the viewer."""
    sim.rtc.settings.peer, sim.rtc.settings.audio_requires = "real", "nothing"


@asynccontextmanager
async def relay(name: str) -> AsyncIterator[Go2rtcPeer]:
    """Open a relay for a while."""
    remote = Go2rtcPeer(name)
    try:
        async with asyncio.timeout(HANG_TIMEOUT):
            yield remote
    finally:
        await remote.close()


async def answered(signaling: SignalingClient, sdp: str) -> tuple[str, str]:
    """Send an offer; return the id of the session and the answer."""
    acknowledged = await signaling.offer(sdp)
    answer = (await signaling.frame())["data"]["session_description"]["sdp"]
    return acknowledged["session_id"], answer


def rearranged(offer: str, bundle: str) -> str:
    """Return an offer with another BUNDLE group, without the sections that are not in it."""
    session, *rest = re.split(r"(?=^m=)", offer, flags=re.MULTILINE)
    kept = [each for each in rest if re.search(rf"a=mid:[{bundle}]\r", each)]
    return re.sub(r"BUNDLE .*?\r", f"BUNDLE {bundle}\r", session) + "".join(kept)


@pytest.mark.parametrize("trickle", [True, False])
@pytest.mark.parametrize(
    ("name", "bundle"),
    [
        ("whep", "0 1"),
        ("whep", "1 0"),
        ("whep", "0"),
        ("whep", "1"),
        ("two_way", "0 1 2"),
        ("two_way", "1 2 0"),
        ("two_way", "2 1 0"),
        ("two_way", "1 2"),
    ],
)
async def test_answer_to_captured_offers(
    client: HttpClient, sim: Simulator, *, name: str, bundle: str, trickle: bool
) -> None:
    """It has candidates, and of each kind of media only the intercom's codec, as numbered there."""
    sim.rtc.settings.trickle = trickle
    offer = rearranged(captured_offer(name), bundle)
    async with open_signaling(client) as signaling:
        _, answer = await answered(signaling, offer)
        (session,) = sim.rtc.open
        assert session.peer is not None
        candidates = session.peer.candidates() if trickle else answer.count("a=candidate:")
    assert candidates
    assert [(each.kind, each.mid) for each in sections(answer)] == [
        (each.kind, each.mid) for each in sections(offer)
    ]
    rtpmaps = [
        set(re.findall(r"a=rtpmap:(\S+ \w+)", "\r\n".join(s.lines))) for s in sections(answer)
    ]
    supported = {"audio": {"101 opus"}, "video": {"96 H264", "97 H264"}}
    assert rtpmaps == [supported[each.kind] for each in sections(offer)]


async def test_view_of_a_relay(client: HttpClient, sim: Simulator) -> None:
    """It sees frames, hears the tone, and leaves no task."""
    before = asyncio.all_tasks()
    sim.rtc.settings.trickle = False
    async with open_signaling(client) as signaling, relay("whep") as remote:
        _, answer = await answered(signaling, await remote.offer())
        await remote.set_answer(answer)
        assert bytes((await remote.frame()).planes[0]) != bytes((await remote.frame()).planes[0])
        await remote.hear(lambda audio: audio.packets > 50 and audio.level > 0.1)
        assert remote.audio.hertz == pytest.approx(HERTZ, rel=0.02)
        await sim.rtc.close()
    assert asyncio.all_tasks() - before == set()


async def test_relay_that_talks(client: HttpClient, sim: Simulator) -> None:
    """The intercom hears the section that only sends, and leaves no task."""
    before = asyncio.all_tasks()
    sim.rtc.settings.trickle, sim.rtc.settings.audio_requires = False, "rtp"
    async with open_signaling(client) as signaling, relay("two_way") as remote:
        session_id, answer = await answered(signaling, await remote.offer())
        await remote.set_answer(answer)
        audio = sim.rtc.sessions[session_id].audio
        while audio.packets < 50:
            await remote.frame()
        assert audio.hertz == pytest.approx(VOICE_HERTZ, rel=0.02)
        await remote.hear(lambda heard: heard.level > 0.1 and heard.hertz > 0)
        await sim.rtc.close()
    assert asyncio.all_tasks() - before == set()
