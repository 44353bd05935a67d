"""The calendar of a home shows its calls."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from homeassistant.helpers import device_registry as dr, entity_registry as er, translation
import pytest

from custom_components.bticino_classe.client import Event
from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.history.records import CallRecord, Location
from tests.integration.conftest import (
    EventRecorder,
    advance,
    get_entry,
    poll,
    reload_entry,
    sign_in,
    state_of,
    wait_frames,
    wait_online,
)
from tests.integration.history.stored import calls_of, fill
from tests.simulator.houses import SEASIDE, two_homes

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.simulator import Simulator

STREET, YARD = "Posto esterno strada", "Posto esterno cortile"
CALENDAR, BY_THE_SEA = "calendar.casa_calls", "calendar.casa_al_mare_calls"
BRIDGE = "00:03:50:30:00:0a"
HOME = "64a1b2c3d4e5f60718293a4b"
MINUTE, DAY = 60.0, 86_400.0

type Shown = list[dict[str, Any]]


async def shown(
    client: ClientSessionGenerator,
    since: float | None = None,
    until: float | None = None,
    calendar: str = CALENDAR,
) -> Shown:
    """Return what the calendar's page shows of a time span, by default since a minute ago."""
    begin = _now() - MINUTE if since is None else since
    span = {"start": _iso(begin), "end": _iso(_now() + DAY if until is None else until)}
    answer = await (await client()).get(f"/api/calendars/{calendar}", params=span)
    assert answer.status == 200
    found: Shown = await answer.json()
    return found


def seconds(event: dict[str, Any]) -> float:
    """Return how long an event lasts."""
    start, end = (datetime.fromisoformat(event[name]["dateTime"]) for name in ("start", "end"))
    return (end - start).total_seconds()


def listed(time: float, *more: tuple[str, float], bridge: str = BRIDGE) -> Event:
    """Return a call as the cloud lists it; `more` are parts and their seconds after the ring."""
    parts = [("incoming_call", 0.0), *more]
    return Event(
        id=f"event-{time}",
        type="outdoor",
        time=time,
        module_id=bridge,
        parts=tuple(
            Event(id=f"{kind}-{time}", type=kind, time=time + after, session_id=f"session-{time}")
            for kind, after in parts
        ),
    )


async def add_listed(hass: HomeAssistant, *events: Event) -> None:
    """Add calls of the cloud's list to the history."""
    await get_entry(hass).runtime_data.history.async_add_events(events)


def missed_call(call_id: str, time: float) -> CallRecord:
    """Return a missed call at the intercom."""
    home = Location(module_id=BRIDGE, name="Classe 300X", home_id=HOME, home_name="Casa")
    return CallRecord(
        id=call_id, session=call_id, bridge_id=BRIDGE, time=time, outcome="missed", location=home
    )


async def set_options(hass: HomeAssistant, **options: Any) -> None:
    """Reload the account with other options."""
    hass.config_entries.async_update_entry(get_entry(hass), options=options)
    await reload_entry(hass, get_entry(hass))
    await wait_online(get_entry(hass))


async def use_italian(hass: HomeAssistant) -> None:
    """Set Home Assistant's language."""
    translation.async_setup(hass)  # as at a start of Home Assistant
    await hass.config.async_update(language="it")
    await hass.async_block_till_done()


def _now() -> float:
    return datetime.now(UTC).timestamp()


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat()


@pytest.mark.usefixtures("freezer", "online_entry")
async def test_calls_are_events(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
) -> None:
    """Events have outcome, location, duration and who answered, but not the home's position."""
    missed = simulator.ring(STREET)
    await wait_frames(hass, 3)
    await advance(hass, freezer, 28)
    simulator.miss(missed)
    await wait_frames(hass, 4)
    answered = simulator.ring(YARD)
    await wait_frames(hass, 6)
    simulator.answer_elsewhere(answered)
    await wait_frames(hass, 8)
    await advance(hass, freezer, 80)
    simulator.hang_up(answered)
    await wait_frames(hass, 9)
    first, second = await shown(hass_client, _now() - 5 * MINUTE)
    assert first["summary"] == "Missed · Posto esterno strada"
    assert first["description"] == "Nobody answered."
    assert round(seconds(first)) == 28
    assert second["summary"] == "Answered · Posto esterno cortile"
    assert second["description"] == (
        "Answered on a phone or at the indoor unit. Ended on a phone or by the intercom. "
        "Talked for 1 min 20 s."
    )
    assert seconds(second) == 80
    assert first["location"] is second["location"] is None
    ids = {call.id for call in await calls_of(hass)}
    assert {first["uid"], second["uid"]} < ids
    assert missed.session_id not in str(first)


