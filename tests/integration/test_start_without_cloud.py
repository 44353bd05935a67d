"""A start from the stored house: at once and without a request, whatever the cloud does."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry, ConfigEntryState
from homeassistant.const import CONF_PASSWORD
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
import pytest

from custom_components.bticino_classe import PLATFORMS
from custom_components.bticino_classe.client.websocket.backoff import Backoff
from tests.integration.conftest import (
    EventRecorder,
    advance,
    call_action,
    forget_house,
    poll,
    restart_entry,
    sign_in,
    skip_backoff,
    state_of,
    wait_idle,
    wait_until,
)
from tests.simulator import Failure, usage_limit
from tests.simulator.houses import CASA
from tests.simulator.paths import (
    GETCONFIGS,
    GETEVENTS,
    HOMESDATA,
    HOMESTATUS,
    PUSH,
    SETSTATE,
    TOKEN,
    TURN,
)

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from tests.simulator import Simulator

API = (HOMESDATA, HOMESTATUS, GETEVENTS, GETCONFIGS, TURN)
DOOR, PANEL = "lock.cancello", "Posto esterno strada"
DOORBELL = "event.posto_esterno_strada_doorbell"
PUSH_CONNECTION = "binary_sensor.classe_300x_bell_connection"
BOX = "30000a-0505-aa11bb22cc05"
OUTAGES = {
    "503": Failure(status=503, html=True),
    "404 without a code": Failure(status=404, html=True),
    "a page": Failure(html=True),
    "no answer": Failure(never=True),
    "dropped": Failure(drop=True),
    "half an answer": Failure(cut=True, executed=True),
    "broken JSON": Failure(wrong_json=True),
    "another JSON": Failure(body=["status"]),
    "nothing in it": Failure(body={"status": "ok"}),
    "forbidden": Failure(code=13),
}
NEEDS_THE_CLOUD = (
    *(DOOR, "button.cancello_open", "light.luce_scale", "camera.posto_esterno_strada"),
    "binary_sensor.classe_300x_intercom_online",
)
ALWAYS_THERE = (
    *(DOORBELL, "event.posto_esterno_strada_call", "calendar.casa_calls"),
    *("image.posto_esterno_strada_last_call", "sensor.classe_300x_missed_calls"),
    *(PUSH_CONNECTION, "button.classe_300x_reset_missed_calls"),
)


def shown(hass: HomeAssistant, entity_ids: tuple[str, ...]) -> set[str]:
    """Return whether entities are there, each with its name if it is not."""
    return {each for each in entity_ids if state_of(hass, each) == "unavailable"}


def registered(hass: HomeAssistant, entry: ConfigEntry[Any]) -> tuple[set[str], set[str]]:
    """Return the devices and the entities of an account."""
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    return {each.id for each in devices}, {each.entity_id for each in entities}


def api_requests(simulator: Simulator) -> list[str]:
    """Return the paths of the requests but for the push connection."""
    return [request.path for request in simulator.journal if request.path != PUSH]


@pytest.fixture(name="requests_before_platforms")
def _requests_before_platforms(
    hass: HomeAssistant, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> list[int]:
    """The number of requests at the moment when each platform was set up."""
    counts: list[int] = []
    forward = hass.config_entries.async_forward_entry_setups

    async def count(*arguments: Any) -> None:
        await forward(*arguments)
        counts.append(len(simulator.journal))

    monkeypatch.setattr(hass.config_entries, "async_forward_entry_setups", count)
    return counts


@pytest.mark.parametrize("path", ["*", *API[:2], TOKEN])
@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
async def test_outage(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    requests_before_platforms: list[int],
    path: str,
    outage: Failure,
) -> None:
    """Everything is there; what needs the cloud is unavailable until it answers."""
    states, registry = set(hass.states.async_entity_ids()), registered(hass, entry)
    if path == TOKEN:
        simulator.expire_access_tokens()
    await hass.config_entries.async_unload(entry.entry_id)
    simulator.journal.clear()
    simulator.fail(path, outage, times=1000)
    await restart_entry(hass, entry)
    assert requests_before_platforms == [0] * len(PLATFORMS)
    assert entry.state is ConfigEntryState.LOADED
    assert set(hass.states.async_entity_ids()) == states
    assert shown(hass, ALWAYS_THERE) == set()
    # The states alone are enough: the modules are known.
    assert shown(hass, NEEDS_THE_CLOUD) == (set() if path == HOMESDATA else {*NEEDS_THE_CLOUD})
    assert registered(hass, entry) == registry

    simulator.clear_failures()
    # A sign-in that failed is tried again after a minute: each sends the owner an e-mail.
    await advance(hass, freezer, 61 if path == TOKEN else 11)
    assert shown(hass, NEEDS_THE_CLOUD) == set()
    assert registered(hass, entry) == registry
    assert hass.config_entries.flow.async_progress() == []


async def test_no_cloud_at_all(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Nothing listens at its addresses."""
    port = simulator.port
    await simulator.stop()
    await restart_entry(hass, entry)
    assert shown(hass, ALWAYS_THERE) == set()
    assert shown(hass, NEEDS_THE_CLOUD) == {*NEEDS_THE_CLOUD}
    await simulator.start(port=port)
    await advance(hass, freezer, 11)
    assert shown(hass, NEEDS_THE_CLOUD) == set()


