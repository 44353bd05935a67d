"""The blueprint that notifies phones of a ring."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from homeassistant.core import Context
from homeassistant.helpers import device_registry as dr
import pytest
from pytest_homeassistant_custom_component.common import (
    async_fire_time_changed,
)

from tests.integration.blueprints.conftest import (
    AUTOMATION,
    LOOP_TURNS,
    STREET,
    STREET_CALL,
    STREET_CAMERA,
    STREET_DOORBELL,
    YARD,
    YARD_CAMERA,
    YARD_DOORBELL,
    Automate,
    Phone,
    opened_doors,
    running_count,
    wait_finished,
)
from tests.integration.conftest import (
    call_action,
    reload_entry,
    state_of,
    wait_online,
    wait_until,
)
from tests.integration.history.stored import calls_of
from tests.simulator import Failure
from tests.simulator.paths import SETSTATE
from tests.simulator.pictures import jpeg

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import (
        ClientSessionGenerator,
    )

    from tests.simulator import Simulator

type NotifyAnna = Callable[..., Awaitable[None]]


@pytest.fixture(name="notify_anna")
def _notify_anna(automate: Automate, anna: Phone) -> NotifyAnna:
    """Create an automation for the street's doorbell and one phone, with further inputs."""
    return partial(
        automate, "ring_notification", doorbells=[STREET_DOORBELL], phones=[anna.device_id]
    )


@pytest.fixture(name="ring_automation")
async def _ring_automation(automate: Automate, anna: Phone, bruno: Phone) -> None:
    """Two panels, two of three doors, two phones."""
    await automate(
        "ring_notification",
        doorbells=[STREET_DOORBELL, YARD_DOORBELL],
        doors=["lock.cancello", "lock.portone"],
        phones=[anna.device_id, bruno.device_id],
    )


@pytest.mark.usefixtures("ring_automation")
async def test_ring_notifies_every_phone(simulator: Simulator, anna: Phone, bruno: Phone) -> None:
    """With a button for each door, and high priority."""
    simulator.ring(STREET)
    await wait_until(lambda: anna.sent and bruno.sent)
    assert anna.sent == bruno.sent
    (sent,) = anna.sent
    assert (sent["title"], sent["message"]) == ("Doorbell", f"Somebody is ringing at {STREET}.")
    data = sent["data"]
    assert [each["title"] for each in data["actions"]] == ["Open Cancello", "Open Portone"]
    assert [each["authenticationRequired"] for each in data["actions"]] == [True, True]
    assert (data["priority"], data["ttl"], data["channel"]) == ("high", 0, "Doorbell")
    assert data["push"] == {"interruption-level": "time-sensitive"}


@pytest.mark.usefixtures("ring_automation")
async def test_door_opens_once(
    hass: HomeAssistant, simulator: Simulator, anna: Phone, bruno: Phone
) -> None:
    """Both phones tap twice: one command, and both phones show it."""
    simulator.ring(STREET)
    await wait_until(lambda: anna.sent and bruno.sent)
    for phone in (bruno, anna, bruno, anna):
        await phone.tap(phone.button("Open Portone"))
    await wait_finished(hass)
    await anna.tap(anna.button("Open Cancello"))
    await wait_finished(hass)
    assert opened_doors(simulator) == ["Portone"]
    for phone in (anna, bruno):
        (shown,) = phone.shown.values()
        assert shown["message"] == "Open command sent to Portone."
        assert "actions" not in shown["data"]


@pytest.mark.usefixtures("ring_automation")
async def test_slow_phone_does_not_delay_the_other(
    hass: HomeAssistant, simulator: Simulator, anna: Phone, bruno: Phone
) -> None:
    """The door opens before the second phone is reached, and its last notification is right."""
    bruno.slow = asyncio.Event()
    simulator.ring(STREET)
    await wait_until(lambda: anna.sent)
    await anna.tap(anna.button("Open Cancello"))
    await wait_until(lambda: opened_doors(simulator))
    assert bruno.sent == []
    bruno.slow.set()
    await wait_finished(hass)
    (shown,) = bruno.shown.values()
    assert shown["message"] == "Open command sent to Cancello."
    assert opened_doors(simulator) == ["Cancello"]


@pytest.mark.usefixtures("ring_automation")
async def test_unreachable_phone_does_not_affect_the_other(
    hass: HomeAssistant, simulator: Simulator, anna: Phone, bruno: Phone
) -> None:
    """The first of the two fails."""
    anna.broken = True
    simulator.ring(STREET)
    await wait_until(lambda: bruno.sent)
    await bruno.tap(bruno.button("Open Cancello"))
    await wait_finished(hass)
    assert opened_doors(simulator) == ["Cancello"]
    assert bruno.texts[-1] == "Open command sent to Cancello."


