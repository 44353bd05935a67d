"""The notification of a ring that is answered in Home Assistant."""

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from tests.conftest import HANG_TIMEOUT
from tests.integration.blueprints.conftest import (
    STREET,
    STREET_CAMERA,
    STREET_DOORBELL,
    YARD,
    YARD_CAMERA,
    YARD_DOORBELL,
    Automate,
    Phone,
    in_each_language,
    opened_doors,
    texts_of,
    wait_finished,
)
from tests.integration.conftest import is_watched, state_of, wait_until
from tests.integration.live.browser_client import BrowserClient, offer
from tests.integration.live.conftest import set_timeouts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from tests.simulator import Call, Simulator

RINGS = f"Somebody is ringing at {STREET}."
TALKS = f"You are talking to {STREET}."


@pytest.fixture(name="notify")
def _notify(automate: Automate, anna: Phone, bruno: Phone) -> Callable[..., Awaitable[None]]:
    """Create an automation for both panels and two phones, with further inputs."""
    phones = [anna.device_id, bruno.device_id]
    doorbells = [STREET_DOORBELL, YARD_DOORBELL]
    return partial(automate, "ring_notification", doorbells=doorbells, phones=phones)


@pytest.fixture(name="answer")
async def _answer(
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],
    hass_ws_client: WebSocketGenerator,
    simulator: Simulator,
    anna: Phone,
) -> Callable[[], Awaitable[Call]]:
    """Ring at the street, and answer by opening its camera; a slow machine meets no time-out."""
    names = ("busy", "connected", "acknowledged", "answered", "terminated")
    set_timeouts(online_entry, **dict.fromkeys(names, HANG_TIMEOUT))
    browser = await BrowserClient.connect(hass_ws_client, STREET_CAMERA)

    async def answer() -> Call:
        call = simulator.ring(STREET)
        await wait_until(lambda: anna.sent)
        await browser.watch(offer())
        await wait_until(lambda: is_watched(hass, STREET_CAMERA))
        return call

    return answer


async def test_buttons_stay_while_somebody_talks(  # noqa: PLR0917 - fixtures
    hass: HomeAssistant,
    notify: Callable[..., Awaitable[None]],
    answer: Callable[[], Awaitable[Call]],
    simulator: Simulator,
    anna: Phone,
    bruno: Phone,
) -> None:
    """Both phones get them again, silently: a tap has dismissed the notification of one."""
    await notify(doors=["lock.portone"])
    await answer()
    await wait_until(lambda: anna.texts == bruno.texts == [RINGS, TALKS])
    rings, talks = anna.sent
    assert talks["data"]["actions"] == rings["data"]["actions"]
    assert talks["data"]["tag"] == rings["data"]["tag"]
    assert talks["data"]["push"] == {"interruption-level": "passive"}
    await bruno.tap(bruno.button("Open Portone", message=1))
    await wait_finished(hass)
    assert opened_doors(simulator) == ["Portone"]
    assert anna.texts[2:] == ["Open command sent to Portone."]
    assert is_watched(hass, STREET_CAMERA)


@in_each_language
async def test_languages(
    notify: Callable[..., Awaitable[None]],
    answer: Callable[[], Awaitable[Call]],
    anna: Phone,
    *,
    language: str,
) -> None:
    """Both texts are in the chosen language."""
    await notify(doors=["lock.portone"], language=language)
    await answer()
    text = texts_of("ring_notification", language, panel=STREET, door="Portone")
    await wait_until(lambda: anna.texts == [text["message"], text["talking"]])


async def test_end_of_the_conversation(
    hass: HomeAssistant,
    notify: Callable[..., Awaitable[None]],
    answer: Callable[[], Awaitable[Call]],
    simulator: Simulator,
    anna: Phone,
) -> None:
    """It clears the notification, and the buttons do nothing any more."""
    await notify(doors=["lock.portone"])
    simulator.hang_up(await answer())
    await wait_until(lambda: anna.texts[-1] == "clear_notification")
    await anna.tap(anna.button("Open Portone"))
    await wait_finished(hass)
    assert opened_doors(simulator) == []


