"""Actions of the history: export and deletion of calls."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeassistant.auth.models import Group
from homeassistant.core import Context
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from homeassistant.util.yaml import parse_yaml
import pytest
from pytest_homeassistant_custom_component.common import (
    MockUser,
    async_mock_service,
)

from custom_components.bticino_classe.const import DOMAIN
from tests.integration.conftest import (
    device_id_of,
    get_entry,
    reload_entry,
    state_of,
    time_of_last_call,
    wait_frames,
    wait_idle,
    wait_online,
)
from tests.integration.history.stored import calls_of, pictures_of
from tests.integration.history.test_calendar import add_listed, listed, set_options
from tests.simulator.houses import SEASIDE

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.auth.models import User
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.simulator import Simulator

STREET, YARD, INTERCOM = "Posto esterno strada", "Posto esterno cortile", "Classe 300X"
MISSED = "sensor.classe_300x_missed_calls"
OUTCOME = "sensor.classe_300x_last_call"
CALENDAR = "calendar.casa_calls"
DAY = 86_400.0
DOCS = Path(__file__).parents[3] / "docs"

type Exported = list[dict[str, Any]]


async def export(hass: HomeAssistant, user: User | None = None, **data: Any) -> Exported:
    """Export calls, by default those of the last ten minutes."""
    context = Context(user_id=user.id if user else None)
    data.setdefault("start", dt_util.now() - timedelta(minutes=10))
    answer = await hass.services.async_call(
        DOMAIN, "export_calls", data, blocking=True, context=context, return_response=True
    )
    assert answer is not None
    calls: Any = answer["calls"]
    return list(calls)


async def delete(hass: HomeAssistant, user: User | None = None, **data: Any) -> None:
    """Delete calls, and wait until the states are updated."""
    context = Context(user_id=user.id if user else None)
    await hass.services.async_call(DOMAIN, "delete_calls", data, blocking=True, context=context)
    await wait_idle(hass)


async def three_calls(hass: HomeAssistant, simulator: Simulator) -> tuple[str, ...]:
    """Let two calls be missed and one be answered, with pictures; returns their ids."""
    for panel in (STREET, YARD):
        simulator.miss(simulator.ring(panel))
    call = simulator.ring(STREET)
    simulator.answer_elsewhere(call)
    simulator.hang_up(call)
    await wait_frames(hass, 12)
    await wait_idle(hass)
    return tuple(call.id for call in (await calls_of(hass))[-3:])


async def restart_and_catch_up(hass: HomeAssistant) -> None:
    """Restart, and wait until the cloud's list was read."""
    await reload_entry(hass, get_entry(hass))
    await wait_online(get_entry(hass))


async def refused_deletion(hass: HomeAssistant, **data: Any) -> str | None:
    """Return the translation key of the error with which a deletion is refused."""
    with pytest.raises(ServiceValidationError) as caught:
        await delete(hass, **data)
    return caught.value.translation_key


@pytest.mark.usefixtures("freezer", "online_entry")
async def test_export_of_all_fields(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, simulator: Simulator
) -> None:
    """Calls have times with their zone, who answered and ended them, and picture paths."""
    begin = dt_util.now()
    simulator.miss(simulator.ring(STREET))
    await wait_frames(hass, 4)
    call = simulator.ring(YARD, vignette=False)
    await wait_frames(hass, 6)
    simulator.answer_elsewhere(call)
    await wait_frames(hass, 8)
    freezer.tick(12.4)
    simulator.hang_up(call)
    await wait_frames(hass, 9)
    await wait_idle(hass)
    missed, answered = await export(hass)
    ids = [each.id for each in (await calls_of(hass))[-2:]]
    path = f"/api/bticino_classe/picture/{get_entry(hass).entry_id}"
    assert missed == {
        "id": ids[0],
        "home": "Casa",
        "panel": STREET,
        "start": missed["start"],
        "end": missed["start"],
        "outcome": "missed",
        "answered_by": None,
        "ended_by": None,
        "duration": None,
        "pictures": [f"{path}/{ids[0]}/snapshot.jpg", f"{path}/{ids[0]}/vignette.jpg"],
    }
    start = dt_util.parse_datetime(missed["start"], raise_on_error=True)
    assert abs(start - begin) < timedelta(seconds=2)
    assert start.utcoffset() == begin.utcoffset()
    assert answered | {"start": None, "end": None} == {
        "id": ids[1],
        "home": "Casa",
        "panel": YARD,
        "start": None,
        "end": None,
        "outcome": "answered",
        "answered_by": "elsewhere",
        "ended_by": "elsewhere",
        "duration": 12,
        "pictures": [f"{path}/{ids[1]}/snapshot.jpg"],
    }