@pytest.mark.usefixtures("ring_automation")
async def test_removed_phone_is_left_out(
    hass: HomeAssistant, simulator: Simulator, anna: Phone, bruno: Phone
) -> None:
    """Its notify action no longer exists."""
    dr.async_get(hass).async_remove_device(anna.device_id)
    hass.services.async_remove("notify", "mobile_app_anna_s_phone")
    simulator.hang_up(simulator.ring(STREET))
    await wait_until(lambda: len(bruno.sent) == 2)
    assert bruno.shown == {}
    await wait_finished(hass)


@pytest.mark.usefixtures("ring_automation")
async def test_button_of_an_older_ring_opens_nothing(
    hass: HomeAssistant, simulator: Simulator, anna: Phone
) -> None:
    """A new ring replaces the notification and its buttons."""
    simulator.hang_up(simulator.ring(STREET))
    await wait_until(lambda: len(anna.sent) == 2)
    simulator.ring(STREET)
    await wait_until(lambda: len(anna.sent) == 3)
    await anna.tap(anna.button("Open Portone"))
    await anna.tap(anna.button("Open Cancello", message=2))
    await wait_finished(hass)
    assert opened_doors(simulator) == ["Cancello"]


@pytest.mark.usefixtures("ring_automation")
async def test_second_ring_replaces_the_notification(
    hass: HomeAssistant, simulator: Simulator, anna: Phone
) -> None:
    """Two calls at one panel: one notification, which the first call does not clear."""
    simulator.ring(STREET)
    await wait_until(lambda: anna.sent)
    simulator.ring(STREET)
    await wait_until(lambda: len(anna.sent) == 2)
    await wait_until(lambda: running_count(hass) == 1)
    assert list(anna.shown.values()) == [anna.sent[1]]
    await anna.tap(anna.button("Open Portone", message=0))
    await anna.tap(anna.button("Open Cancello", message=1))
    await wait_finished(hass)
    assert opened_doors(simulator) == ["Cancello"]


@pytest.mark.usefixtures("ring_automation")
async def test_two_panels_have_separate_notifications(
    hass: HomeAssistant, simulator: Simulator, anna: Phone
) -> None:
    """The end of one call leaves the other's buttons alone."""
    first = simulator.ring(STREET)
    simulator.ring(YARD)
    await wait_until(lambda: len(anna.shown) == 2)
    simulator.hang_up(first)
    await wait_until(lambda: running_count(hass) == 1)
    (left,) = anna.shown.values()
    assert left["message"] == f"Somebody is ringing at {YARD}."
    await anna.tap(anna.button("Open Cancello", message=anna.sent.index(left)))
    await wait_finished(hass)
    assert opened_doors(simulator) == ["Cancello"]


@pytest.mark.usefixtures("ring_automation")
@pytest.mark.parametrize("end", ["answer_elsewhere", "hang_up", "miss"])
async def test_notification_is_cleared_when_the_call_is_over(
    hass: HomeAssistant, simulator: Simulator, anna: Phone, bruno: Phone, end: str
) -> None:
    """Its buttons no longer work."""
    call = simulator.ring(STREET)
    await wait_until(lambda: anna.sent and bruno.sent)
    getattr(simulator, end)(call)
    await wait_until(lambda: anna.shown == bruno.shown == {})
    await anna.tap(anna.button("Open Cancello"))
    await wait_finished(hass)
    assert opened_doors(simulator) == []
    assert len(anna.sent) == 2


@pytest.mark.usefixtures("ring_automation")
@pytest.mark.parametrize(
    "failure",
    [
        Failure(body={"status": "ok", "errors": [{"code": 6}]}),
        Failure(drop=True, executed=True),
        Failure(status=503, html=True),
    ],
)
async def test_failed_opening_is_reported_and_not_repeated(
    hass: HomeAssistant, simulator: Simulator, anna: Phone, bruno: Phone, failure: Failure
) -> None:
    """Refused, or with an unknown outcome: no phone shows that the door opened."""
    simulator.fail(SETSTATE, failure)
    simulator.ring(STREET)
    await wait_until(lambda: anna.sent and bruno.sent)
    await anna.tap(anna.button("Open Cancello"))
    await wait_finished(hass)
    assert opened_doors(simulator) == ["Cancello"]
    for phone in (anna, bruno):
        (shown,) = phone.shown.values()
        assert shown["message"].startswith("Cancello may not have opened.")
        assert shown["data"]["priority"] == "high"


