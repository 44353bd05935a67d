"""Whatever the intercom and the relays send, a browser's peer connection gets clean data."""

import re
from typing import TYPE_CHECKING, Any, override

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from tests.client.answers import HOSTILE, TURN as RELAYS, spoiled
from tests.client.webrtc.test_candidates import LIMIT, LINES, unclean_in
from tests.integration.live.browser_client import STREET, BrowserClient, offer
from tests.integration.live.conftest import ring_and_wait
from tests.simulator import Failure
from tests.simulator.paths import TURN
from tests.simulator.scripted import ScriptedPeer

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator
    from tests.simulator.house import Json

FEW = settings(
    max_examples=15,
    deadline=None,
    # One Home Assistant for all examples: what one leaves must not harm the next.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ICE_URL = re.compile(r"(stun|turns?):[0-9A-Za-z.:\[\]-]+(\?transport=(udp|tcp))?")
MEMBERS = st.none() | st.integers(-(2**63), 2**64 - 1) | st.sampled_from(HOSTILE) | st.text()
CANDIDATES = st.fixed_dictionaries(
    {"candidate": LINES.map(lambda line: line.removeprefix("a=")) | MEMBERS},
    optional={"sdp_mid": MEMBERS, "sdp_m_line_index": MEMBERS},
)


class HostilePeer(ScriptedPeer):
    """An intercom whose descriptions have more lines, and that has its own candidates."""

    def __init__(self, lines: list[str], candidates: list[Json]) -> None:
        super().__init__()
        self._lines, self._candidates = lines, candidates

    @override
    async def answer(self, offer: str) -> str:
        return "".join([await super().answer(offer), *(f"{line}\r\n" for line in self._lines)])

    @override
    def candidates(self) -> list[Json]:
        return self._candidates


@pytest.fixture(name="ack_mode")
def _ack_mode() -> str:
    """How the cloud acknowledges messages makes no difference here."""
    return "echo"


@given(
    lines=st.lists(LINES | st.sampled_from(HOSTILE), max_size=60),
    candidates=st.lists(CANDIDATES, max_size=60),
    data=st.data(),
)
@FEW
async def test_any_answer(
    browser: BrowserClient,
    simulator: Simulator,
    *,
    lines: list[str],
    candidates: list[Json],
    data: st.DataObject,
) -> None:
    """One line each, at most so many candidates, of the browser's own sections."""
    simulator.rtc.peer = lambda: HostilePeer(lines, candidates)  # type: ignore[method-assign]
    version = data.draw(st.integers(1, 10**9))
    view = await browser.open_view(offer(version=version))
    while not (view.received("answer") or view.received("error")):
        await browser.receive()
    await view.close()
    check(view.messages)


def check(messages: list[dict[str, Any]]) -> None:
    """Fail if a browser got something that it must not get."""
    answers = [each["answer"] for each in messages if each["type"] == "answer"]
    # Browsers accept both line endings.
    found = [sdp.replace("\r\n", "\n").replace("\n", "\r\n") for sdp in answers]
    sent = [each["candidate"] for each in messages if each["type"] == "candidate"]
    listed = [line for sdp in found for line in sdp.split("\r\n") if "a=candidate:" in line]
    shown = "".join([*found, *(f"a={each['candidate']}\r\n" for each in sent)])
    assert unclean_in(shown) == []
    assert len(listed) + len(sent) <= LIMIT
    assert all(len(line.encode()) <= 512 for line in listed)
    assert {(each.get("sdpMid"), each.get("sdpMLineIndex")) for each in sent} <= {
        ("0", 0),
        ("1", 1),
    }
    errors = [each["message"] for each in messages if each["type"] == "error"]
    assert all(text.isprintable() and text.endswith(".") for text in errors)


@pytest.mark.parametrize("joint", ["\r\n", "\r\r\n"])
async def test_offer_of_a_ring(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, joint: str
) -> None:
    """The intercom's offer becomes the answer to the browser."""
    hostile = ["a=candidate:1 1 tcp 1 127.0.0.1 22 typ host", "a=x:\x1b[31m\u202e", "a=\u2028"]
    useful = [f"a=candidate:{n} 1 udp 9 192.0.2.{n} 9 typ host" for n in range(1, 60)]
    peer = ScriptedPeer()
    peer.offer_sdp = joint.join([peer.offer_sdp.removesuffix("\r\n"), *hostile, *useful, ""])
    simulator.rtc.peer = lambda: peer  # type: ignore[method-assign]
    await ring_and_wait(hass, simulator)
    view = await browser.watch(offer())
    check(view.messages)
    assert "192.0.2.1 " in view.received("answer")[0]["answer"]


@given(data=st.data())
@FEW
async def test_any_relays(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, data: st.DataObject
) -> None:
    """Links that no browser refuses, to public hosts; credentials for TURN only."""
    servers = [*RELAYS["iceServers"], {"urls": "stun:x.example"}, {"urls": ["turn:y.example"] * 20}]
    body: dict[str, object] = {"status": "ok", "body": spoiled({"iceServers": servers}, data.draw)}
    simulator.fail(TURN, Failure(body=body))
    live = hass.config_entries.async_loaded_entries("bticino_classe")[0].runtime_data.live
    live.ice_servers._stop_timer()
    await live.ice_servers._async_renew()
    live.ice_servers._stop_timer()
    answer = await browser.request({"type": "camera/webrtc/get_client_config", "entity_id": STREET})
    found = answer["result"]["configuration"].get("iceServers", [])
    links = [link for each in found for link in each["urls"]]
    assert all(ICE_URL.fullmatch(link) for link in links)
    assert not any(host in link for link in links for host in ("127.", "localhost", ".local"))
    for each in found:
        is_turn = any(link.startswith("turn") for link in each["urls"])
        assert is_turn <= bool(each.get("username") and each.get("credential"))
        assert all(str(each.get(key, "")).isprintable() for key in ("username", "credential"))
