"""A browser that shows a camera, and rings that it can answer."""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.bticino_classe.client import Gathering
from custom_components.bticino_classe.live import manager, whep
from custom_components.bticino_classe.live.departures import RECONNECT_GRACE_SECONDS
from custom_components.bticino_classe.live.stream_address import WHEP_PATH
from tests.conftest import HANG_TIMEOUT
from tests.integration.conftest import EventRecorder, state_of, wait_until
from tests.integration.live.browser_client import (
    STREET,
    BrowserClient,
    BrowserView,
    offer,
    panel_id,
)
from tests.integration.live.go2rtc_server import Go2rtcServer, choose_cameras, set_up_go2rtc
from tests.integration.live.whep_client import Whep, stream_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from aiohttp.test_utils import TestClient
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockUser
    from pytest_homeassistant_custom_component.typing import (
        ClientSessionGenerator,
        WebSocketGenerator,
    )

    from tests.simulator import Simulator
    from tests.simulator.calls import Call

IN_CALL = "binary_sensor.posto_esterno_strada_line"
RINGING = "binary_sensor.posto_esterno_strada_bell"
CALL_EVENT = "event.posto_esterno_strada_call"
# Failures in these helpers show the values that were compared.
pytest.register_assert_rewrite("tests.integration.live.walk", "tests.integration.live.walk_model")

CANDIDATE = "candidate:7 1 udp 2122260223 203.0.113.77 50000 typ host generation 0"


@pytest.fixture(autouse=True)
def _enabled(all_entities: None) -> None:
    """Enable *Line*, and what intercoms show of unknown panels."""


@pytest.fixture(params=["echo", "null", "absent"])
def ack_mode(request: pytest.FixtureRequest, simulator: Simulator) -> str:
    """Run a test once for each way in which the cloud may acknowledge messages."""
    simulator.rtc.settings.ack_echo = request.param
    mode: str = request.param
    return mode


@pytest.fixture(name="browser")
async def _browser(
    online_entry: ConfigEntry[Any],
    ack_mode: str,  # noqa: ARG001 - the viewer's calls run in every mode
    hass_ws_client: WebSocketGenerator,
    monkeypatch: pytest.MonkeyPatch,
) -> BrowserClient:
    """A browser that shows the street's camera; a slow machine meets no time-out."""
    monkeypatch.setattr(manager, "BUSY_WAIT_SECONDS", HANG_TIMEOUT)
    monkeypatch.setattr(manager, "RETURN_PRIORITY_SECONDS", 0.01)
    names = ("connected", "acknowledged", "answered", "terminated")
    set_timeouts(online_entry, busy=0.01, **dict.fromkeys(names, HANG_TIMEOUT))
    return await BrowserClient.connect(hass_ws_client, STREET)


@pytest.fixture(name="quick_candidates")
def _quick_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulated intercom sends its candidates right after its answer."""
    monkeypatch.setattr(whep, "GATHER_SECONDS", HANG_TIMEOUT)
    monkeypatch.setattr(whep, "QUIET_SECONDS", quiet(0.1))


@pytest.fixture(name="relay")
async def _relay(
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],
    quick_candidates: None,  # noqa: ARG001 - answers come at once
    hass_client_no_auth: ClientSessionGenerator,
) -> Whep:
    """A program with the stream address of the street's camera."""
    names = ("connected", "acknowledged", "answered", "terminated")
    set_timeouts(online_entry, busy=0.01, **dict.fromkeys(names, HANG_TIMEOUT))
    await async_setup_component(hass, "websocket_api", {})  # not possible once there is a client
    return Whep(http=await hass_client_no_auth(), path=await stream_path(hass))


@pytest.fixture(name="user")
async def _user(
    online_entry: ConfigEntry[Any],  # noqa: ARG001 - the camera works
    quick_candidates: None,  # noqa: ARG001 - answers come at once
    hass_client: ClientSessionGenerator,
) -> Whep:
    """A client with the token of an administrator, and without a secret."""
    return Whep(http=await hass_client(), path=f"{WHEP_PATH}/{STREET}")


