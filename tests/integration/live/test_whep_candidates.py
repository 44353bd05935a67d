"""How long a WHEP response waits for the candidates of the intercom."""

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import pytest

from custom_components.bticino_classe.client import Gathering
from custom_components.bticino_classe.live import whep
from tests.conftest import HANG_TIMEOUT
from tests.integration.conftest import get_entry, wait_until
from tests.integration.live.browser_client import BrowserClient, offer, open_session
from tests.integration.live.conftest import quiet
from tests.simulator import rtc_frames, scripted

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.integration.live.whep_client import Whep
    from tests.simulator import Simulator

HOST: Final = "candidate:1 1 udp 2130706431 192.0.2.20 50000 typ host"
PUBLIC: Final = (
    "candidate:2 1 udp 1694498815 198.51.100.20 50002 typ srflx raddr 192.0.2.20 rport 1"
)
RELAYED: Final = "candidate:3 1 udp 1015807 203.0.113.5 50004 typ relay raddr 198.51.100.20 rport 1"
OTHER: Final = RELAYED.replace("50004", "50006")
PATIENT: Final = quiet(HANG_TIMEOUT)


class Gatherer:
    """An intercom that sends its candidates one by one, and the request that waits for them."""

    def __init__(self, hass: HomeAssistant, relay: Whep, simulator: Simulator) -> None:
        self._live = get_entry(hass).runtime_data.live
        self._relay, self._simulator = relay, simulator

    async def post(self) -> asyncio.Task[str]:
        """Begin a view; returns the task that ends with the answer once it has been sent."""
        posting = asyncio.create_task(self._post())
        await wait_until(lambda: bool(self._clients) and self._clients[0]._sdp)
        return posting

    async def send(self, text: str, section: int = 0) -> None:
        """Send a candidate, and wait until it has arrived."""
        session, before = open_session(self._simulator), self._received
        fields = {"candidate": text, "sdp_mid": str(section), "sdp_m_line_index": section}
        self._simulator.rtc.send(session, rtc_frames.candidate(session.id, fields))
        await wait_until(lambda: self._received > before)

    @property
    def _received(self) -> int:
        client = self._clients[0]
        return len(client._candidates) + client._has_all_candidates

    @property
    def _clients(self) -> list[whep.WhepClient]:
        clients = [viewer.client for viewer in self._live._viewers.values()]
        return [client for client in clients if isinstance(client, whep.WhepClient)]

    async def _post(self) -> str:
        response = await self._relay.post()
        assert response.status == 201
        return await response.text()


@pytest.fixture(name="gatherer")
def _gatherer(
    hass: HomeAssistant, relay: Whep, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> Gatherer:
    """An intercom that sends no candidates by itself."""
    monkeypatch.setattr(scripted, "CANDIDATES", ())
    return Gatherer(hass, relay, simulator)


@pytest.mark.parametrize(
    ("sent", "stage"),
    [
        ([HOST], Gathering.HOST),
        ([HOST, HOST.replace("192.0.2.20", "192.0.2.21")], Gathering.HOST),
        ([PUBLIC], Gathering.REFLEXIVE),
        ([HOST, PUBLIC], Gathering.REFLEXIVE),
        ([PUBLIC, HOST], Gathering.REFLEXIVE),
        ([HOST, PUBLIC, RELAYED], Gathering.RELAYED),
        ([RELAYED], Gathering.RELAYED),
        ([RELAYED, PUBLIC, HOST], Gathering.RELAYED),
    ],
)
async def test_stages(
    gatherer: Gatherer,
    monkeypatch: pytest.MonkeyPatch,
    sent: list[str],
    stage: Gathering,
) -> None:
    """The response is complete once nothing comes for as long as the last stage allows."""
    monkeypatch.setattr(whep, "QUIET_SECONDS", PATIENT)
    posting = await gatherer.post()
    for each in sent[:-1]:
        await gatherer.send(each)
        assert not posting.done()
    monkeypatch.setattr(whep, "QUIET_SECONDS", PATIENT | {stage: 0.01})
    await gatherer.send(sent[-1])
    answer = await posting
    assert all(answer.count(f"a={each}\r\n") == 1 for each in sent)


async def test_slow_intercom(gatherer: Gatherer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The only candidate that works may be the last one, from a server that is slow."""
    monkeypatch.setattr(whep, "QUIET_SECONDS", PATIENT | {Gathering.RELAYED: 0.01})
    posting = await gatherer.post()
    for each in (HOST, PUBLIC):
        await gatherer.send(each)
        await asyncio.sleep(0.05)
        assert not posting.done()
    await gatherer.send(RELAYED)
    assert f"a={RELAYED}\r\n" in await posting


@pytest.mark.parametrize("text", ["", "end-of-candidates", "a=end-of-candidates"])
@pytest.mark.parametrize("sent", [[], [HOST], [HOST, RELAYED]])
async def test_end_of_candidates(
    gatherer: Gatherer, monkeypatch: pytest.MonkeyPatch, text: str, sent: list[str]
) -> None:
    """The response is sent at once."""
    monkeypatch.setattr(whep, "QUIET_SECONDS", PATIENT)
    posting = await gatherer.post()
    for each in sent:
        await gatherer.send(each)
    await gatherer.send(text)
    answer = await posting
    assert answer.count("a=candidate:") == len(sent)
    assert answer.count("a=end-of-candidates") == 2
    assert "a=\r\n" not in answer


async def test_sections_without_bundle(gatherer: Gatherer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a transport of its own, so each needs its candidates."""
    answer = scripted.ScriptedPeer.answer

    async def unbundled(self: scripted.ScriptedPeer, offer: str) -> str:
        lines = (await answer(self, offer)).split("\r\n")
        return "\r\n".join(line for line in lines if not line.startswith("a=group:"))

    monkeypatch.setattr(scripted.ScriptedPeer, "answer", unbundled)
    monkeypatch.setattr(whep, "QUIET_SECONDS", PATIENT | {Gathering.RELAYED: 0.01})
    posting = await gatherer.post()
    await gatherer.send(RELAYED)
    await asyncio.sleep(0.05)
    assert not posting.done()
    await gatherer.send(OTHER, section=1)
    assert (await posting).count("typ relay") == 2


async def test_player(browser: BrowserClient, simulator: Simulator) -> None:
    """It gets the candidates, and needs no end of them."""
    view = await browser.watch(offer())
    session = open_session(simulator)
    for text in ("", RELAYED):
        fields: dict[str, object] = {
            "candidate": text,
            "sdp_mid": "0",
            "sdp_m_line_index": 0,
        }
        simulator.rtc.send(session, rtc_frames.candidate(session.id, fields))
    while RELAYED not in (
        found := [each["candidate"]["candidate"] for each in view.received("candidate")]
    ):
        await browser.receive()
    assert "" not in found


def test_times() -> None:
    """Each stage leaves less to wait for; a request to a server is repeated after 0.5 s."""
    stages = [stage for stage in Gathering if stage is not Gathering.COMPLETE]
    assert all(
        whep.QUIET_SECONDS[one] > whep.QUIET_SECONDS[other] for one, other in pairwise(stages)
    )
    assert whep.QUIET_SECONDS[Gathering.HOST] > 0.5
    assert whep.QUIET_SECONDS[Gathering.NOTHING] == whep.GATHER_SECONDS
