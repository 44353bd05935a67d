"""Delete calls: those of a period, of a panel or of an intercom."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from homeassistant.exceptions import Unauthorized
from homeassistant.util import dt as dt_util
import pytest
import voluptuous as vol

from custom_components.bticino_classe.history.records import session_hash
from tests.integration.conftest import device_id_of, get_entry, state_of, wait_frames
from tests.integration.history.stored import calls_of, pictures_of
from tests.integration.history.test_calendar import (
    CALENDAR,
    DAY,
    add_listed,
    listed,
    set_options,
    shown,
)
from tests.integration.history.test_call_actions import (
    INTERCOM,
    MISSED,
    OUTCOME,
    STREET,
    YARD,
    delete,
    export,
    refused_deletion,
    restart_and_catch_up,
    three_calls,
)
from tests.simulator.houses import SEASIDE

if TYPE_CHECKING:
    from homeassistant.auth.models import User
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.simulator import Simulator

ROME = ZoneInfo("Europe/Rome")
DAYS_AGO = (400, 40, 29, 10, 3)  # when the calls of the list began


async def add_old_calls(hass: HomeAssistant) -> float:
    """Add calls of the cloud's list; returns the time from which their age counts."""
    now = float(int(dt_util.utcnow().timestamp()))
    await set_options(hass, history={"days": 500})
    await add_listed(hass, *(listed(now - days * DAY) for days in DAYS_AGO))
    return now


async def ages(hass: HomeAssistant, now: float) -> list[int]:
    """Return how many days ago the stored calls began, without the one from an hour ago."""
    return [age for call in await calls_of(hass) if (age := round((now - call.time) / DAY))]


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize(
    ("span", "left"),
    [
        ({"start": 500}, []),
        ({"start": 29}, [400, 40]),
        ({"start": 28.9}, [400, 40, 29]),
        ({"end": 20}, [10, 3]),
        ({"end": 40}, [40, 29, 10, 3]),
        ({"end": 399}, [40, 29, 10, 3]),
        ({"start": 29, "end": 3}, [400, 40, 3]),
        ({"start": 28.9, "end": 2.9}, [400, 40, 29]),
        ({"start": 9, "end": 4}, [400, 40, 29, 10, 3]),
    ],
)
async def test_deletion_of_a_period(
    hass: HomeAssistant, span: dict[str, float], left: list[int]
) -> None:
    """From the start until before the end; without a start or an end, there is no limit."""
    now = await add_old_calls(hass)
    times: dict[str, Any] = {
        name: dt_util.as_local(dt_util.utc_from_timestamp(now - back * DAY)).isoformat()
        for name, back in span.items()
    }
    await delete(hass, **times)
    assert await ages(hass, now) == left


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize(
    ("hour", "is_deleted"), [(0, True), (1, True), (3, True), (4, False), (23, False)]
)
@pytest.mark.parametrize("day", ["2025-10-26", "2026-03-29", "2026-07-01"])
async def test_times_are_those_of_the_house(
    hass: HomeAssistant, day: str, hour: int, is_deleted: bool
) -> None:
    """Also on the days on which the clocks change."""
    await hass.config.async_set_time_zone("Europe/Rome")
    await set_options(hass, history={"days": 3650})
    began = datetime.fromisoformat(f"{day} {hour:02}:00:00").replace(tzinfo=ROME).timestamp()
    await add_listed(hass, listed(began))
    await delete(hass, start=f"{day} 00:00:00", end=f"{day} 04:00:00")
    assert (began in {call.time for call in await calls_of(hass)}) is not is_deleted


@pytest.mark.usefixtures("online_entry")
async def test_deletion_at_a_device(hass: HomeAssistant, simulator: Simulator) -> None:
    """The calls of an intercom are those of all its panels, however old they are."""
    now = await add_old_calls(hass)
    first, second, third = await three_calls(hass, simulator)
    await delete(hass, device_id=device_id_of(hass, STREET))
    assert [call["id"] for call in await export(hass)] == [second]
    assert await ages(hass, now) == [*DAYS_AGO]
    await delete(hass, device_id=device_id_of(hass, INTERCOM))
    assert await calls_of(hass) == []
    assert await pictures_of(hass) == []
    await restart_and_catch_up(hass)
    assert {first, second, third}.isdisjoint(call.id for call in await calls_of(hass))


@pytest.mark.usefixtures("online_entry")
async def test_device_and_period(hass: HomeAssistant, simulator: Simulator) -> None:
    """Both have to match."""
    first, second, third = await three_calls(hass, simulator)
    street, begin = device_id_of(hass, STREET), dt_util.now() - timedelta(minutes=10)
    await delete(hass, device_id=street, end=begin)
    await delete(hass, device_id=street, start=dt_util.now() + timedelta(minutes=10))
    assert [call["id"] for call in await export(hass)] == [first, second, third]
    await delete(hass, device_id=device_id_of(hass, YARD), start=begin)
    assert [call["id"] for call in await export(hass)] == [first, third]


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("device", [None, STREET, INTERCOM])
async def test_what_is_exported_is_deleted(
    hass: HomeAssistant, simulator: Simulator, device: str | None
) -> None:
    """The export with the same fields shows beforehand what will be deleted."""
    await three_calls(hass, simulator)
    data: dict[str, Any] = {"start": dt_util.now() - timedelta(minutes=10)}
    if device is not None:
        data["device_id"] = device_id_of(hass, device)
    before = {call.id for call in await calls_of(hass)}
    exported = {call["id"] for call in await export(hass, **data)}
    assert exported
    await delete(hass, **data)
    assert {call.id for call in await calls_of(hass)} == before - exported


