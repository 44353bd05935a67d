"""A camera that Home Assistant's go2rtc serves: any number of viewers, one call."""

from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.const import DEFAULT_VIEWS_PER_HOUR
from custom_components.bticino_classe.errors import translated_error
from custom_components.bticino_classe.live.relays import (
    RELAY_FAILURE_PAUSE_SECONDS,
)
from tests.integration.conftest import (
    call_action,
    expect_refused,
    get_entry,
    is_watched,
    state_of,
    wait_until,
)
from tests.integration.live.browser_client import STREET, YARD, BrowserClient, BrowserView, offer
from tests.integration.live.conftest import RINGING, ring_and_wait
from tests.integration.live.go2rtc_server import Go2rtcServer, is_relayed
from tests.integration.live.test_relays import Clock

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockUser
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from tests.simulator import Simulator

PAUSE_SECONDS = RELAY_FAILURE_PAUSE_SECONDS + 1


@pytest.fixture(name="guest")
async def _guest(
    request: pytest.FixtureRequest,
    relayed: BrowserClient,  # noqa: ARG001 - the camera works
    hass_ws_client: WebSocketGenerator,
    hass_read_only_user: MockUser,
    hass_read_only_access_token: str,
) -> BrowserClient:
    """The browser of a user with the permissions of the parameter."""
    hass_read_only_user.groups = []
    hass_read_only_user.mock_policy({"entities": request.param})
    return BrowserClient(await hass_ws_client(access_token=hass_read_only_access_token), STREET)


async def expect_error(hass: HomeAssistant, view: BrowserView, key: str) -> None:
    """Wait for an error with a translated reason."""
    error = await view.wait_for("error")
    assert error["message"] == translated_error(hass, key)
    assert error["message"].endswith(".")
    assert view.received("answer") == []


async def test_two_viewers_one_call(
    hass: HomeAssistant,
    relayed: BrowserClient,
    go2rtc: Go2rtcServer,
    hass_ws_client: WebSocketGenerator,
    simulator: Simulator,
) -> None:
    """The intercom is called for the first viewer only."""
    await relayed.watch(offer())
    assert is_watched(hass, STREET)
    other = await BrowserClient.connect(hass_ws_client, STREET)
    await other.watch(offer(version=2))
    assert len(go2rtc.stream.consumers) == 2
    assert (simulator.rtc.offers, simulator.rtc.terminates) == (1, 0)
    assert len(simulator.rtc.open) == 1


async def test_second_viewer_needs_no_call(
    hass: HomeAssistant,
    relayed: BrowserClient,
    hass_ws_client: WebSocketGenerator,
    simulator: Simulator,
) -> None:
    """The limits of relays are about calls, not about viewers."""
    await relayed.watch(offer())
    limits = get_entry(hass).runtime_data.live.relays.limits
    for _ in range(DEFAULT_VIEWS_PER_HOUR):
        limits.add_view(simulator.house.bridges()[0].id)
    other = await BrowserClient.connect(hass_ws_client, STREET)
    await other.watch(offer(version=2))
    assert simulator.rtc.offers == 1


async def test_viewer_who_returns(
    relayed: BrowserClient, go2rtc: Go2rtcServer, simulator: Simulator
) -> None:
    """go2rtc ends no session; its next one replaces it, without a pause."""
    view = await relayed.watch(offer())
    await view.close()
    await wait_until(lambda: not go2rtc.stream.consumers)
    await relayed.watch(offer(version=2))
    assert (simulator.rtc.offers, simulator.rtc.terminates, simulator.rtc.peak) == (2, 1, 1)


async def test_only_webrtc(relayed: BrowserClient) -> None:
    """The player tries nothing else; there is no two-way audio."""
    result = (await relayed.request({"type": "camera/capabilities", "entity_id": STREET}))["result"]
    assert result["frontend_stream_types"] == ["web_rtc"]
    assert not result.get("two_way_audio")
    other = (await relayed.request({"type": "camera/capabilities", "entity_id": YARD}))["result"]
    assert other["frontend_stream_types"] == ["web_rtc"]


async def test_ice_servers_of_the_cloud_stay_here(
    hass: HomeAssistant, relayed: BrowserClient
) -> None:
    """The player does not connect to the intercom."""
    command = {"type": "camera/webrtc/get_client_config", "entity_id": STREET}
    result = (await relayed.request(command))["result"]
    credential = get_entry(hass).runtime_data.live.ice_servers.servers[0].credential
    assert credential
    assert credential not in str(result)