async def test_polls_of_a_long_outage(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """They are frequent at first, then every five minutes; the outage is logged once."""
    await hass.config_entries.async_unload(entry.entry_id)
    simulator.fail(HOMESDATA, Failure(status=503, html=True), times=1000)
    simulator.fail(HOMESTATUS, Failure(status=503, html=True), times=1000)
    simulator.journal.clear()
    caplog.clear()
    await restart_entry(hass, entry)
    polls = []
    for second in range(0, 1800, 5):
        polls += [second] * simulator.journal.count(HOMESTATUS)
        simulator.journal.clear()
        await advance(hass, freezer, 5)
    gaps = [later - earlier for earlier, later in pairwise(polls)]
    assert [round(gap, -1) for gap in gaps[:5]] == [10, 20, 40, 80, 160]
    assert {295 <= gap <= 305 for gap in gaps[5:]} == {True}
    simulator.clear_failures()
    await poll(hass, freezer)
    assert state_of(hass, DOOR) == "locked"
    ours = [each for each in caplog.records if each.name == "custom_components.bticino_classe"]
    logged = [each.levelname for each in ours if each.levelname != "DEBUG"]
    assert logged == ["WARNING", "INFO"]


@pytest.mark.parametrize(
    "limit",
    [usage_limit(), usage_limit(status=429, retry_after=1800), Failure(code=11)],
    ids=["until the next hour", "named", "concurrency"],
)
async def test_limit_is_respected_and_the_bell_rings(
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],
    simulator: Simulator,
    limit: Failure,
) -> None:
    """The push connection needs no request; the panel is known from the stored house."""
    await hass.config_entries.async_unload(online_entry.entry_id)
    for path in API:
        simulator.fail(path, limit, times=1000)
    await restart_entry(hass, online_entry)
    await wait_until(lambda: state_of(hass, PUSH_CONNECTION) == "on")
    assert state_of(hass, DOOR) == "unavailable"
    before = len(api_requests(simulator))
    events = EventRecorder(hass)
    simulator.ring(PANEL)
    await wait_until(events.rings)
    assert events.rings() == [DOORBELL]
    state = hass.states.get(DOORBELL)
    assert state is not None
    assert state.attributes["panel"] == PANEL
    assert state_of(hass, "binary_sensor.posto_esterno_strada_bell") == "on"
    assert state_of(hass, "camera.posto_esterno_strada") != "unavailable"
    assert len(api_requests(simulator)) == before, "the pause is respected"