@pytest.mark.usefixtures("online_entry")
async def test_everything_follows(
    hass: HomeAssistant, simulator: Simulator, hass_client: ClientSessionGenerator
) -> None:
    """Missed calls, last call, calendar and pictures; nothing returns with the cloud's list."""
    start = dt_util.now() - timedelta(minutes=10)
    await three_calls(hass, simulator)
    client = await hass_client()
    paths = [path for call in await export(hass) for path in call["pictures"]]
    assert (state_of(hass, MISSED), state_of(hass, OUTCOME)) == ("2", "answered")
    assert len(await shown(hass_client)) == 3
    await delete(hass, start=start)
    for _ in range(2):
        assert state_of(hass, MISSED) == "0"
        assert await pictures_of(hass) == []
        assert await export(hass) == []
        assert await shown(hass_client) == []
        assert {(await client.get(path)).status for path in paths} == {404}
        await restart_and_catch_up(hass)


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("keep", [True, False])
async def test_deletion_during_a_call(
    hass: HomeAssistant, simulator: Simulator, keep: bool
) -> None:
    """Later pushes do not restore the call, whether calls are stored or kept in memory."""
    await set_options(hass, history={"keep": keep})
    frames = get_entry(hass).runtime_data.push.socket.counters["frames"]
    call = simulator.ring(STREET)
    await wait_frames(hass, frames + 2)
    assert state_of(hass, "binary_sensor.posto_esterno_strada_bell") == "on"
    await delete(hass, start=dt_util.now() - timedelta(minutes=1))
    simulator.miss(call)
    await wait_frames(hass, frames + 3)
    assert state_of(hass, MISSED) == "0"
    assert session_hash(call.session_id) not in {each.session for each in await calls_of(hass)}
    if keep:
        assert state_of(hass, CALENDAR) == "off"


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("house_name", ["two_homes"])
async def test_calls_of_excluded_homes(hass: HomeAssistant, simulator: Simulator) -> None:
    """A period has none left, also not of a home that is left out; a device only its own."""
    simulator.miss(simulator.ring("Cancello"))
    simulator.miss(simulator.ring(STREET))
    await wait_frames(hass, 7)
    start = dt_util.now() - timedelta(minutes=10)
    await set_options(hass, excluded_homes=[SEASIDE])
    await delete(hass, device_id=device_id_of(hass, "Classe 100X"), start=start)
    assert len([call for call in await calls_of(hass) if call.time > start.timestamp()]) == 1
    await delete(hass, start=start)
    assert [call for call in await calls_of(hass) if call.time > start.timestamp()] == []


@pytest.mark.usefixtures("online_entry")
async def test_refused_selections(hass: HomeAssistant, simulator: Simulator) -> None:
    """Contradictory and impossible ones delete nothing."""
    first, *_ = await three_calls(hass, simulator)
    now, street = dt_util.now(), device_id_of(hass, STREET)
    past = now - timedelta(minutes=10)
    for more in ({"start": past}, {"end": now}, {"device_id": street}):
        assert await refused_deletion(hass, call_id=[], **more) == "calls_or_all"
        assert await refused_deletion(hass, call_id=first, **more) == "calls_or_all"
        assert await refused_deletion(hass, all=True, **more) == "calls_or_all"
    assert await refused_deletion(hass, start=now, end=past) == "end_before_start"
    assert await refused_deletion(hass, start=past, end=past) == "end_before_start"
    for wrong in ("unknown", ""):
        assert await refused_deletion(hass, device_id=wrong) is not None
        assert await refused_deletion(hass, device_id=wrong, start=past) is not None
    assert await refused_deletion(hass, start=past, config_entry_id="unknown") is not None
    assert len(await export(hass)) == 3
    assert len(await pictures_of(hass)) == 6


@pytest.mark.usefixtures("online_entry")
async def test_selection_requires_an_administrator(
    hass: HomeAssistant, simulator: Simulator, hass_read_only_user: User
) -> None:
    """Other users may only export."""
    await three_calls(hass, simulator)
    for order in ({"end": dt_util.now()}, {"device_id": device_id_of(hass, STREET)}):
        with pytest.raises(Unauthorized):
            await delete(hass, hass_read_only_user, **order)
    assert len(await export(hass)) == 3


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("wrong", [{"start": "yesterday"}, {"end": "25:00"}, {"device_id": {}}])
async def test_malformed_selection(
    hass: HomeAssistant, simulator: Simulator, wrong: dict[str, Any]
) -> None:
    """A mistake in one field must not make the others decide alone."""
    await three_calls(hass, simulator)
    with pytest.raises(vol.Invalid, match=next(iter(wrong))):
        await delete(hass, **{"start": dt_util.now() - timedelta(days=1), **wrong})
    assert len(await export(hass)) == 3
