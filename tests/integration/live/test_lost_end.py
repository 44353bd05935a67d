"""A view whose end was lost does not keep others from watching."""

from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.live import manager
from tests.integration.conftest import get_entry, is_watched, wait_until
from tests.integration.live.browser_client import STREET, BrowserClient, offer
from tests.integration.live.conftest import set_timeouts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from tests.simulator import Simulator


async def lose_connection(hass: HomeAssistant, simulator: Simulator) -> None:
    """Lose the signaling connection, and with it what is sent meanwhile."""
    channel = get_entry(hass).runtime_data.live.channel
    lost = channel.socket.counters["connections_ended"]
    for connection in simulator.connections:
        if connection.path.endswith("appws/"):
            connection.drop()
    await wait_until(lambda: channel.socket.counters["connections_ended"] > lost)


async def grow_old(hass: HomeAssistant, _: Simulator) -> None:
    """Let the time pass that an intercom lets somebody watch."""
    set_timeouts(get_entry(hass), view=0)


@pytest.mark.parametrize("lose", [lose_connection, grow_old])
@pytest.mark.parametrize("is_over", [True, False])
async def test_intercom_is_dialled_although_somebody_watches(  # noqa: PLR0917 - fixtures
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    hass_ws_client: WebSocketGenerator,
    monkeypatch: pytest.MonkeyPatch,
    lose: Callable[[HomeAssistant, Simulator], Awaitable[None]],
    *,
    is_over: bool,
) -> None:
    """If it accepts the new viewer, the old view has ended; otherwise the line is busy."""
    monkeypatch.setattr(manager, "BUSY_WAIT_SECONDS", 0.01)
    first = await browser.watch(offer())
    await lose(hass, simulator)
    if is_over:
        simulator.rtc.end(simulator.rtc.open[0], "device")
    second = await (await BrowserClient.connect(hass_ws_client, STREET)).open_view(
        offer("firefox_watch_shaped")
    )
    live = get_entry(hass).runtime_data.live
    if is_over:
        await second.wait_for("answer")
        assert (await first.wait_for("error"))["code"] == "call_over"
        assert is_watched(hass, STREET)
    else:
        assert (await second.wait_for("error"))["code"] == "call_busy"
        assert first.received("error") == []
    assert live.viewers == 1
