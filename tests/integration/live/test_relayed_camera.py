"""A camera that Home Assistant's go2rtc serves: any number of viewers, one call."""

from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.const import DEFAULT_VIEWS_PER_HOUR
from custom_components.bticino_classe.errors import translated_error
from custom_components.bticino_classe.live.relays import RELAY_FAILURE_PAUSE_SECONDS
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
WATCHING = {"entity_ids": {STREET: {"read": True}}}


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
    """The player tries nothing else."""
    result = (await relayed.request({"type": "camera/capabilities", "entity_id": STREET}))["result"]
    assert result["frontend_stream_types"] == ["web_rtc"]
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


async def test_ring_at_another_panel(
    hass: HomeAssistant, relayed: BrowserClient, simulator: Simulator
) -> None:
    """The intercom has one line."""
    simulator.ring("Posto esterno cortile")
    await wait_until(lambda: get_entry(hass).runtime_data.calls.ringing)
    await expect_error(hass, await relayed.open_view(offer()), "call_busy")
    assert (simulator.rtc.offers, simulator.rtc.answers) == (0, 0)


@pytest.mark.parametrize("guest", [WATCHING], indirect=True)
async def test_person_comes_first(
    hass: HomeAssistant, relayed: BrowserClient, guest: BrowserClient, simulator: Simulator
) -> None:
    """Who opens another panel ends the view of those who only watch; then the line is busy."""
    await guest.watch(offer())
    relayed.camera = YARD
    view = await relayed.watch(offer(version=2))
    relayed.camera = STREET
    for browser in (relayed, guest):
        await expect_error(hass, await browser.open_view(offer(version=3)), "call_busy")
    assert (simulator.rtc.offers, simulator.rtc.peak) == (2, 1)
    assert view.received("error") == []


async def test_view_of_a_person(
    hass: HomeAssistant, relayed: BrowserClient, simulator: Simulator
) -> None:
    """It is not cut off by another person, as at the direct camera."""
    await relayed.watch(offer())
    relayed.camera = YARD
    view = await relayed.open_view(offer(version=2))
    await expect_error(hass, view, "call_busy")
    assert (simulator.rtc.offers, simulator.rtc.terminates) == (1, 0)


@pytest.mark.parametrize("guest", [WATCHING], indirect=True)
async def test_pause_between_two_calls(
    hass: HomeAssistant, guest: BrowserClient, simulator: Simulator
) -> None:
    """The limits of relays hold for those who only watch, and the reason is shown."""
    await guest.watch(offer())
    await call_action(hass, "camera", "turn_off", STREET)
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await expect_error(hass, await guest.open_view(offer(version=2)), "call_relay_pause")
    Clock(hass).ahead = PAUSE_SECONDS
    await guest.watch(offer(version=3))


@pytest.mark.parametrize("guest", [WATCHING], indirect=True)
@pytest.mark.parametrize("is_person", [True, False])
async def test_hang_up_and_next_panel(
    hass: HomeAssistant,
    relayed: BrowserClient,
    guest: BrowserClient,
    simulator: Simulator,
    *,
    is_person: bool,
) -> None:
    """Those who only watch see only this panel."""
    assert await expect_refused(hass, "bticino_classe", "hang_up", STREET) == "no_call"
    await (relayed if is_person else guest).watch(offer())
    if is_person:
        await call_action(hass, "bticino_classe", "next_panel", STREET)
    else:
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
