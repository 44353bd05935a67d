"""The blueprint that notifies phones of a missed call."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from homeassistant.components import persistent_notification
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
import pytest

from tests.integration.blueprints.conftest import (
    ROME,
    STREET,
    STREET_CALL,
    STREET_CAMERA,
    YARD,
    YARD_CALL,
    Automate,
    Phone,
    in_each_language,
    texts_of,
    wait_finished,
)
from tests.integration.conftest import (
    device_id_of,
    state_of,
    wait_idle,
    wait_until,
)
from tests.simulator.pictures import jpeg

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import (
        ClientSessionGenerator,
    )

    from tests.simulator import Simulator


@pytest.fixture(name="missed_automation")
async def _missed_automation(
    hass: HomeAssistant, automate: Automate, anna: Phone, bruno: Phone
) -> None:
    """Both panels, two phones and Home Assistant's own notifications."""
    assert await async_setup_component(hass, "persistent_notification", {})
    await automate(
        "missed_call",
        calls=[STREET_CALL, YARD_CALL],
        phones=[anna.device_id, bruno.device_id],
        persistent=True,
        pictures=["image.visitor"],
        missed_calls=["sensor.classe_300x_missed_calls"],
    )


@pytest.mark.usefixtures("missed_automation")
async def test_missed_call(
    hass: HomeAssistant, simulator: Simulator, anna: Phone, bruno: Phone
) -> None:
    """Panel, time and count; an answered call is not reported."""
    shown = persistent_notifications(hass)
    first = simulator.ring(STREET)
    simulator.answer_elsewhere(first)
    simulator.hang_up(first)
    simulator.miss(simulator.ring(STREET))
    await wait_until(lambda: anna.sent and bruno.sent)
    simulator.miss(simulator.ring(YARD))
    await wait_until(lambda: len(anna.sent) == len(bruno.sent) == 2)
    await wait_finished(hass)
    times = [event_time(hass, each) for each in (STREET_CALL, YARD_CALL)]
    assert anna.texts == [
        f"Somebody rang at {STREET} at {times[0]}.",
        f"Somebody rang at {YARD} at {times[1]}. Missed calls: 2.",
    ]
    assert anna.sent[0]["title"] == "Missed call"
    assert anna.sent[0]["data"]["image"] == "/api/image_proxy/image.visitor"
    assert [each["message"] for each in shown.values()] == anna.texts == bruno.texts


@in_each_language
async def test_languages(
    hass: HomeAssistant, automate: Automate, simulator: Simulator, anna: Phone, *, language: str
) -> None:
    """Title, message, count and channel are in the chosen language."""
    inputs = {"phones": [anna.device_id], "missed_calls": ["sensor.classe_300x_missed_calls"]}
    await automate("missed_call", calls=[STREET_CALL], language=language, **inputs)
    for count in (1, 2):
        simulator.miss(simulator.ring(STREET))
        await wait_until(lambda: len(anna.sent) == count)  # noqa: B023 - called in this turn
    text = texts_of(
        "missed_call", language, panel=STREET, time=event_time(hass, STREET_CALL), count="2"
    )
    sent = anna.sent[1]
    assert (sent["title"], sent["message"]) == (text["title"], f"{text['message']} {text['count']}")
    assert sent["data"]["channel"] == text["channel"]


@pytest.mark.parametrize("pictures", [[], [STREET_CAMERA]], ids=str)
async def test_missed_call_shows_the_visitor(
    hass: HomeAssistant,
    automate: Automate,
    simulator: Simulator,
    anna: Phone,
    *,
    hass_client: ClientSessionGenerator,
    pictures: list[str],
) -> None:
    """Not the visitor who rang afterwards."""
    await automate("missed_call", calls=[STREET_CALL], phones=[anna.device_id], pictures=pictures)
    app = await hass_client()
    call = simulator.ring(STREET)
    await wait_idle(hass)
    simulator.ring(STREET)
    simulator.miss(call)
    await wait_until(lambda: anna.sent)
    answer = await app.get(anna.sent[0]["data"]["image"])
    assert await answer.read() == jpeg(call.picture_id("snapshot"))


def event_time(hass: HomeAssistant, entity_id: str) -> str:
    """Return the time of an entity's last event in Rome."""
    return datetime.fromisoformat(state_of(hass, entity_id)).astimezone(ROME).strftime("%H:%M")


def persistent_notifications(hass: HomeAssistant) -> dict[str, Any]:
    """Return the notifications in the side bar, kept up to date."""
    found: dict[str, Any] = {}

    def take(_kind: object, notifications: dict[str, Any]) -> None:
        found.update(notifications)

    persistent_notification.async_register_callback(hass, take)
    return found


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("![x](https://evil.example/a.png)", r"\!\[x\]\(https\:\/\/evil\.example\/a\.png\)"),
        ("<img src=//evil.example>", r"\<img src\=\/\/evil\.example\>"),
        (r"# *A* _b_ `c` \d {time}", r"\# \*A\* \_b\_ \`c\` \\d \{time\}"),
        ("Cancello è 1°", "Cancello è 1°"),
        # Templates take these for values of other types, or could take them for templates.
        ("1", "1"),
        ("None", "None"),
        ("False", "False"),
        ("['x', 2]", r"\[\'x\'\, 2\]"),
        ("{'a': 1}", r"\{\'a\'\: 1\}"),
        ("{{ states }}", r"\{\{ states \}\}"),
        ("{% raw %}", r"\{\% raw \%\}"),
    ],
)
@pytest.mark.usefixtures("missed_automation")
async def test_name_with_markdown(
    hass: HomeAssistant, simulator: Simulator, anna: Phone, *, name: str, shown: str
) -> None:
    """Home Assistant shows it as it is, and loads nothing from it; phones show no Markdown."""
    devices, notifications = dr.async_get(hass), persistent_notifications(hass)
    devices.async_update_device(device_id_of(hass, STREET), name_by_user=name)
    simulator.miss(simulator.ring(STREET))
    await wait_until(lambda: anna.sent)
    await wait_finished(hass)
    time = event_time(hass, STREET_CALL)
    (notification,) = notifications.values()
    assert notification["message"] == f"Somebody rang at {shown} at {time}."
    assert anna.texts == [f"Somebody rang at {name} at {time}."]
