"""Actions of the history: calls are handed out, and deleted for good."""

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
from tests.integration.conftest import heard, online, restart, settle, state_of, the_entry
from tests.integration.history.stored import calls_of, pictures_of
from tests.integration.history.test_calendar import choose, listed, remember
from tests.integration.test_services import device
from tests.simulator.houses import SEASIDE

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.auth.models import User
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.simulator import Simulator

STREET, YARD, INTERCOM = "Posto esterno strada", "Posto esterno cortile", "Classe 300X"
MISSED = "sensor.classe_300x_missed_calls"
LAST, OUTCOME = "sensor.classe_300x_last_call", "sensor.classe_300x_outcome_of_the_last_call"
CALENDAR = "calendar.casa_calls"
DAY = 86_400.0
DOCS = Path(__file__).parents[3] / "docs"

type Exported = list[dict[str, Any]]


async def export(hass: HomeAssistant, user: User | None = None, **data: Any) -> Exported:
    """Ask for calls; those of the last ten minutes unless told."""
    context = Context(user_id=user.id if user else None)
    data.setdefault("start", dt_util.now() - timedelta(minutes=10))
    answer = await hass.services.async_call(
        DOMAIN, "export_calls", data, blocking=True, context=context, return_response=True
    )
    assert answer is not None
    calls: Any = answer["calls"]
    return list(calls)


async def delete(hass: HomeAssistant, user: User | None = None, **data: Any) -> None:
    """Delete calls, and wait until all that comes of it is done."""
    context = Context(user_id=user.id if user else None)
    await hass.services.async_call(DOMAIN, "delete_calls", data, blocking=True, context=context)
    await settle(hass)


async def three_calls(hass: HomeAssistant, simulator: Simulator) -> tuple[str, ...]:
    """Let two calls be missed and one be answered, with pictures; returns their ids."""
    for panel in (STREET, YARD):
        simulator.miss(simulator.ring(panel))
    call = simulator.ring(STREET)
    simulator.answer_elsewhere(call)
    simulator.hang_up(call)
    await heard(hass, 12)
    await settle(hass)
    return tuple(call.id for call in (await calls_of(hass))[-3:])


async def come_back(hass: HomeAssistant) -> None:
    """Start anew: the cloud lists its calls again."""
    await restart(hass, the_entry(hass))
    await online(the_entry(hass))


async def refusal(hass: HomeAssistant, **data: Any) -> str | None:
    """Return the key of the text with which a deletion is refused."""
    with pytest.raises(ServiceValidationError) as caught:
        await delete(hass, **data)
    return caught.value.translation_key


@pytest.mark.usefixtures("freezer", "bell")
async def test_export_tells_all_there_is(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, simulator: Simulator
) -> None:
    """Times with their zone, who did what, and where the pictures are."""
    begin = dt_util.now()
    simulator.miss(simulator.ring(STREET))
    await heard(hass, 4)
    call = simulator.ring(YARD, vignette=False)
    await heard(hass, 6)
    simulator.answer_elsewhere(call)
    await heard(hass, 8)
    freezer.tick(12.4)
    simulator.hang_up(call)
    await heard(hass, 9)
    await settle(hass)
    missed, answered = await export(hass)
    ids = [each.id for each in (await calls_of(hass))[-2:]]
    path = f"/api/bticino_classe/picture/{the_entry(hass).entry_id}"
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
        "pictures": [f"{path}/{ids[0]}/snapshot", f"{path}/{ids[0]}/vignette"],
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
        "pictures": [f"{path}/{ids[1]}/snapshot"],
    }


@pytest.mark.usefixtures("bell")
async def test_exported_paths_lead_to_the_pictures(
    hass: HomeAssistant, simulator: Simulator, hass_client: ClientSessionGenerator
) -> None:
    """For who is signed in."""
    await three_calls(hass, simulator)
    client = await hass_client()
    for call in await export(hass):
        assert len(call["pictures"]) == 2
        for path in call["pictures"]:
            answer = await client.get(path)
            assert (answer.status, answer.content_type) == (200, "image/jpeg")


@pytest.mark.usefixtures("bell")
async def test_export_of_a_span(hass: HomeAssistant) -> None:
    """The last thirty days unless told; what began at its end is not in it."""
    now = float(int(dt_util.utcnow().timestamp()))
    await remember(hass, *(listed(now - days * DAY) for days in (40, 29, 10, 3)))

    async def days(**span: float) -> list[int]:
        times = {
            name: dt_util.as_local(dt_util.utc_from_timestamp(now - back * DAY)).isoformat()
            for name, back in span.items()
        }
        answer = await hass.services.async_call(
            DOMAIN, "export_calls", times, blocking=True, return_response=True
        )
        calls: Any = (answer or {})["calls"]
        begun = [dt_util.parse_datetime(call["start"], raise_on_error=True) for call in calls]
        # The house itself remembers a call of an hour ago.
        return [back for each in begun if (back := round((now - each.timestamp()) / DAY))]

    assert await days() == [29, 10, 3]
    assert await days(start=50) == [40, 29, 10, 3]
    assert await days(end=20) == [40, 29]
    assert await days(start=29, end=3) == [29, 10]
    assert await days(start=28.9, end=2.9) == [10, 3]