async def test_buttons_expire_while_somebody_talks(  # noqa: PLR0917 - fixtures
    hass: HomeAssistant,
    notify: Callable[..., Awaitable[None]],
    answer: Callable[[], Awaitable[Call]],
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
    anna: Phone,
) -> None:
    """The time counts from the ring."""
    await notify(doors=["lock.portone"], wait=10)
    await answer()
    await wait_until(lambda: anna.texts == [RINGS, TALKS])
    freezer.tick(timedelta(seconds=11))
    async_fire_time_changed(hass)
    await wait_finished(hass)
    await anna.tap(anna.button("Open Portone"))
    assert opened_doors(simulator) == []
    assert anna.shown == {}


async def test_without_doors_an_answer_clears_the_notification(
    notify: Callable[..., Awaitable[None]],
    answer: Callable[[], Awaitable[Call]],
    anna: Phone,
) -> None:
    """There are no buttons to keep."""
    await notify()
    await answer()
    await wait_until(lambda: anna.texts == [RINGS, "clear_notification"])


@pytest.mark.parametrize("seconds", [0, 7])
async def test_hang_up_after_opening(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    notify: Callable[..., Awaitable[None]],
    answer: Callable[[], Awaitable[Call]],
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
    anna: Phone,
    seconds: int,
) -> None:
    """Some seconds later, or not at all."""
    await notify(doors=["lock.portone"], hang_up=seconds)
    await answer()
    await wait_until(lambda: anna.texts == [RINGS, TALKS])
    await anna.tap(anna.button("Open Portone"))
    await wait_until(lambda: len(anna.sent) == 3)
    assert is_watched(hass, STREET_CAMERA)
    freezer.tick(timedelta(seconds=seconds + 1))
    async_fire_time_changed(hass)
    await wait_finished(hass)
    assert opened_doors(simulator) == ["Portone"]
    assert simulator.rtc.terminates == (1 if seconds else 0)
    assert is_watched(hass, STREET_CAMERA) is not bool(seconds)


async def test_hang_up_spares_the_next_call(  # noqa: PLR0917 - fixtures
    hass: HomeAssistant,
    notify: Callable[..., Awaitable[None]],
    hass_ws_client: WebSocketGenerator,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
    anna: Phone,
) -> None:
    """The ring ended unanswered after the opening; then the camera was opened."""
    await notify(doors=["lock.portone"], hang_up=10)
    call = simulator.ring(STREET)
    await wait_until(lambda: anna.sent)
    await anna.tap(anna.button("Open Portone"))
    await wait_until(lambda: len(anna.sent) == 2)
    simulator.hang_up(call)
    await wait_until(lambda: state_of(hass, "binary_sensor.posto_esterno_strada_bell") == "off")
    browser = await BrowserClient.connect(hass_ws_client, STREET_CAMERA)
    await browser.watch(offer())
    freezer.tick(timedelta(seconds=11))
    async_fire_time_changed(hass)
    await wait_finished(hass)
    assert is_watched(hass, STREET_CAMERA)


@pytest.mark.parametrize(
    ("inputs", "panel", "address"),
    [
        ({"open_camera": True}, STREET, f"/home/overview?more-info-entity-id={STREET_CAMERA}"),
        ({"open_camera": True}, YARD, f"/home/overview?more-info-entity-id={YARD_CAMERA}"),
        (
            {"open_camera": True, "dashboard": "/casa/porta"},
            STREET,
            f"/casa/porta?more-info-entity-id={STREET_CAMERA}",
        ),
        (
            {"open_camera": True, "dashboard": "/casa?kiosk"},
            STREET,
            f"/casa?kiosk&more-info-entity-id={STREET_CAMERA}",
        ),
        ({"dashboard": "/casa/porta"}, STREET, "/casa/porta"),
        ({}, STREET, None),
    ],
    ids=str,
)
async def test_tap(  # noqa: PLR0917 - fixtures and cases
    notify: Callable[..., Awaitable[None]],
    simulator: Simulator,
    anna: Phone,
    inputs: dict[str, Any],
    panel: str,
    address: str | None,
) -> None:
    """Android and iPhone have different keys for the page that a tap opens."""
    await notify(**inputs)
    simulator.ring(panel)
    await wait_until(lambda: anna.sent)
    data = anna.sent[0]["data"]
    assert data.get("url") == data.get("clickAction") == address