@pytest.mark.usefixtures("freezer")  # no time passes, so no poll is due
async def test_rest_recovers_with_the_push_connection(
    hass: HomeAssistant, online_entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """Its subscription proves that the cloud is back; time is not needed."""
    await hass.config_entries.async_unload(online_entry.entry_id)
    simulator.take_down()
    await restart_entry(hass, online_entry)
    await wait_until(lambda: online_entry.runtime_data.push.socket.state == "waiting")
    assert state_of(hass, DOOR) == "unavailable"
    skip_backoff(online_entry.runtime_data.push)
    simulator.bring_up()
    online_entry.runtime_data.push.retry_soon()
    await wait_until(lambda: state_of(hass, DOOR) == "locked")
    assert state_of(hass, PUSH_CONNECTION) == "on"


@pytest.fixture(name="long_delays")
def _long_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that fail are not tried again for an hour, as if the outage had been long."""
    monkeypatch.setattr(Backoff, "next_delay", lambda *_, **__: 3600.0)


@pytest.mark.usefixtures("long_delays")
async def test_push_connection_recovers_with_a_poll(
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The first poll that is answered proves that the cloud is back."""
    await hass.config_entries.async_unload(online_entry.entry_id)
    simulator.take_down()
    await restart_entry(hass, online_entry)
    await wait_until(lambda: online_entry.runtime_data.push.socket.state == "waiting")
    simulator.bring_up()
    await advance(hass, freezer, 11)
    await wait_until(lambda: state_of(hass, PUSH_CONNECTION) == "on")


@pytest.mark.usefixtures("long_delays")
@pytest.mark.parametrize("is_polled", [True, False])
async def test_command_that_is_answered_proves_that_the_cloud_is_back(
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],
    simulator: Simulator,
    *,
    is_polled: bool,
) -> None:
    """The poll is tried again, and the push connection, whatever the poll says."""
    coordinator, push = online_entry.runtime_data.coordinator, online_entry.runtime_data.push
    simulator.take_down()
    await coordinator.async_refresh()
    await wait_until(lambda: push.socket.state == "waiting")
    assert coordinator.failed_polls == 1
    simulator.bring_up()
    if not is_polled:
        simulator.fail(HOMESTATUS, Failure(status=503, html=True), times=100)
    option = {"entity_id": "select.classe_300x_do_not_disturb", "option": "always"}
    await hass.services.async_call("select", "select_option", option, blocking=True)
    await wait_until(lambda: state_of(hass, PUSH_CONNECTION) == "on")
    await wait_idle(hass)
    assert (coordinator.failed_polls == 0) is is_polled
    simulator.clear_failures()


