"""Somebody rings: a phone-sized dashboard shows it, an automation runs, a cut line comes back."""

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.e2e.operating import PAUSE, SETSTATE, TIMEOUT, Operator
from tests.e2e.visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp
    from playwright.async_api import Page

    from dev.owner import Owner
    from tests.e2e.development import Development

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("house"),
]

STREET = "Posto esterno strada"
AUTOMATION_PATH = "api/config/automation/config/ring"
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


@pytest_asyncio.fixture(loop_scope="session")
async def owner(house: Development) -> AsyncIterator[Owner]:
    """The owner, with an automation and without missed calls."""
    reset = {"entity_id": "button.classe_300x_reset_missed_calls"}
    async with house.owner() as owner:
        await owner.sign_in()
        await owner.call("post", "api/services/button/press", reset)
        await owner.call("post", AUTOMATION_PATH, AUTOMATION)
        yield owner
        await owner.call("delete", AUTOMATION_PATH)


@pytest.mark.usefixtures("owner")
async def test_ring_in_a_browser(
    house: Development, page: Page, session: aiohttp.ClientSession
) -> None:
    """The dashboard at once, core's trigger once, and all the same after the line was cut."""
    logged = len(house.log())
    operator = Operator(session, house.ready["operator"])
    openings = (await operator.openings())["Cancello"]
    await operator.do("clear_journal")
    visitor = Visitor(page, house)
    await visitor.sign_in()
    await visitor.open_dashboard()
    await _ring(visitor, operator)
    await visitor.picture("ringing")
    await operator.do("miss")
    await visitor.expect_tile("Missed calls", "1")
    await visitor.open_missed_calls("1")

    await operator.do("sockets", handshake_status=502)
    await operator.do("drop_connections")
    await _until_logged(house, logged, "is lost")
    await operator.do("reset_sockets")
    await _until_logged(house, logged, "is back")
    await operator.do("clear_journal")
    await _ring(visitor, operator)
    await operator.do("miss")
    assert (await operator.openings())["Cancello"] == openings + 2
    levels = [line for line in house.log()[logged:].splitlines() if "push connection" in line]
    assert [line.split()[2] for line in levels] == ["WARNING", "INFO"]
    assert await operator.violations() == []


async def _ring(visitor: Visitor, operator: Operator) -> None:
    """Ring at the gate: it is shown, and the automation opens once."""
    await operator.do("ring", panel=STREET)
    await visitor.expect_tile("Strada", "Ringing")
    await operator.wait_for_requests(SETSTATE, 1)
    assert len(await operator.journal(SETSTATE)) == 1


async def _until_logged(house: Development, start: int, words: str) -> None:
    async with asyncio.timeout(TIMEOUT):
        while words not in house.log()[start:]:  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(PAUSE)
