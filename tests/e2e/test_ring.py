"""Somebody rings: a phone-sized dashboard shows it, an automation runs, a cut line comes back."""

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from dev.owner import Owner
from tests.e2e.development import expect_clean_end
from tests.e2e.operating import PATIENCE, PAUSE, SETSTATE, Operator
from tests.e2e.visitor import Visitor

if TYPE_CHECKING:
    import aiohttp
    from playwright.async_api import Page

    from tests.e2e.development import Development

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

STREET = "Posto esterno strada"
# As the automation editor of the frontend stores it.
AUTOMATION = {
    "alias": "Open when it rings",
    "triggers": [
        {
            "trigger": "doorbell.rang",
            "target": {"entity_id": "event.posto_esterno_strada_doorbell"},
        }
    ],
    "actions": [{"action": "lock.open", "target": {"entity_id": "lock.cancello"}}],
}


async def test_ring_in_a_browser(
    development: Development, page: Page, session: aiohttp.ClientSession
) -> None:
    """The dashboard at once, core's trigger once, and all the same after the line was cut."""
    await development.start("--configured")
    operator = Operator(session, development.ready["operator"])
    visitor = Visitor(page, development)
    async with Owner(development.ready["url"]) as owner:
        await owner.sign_in()
        await owner.call("post", "api/config/automation/config/ring", AUTOMATION)
    await visitor.sign_in()
    await visitor.open_dashboard()
    await _ring(visitor, operator, 1)
    await visitor.picture("ringing")
    await operator.do("miss")
    await visitor.expect_tile("Missed calls", "1")

    await operator.do("sockets", handshake_status=502)
    await operator.do("drop_connections")
    await _until_logged(development, "is lost")
    await operator.do("reset_sockets")
    await _until_logged(development, "is back")
    await _ring(visitor, operator, 2)
    levels = [line for line in development.log().splitlines() if "push connection" in line]
    assert [line.split()[2] for line in levels] == ["WARNING", "INFO"]
    assert await operator.violations() == []
    await expect_clean_end(development, signal.SIGINT)


async def _ring(visitor: Visitor, operator: Operator, count: int) -> None:
    """Ring at the gate: it is shown, and the automation has opened once more."""
    await operator.do("ring", panel=STREET)
    await visitor.expect_tile("Strada", "Ringing")
    await operator.wait_for_requests(SETSTATE, count)
    assert (await operator.openings())["Cancello"] == count


async def _until_logged(development: Development, words: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while words not in development.log():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(PAUSE)
