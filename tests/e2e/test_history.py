"""Three calls in the history, shown in a browser; a power failure during a fourth."""

import asyncio
from datetime import UTC, datetime, timedelta
import signal
from typing import TYPE_CHECKING, Any

from playwright.async_api import expect
import pytest

from tests.e2e.development import expect_clean_end
from tests.e2e.operating import PAUSE, TIMEOUT, Operator
from tests.e2e.visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp
    from playwright.async_api import Page

    from dev.owner import Owner
    from tests.e2e.development import Development

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
]

STREET, YARD = "Posto esterno strada", "Posto esterno cortile"
PUSH = "binary_sensor.classe_300x_bell_connection"

type Calls = list[dict[str, Any]]


async def test_calls_in_a_browser(
    development: Development, page: Page, session: aiohttp.ClientSession
) -> None:
    """Media browser, calendar and image show them; a kill loses nothing and doubles nothing."""
    await development.start("--configured")
    operator = Operator(session, development.ready["operator"])
    visitor = Visitor(page, development)
    async with development.owner() as owner:
        await owner.sign_in()
        await _three_calls(owner, operator)
        before = await all_calls(owner, lambda calls: len(calls) == 4)
    await visitor.sign_in()
    await _look(visitor)

    async with development.owner() as owner:
        await owner.sign_in()
        await ring(owner, operator, STREET)
        development.kill_home_assistant()
        await operator.do("miss")
    async with development.owner() as owner:
        await owner.sign_in()
        await owner.wait_until_running()
        after = await all_calls(owner, lambda calls: calls[-1]["outcome"] == "missed")
    assert after[:4] == before
    assert len(after) == 5
    assert len({call["id"] for call in after}) == 5
    await _look_again(visitor)
    await _keep_for_a_month(visitor)
    assert await operator.violations() == []
    assert development.logged_problems() == []
    await expect_clean_end(development, signal.SIGINT)


async def _three_calls(owner: Owner, operator: Operator) -> None:
    """One is missed, one answered by a phone, one without a picture missed."""
    await _online(owner)
    await ring(owner, operator, STREET, "miss")
    await all_calls(owner, lambda calls: [len(call["pictures"]) for call in calls] == [0, 2])
    await ring(owner, operator, YARD, "answer_elsewhere", "hang_up")
    await all_calls(owner, lambda calls: [len(call["pictures"]) for call in calls] == [0, 2, 2])
    await ring(owner, operator, STREET, "miss", pictures=False)
    found = await all_calls(owner, lambda calls: calls[-1]["outcome"] == "missed")
    listed = [(call["panel"], call["outcome"]) for call in found[1:]]
    assert listed == [(STREET, "missed"), (YARD, "answered"), (STREET, "missed")]


async def ring(owner: Owner, operator: Operator, panel: str, *then: str, **how: object) -> None:
    """Ring, and continue once the call is listed."""
    await operator.do("ring", panel=panel, **how)
    await all_calls(owner, lambda calls: calls[-1]["outcome"] == "ringing")
    for action in then:
        await operator.do(action)


async def _look(visitor: Visitor) -> None:
    latest = await visitor.browse_calls("Latest")
    await visitor.picture("history-latest")
    assert [title.split(" · ")[1:] for title in latest[:3]] == [
        ["Missed", STREET],
        ["Answered", YARD],
        ["Missed", STREET],
    ]
    day = await browse_today(visitor, STREET)
    await visitor.picture("history-day")
    # The newest first: the one without a picture, the two pictures of the other.
    assert len(day) == 3, day
    assert [title.split(" · ")[1] for title in day] == ["Missed", "Missed", "Close-up"]
    await visitor.page.locator("ha-media-player-browse .child").filter(has_text="Close-up").click()
    shown = visitor.page.locator("hui-dialog-web-browser-play-media img")
    await shown.wait_for()
    assert await shown.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    await visitor.picture("history-picture")

    await visitor.open_calendar()
    await visitor.see("more")
    await visitor.picture("history-calendar")
    await visitor.open_device(STREET)
    await visitor.see("Last close-up")
    await visitor.picture("history-panel")


async def _look_again(visitor: Visitor) -> None:
    day = await browse_today(visitor, STREET)
    await visitor.picture("history-after-the-kill")
    assert sum("Missed" in title for title in day) == 3, day


async def _keep_for_a_month(visitor: Visitor) -> None:
    """The options show what is kept and can be saved, with the section closed and open."""
    await visitor.open_options()
    await visitor.click("Submit")
    await visitor.see("Options successfully saved")
    await visitor.open_options()
    await visitor.page.get_by_role("heading", name="History of calls").click()
    days = visitor.page.locator("ha-form-expandable input[type=number]").first
    await expect(days).to_have_value("90")
    await days.fill("30")
    await visitor.picture("history-options")
    await visitor.click("Submit")
    await visitor.see("Options successfully saved")
    await visitor.open_options()
    await visitor.page.get_by_role("heading", name="History of calls").click()
    await expect(days).to_have_value("30")


async def browse_today(visitor: Visitor, panel: str) -> list[str]:
    """Return the titles of today's calls at a panel, in the media browser; there are no others."""
    return await visitor.browse_calls(panel)


async def _online(owner: Owner) -> None:
    """Wait until rings can be pushed."""
    state = ""
    async with asyncio.timeout(TIMEOUT):
        while state != "on":
            await asyncio.sleep(PAUSE)
            state = (await owner.call("get", f"api/states/{PUSH}"))["state"]


async def all_calls(owner: Owner, condition: Callable[[Calls], bool]) -> Calls:
    """Return all calls, oldest first, once they are as they should be."""
    start = (datetime.now(tz=UTC) - timedelta(days=2)).isoformat()
    path = "api/services/bticino_classe/export_calls?return_response"
    found: Calls = []
    async with asyncio.timeout(TIMEOUT):
        while not found or not condition(found):
            await asyncio.sleep(PAUSE)
            answer = await owner.call("post", path, {"start": start})
            found = sorted(answer["service_response"]["calls"], key=lambda call: call["start"])
    return found
