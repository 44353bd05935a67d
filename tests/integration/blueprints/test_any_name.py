"""Whatever a panel is called, notifications, calendar and media browser get clean texts."""

import re
from typing import TYPE_CHECKING, Any

from homeassistant.components import persistent_notification
from homeassistant.components.media_source import async_browse_media
from homeassistant.setup import async_setup_component
from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from custom_components.bticino_classe.const import DOMAIN
from tests.integration.blueprints.conftest import (
    AUTOMATION,
    STREET_CALL,
    STREET_DOORBELL,
    Automate,
    Phone,
    wait_finished,
)
from tests.integration.conftest import get_entry, wait_idle, wait_until
from tests.integration.test_any_name import TEXTS, texts_in, unclean

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

FEW = settings(
    max_examples=8,
    deadline=None,
    # One Home Assistant for all examples: what one leaves must not harm the next.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
STREET_ID = "30000a-0101-aa11bb22cc01"
#: Nothing that Markdown could mean: each ASCII punctuation is escaped.
PLAIN = re.compile(r"(?:\\[!-/:-@\[-`{-~]|[^!-/:-@\[-`{-~])*")
MARKDOWN = st.sampled_from(
    (
        "[a](javascript:alert(1))",
        "<script>alert(1)</script>",
        "https://evil.example/a.png",
        "&lt;img src=x&gt;",
        "| a | b |",
        "\\",
        "\\\\[x](y)",
        "1. x",
        "~~x~~",
        "$x$",
        "![](/api/image_proxy/x)",
        "1",
        "None",
        "[1]",
    )
)


@pytest.fixture(name="shown")
async def _shown(hass: HomeAssistant, automate: Automate, anna: Phone) -> dict[str, Any]:
    """Home Assistant's own notifications, and an automation for missed calls."""
    for component in ("persistent_notification", "media_source"):
        assert await async_setup_component(hass, component, {})
    found: dict[str, Any] = {}
    persistent_notification.async_register_callback(hass, lambda _, new: found.update(new))
    await automate("missed_call", calls=[STREET_CALL], phones=[anna.device_id], persistent=True)
    return found


async def read_names(hass: HomeAssistant) -> None:
    """Poll, as if the list of modules were due: a frozen time would stop the automations."""
    coordinator = get_entry(hass).runtime_data.coordinator
    coordinator.known_homes.async_expire()
    await coordinator.async_refresh()
    await wait_idle(hass)


async def texts_of_calls(hass: HomeAssistant) -> list[str]:
    """Return the texts of the calendar, the export and the media browser."""
    span = {"start_date_time": "2020-01-01 00:00:00", "end_date_time": "2099-01-01 00:00:00"}
    events = await hass.services.async_call(
        "calendar",
        "get_events",
        span,
        target={"entity_id": "calendar.casa_calls"},
        blocking=True,
        return_response=True,
    )
    calls = await hass.services.async_call(
        DOMAIN, "export_calls", blocking=True, return_response=True
    )
    media = await async_browse_media(hass, f"media-source://{DOMAIN}")
    return texts_in([events, calls, media.title, [each.title for each in media.children or ()]])


@given(name=TEXTS | MARKDOWN, home=TEXTS | MARKDOWN)
@FEW
async def test_missed_call(
    hass: HomeAssistant,
    simulator: Simulator,
    shown: dict[str, Any],
    anna: Phone,
    *,
    name: str,
    home: str,
) -> None:
    """The notification in the side bar means nothing in Markdown; phones get one line."""
    simulator.house.homes[0].name = home
    simulator.house.homes[0].modules[STREET_ID].name = name
    await read_names(hass)
    shown.clear()
    anna.sent.clear()
    simulator.miss(simulator.ring(STREET_ID))
    await wait_until(lambda: anna.sent and shown)
    await wait_finished(hass)
    (notification,) = shown.values()
    message = notification["message"].removeprefix("Somebody rang at ")
    place, _, _ = message.rpartition(" at ")
    assert place
    assert PLAIN.fullmatch(place)
    assert unclean([*texts_in(anna.sent), *texts_in([notification["title"], message])]) == []
    assert unclean(await texts_of_calls(hass)) == []


@given(name=TEXTS | MARKDOWN)
@FEW
async def test_ring(
    hass: HomeAssistant,
    simulator: Simulator,
    automate: Automate,
    anna: Phone,
    *,
    name: str,
) -> None:
    """Phones get one line, the picture of the ring, and a button for the chosen door only."""
    simulator.house.homes[0].modules[STREET_ID].name = name
    if hass.states.get(AUTOMATION) is None:
        doors = ["lock.cancello"]
        await automate(
            "ring_notification", doorbells=[STREET_DOORBELL], phones=[anna.device_id], doors=doors
        )
    await read_names(hass)
    anna.sent.clear()
    call = simulator.ring(STREET_ID)
    await wait_until(lambda: anna.sent)
    simulator.miss(call)
    await wait_until(lambda: len(anna.sent) == 2)
    await wait_idle(hass)
    sent = anna.sent[0]
    assert unclean(texts_in(anna.sent)) == []
    assert sent["message"].startswith("Somebody is ringing at ")
    assert sent["data"]["image"].startswith(f"/api/{DOMAIN}/picture/")
    assert [each["title"] for each in sent["data"]["actions"]] == ["Open Cancello"]
