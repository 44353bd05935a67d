"""Doors and lights wait a moment for the push connection: without one, they may be refused."""

import asyncio
from typing import TYPE_CHECKING, Any

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.exceptions import HomeAssistantError
import pytest

from custom_components.bticino_classe import commands
from tests.conftest import HANG_TIMEOUT, advance_loop
from tests.integration.conftest import (
    call_action,
    expect_refused,
    get_entry,
    skip_backoff,
    state_of,
    wait_idle,
    wait_online,
    wait_until,
)
from tests.integration.test_stopped_opening import opened_doors, turn_loop
from tests.simulator import Failure
from tests.simulator.paths import HOMESTATUS, PUSH, SETSTATE, TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import Event, HomeAssistant

    from tests.simulator import Simulator

WAIT_SECONDS = commands.PUSH_WAIT_SECONDS
LOCK = ("lock", "unlock", "lock.cancello")
BUTTON = ("button", "press", "button.cancello_open")
LIGHT = ("light", "turn_on", "light.luce_scale")
BRIDGE, CANCELLO = "00:03:50:30:00:0a", "30000a-0303-aa11bb22cc03"


@pytest.fixture(name="offline_entry")
async def _offline_entry(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> ConfigEntry[Any]:
    """An account whose push connection is refused; commands wait for it."""
    monkeypatch.setattr(commands, "PUSH_WAIT_SECONDS", HANG_TIMEOUT)
    skip_backoff(entry.runtime_data.push)
    await wait_until(lambda: simulator.journal.of(PUSH))
    assert hass.states.get("lock.cancello") is not None
    return entry


def press(hass: HomeAssistant, *action: str) -> asyncio.Task[None]:
    """Call an action in the background."""
    return hass.async_create_task(call_action(hass, *action))


def paths(simulator: Simulator) -> list[str]:
    """Return the confirmed subscriptions and the commands, in order."""
    is_wanted = {("FRAME", PUSH), ("POST", SETSTATE)}
    return [each.path for each in simulator.journal if (each.method, each.path) in is_wanted]


async def test_waits_within_its_deadline() -> None:
    """Enough of the deadline is left to send the command."""
    assert 1 < WAIT_SECONDS < commands.COMMAND_SECONDS / 2


@pytest.mark.parametrize("action", [LOCK, BUTTON, LIGHT])
@pytest.mark.usefixtures("offline_entry")
async def test_command_is_sent_once_the_connection_is_there(
    hass: HomeAssistant, simulator: Simulator, action: tuple[str, str, str]
) -> None:
    """Not before, and once."""
    simulator.commands_without_push = "refused"
    pressed = press(hass, *action)
    await turn_loop()
    assert simulator.journal.commands == []
    simulator.sockets.handshake_status = None
    await pressed
    assert paths(simulator) == [PUSH, SETSTATE]
    assert simulator.violations == []


@pytest.mark.usefixtures("entry")
async def test_waiting_connection_tries_again_at_once(
    hass: HomeAssistant,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The press would be over before the next attempt after a long outage."""
    monkeypatch.setattr(commands, "PUSH_WAIT_SECONDS", HANG_TIMEOUT)
    push = get_entry(hass).runtime_data.push
    push.socket._backoff.draw, push.socket._backoff.failures = (lambda: 1.0), 30
    await wait_until(lambda: push.socket.state == "waiting" and push.socket._backoff.failures > 30)
    simulator.sockets.handshake_status = None
    await call_action(hass, "lock", "open", "lock.cancello")
    assert paths(simulator) == [PUSH, SETSTATE]


@pytest.mark.parametrize("action", [LOCK, BUTTON, LIGHT])
@pytest.mark.usefixtures("offline_entry")
async def test_wait_longer_than_the_deadline(
    hass: HomeAssistant,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    action: tuple[str, str, str],
) -> None:
    """Home Assistant was busy, for example: nothing is sent late."""
    pressed = press(hass, *action)
    await turn_loop()
    advance_loop(monkeypatch, HANG_TIMEOUT)
    with pytest.raises(HomeAssistantError) as caught:
        await pressed
    assert caught.value.translation_key == "command_too_late"
    assert simulator.journal.commands == []


@pytest.mark.parametrize("action", [LOCK, BUTTON, LIGHT])
@pytest.mark.usefixtures("entry")
async def test_command_without_the_connection(
    hass: HomeAssistant,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    action: tuple[str, str, str],
) -> None:
    """It is sent once after the wait: many intercoms do not need the connection."""
    monkeypatch.setattr(commands, "PUSH_WAIT_SECONDS", WAIT_SECONDS)
    pressed = press(hass, *action)
    await turn_loop()
    assert simulator.journal.commands == []
    advance_loop(monkeypatch, WAIT_SECONDS)
    await pressed
    simulator.sockets.handshake_status = None
    await wait_online(get_entry(hass))
    assert len(simulator.journal.commands) == 1


@pytest.mark.parametrize(("first", "second"), [(LOCK, BUTTON), (BUTTON, LOCK), (LOCK, LOCK)])
@pytest.mark.usefixtures("offline_entry")
async def test_second_press_joins_the_one_that_waits(
    hass: HomeAssistant,
    simulator: Simulator,
    first: tuple[str, str, str],
    second: tuple[str, str, str],
) -> None:
    """Both are told that the door has opened, once."""
    presses = [press(hass, *first), press(hass, *second)]
    await turn_loop()
    simulator.sockets.handshake_status = None
    await asyncio.gather(*presses)
    assert opened_doors(simulator) == ["Cancello"]
    assert len(simulator.journal.commands) == 1


@pytest.mark.parametrize("action", [LOCK, BUTTON, LIGHT])
async def test_withdrawn_press_sends_nothing_later(
    hass: HomeAssistant,
    simulator: Simulator,
    offline_entry: ConfigEntry[Any],
    action: tuple[str, str, str],
) -> None:
    """Its caller has gone while it waited; the next press is a new one."""
    pressed = press(hass, *action)
    await turn_loop()
    pressed.cancel()
    await turn_loop()
    simulator.sockets.handshake_status = None
    await wait_online(offline_entry)
    assert simulator.journal.commands == []
    await call_action(hass, *action)
    assert len(simulator.journal.commands) == 1


async def test_doors_open_in_the_order_of_the_presses(
    hass: HomeAssistant, simulator: Simulator, offline_entry: ConfigEntry[Any]
) -> None:
    """Each waits by itself, and a light comes last."""
    light = press(hass, *LIGHT)
    doors = [press(hass, "lock", "open", f"lock.{name}") for name in ("portone", "cancello", "box")]
    await turn_loop()
    simulator.sockets.handshake_status = None
    await asyncio.gather(light, *doors)
    await wait_online(offline_entry)
    assert opened_doors(simulator) == ["Portone", "Cancello", "Box"]


async def _reload(hass: HomeAssistant) -> None:
    await hass.config_entries.async_reload(get_entry(hass).entry_id)


async def _unload(hass: HomeAssistant) -> None:
    await hass.config_entries.async_unload(get_entry(hass).entry_id)


@pytest.mark.parametrize(
    ("end", "action", "opened"),
    [
        (_reload, LOCK, ["Cancello"]),
        (_reload, BUTTON, ["Cancello"]),
        (_unload, LOCK, ["Cancello"]),
        # The options that are loaded next may call the relay a door.
        (_reload, LIGHT, []),
        (_unload, LIGHT, []),
    ],
)
@pytest.mark.usefixtures("offline_entry")
async def test_unloading_waits_for_the_command(
    hass: HomeAssistant,
    simulator: Simulator,
    end: Callable[[HomeAssistant], Coroutine[Any, Any, None]],
    action: tuple[str, str, str],
    opened: list[str],
) -> None:
    """It is sent once, by the connection that the account still has."""
    pressed = press(hass, *action)
    await turn_loop()
    ending = hass.async_create_task(end(hass))
    await turn_loop()
    assert simulator.journal.commands == []
    simulator.sockets.handshake_status = None
    await asyncio.gather(pressed, ending)
    await wait_idle(hass)
    assert opened_doors(simulator) == opened
    assert len(simulator.journal.commands) == 1


@pytest.mark.parametrize("action", [LOCK, BUTTON])
@pytest.mark.usefixtures("offline_entry")
async def test_stopping_home_assistant_ends_the_wait(
    hass: HomeAssistant, simulator: Simulator, action: tuple[str, str, str]
) -> None:
    """The connection will not come: the door opens before Home Assistant has stopped, once."""
    pressed = press(hass, *action)
    await turn_loop()
    await hass.async_stop(force=True)
    await pressed
    assert len(simulator.journal.commands) == 1


@pytest.mark.usefixtures("offline_entry")
async def test_press_while_home_assistant_stops(hass: HomeAssistant, simulator: Simulator) -> None:
    """An automation of Home Assistant's stop, for example, does not delay it."""

    async def on_stop(_event: Event) -> None:
        await call_action(hass, *LOCK)

    hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, on_stop)
    await hass.async_stop(force=True)
    assert opened_doors(simulator) == ["Cancello"]


async def test_refused_credentials_end_the_wait(
    hass: HomeAssistant, simulator: Simulator, offline_entry: ConfigEntry[Any]
) -> None:
    """No connection comes before somebody signs in again."""
    simulator.change_password("another")
    simulator.sockets.handshake_status = None
    offline_entry.runtime_data.account.auth.invalidate(
        offline_entry.runtime_data.account.auth._access_token
    )
    await wait_until(lambda: offline_entry.runtime_data.push.socket.state == "auth_failed")
    refused = await expect_refused(hass, "lock", "open", "lock.cancello")
    assert refused == "command_invalid_auth"
    assert simulator.journal.of(TOKEN)


@pytest.mark.parametrize(
    ("action", "body", "key"),
    [
        (LOCK, {"body": {"errors": [{"code": 6, "id": BRIDGE}]}}, "command_not_forwarded"),
        (BUTTON, {"errors": [{"code": 6, "id": BRIDGE.upper()}]}, "command_not_forwarded"),
        (LIGHT, {"body": {"errors": [{"code": 6, "id": BRIDGE}]}}, "command_not_forwarded"),
        (LOCK, {"body": {"errors": [{"code": 6, "id": CANCELLO}]}}, "command_unreachable"),
        (LOCK, {"body": {"errors": [{"code": 6}]}}, "command_unreachable"),
        (LOCK, {"body": {"errors": [{"code": 5, "id": BRIDGE}]}}, "command_refused"),
    ],
)
@pytest.mark.usefixtures("entry")
async def test_unreachable_intercom_that_is_connected(
    hass: HomeAssistant,
    simulator: Simulator,
    action: tuple[str, str, str],
    body: dict[str, Any],
    key: str,
) -> None:
    """The cloud names the intercom, and its status says the contrary: that has its own words."""
    simulator.fail(SETSTATE, Failure(body={"status": "ok", **body}))
    assert await expect_refused(hass, *action) == key
    assert len(simulator.journal.commands) == 1, "it is not repeated"
    await wait_idle(hass)
    is_read_again = bool(simulator.journal.of(HOMESTATUS))
    assert is_read_again is (key != "command_refused")


async def test_unreachable_intercom_that_is_disconnected(
    hass: HomeAssistant, simulator: Simulator, online_entry: ConfigEntry[Any]
) -> None:
    """Its status has changed by the time of the answer: nothing is contradicted."""
    released = asyncio.Event()
    body: dict[str, object] = {"status": "ok", "body": {"errors": [{"code": 6, "id": BRIDGE}]}}
    simulator.fail(SETSTATE, Failure(body=body, until=released))
    pressed = press(hass, *LOCK)
    await wait_until(lambda: simulator.journal.commands)
    simulator.unplug_bridge()
    await wait_until(lambda: state_of(hass, "lock.cancello") == "unavailable")
    released.set()
    with pytest.raises(HomeAssistantError) as caught:
        await pressed
    assert caught.value.translation_key == "command_unreachable"
    assert online_entry.runtime_data.push.is_online