@pytest.mark.parametrize(
    ("typed", "opens"), [("0042", True), ("42", False), ("", False), (None, False)]
)
@pytest.mark.usefixtures("ring_automation")
async def test_door_with_a_code(
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],
    simulator: Simulator,
    anna: Phone,
    *,
    typed: str | None,
    opens: bool,
) -> None:
    """Its button asks for the code, which the phone sends with the tap; the other does not."""
    door = simulator.house.find("Cancello").id
    hass.config_entries.async_update_entry(online_entry, options={"door_codes": {door: "0042"}})
    await reload_entry(hass, online_entry)
    await wait_online(online_entry)
    simulator.ring(STREET)
    await wait_until(lambda: anna.sent)
    cancello, portone = anna.sent[0]["data"]["actions"]
    assert (cancello.get("behavior"), portone.get("behavior")) == ("textInput", None)
    reply = {} if typed is None else {"reply_text": typed}
    await anna.tap(anna.button("Open Cancello"), **reply)
    await wait_finished(hass)
    assert opened_doors(simulator) == (["Cancello"] if opens else [])
    (shown,) = anna.shown.values()
    assert shown["message"].startswith("Open command" if opens else "Cancello may not have opened")


@pytest.mark.usefixtures("ring_automation")
async def test_unavailable_door_is_reported_as_not_opened(
    hass: HomeAssistant, simulator: Simulator, anna: Phone
) -> None:
    """Home Assistant skips such a door silently; the blueprint must not."""
    simulator.set_reachable("Cancello", False)
    await wait_until(lambda: state_of(hass, "lock.cancello") == "unavailable")
    simulator.ring(STREET)
    await wait_until(lambda: anna.sent)
    await anna.tap(anna.button("Open Cancello"))
    await wait_finished(hass)
    assert opened_doors(simulator) == []
    assert anna.texts[-1].startswith("Cancello may not have opened")


@pytest.mark.usefixtures("ring_automation")
async def test_buttons_expire(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, simulator: Simulator, anna: Phone
) -> None:
    """Even if the end of the call is never reported."""
    hass.states.async_remove(STREET_CALL)
    simulator.ring(STREET)
    await wait_until(lambda: anna.sent)
    await wait_until(lambda: running_count(hass) == 1)
    freezer.tick(timedelta(seconds=61))
    async_fire_time_changed(hass)
    await wait_finished(hass)
    await anna.tap(anna.button("Open Cancello"))
    await wait_finished(hass)
    assert anna.shown == {}
    assert opened_doors(simulator) == []


@pytest.mark.usefixtures("ring_automation")
async def test_restart_sends_no_notification(
    hass: HomeAssistant, online_entry: ConfigEntry[Any], simulator: Simulator, anna: Phone
) -> None:
    """The entity is restored with its last event."""
    simulator.hang_up(simulator.ring(STREET))
    await wait_until(lambda: len(anna.sent) == 2)
    await wait_finished(hass)
    await reload_entry(hass, online_entry)
    await wait_online(online_entry)
    simulator.hang_up(simulator.ring(YARD))
    await wait_until(lambda: len(anna.sent) >= 4)
    await wait_finished(hass)
    assert anna.texts[2:] == [f"Somebody is ringing at {YARD}.", "clear_notification"]


@pytest.mark.parametrize(
    "entities",
    [
        {},
        {"all": {"read": True}},
        {"entity_ids": {"lock.portone": True, "light.luce_scale": True}},
    ],
    ids=str,
)
async def test_door_opens_with_the_rights_of_the_user(
    hass: HomeAssistant,
    notify_anna: NotifyAnna,
    simulator: Simulator,
    anna: Phone,
    *,
    entities: dict[str, Any],
) -> None:
    """Who was sent the notification may be a guest."""
    await notify_anna(doors=["lock.cancello"])
    anna.user.mock_policy({"entities": entities})
    simulator.ring(STREET)
    await wait_until(lambda: anna.sent)
    await anna.tap(anna.button("Open Cancello"))
    await wait_finished(hass)
    assert opened_doors(simulator) == []
    assert anna.texts[-1].startswith("Cancello may not have opened")


@pytest.mark.parametrize("who", ["nobody", "no person", "not chosen", "deleted"])
async def test_button_works_for_the_chosen_persons_only(
    hass: HomeAssistant,
    notify_anna: NotifyAnna,
    simulator: Simulator,
    anna: Phone,
    bruno: Phone,
    *,
    who: str,
) -> None:
    """The press of somebody else does not even end the wait."""
    people = ["person.anna_s_phone"] if who == "not chosen" else []
    await notify_anna(doors=["lock.cancello"], people=people)
    if who == "no person":
        hass.states.async_remove("person.bruno")
    user_id = {"nobody": None, "deleted": "gone"}.get(who, bruno.user.id)
    simulator.ring(STREET)
    await wait_until(lambda: anna.sent)
    button = anna.button("Open Cancello")
    hass.bus.async_fire(
        "mobile_app_notification_action", {"action": button}, context=Context(user_id=user_id)
    )
    for _ in range(LOOP_TURNS):
        await asyncio.sleep(0)
    assert (opened_doors(simulator), running_count(hass)) == ([], 1)
    await anna.tap(button)
    await wait_finished(hass)
    assert opened_doors(simulator) == ["Cancello"]