@pytest.mark.usefixtures("online_entry")
async def test_language_and_device_names(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, simulator: Simulator
) -> None:
    """Events use Home Assistant's language and the user's name of the panel."""
    await use_italian(hass)
    registry, entry = dr.async_get(hass), get_entry(hass)
    panel = simulator.house.find(STREET).id
    device = registry.async_get_device_by_identifier((DOMAIN, panel), entry.entry_id)
    assert device is not None
    registry.async_update_device(device.id, name_by_user="Cancelletto")
    call = simulator.ring(STREET)
    simulator.answer_elsewhere(call)
    simulator.hang_up(call)
    await wait_frames(hass, 6)
    (event,) = await shown(hass_client)
    assert event["summary"] == "Risposta · Cancelletto"
    assert event["description"].startswith("Risposta da un telefono o dal posto interno. ")
    assert event["description"].endswith(" Conversazione di 0 s.")


async def test_name_in_the_language_of_home_assistant(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """The calendar's name is translated."""
    del simulator
    await use_italian(hass)
    await sign_in(hass, credentials)
    state = hass.states.get("calendar.chiamate_di_casa")
    assert state is not None
    assert state.attributes["friendly_name"] == "Chiamate di Casa"


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("house_name", ["easykit_three_panels"])
async def test_ring_of_an_unknown_panel(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, simulator: Simulator
) -> None:
    """It is shown at the intercom."""
    simulator.miss(simulator.ring())
    await wait_frames(hass, 3)
    (event,) = await shown(hass_client)
    assert event["summary"] == "Missed · EasyKit"


@pytest.mark.usefixtures("freezer", "online_entry")
async def test_call_in_progress(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
) -> None:
    """The call is an event from the ring on; the state stays off, as Activity would list it."""
    call = simulator.ring(STREET)
    await wait_frames(hass, 3)
    (event,) = await shown(hass_client)
    assert event["summary"] == "Ringing · Posto esterno strada"
    assert state_of(hass, CALENDAR) == "off"
    simulator.answer_elsewhere(call)
    await wait_frames(hass, 5)
    await advance(hass, freezer, 31)
    (event,) = await shown(hass_client)
    assert event["summary"] == "Answered · Posto esterno strada"
    assert seconds(event) > 31
    assert state_of(hass, CALENDAR) == "off"


@pytest.mark.usefixtures("online_entry")
async def test_duration_of_listed_calls(
    hass: HomeAssistant, hass_client: ClientSessionGenerator
) -> None:
    """Events have a duration if the list has no end, or one in the same second."""
    now = int(_now())
    await add_listed(
        hass,
        listed(now - 300.0),
        listed(now - 200.0, ("missed_call", 0.0)),
        listed(now - 100.0, ("accepted_call", 10.0)),
    )
    events = await shown(hass_client, now - 400)
    found = [(event["summary"], seconds(event)) for event in events]
    assert found == [
        ("Ended · Classe 300X", 30),
        ("Missed · Classe 300X", 1),
        ("Answered · Classe 300X", 40),
    ]


@pytest.mark.usefixtures("online_entry")
async def test_calls_in_a_time_span(
    hass: HomeAssistant, hass_client: ClientSessionGenerator
) -> None:
    """A call that overlaps with the span is included, one that only touches it is not."""
    now = int(_now())
    calls = [listed(now - 100.0 * n, ("missed_call", 20.0)) for n in range(1, 6)]
    await add_listed(hass, *calls)

    async def between(since: float, until: float) -> list[float]:
        events = await shown(hass_client, since, until)
        starts = [datetime.fromisoformat(each["start"]["dateTime"]) for each in events]
        return [now - each.timestamp() for each in starts]

    assert await between(now - 500, now) == [500, 400, 300, 200, 100]
    assert await between(now - 390, now - 200) == [400, 300]
    assert await between(now - 380, now - 200) == [300]
    assert await between(now - 380, now - 199) == [300, 200]


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("house_name", ["two_homes"])
async def test_one_calendar_for_each_home(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, simulator: Simulator
) -> None:
    """Calls are only in the calendar of their home."""
    simulator.ring("Cancello")
    await wait_frames(hass, 3)
    simulator.ring(STREET)
    await wait_frames(hass, 5)
    (here,) = await shown(hass_client)
    (there,) = await shown(hass_client, calendar=BY_THE_SEA)
    assert here["summary"] == "Ringing · Cancello (Casa)"
    assert there["summary"] == "Ringing · Posto esterno strada"


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("house_name", ["two_homes"])
async def test_excluded_home(hass: HomeAssistant) -> None:
    """Its calendar is removed, and added again with the home."""
    await set_options(hass, excluded_homes=[SEASIDE])
    assert hass.states.async_entity_ids("calendar") == [CALENDAR]
    assert er.async_get(hass).async_get(BY_THE_SEA) is None
    await set_options(hass)
    assert state_of(hass, BY_THE_SEA) == "off"


async def test_new_home(
    hass: HomeAssistant,
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    credentials: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A calendar is added once, after the homes were requested."""
    simulator.use_house("classe_100x")
    await sign_in(hass, credentials)
    simulator.use_house(two_homes)
    for _ in range(3):
        await poll(hass, freezer, timedelta(minutes=30))
    assert sorted(hass.states.async_entity_ids("calendar")) == [BY_THE_SEA, CALENDAR]
    assert "does not generate unique IDs" not in caplog.text


@pytest.mark.usefixtures("online_entry")
async def test_no_calendar_without_a_history(hass: HomeAssistant) -> None:
    """The calendar is removed if no calls are kept."""
    assert state_of(hass, CALENDAR) == "off"
    await set_options(hass, history={"keep": False})
    assert hass.states.async_entity_ids("calendar") == []
    assert er.async_get(hass).async_get(CALENDAR) is None


@pytest.mark.usefixtures("online_entry")
async def test_renamed_and_restarted(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, simulator: Simulator
) -> None:
    """A renamed calendar is updated, and shows earlier calls."""
    er.async_get(hass).async_update_entity(CALENDAR, new_entity_id="calendar.door")
    await hass.async_block_till_done()
    call = simulator.ring(STREET)
    await wait_frames(hass, 3)
    simulator.miss(call)
    await wait_frames(hass, 4)
    assert state_of(hass, "calendar.door") == "off"
    await reload_entry(hass, get_entry(hass))
    (event,) = await shown(hass_client, calendar="calendar.door")
    assert event["summary"] == "Missed · Posto esterno strada"


async def test_dashboard_subscription(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator, hass_ws_client: Any
) -> None:
    """A dashboard that shows the calendar gets new calls."""
    assert events.recorded() == []
    page = await hass_ws_client()
    span = {"start": _iso(_now() - MINUTE), "end": _iso(_now() + DAY)}
    subscribe = {"id": 1, "type": "calendar/event/subscribe", "entity_id": CALENDAR}
    await page.send_json(subscribe | span)
    assert (await page.receive_json())["success"]
    assert (await page.receive_json())["event"]["events"] == []
    simulator.ring(STREET)
    await wait_frames(hass, 3)
    (event,) = (await page.receive_json())["event"]["events"]
    assert event["summary"] == "Ringing · Posto esterno strada"


@pytest.mark.usefixtures("online_entry")
async def test_ten_thousand_calls(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> None:
    """The event loop is not blocked; a day has only its own calls."""
    entry, now = get_entry(hass), float(int(_now()))
    await set_options(hass, history={"days": 400, "calls": 10_000})
    await hass.config_entries.async_unload(entry.entry_id)
    calls = tuple(missed_call(f"call-{n}", now - 3000.0 * n) for n in reversed(range(10_000)))
    await fill(hass, *calls, tracking_since=now)
    await reload_entry(hass, entry)
    entity: Any = hass.data["calendar"].get_entity(CALENDAR)
    span = (datetime.fromtimestamp(now - 400 * DAY, UTC), datetime.fromtimestamp(now + DAY, UTC))
    turns, search = 0, asyncio.ensure_future(entity.async_get_events(hass, *span))
    while not search.done():
        turns += 1
        await asyncio.sleep(0)
    # Above the limit, half a percent is deleted at once.
    assert len(await search) > 9_940
    assert turns > 1, "the event loop was blocked"
    assert len(await shown(hass_client, now - DAY, now)) == 29


@pytest.mark.usefixtures("online_entry")
async def test_call_while_clocks_are_put_back(
    hass: HomeAssistant, hass_client: ClientSessionGenerator
) -> None:
    """The event has no duration, and hides no other event."""
    entry = get_entry(hass)
    await set_options(hass, history={"days": 3650})
    await hass.config_entries.async_unload(entry.entry_id)
    last_second = datetime(2026, 11, 1, 8, 59, 44, tzinfo=UTC).timestamp()
    await fill(hass, missed_call("call", last_second), tracking_since=last_second)
    await reload_entry(hass, entry)
    (event,) = await shown(hass_client, last_second - DAY, last_second + DAY)
    assert event["start"]["dateTime"] == "2026-11-01T01:59:44-07:00"
    assert seconds(event) == 0
