"""The repair issue about an offer that is too large for the intercom."""

from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import get_entry, reload_entry, wait_until
from tests.integration.issues import all_issues, texts_of
from tests.integration.live.browser_client import BrowserClient, offer
from tests.integration.live.conftest import ring_and_wait, set_timeouts
from tests.soak.frames.coverage import Coverage

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

MAX_WORK = 20_000  # lines of the product; less than one for each of a huge offer
REFUSED = "call_offer_too_large"


def large(version: int, lines: int = 120) -> str:
    """Return an offer that is too large for the intercom, or even to be processed."""
    return offer(version=version) + "".join(f"a=x-{n}:{'x' * 80}\r\n" for n in range(lines))


@pytest.mark.parametrize("lines", [120, 20_000], ids=["large", "huge"])
@pytest.mark.parametrize("is_ringing", [False, True], ids=["view", "ring"])
async def test_large_offer(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    lines: int,
    *,
    is_ringing: bool,
) -> None:
    """The issue is there once, until an offer is sent."""
    if is_ringing:
        await ring_and_wait(hass, simulator)
    for version in (1, 2):
        with Coverage(counts_all=True) as coverage:
            view = await browser.open_view(large(version, lines))
            await view.wait_for("error")
        assert coverage.executed < MAX_WORK
        (issue,) = all_issues(hass)
        assert issue.issue_id == f"offer_too_large_{get_entry(hass).entry_id}"
    assert (simulator.rtc.offers, simulator.rtc.answers) == (0, 0)
    assert get_entry(hass).title in texts_of(issue)[1]
    await browser.watch(offer(version=3))
    await wait_until(lambda: all_issues(hass) == [])


async def test_offer_that_is_refused_by_the_intercom(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """It was sent, so its size was not the problem."""
    await (await browser.open_view(large(1))).wait_for("error")
    assert all_issues(hass)
    simulator.rtc.settings.refuse_offers = 41
    await (await browser.open_view(offer(version=2))).wait_for("error")
    await wait_until(lambda: all_issues(hass) == [])


async def test_offer_that_is_not_sent(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """Without a connection, nothing is known about it."""
    await (await browser.open_view(large(1))).wait_for("error")
    set_timeouts(get_entry(hass), connected=0.05)
    simulator.sockets.handshake_status = 503
    await (await browser.open_view(offer(version=2))).wait_for("error")
    (issue,) = all_issues(hass)
    assert issue.translation_key == "offer_too_large"
    await reload_entry(hass, get_entry(hass))
    assert all_issues(hass) == []