@pytest.mark.usefixtures("online_entry")
async def test_exported_paths_lead_to_the_pictures(
    hass: HomeAssistant, simulator: Simulator, hass_client: ClientSessionGenerator
) -> None:
    """A signed-in user can load the pictures."""
    await three_calls(hass, simulator)
    client = await hass_client()
    for call in await export(hass):
        assert len(call["pictures"]) == 2
        for path in call["pictures"]:
            answer = await client.get(path)
            assert (answer.status, answer.content_type) == (200, "image/jpeg")


@pytest.mark.usefixtures("online_entry")
async def test_export_of_a_span(hass: HomeAssistant) -> None:
    """The default is thirty days; calls that begin at the end are not included."""
    now = float(int(dt_util.utcnow().timestamp()))
    await add_listed(hass, *(listed(now - days * DAY) for days in (40, 29, 10, 3)))

    async def days(**span: float) -> list[int]:
        times = {
            name: dt_util.as_local(dt_util.utc_from_timestamp(now - back * DAY)).isoformat()
            for name, back in span.items()
        }
        answer = await hass.services.async_call(
            DOMAIN, "export_calls", times, blocking=True, return_response=True
        )
        calls: Any = (answer or {})["calls"]
        starts = [dt_util.parse_datetime(call["start"], raise_on_error=True) for call in calls]
        # The simulated house has a call from an hour ago.
        return [back for each in starts if (back := round((now - each.timestamp()) / DAY))]

    assert await days() == [29, 10, 3]
    assert await days(start=50) == [40, 29, 10, 3]
    assert await days(end=20) == [40, 29]
    assert await days(start=29, end=3) == [29, 10]
    assert await days(start=28.9, end=2.9) == [10, 3]


