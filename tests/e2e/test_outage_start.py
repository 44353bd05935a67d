"""Home Assistant restarted while the cloud is down, and what its owner sees in a browser."""

import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.development import expect_clean_end
from tests.e2e.operating import Operator
from tests.e2e.test_history import PUSH, STREET, all_calls, browse_today, ring
from tests.e2e.test_view import until_state
from tests.e2e.visitor import Visitor
from tests.simulator import paths

if TYPE_CHECKING:
    import aiohttp
    from playwright.async_api import Page

    from dev.owner import Owner
    from tests.e2e.development import Development

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
]

CLOUD = (
    *(paths.TOKEN, paths.HOMESDATA, paths.HOMESTATUS, paths.SETSTATE, paths.GETEVENTS),
    *(paths.GETCONFIGS, paths.TURN, paths.PUSH),
)
LOCK, RINGING = "lock.cancello", "binary_sensor.posto_esterno_strada_bell"


async def test_restart_while_the_cloud_is_down(
    development: Development, page: Page, session: aiohttp.ClientSession
) -> None:
    """Dashboard, calendar and media browser are there; when the cloud is back, it rings."""
    await development.start("--configured")
    operator = Operator(session, development.ready["operator"])
    visitor = Visitor(page, development)
    async with development.owner() as owner:
        await owner.sign_in()
        await _missed_ring(owner, operator)
        for path in CLOUD:
            await operator.do("fail", path=path, status=503, html=True, times=100_000)
        development.kill_home_assistant()
    async with development.owner() as owner:
        await owner.sign_in()
        await owner.wait_until_running()
        await until_state(owner, LOCK, "unavailable")
        await until_state(owner, PUSH, "off")
        await visitor.sign_in()
        await _look(visitor)
        await operator.do("clear_failures")
        await until_state(owner, PUSH, "on")
        await until_state(owner, LOCK, "locked")
        await operator.do("ring", panel=STREET)
        await until_state(owner, RINGING, "on")
        await visitor.open_dashboard()
        await visitor.picture("outage-over")
        await operator.do("miss")
    assert await operator.violations() == []
    assert development.logged_problems() == []
    await expect_clean_end(development, signal.SIGINT)


async def _missed_ring(owner: Owner, operator: Operator) -> None:
    await until_state(owner, PUSH, "on")
    await ring(owner, operator, STREET, "miss")
    await all_calls(owner, lambda calls: [len(call["pictures"]) for call in calls] == [0, 2])
    await until_state(owner, LOCK, "locked")


async def _look(visitor: Visitor) -> None:
    """What needs no cloud is there; what needs it says that it is unavailable."""
    await visitor.open_dashboard("hui-tile-card")
    await visitor.see("Unavailable")
    await visitor.picture("outage-dashboard")
    await visitor.open_calendar()
    await visitor.see("Missed")
    await visitor.picture("outage-calendar")
    assert len(await browse_today(visitor, STREET)) == 2
    await visitor.picture("outage-media")