@pytest.mark.parametrize("house_name", ["two_homes"])
async def test_each_home_is_available_once_it_was_answered_for(
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A home without an answer is retried soon, though pushes come and the other one works."""
    await hass.config_entries.async_unload(online_entry.entry_id)
    simulator.journal.clear()
    simulator.fail(HOMESTATUS, Failure(status=502, html=True))
    await restart_entry(hass, online_entry)
    states = {each: state_of(hass, each) for each in ("lock.porta", "lock.box")}
    assert sorted(states.values()) == ["locked", "unavailable"]
    connections = [
        state_of(hass, f"binary_sensor.classe_{model}_intercom_online")
        for model in ("100x", "300x")
    ]
    assert sorted(connections) == ["on", "unavailable"]
    await advance(hass, freezer, 11)
    assert {state_of(hass, each) for each in states} == {"locked"}
    assert simulator.journal.count(HOMESDATA) == 1


async def test_door_cannot_be_opened_before_the_first_answer(
    hass: HomeAssistant, online_entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """Home Assistant carries out no action on what is unavailable; nothing follows later."""
    await hass.config_entries.async_unload(online_entry.entry_id)
    simulator.fail(HOMESTATUS, Failure(status=503, html=True), times=1000)
    await restart_entry(hass, online_entry)
    await wait_until(lambda: state_of(hass, PUSH_CONNECTION) == "on")
    await call_action(hass, "lock", "open", DOOR)
    await call_action(hass, "button", "press", "button.cancello_open")
    simulator.clear_failures()
    await online_entry.runtime_data.coordinator.async_refresh()
    await wait_idle(hass)
    assert simulator.journal.count(SETSTATE) == 0
    await call_action(hass, "lock", "open", DOOR)
    assert len(simulator.openings) == 1


@pytest.mark.parametrize("failing", [[], [HOMESDATA, HOMESTATUS]], ids=["poll", "push connection"])
async def test_refused_credentials_start_reauth(
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],
    simulator: Simulator,
    failing: list[str],
) -> None:
    """From a poll or the push connection, once; entities are there, and work after the sign-in."""
    simulator.change_password("another")
    await hass.config_entries.async_unload(online_entry.entry_id)
    for path in failing:
        simulator.fail(path, Failure(status=503, html=True), times=1000)
    simulator.journal.clear()
    await restart_entry(hass, online_entry)
    await wait_until(hass.config_entries.flow.async_progress)
    await wait_idle(hass)
    assert online_entry.state is ConfigEntryState.LOADED
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    assert simulator.journal.count(TOKEN, grant="password") == 1
    assert shown(hass, ALWAYS_THERE) == set()
    assert shown(hass, NEEDS_THE_CLOUD) == {*NEEDS_THE_CLOUD}

    simulator.clear_failures()
    result = await hass.config_entries.flow.async_configure(
        flow["flow_id"], {CONF_PASSWORD: "another"}
    )
    assert result["reason"] == "reauth_successful"
    await wait_idle(hass)
    await wait_until(lambda: state_of(hass, PUSH_CONNECTION) == "on")
    assert shown(hass, NEEDS_THE_CLOUD) == set()
    assert hass.config_entries.flow.async_progress() == []


async def test_credentials_that_are_refused_after_an_outage_start_reauth(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The password was changed while the cloud was away."""
    simulator.take_down()
    await restart_entry(hass, entry)
    assert hass.config_entries.flow.async_progress() == []
    simulator.change_password("another")
    simulator.bring_up()
    await advance(hass, freezer, 11)
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH


async def test_first_setup_waits_for_the_cloud(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Nothing is stored yet; afterwards the house is."""
    await forget_house(hass, entry)
    simulator.take_down()
    await restart_entry(hass, entry)
    assert str(entry.state) == str(ConfigEntryState.SETUP_RETRY)
    simulator.bring_up()
    await advance(hass, freezer, 60)
    assert str(entry.state) == str(ConfigEntryState.LOADED)
    assert state_of(hass, DOOR) == "locked"
    simulator.take_down()
    await restart_entry(hass, entry)
    assert str(entry.state) == str(ConfigEntryState.LOADED)


async def test_history_is_there_during_an_outage(
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],
    simulator: Simulator,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """Calendar, media, export, missed calls and options."""
    await async_setup_component(hass, "media_source", {})
    simulator.miss(simulator.ring(PANEL, pictures=True))
    await wait_until(lambda: state_of(hass, "sensor.classe_300x_missed_calls") == "1")
    await wait_idle(hass)
    simulator.take_down()
    await restart_entry(hass, online_entry)
    assert state_of(hass, DOOR) == "unavailable"
    assert state_of(hass, "sensor.classe_300x_missed_calls") == "1"
    assert state_of(hass, "image.posto_esterno_strada_last_call") not in {"unavailable", "unknown"}
    client = await hass_ws_client(hass)
    await client.send_json_auto_id({"type": "media_source/browse_media"})
    media = (await client.receive_json())["result"]["children"]
    assert "Bticino" in " ".join(child["title"].title() for child in media)
    found = await hass.services.async_call(
        "calendar",
        "get_events",
        {"entity_id": "calendar.casa_calls", "duration": {"days": 2}},
        blocking=True,
        return_response=True,
    )
    assert found is not None
    await call_action(hass, "button", "press", "button.classe_300x_reset_missed_calls")
    assert state_of(hass, "sensor.classe_300x_missed_calls") == "0"
    form = await hass.config_entries.options.async_init(online_entry.entry_id)
    assert form["type"] == "form"


async def test_options_take_effect_during_an_outage(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """A home is left out, and included again, from what is stored; its devices stay until then."""
    simulator.use_house("two_homes")
    entry = await sign_in(hass, credentials)
    before = registered(hass, entry)
    simulator.take_down()
    hass.config_entries.async_update_entry(entry, options={"excluded_homes": [CASA]})
    await restart_entry(hass, entry)
    assert CASA not in entry.runtime_data.coordinator.data.homes
    assert state_of(hass, "lock.box") == "unavailable"
    assert registered(hass, entry)[0] == before[0]
    hass.config_entries.async_update_entry(entry, options={})
    await restart_entry(hass, entry)
    assert CASA in entry.runtime_data.coordinator.data.homes
    simulator.bring_up()
    await entry.runtime_data.coordinator.async_refresh()
    await hass.async_block_till_done()
    assert state_of(hass, "lock.porta") == "locked"
    hass.config_entries.async_update_entry(entry, options={"excluded_homes": [CASA]})
    await restart_entry(hass, entry)
    assert registered(hass, entry)[0] < before[0], "the cloud has answered"


async def test_device_is_not_deleted_before_the_first_answer(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """It is not known which modules the cloud lists: of both answers, neither is enough."""
    await async_setup_component(hass, "config", {})
    client = await hass_ws_client(hass)
    simulator.remove_module(BOX)
    device = dr.async_get(hass).async_get_device_by_identifier(
        ("bticino_classe", BOX), entry.entry_id
    )
    assert device is not None
    for path in (HOMESDATA, HOMESTATUS):
        simulator.fail(path, Failure(status=503, html=True), times=1000)
        await restart_entry(hass, entry)
        assert not (await client.remove_device(device.id))["success"]
        simulator.clear_failures()
    await advance(hass, freezer, 61)
    assert state_of(hass, "lock.box") == "unavailable"
    assert (await client.remove_device(device.id))["success"]