@pytest.fixture(name="as_guest")
def _as_guest(
    user: Whep,
    hass_client: ClientSessionGenerator,
    hass_read_only_user: MockUser,
    hass_read_only_access_token: str,
) -> Callable[[dict[str, Any]], Awaitable[Whep]]:
    """Return a client of a user with a policy for entities."""

    async def as_guest(entities: dict[str, Any]) -> Whep:
        hass_read_only_user.groups = []
        hass_read_only_user.mock_policy({"entities": entities})
        return Whep(http=await hass_client(hass_read_only_access_token), path=user.path)

    return as_guest


def quiet(seconds: float) -> dict[Gathering, float]:
    """Return QUIET_SECONDS for an intercom that sends its candidates right after its answer."""
    return dict.fromkeys(Gathering, seconds) | {Gathering.NOTHING: HANG_TIMEOUT}


@pytest.fixture(name="loopback")
async def _loopback(
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],  # noqa: ARG001 - the cameras work
    quick_candidates: None,  # noqa: ARG001 - answers come at once
    hass_client_no_auth: ClientSessionGenerator,
    monkeypatch: pytest.MonkeyPatch,
) -> TestClient[Any, Any]:
    """A client of Home Assistant's server, which programs on this machine reach, too."""
    monkeypatch.setattr(manager, "BUSY_WAIT_SECONDS", 0.1)
    await async_setup_component(hass, "websocket_api", {})  # not possible once there is a client
    client: TestClient[Any, Any] = await hass_client_no_auth()
    monkeypatch.setattr(hass.http, "server_port", client.server.port)
    return client


@pytest.fixture(name="go2rtc")
async def _go2rtc(simulator: Simulator) -> AsyncIterator[Go2rtcServer]:
    """A go2rtc server that Home Assistant does not know yet."""
    async with Go2rtcServer(lambda: simulator.rtc.open) as server:
        yield server


@pytest.fixture(name="relayed")
async def _relayed(
    hass: HomeAssistant,
    loopback: TestClient[Any, Any],  # noqa: ARG001 - go2rtc reaches Home Assistant
    go2rtc: Go2rtcServer,
    hass_ws_client: WebSocketGenerator,
    simulator: Simulator,
) -> BrowserClient:
    """A browser that shows the street's camera, which go2rtc serves."""
    await set_up_go2rtc(hass, go2rtc)
    await choose_cameras(hass, panel_id(simulator, "Posto esterno strada"))
    simulator.journal.clear()
    return await BrowserClient.connect(hass_ws_client, STREET)


def set_timeouts(entry: ConfigEntry[Any], **seconds: float) -> None:
    """Change time-outs of the account's calls."""
    channel = entry.runtime_data.live.channel
    channel.timeouts = replace(channel.timeouts, **seconds)


async def ring_and_wait(hass: HomeAssistant, simulator: Simulator, **options: Any) -> Call:
    """Ring at the street, and wait until Home Assistant shows it."""
    call = simulator.ring("Posto esterno strada", **options)
    await wait_until(lambda: state_of(hass, RINGING) == "on")
    return call


async def ring_and_send_answer(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, **options: Any
) -> tuple[Call, BrowserView]:
    """Ring and open the camera; the answer was sent, and its acknowledgement is held."""
    call = await ring_and_wait(hass, simulator, **options)
    simulator.rtc.hold_acks()
    view = await browser.open_view(offer())
    await simulator.rtc.wait_for(lambda: simulator.rtc.answers)
    return call, view


def call_events(events: EventRecorder) -> list[str]:
    """Return the types of the call events at the street."""
    return [kind for entity_id, kind in events.recorded() if entity_id == CALL_EVENT]


async def let_grace_period_pass(hass: HomeAssistant) -> None:
    """Let the time pass in which a viewer may return."""
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=RECONNECT_GRACE_SECONDS + 1))
    await hass.async_block_till_done()