@pytest.mark.parametrize("is_watched", [False, True])
async def test_opened_while_it_rings(
    hass: HomeAssistant, relayed: BrowserClient, simulator: Simulator, *, is_watched: bool
) -> None:
    """It says so and answers nothing; a view ends for the ring, and is possible after it."""
    if is_watched:
        await relayed.watch(offer())
    call = await ring_and_wait(hass, simulator)
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    offers = simulator.rtc.offers
    await expect_error(hass, await relayed.open_view(offer(version=2)), "call_relay_ringing")
    assert (simulator.rtc.offers, simulator.rtc.answers) == (offers, 0)
    assert state_of(hass, RINGING) == "on"
    simulator.hang_up(call)
    await wait_until(lambda: state_of(hass, RINGING) == "off")
    Clock(hass).ahead = PAUSE_SECONDS
    await relayed.watch(offer(version=3))
    assert simulator.rtc.offers == offers + 1


async def test_ring_at_another_panel(
    hass: HomeAssistant, relayed: BrowserClient, simulator: Simulator
) -> None:
    """The intercom has one line."""
    simulator.ring("Posto esterno cortile")
    await wait_until(lambda: get_entry(hass).runtime_data.calls.ringing)
    await expect_error(hass, await relayed.open_view(offer()), "call_busy")
    assert (simulator.rtc.offers, simulator.rtc.answers) == (0, 0)


async def test_person_comes_first(
    hass: HomeAssistant, relayed: BrowserClient, simulator: Simulator
) -> None:
    """Who opens another panel ends the view; the camera says that the line is busy."""
    await relayed.watch(offer())
    relayed.camera = YARD
    view = await relayed.watch(offer(version=2))
    relayed.camera = STREET
    await expect_error(hass, await relayed.open_view(offer(version=3)), "call_busy")
    assert (simulator.rtc.offers, simulator.rtc.peak) == (2, 1)
    assert view.received("error") == []


async def test_pause_between_two_calls(
    hass: HomeAssistant, relayed: BrowserClient, simulator: Simulator
) -> None:
    """The limits of relays hold, and the reason is shown."""
    await relayed.watch(offer())
    await call_action(hass, "camera", "turn_off", STREET)
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await expect_error(hass, await relayed.open_view(offer(version=2)), "call_relay_pause")
    Clock(hass).ahead = PAUSE_SECONDS
    await relayed.watch(offer(version=3))


async def test_hang_up_and_next_panel(
    hass: HomeAssistant, relayed: BrowserClient, simulator: Simulator
) -> None:
    """A relay may only show its own panel."""
    assert await expect_refused(hass, "bticino_classe", "hang_up", STREET) == "no_call"
    await relayed.watch(offer())
    assert await expect_refused(hass, "bticino_classe", "next_panel", STREET) == "no_call"
    assert is_watched(hass, STREET)
    await call_action(hass, "bticino_classe", "hang_up", STREET)
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert state_of(hass, STREET) == "idle"


async def test_decline(hass: HomeAssistant, relayed: BrowserClient, simulator: Simulator) -> None:
    """As at every camera."""
    assert is_relayed(hass)
    await ring_and_wait(hass, simulator)
    await call_action(hass, "bticino_classe", "decline_ring", STREET)
    await wait_until(lambda: state_of(hass, RINGING) == "off")
    assert relayed.camera == STREET


@pytest.mark.parametrize(
    ("guest", "may_watch"),
    [
        ({}, False),
        ({"entity_ids": {YARD: True}}, False),
        ({"entity_ids": {STREET: {"control": True}}}, False),
        ({"entity_ids": {STREET: {"read": True}}}, True),
        ({"all": {"read": True}}, True),
    ],
    ids=str,
    indirect=["guest"],
)
@pytest.mark.parametrize("is_watched", [False, True])
async def test_limited_users(
    hass: HomeAssistant,
    relayed: BrowserClient,
    go2rtc: Go2rtcServer,
    guest: BrowserClient,
    simulator: Simulator,
    *,
    may_watch: bool,
    is_watched: bool,
) -> None:
    """A call that is already there is no way around the permission; its viewers stay."""
    if is_watched:
        await relayed.watch(offer())
    view = await guest.open_view(offer(version=2))
    if may_watch:
        await view.wait_for("answer")
    else:
        await expect_error(hass, view, "call_watch_not_allowed")
    assert simulator.rtc.offers == (is_watched or may_watch)
    consumers = sum(len(stream.consumers) for stream in go2rtc.streams.values())
    assert consumers == is_watched + may_watch