@pytest.mark.usefixtures("bell")
async def test_export_of_a_panel_and_of_an_intercom(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """The intercom's are those of all its panels."""
    first, second, third = await three_calls(hass, simulator)

    async def ids(name: str) -> list[str]:
        return [call["id"] for call in await export(hass, device_id=device(hass, name))]

    assert await ids(STREET) == [first, third]
    assert await ids(YARD) == [second]
    assert await ids(INTERCOM) == [first, second, third]


@pytest.mark.usefixtures("bell")
@pytest.mark.parametrize("house_name", ["two_homes"])
async def test_export_without_the_homes_that_are_left_out(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """Each call names its home; what was rung at one that is not shown stays at home."""
    simulator.miss(simulator.ring("Cancello"))
    simulator.miss(simulator.ring(STREET))
    await heard(hass, 7)
    assert [call["home"] for call in await export(hass)] == ["Casa", "Casa al mare"]
    await choose(hass, excluded_homes=[SEASIDE])
    assert [call["home"] for call in await export(hass)] == ["Casa"]


@pytest.mark.usefixtures("bell")
@pytest.mark.parametrize(
    ("policy", "count"),
    [
        ({"entities": True}, 3),
        ({"entities": {"all": {"read": True}}}, 3),
        ({"entities": {"entity_ids": {CALENDAR: {"read": True}}}}, 3),
        ({"entities": {"domains": {"light": True}}}, 0),
    ],
)
async def test_export_is_for_who_may_see_the_calendar(
    hass: HomeAssistant, simulator: Simulator, policy: dict[str, Any], count: int
) -> None:
    """The calls are in it."""
    await three_calls(hass, simulator)
    group = Group(name="Family", policy=policy)
    user = MockUser(groups=[group]).add_to_hass(hass)
    assert len(await export(hass, user)) == count


@pytest.mark.usefixtures("bell")
@pytest.mark.parametrize(
    "wrong", [{"config_entry_id": "unknown"}, {"device_id": "unknown"}, {"end": "2020-01-01 00:00"}]
)
async def test_export_of_nonsense(hass: HomeAssistant, wrong: dict[str, Any]) -> None:
    """It is said, in words of the house."""
    with pytest.raises(ServiceValidationError) as caught:
        await export(hass, **wrong)
    assert caught.value.translation_key is not None


@pytest.mark.usefixtures("bell")
async def test_nothing_is_exported_where_nothing_is_kept(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """What is in memory for the doorbell's sake is not handed out, but can be deleted."""
    await choose(hass, history={"keep": False})
    simulator.miss(simulator.ring(STREET))
    await heard(hass, 4)
    with pytest.raises(ServiceValidationError) as caught:
        await export(hass)
    assert caught.value.translation_key == "no_history"
    assert state_of(hass, MISSED) == "1"
    await delete(hass, all=True)
    assert state_of(hass, MISSED) == "0"


@pytest.mark.usefixtures("bell")
async def test_deleted_call_is_gone_for_good(hass: HomeAssistant, simulator: Simulator) -> None:
    """Everywhere at once, with its pictures, although the cloud goes on listing it."""
    first, second, third = await three_calls(hass, simulator)
    assert (state_of(hass, MISSED), state_of(hass, OUTCOME)) == ("2", "answered")
    assert len(await pictures_of(hass)) == 6
    when = state_of(hass, LAST)
    await delete(hass, call_id=third)
    assert (state_of(hass, MISSED), state_of(hass, OUTCOME)) == ("2", "missed")
    assert state_of(hass, LAST) <= when
    await delete(hass, call_id=[first])
    assert state_of(hass, MISSED) == "1"
    assert len(await pictures_of(hass)) == 2
    assert [call["id"] for call in await export(hass)] == [second]
    await come_back(hass)
    assert [call["id"] for call in await export(hass)] == [second]
    assert (state_of(hass, MISSED), state_of(hass, OUTCOME)) == ("1", "missed")
    assert len(await pictures_of(hass)) == 2


@pytest.mark.usefixtures("bell")
async def test_call_that_goes_on_is_deleted(hass: HomeAssistant, simulator: Simulator) -> None:
    """What else happens to it brings it back nowhere."""
    call = simulator.ring(STREET)
    await heard(hass, 3)
    assert state_of(hass, CALENDAR) == "on"
    await delete(hass, call_id=(await calls_of(hass))[-1].id)
    assert state_of(hass, CALENDAR) == "off"
    simulator.miss(call)
    await heard(hass, 4)
    await settle(hass)
    assert await export(hass) == []
    assert (state_of(hass, CALENDAR), state_of(hass, MISSED)) == ("off", "0")
    assert len(await pictures_of(hass)) == 0


@pytest.mark.usefixtures("freezer", "bell")
async def test_all_calls_are_deleted(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, simulator: Simulator
) -> None:
    """With every picture; the next ring is remembered again."""
    await three_calls(hass, simulator)
    await delete(hass, all=True, config_entry_id=the_entry(hass).entry_id)
    assert (state_of(hass, MISSED), state_of(hass, LAST)) == ("0", "unknown")
    assert state_of(hass, OUTCOME) == "unknown"
    assert len(await pictures_of(hass)) == 0
    await come_back(hass)
    assert await calls_of(hass) == []
    assert len(await pictures_of(hass)) == 0
    freezer.tick(1)
    simulator.ring(STREET)
    await heard(hass, 3)
    assert state_of(hass, OUTCOME) == "ringing"


@pytest.mark.usefixtures("bell")
async def test_nothing_is_deleted_by_mistake(hass: HomeAssistant, simulator: Simulator) -> None:
    """Neither by half an order nor by one that contradicts itself."""
    first, *_ = await three_calls(hass, simulator)
    assert await refusal(hass) == "calls_or_all"
    assert await refusal(hass, all=False) == "calls_or_all"
    assert await refusal(hass, call_id=[]) == "calls_or_all"
    assert await refusal(hass, call_id=first, all=True) == "calls_or_all"
    assert await refusal(hass, call_id=[first, "unknown"]) == "call_unknown"
    assert await refusal(hass, all=True, config_entry_id="unknown") is not None
    assert len(await export(hass)) == 3
    assert len(await pictures_of(hass)) == 6


@pytest.mark.usefixtures("bell")
async def test_deletion_is_for_administrators(
    hass: HomeAssistant, simulator: Simulator, hass_read_only_user: User
) -> None:
    """Others may look."""
    first, *_ = await three_calls(hass, simulator)
    for order in ({"call_id": first}, {"all": True}):
        with pytest.raises(Unauthorized):
            await delete(hass, hass_read_only_user, **order)
    assert len(await export(hass, hass_read_only_user)) == 3


@pytest.mark.usefixtures("bell")
async def test_account_that_is_not_connected(hass: HomeAssistant) -> None:
    """Nobody is told that all was deleted when nothing could be."""
    await hass.config_entries.async_unload(the_entry(hass).entry_id)
    assert await refusal(hass, all=True) == "no_account"
    with pytest.raises(HomeAssistantError):
        await export(hass)


@pytest.mark.usefixtures("bell")
async def test_what_was_missed_while_away_is_shown(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """After a gap the sensors tell what the cloud's list tells."""
    simulator.sockets.handshake_status = 503
    simulator.drop_connections()
    await settle(hass)
    simulator.miss(simulator.ring(STREET))
    assert state_of(hass, MISSED) == "0"
    simulator.sockets.handshake_status = None
    await come_back(hass)
    assert (state_of(hass, MISSED), state_of(hass, OUTCOME)) == ("1", "missed")


async def run_example(hass: HomeAssistant, name: str, **variables: Any) -> None:
    """Run the actions of an example of the documentation, found by a part of it."""
    text = await hass.async_add_executor_job((DOCS / "automations.md").read_text)
    (block,) = [part for part in text.split("```yaml")[1:] if name in part.split("```")[0]]
    example: Any = parse_yaml(block.split("```")[0])
    sequence = example.get("actions") or example.get("sequence") or [example]
    script = {"script": {"example": {"sequence": sequence}}}
    assert await async_setup_component(hass, "script", script)
    await hass.services.async_call("script", "example", variables, blocking=True)
    await settle(hass)


@pytest.mark.usefixtures("bell")
async def test_documented_week(hass: HomeAssistant, simulator: Simulator) -> None:
    """A notification says how many there were, and names those that were missed."""
    messages = async_mock_service(hass, "notify", "mobile_app_phone")
    await three_calls(hass, simulator)
    await run_example(hass, "alias: Last week at the door")
    told, *calls = messages[0].data["message"].splitlines()
    # The house itself remembers a call of an hour ago, whose panel the cloud did not name.
    assert told == "4 rings, 3 missed."
    assert [line.split(" ", 2)[2] for line in calls] == ["door", STREET, YARD]


@pytest.mark.usefixtures("bell")
async def test_documented_picture(hass: HomeAssistant, simulator: Simulator) -> None:
    """The newest one."""
    messages = async_mock_service(hass, "notify", "mobile_app_phone")
    *_, third = await three_calls(hass, simulator)
    await run_example(hass, 'image: "{{ seen')
    assert messages[0].data["message"].startswith(f"{STREET}, ")
    assert messages[0].data["data"]["image"].endswith(f"/{third}/snapshot")


@pytest.mark.usefixtures("bell")
async def test_documented_forgetting(hass: HomeAssistant, simulator: Simulator) -> None:
    """Of one panel; then of all."""
    first, _, third = await three_calls(hass, simulator)
    trigger = {"entity_id": "event.posto_esterno_cortile_call"}
    await run_example(hass, "alias: Forget calls at the yard", trigger=trigger)
    assert [call["id"] for call in await export(hass)] == [first, third]


@pytest.mark.usefixtures("bell")
async def test_documented_deletion(hass: HomeAssistant, simulator: Simulator) -> None:
    """All of them, once."""
    await three_calls(hass, simulator)
    await run_example(hass, "  all: true")
    assert await export(hass) == []