@pytest.mark.usefixtures("online_entry")
async def test_export_of_a_panel_and_of_an_intercom(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """The calls of an intercom are those of all its panels."""
    first, second, third = await three_calls(hass, simulator)

    async def ids(name: str) -> list[str]:
        return [call["id"] for call in await export(hass, device_id=device_id_of(hass, name))]

    assert await ids(STREET) == [first, third]
    assert await ids(YARD) == [second]
    assert await ids(INTERCOM) == [first, second, third]


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("house_name", ["two_homes"])
async def test_export_without_excluded_homes(hass: HomeAssistant, simulator: Simulator) -> None:
    """Each call names its home; calls of excluded homes are not exported."""
    simulator.miss(simulator.ring("Cancello"))
    simulator.miss(simulator.ring(STREET))
    await wait_frames(hass, 7)
    assert [call["home"] for call in await export(hass)] == ["Casa", "Casa al mare"]
    await set_options(hass, excluded_homes=[SEASIDE])
    assert [call["home"] for call in await export(hass)] == ["Casa"]


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize(
    ("policy", "count"),
    [
        ({"entities": True}, 3),
        ({"entities": {"all": {"read": True}}}, 3),
        ({"entities": {"entity_ids": {CALENDAR: {"read": True}}}}, 3),
        ({"entities": {"domains": {"light": True}}}, 0),
    ],
)
async def test_export_requires_access_to_the_calendar(
    hass: HomeAssistant, simulator: Simulator, policy: dict[str, Any], count: int
) -> None:
    """Users get the calls of the calendars that they may read."""
    await three_calls(hass, simulator)
    group = Group(name="Family", policy=policy)
    user = MockUser(groups=[group]).add_to_hass(hass)
    assert len(await export(hass, user)) == count


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize(
    "wrong", [{"config_entry_id": "unknown"}, {"device_id": "unknown"}, {"end": "2020-01-01 00:00"}]
)
async def test_export_with_invalid_data(hass: HomeAssistant, wrong: dict[str, Any]) -> None:
    """The error is translated."""
    with pytest.raises(ServiceValidationError) as caught:
        await export(hass, **wrong)
    assert caught.value.translation_key is not None


@pytest.mark.usefixtures("online_entry")
async def test_no_export_without_a_history(hass: HomeAssistant, simulator: Simulator) -> None:
    """Calls in memory cannot be exported, but can be deleted."""
    await set_options(hass, history={"keep": False})
    simulator.miss(simulator.ring(STREET))
    await wait_frames(hass, 4)
    with pytest.raises(ServiceValidationError) as caught:
        await export(hass)
    assert caught.value.translation_key == "no_history"
    assert state_of(hass, MISSED) == "1"
    await delete(hass, all=True)
    assert state_of(hass, MISSED) == "0"


@pytest.mark.usefixtures("online_entry")
async def test_deletion_of_single_calls(hass: HomeAssistant, simulator: Simulator) -> None:
    """Deleted calls and pictures do not return with the cloud's list."""
    first, second, third = await three_calls(hass, simulator)
    assert (state_of(hass, MISSED), state_of(hass, OUTCOME)) == ("2", "answered")
    assert len(await pictures_of(hass)) == 6
    when = time_of_last_call(hass)
    await delete(hass, call_id=third)
    assert (state_of(hass, MISSED), state_of(hass, OUTCOME)) == ("2", "missed")
    assert time_of_last_call(hass) <= when
    await delete(hass, call_id=[first])
    assert state_of(hass, MISSED) == "1"
    assert len(await pictures_of(hass)) == 2
    assert [call["id"] for call in await export(hass)] == [second]
    await restart_and_catch_up(hass)
    assert [call["id"] for call in await export(hass)] == [second]
    assert (state_of(hass, MISSED), state_of(hass, OUTCOME)) == ("1", "missed")
    assert len(await pictures_of(hass)) == 2


@pytest.mark.usefixtures("online_entry")
async def test_deletion_during_a_call(hass: HomeAssistant, simulator: Simulator) -> None:
    """Later pushes do not restore the call."""
    call = simulator.ring(STREET)
    await wait_frames(hass, 3)
    await delete(hass, call_id=(await calls_of(hass))[-1].id)
    simulator.miss(call)
    await wait_frames(hass, 4)
    await wait_idle(hass)
    assert await export(hass) == []
    assert state_of(hass, MISSED) == "0"
    assert len(await pictures_of(hass)) == 0


@pytest.mark.usefixtures("freezer", "online_entry")
async def test_deletion_of_all_calls(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, simulator: Simulator
) -> None:
    """All pictures are deleted too; the next ring is stored."""
    await three_calls(hass, simulator)
    await delete(hass, all=True, config_entry_id=get_entry(hass).entry_id)
    assert (state_of(hass, MISSED), state_of(hass, OUTCOME)) == ("0", "unknown")
    assert len(await pictures_of(hass)) == 0
    await restart_and_catch_up(hass)
    assert await calls_of(hass) == []
    assert len(await pictures_of(hass)) == 0
    freezer.tick(1)
    simulator.miss(simulator.ring(STREET))
    await wait_frames(hass, 4)
    assert state_of(hass, OUTCOME) == "missed"


@pytest.mark.usefixtures("online_entry")
async def test_refused_deletions(hass: HomeAssistant, simulator: Simulator) -> None:
    """Incomplete and contradictory requests delete nothing."""
    first, *_ = await three_calls(hass, simulator)
    assert await refused_deletion(hass) == "calls_or_all"
    assert await refused_deletion(hass, all=False) == "calls_or_all"
    assert await refused_deletion(hass, call_id=[]) == "calls_or_all"
    assert await refused_deletion(hass, call_id=first, all=True) == "calls_or_all"
    assert await refused_deletion(hass, call_id=[first, "unknown"]) == "call_unknown"
    assert await refused_deletion(hass, all=True, config_entry_id="unknown") is not None
    assert len(await export(hass)) == 3
    assert len(await pictures_of(hass)) == 6


@pytest.mark.usefixtures("online_entry")
async def test_deletion_requires_an_administrator(
    hass: HomeAssistant, simulator: Simulator, hass_read_only_user: User
) -> None:
    """Other users may only export."""
    first, *_ = await three_calls(hass, simulator)
    for order in ({"call_id": first}, {"all": True}):
        with pytest.raises(Unauthorized):
            await delete(hass, hass_read_only_user, **order)
    assert len(await export(hass, hass_read_only_user)) == 3


@pytest.mark.usefixtures("online_entry")
async def test_account_that_is_not_loaded(hass: HomeAssistant) -> None:
    """The actions fail if no account is loaded."""
    await hass.config_entries.async_unload(get_entry(hass).entry_id)
    assert await refused_deletion(hass, all=True) == "no_account"
    with pytest.raises(HomeAssistantError):
        await export(hass)


@pytest.mark.usefixtures("online_entry")
async def test_calls_missed_in_a_gap(hass: HomeAssistant, simulator: Simulator) -> None:
    """After a gap, the sensors show the calls of the cloud's list."""
    simulator.sockets.handshake_status = 503
    simulator.drop_connections()
    await wait_idle(hass)
    simulator.miss(simulator.ring(STREET))
    assert state_of(hass, MISSED) == "0"
    simulator.sockets.handshake_status = None
    await restart_and_catch_up(hass)
    assert (state_of(hass, MISSED), state_of(hass, OUTCOME)) == ("1", "missed")


async def run_example(hass: HomeAssistant, name: str, **variables: Any) -> None:
    """Run the actions of the documented example that contains a text."""
    text = await hass.async_add_executor_job((DOCS / "automations.md").read_text)
    (block,) = [part for part in text.split("```yaml")[1:] if name in part.split("```")[0]]
    example: Any = parse_yaml(block.split("```")[0])
    sequence = example.get("actions") or example.get("sequence") or [example]
    script = {"script": {"example": {"sequence": sequence}}}
    assert await async_setup_component(hass, "script", script)
    await hass.services.async_call("script", "example", variables, blocking=True)
    await wait_idle(hass)


@pytest.mark.usefixtures("online_entry")
async def test_documented_summary_of_the_week(hass: HomeAssistant, simulator: Simulator) -> None:
    """The notification counts the calls, and lists the missed ones."""
    messages = async_mock_service(hass, "notify", "mobile_app_phone")
    await three_calls(hass, simulator)
    await run_example(hass, "alias: Last week at the door")
    summary, *calls = messages[0].data["message"].splitlines()
    # The simulated house has a call from an hour ago at an unknown panel.
    assert summary == "4 rings, 3 missed."
    assert [line.split(" ", 2)[2] for line in calls] == ["door", STREET, YARD]


@pytest.mark.usefixtures("online_entry")
async def test_documented_picture(hass: HomeAssistant, simulator: Simulator) -> None:
    """The notification shows the newest picture."""
    messages = async_mock_service(hass, "notify", "mobile_app_phone")
    *_, third = await three_calls(hass, simulator)
    await run_example(hass, 'image: "{{ seen')
    assert messages[0].data["message"].startswith(f"{STREET}, ")
    assert messages[0].data["data"]["image"].endswith(f"/{third}/snapshot.jpg")


@pytest.mark.usefixtures("online_entry")
async def test_documented_deletion_for_a_panel(hass: HomeAssistant, simulator: Simulator) -> None:
    """The calls of one panel are deleted."""
    first, _, third = await three_calls(hass, simulator)
    trigger = {"entity_id": "event.posto_esterno_cortile_call"}
    await run_example(hass, "alias: Forget calls at the yard", trigger=trigger)
    assert [call["id"] for call in await export(hass)] == [first, third]


@pytest.mark.usefixtures("online_entry")
async def test_documented_deletion_of_all_calls(hass: HomeAssistant, simulator: Simulator) -> None:
    """All calls are deleted."""
    await three_calls(hass, simulator)
    await run_example(hass, "  all: true")
    assert await export(hass) == []
