"""Home Assistant's own player in Firefox: picture, sound, talk, and what a lack of H.264 means."""

from typing import TYPE_CHECKING, Any, Final

import pytest
import pytest_asyncio

from tests.e2e.firefox import DECODES_H264, Page, firefox, firefox_page
from tests.e2e.operating import Operator
from tests.e2e.player import CLOCK, DIFFERENT, STATS, hears_tone, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import aiohttp

    from tests.e2e.development import Development

FIREFOX: Final = firefox()
pytestmark = [
    pytest.mark.skipif(FIREFOX is None, reason="no Firefox on this machine: install firefox-esr"),
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("house"),
]

CAMERA = "dev-intercom/doors?more-info-entity-id=camera.posto_esterno_strada"
VIDEO = "window.findAll('video')[0]"


@pytest_asyncio.fixture(loop_scope="session")
async def operator(house: Development, session: aiohttp.ClientSession) -> AsyncIterator[Operator]:
    """The operator of the house, whose intercom's sound needs no sound of the viewer."""
    operator = Operator(session, house.ready["operator"])
    await operator.do("reset_rtc")
    await operator.do("rtc", view_seconds=600, audio_requires="sendrecv")
    await operator.count_calls_from_now()
    yield operator
    await operator.do("reset_rtc")
    assert await operator.violations() == []
    assert house.logged_problems() == []


async def test_firefox_sees_hears_and_talks(
    house: Development, operator: Operator, tmp_path: Path
) -> None:
    """From the login to a conversation, and nothing is left of it."""
    assert FIREFOX is not None
    async with firefox_page(FIREFOX, tmp_path) as page:
        if not await page.run(DECODES_H264):
            pytest.skip("this Firefox finds no library that decodes H.264")
        await _open_camera(page, house)
        await _plays(page)
        await page.picture("firefox-view")
        await page.click("ha-button", "Start talking")
        await page.wait_for("ha-button", "Stop talking")
        await operator.wait_for_calls(hears_tone)
        await _plays(page)
        await page.picture("firefox-talk")
        await page.open("about:blank")
        calls = await operator.wait_for_calls(lambda found: not found["held_slots"])
    assert (calls["offers"], calls["terminates"], calls["peak"]) == (2, 2, 1)


async def test_firefox_without_h264(house: Development, operator: Operator, tmp_path: Path) -> None:
    """As before its plugin has been downloaded: the reason is shown, the intercom not dialled."""
    assert FIREFOX is not None
    async with firefox_page(FIREFOX, tmp_path, h264=False) as page:
        await _open_camera(page, house)
        await page.wait_for("ha-alert", "does not support a codec that the intercom needs")
        await page.picture("firefox-without-h264")
    assert (await operator.calls())["offers"] == 0


async def _open_camera(page: Page, house: Development) -> None:
    """Sign in, and open the camera of a panel."""
    await page.open(house.ready["url"])
    await page.fill("input[name=username]", house.ready["user"])
    await page.fill("input[name=password]", house.ready["password"])
    await page.click("ha-button", "Log in")
    await page.wait_for("ha-sidebar")
    await page.open(house.ready["url"] + CAMERA)


async def _plays(page: Page) -> None:
    """Wait until a second more has been decoded, of sound too, and the clock has moved."""
    await page.wait_for("video")
    first: dict[str, Any] = await page.run(STATS)
    clock: list[int] = []

    async def goes_on() -> bool:
        now = await page.run(STATS)
        return bool(
            now["frames"] >= first["frames"] + 15 and now["energy"] > first["energy"] + 0.01
        )

    async def moves() -> bool:
        now = await page.run(f"() => ({CLOCK})({VIDEO})")
        return any(abs(a - b) > DIFFERENT for a, b in zip(clock, now, strict=True))

    await until(goes_on)
    clock += await page.run(f"() => ({CLOCK})({VIDEO})")
    await until(moves)