@pytest.mark.usefixtures("ring_automation")
async def test_names_of_buttons_are_secret(
    hass: HomeAssistant, simulator: Simulator, anna: Phone
) -> None:
    """They are in no state, differ from ring to ring, and are not made from the run's id."""
    names: list[str] = []
    for _ in range(2):
        simulator.ring(STREET)
        await wait_until(lambda: len(anna.sent) > len(names))
        names.append(anna.button("Open Portone", message=len(names)).rpartition("_")[0])
        states = hass.states.async_all()
        assert not [each for each in states if names[-1] in str(each.as_dict())]
        for context in {each.context.id for each in states}:
            assert context not in names[-1]
            await anna.tap(f"BTICINO_{context}_0")
    assert len({*names}) == 2
    assert opened_doors(simulator) == []


async def test_all_inputs(
    hass: HomeAssistant,
    notify_anna: NotifyAnna,
    simulator: Simulator,
    anna: Phone,
) -> None:
    """Picture, critical alert, dashboard, and texts in another language."""
    await notify_anna(
        doors=["lock.box"],
        unlock_first=False,
        pictures=["camera.garden", "image.visitor"],
        critical=True,
        dashboard="/lovelace/porta",
        title="Citofono",
        message="Suonano: {panel}",
        button_text="Apri {door}",
        opened_text="Comando inviato: {door}",
    )
    simulator.ring(STREET)
    await wait_until(lambda: anna.sent)
    (sent,) = anna.sent
    assert (sent["title"], sent["message"]) == ("Citofono", f"Suonano: {STREET}")
    data = sent["data"]
    assert data["image"] == "/api/camera_proxy/camera.garden"
    assert data["url"] == data["clickAction"] == "/lovelace/porta"
    assert data["channel"] == "alarm_stream"
    assert data["push"]["interruption-level"] == "critical"
    assert data["push"]["sound"] == {"name": "default", "critical": 1, "volume": 1.0}
    assert data["actions"][0]["authenticationRequired"] is False
    await anna.tap(anna.button("Apri Box"))
    await wait_finished(hass)
    assert anna.texts[-1] == "Comando inviato: Box"


@pytest.mark.parametrize("pictures", [[], [STREET_CAMERA], [YARD_CAMERA]], ids=str)
async def test_notification_shows_the_visitor(
    notify_anna: NotifyAnna,
    simulator: Simulator,
    anna: Phone,
    *,
    hass_client: ClientSessionGenerator,
    pictures: list[str],
) -> None:
    """The picture of this ring, also if a camera of the intercom is chosen."""
    await notify_anna(pictures=pictures)
    app = await hass_client()
    simulator.hang_up(simulator.ring(STREET))
    await wait_until(lambda: len(anna.sent) == 2)
    call = simulator.ring(STREET)
    await wait_until(lambda: len(anna.sent) == 3)
    answer = await app.get(anna.sent[2]["data"]["image"])
    assert await answer.read() == jpeg(call.picture_id("snapshot"))


@pytest.mark.parametrize(
    ("pictures", "shown"),
    [
        ([], None),
        ([STREET_CAMERA], f"/api/camera_proxy/{STREET_CAMERA}"),
        ([STREET_CAMERA, "camera.garden"], f"/api/camera_proxy/{STREET_CAMERA}"),
        (["camera.garden", "image.visitor"], "/api/camera_proxy/camera.garden"),
    ],
    ids=str,
)
async def test_ring_without_a_picture(
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],
    notify_anna: NotifyAnna,
    simulator: Simulator,
    anna: Phone,
    *,
    pictures: list[str],
    shown: str | None,
) -> None:
    """The chosen image is shown; the panel's own camera is preferred."""
    history = online_entry.runtime_data.history
    await history.async_delete_all()
    simulator.ring(STREET, pictures=False, status=False)
    await wait_until(lambda: state_of(hass, STREET_DOORBELL) != "unknown")
    (call,) = await calls_of(hass)
    await history.async_give_up(call.id, "snapshot")
    await notify_anna(pictures=pictures)
    simulator.ring(STREET, pictures=False, status=False)
    await wait_until(lambda: anna.sent)
    assert anna.sent[0]["data"].get("image") == shown


async def test_manual_run(
    hass: HomeAssistant,
    notify_anna: NotifyAnna,
    simulator: Simulator,
    anna: Phone,
) -> None:
    """It shows the notification without a ring, and the button works."""
    await notify_anna(doors=["lock.box"])
    run = hass.async_create_task(call_action(hass, "automation", "trigger", AUTOMATION))
    await wait_until(lambda: anna.sent)
    await anna.tap(anna.button("Open Box"))
    await run
    assert opened_doors(simulator) == ["Box"]
