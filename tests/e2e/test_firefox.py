"""Home Assistant's own player in Firefox: picture, sound, talk, and what a lack of H.264 means."""

from typing import TYPE_CHECKING, Any, Final

import pytest
import pytest_asyncio

from tests.e2e.conftest import FAILED
from tests.e2e.firefox import DECODES_H264, Page, firefox, firefox_page
from tests.e2e.operating import Operator
from tests.e2e.player import CLOCK, DIFFERENT, STATS, hears_tone, until
from tests.e2e.test_guest import MORE_INFO
from tests.e2e.test_relayed import OPTIONS_FLOW
from tests.e2e.test_view import somebody, until_state

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import aiohttp
    from playwright.async_api import Browser

    from tests.e2e.development import Development

FIREFOX: Final = firefox()
pytestmark = [
    pytest.mark.skipif(FIREFOX is None, reason="no Firefox on this machine: install firefox-esr"),
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("house"),
]

PANEL = "Posto esterno strada"
DASHBOARD = "dev-intercom/doors"
CAMERA = "camera.posto_esterno_strada"
RINGING = "binary_sensor.posto_esterno_strada_ringing"
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


@pytest_asyncio.fixture(loop_scope="session")
async def page(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Page]:
    """A Firefox that decodes H.264; without one the test is skipped."""
    assert FIREFOX is not None
    async with firefox_page(FIREFOX, tmp_path) as page:
        if not await page.run(DECODES_H264):
            pytest.skip("this Firefox finds no library that decodes H.264")
        yield page
        if request.node.stash.get(FAILED, False):
            await page.picture(f"failed-{request.node.name}")


async def test_firefox_sees_hears_and_talks(
    house: Development, operator: Operator, page: Page
) -> None:
    """From the login to a conversation, and nothing is left of it."""
    await _open_camera(page, house)
    await _plays(page)
    await page.picture("firefox-view")
    await _talk(page, operator)
    await page.picture("firefox-talk")
    calls = await _leave(page, operator)
    assert (calls["offers"], calls["terminates"], calls["peak"]) == (2, 2, 1)


async def test_firefox_answers_a_ring(house: Development, operator: Operator, page: Page) -> None:
    """By opening the camera; then it talks."""
    await _sign_in(page, house)
    await page.open(f"{house.ready['url']}{DASHBOARD}")
    await page.wait_for("hui-lock-open-door-card-feature")
    async with house.owner() as owner:
        await owner.sign_in()
        await operator.do("ring", panel=PANEL)
        await until_state(owner, RINGING, "on")
    await page.run(MORE_INFO, CAMERA)
    await _plays(page)
    calls = await operator.calls()
    assert (calls["offers"], calls["answers"]) == (0, 1)
    await page.picture("firefox-answered")
    await _talk(page, operator)
    assert (await _leave(page, operator))["peak"] == 1


async def test_firefox_without_h264(house: Development, operator: Operator, tmp_path: Path) -> None:
    """As before its plugin has been downloaded: the reason is shown, the intercom not dialled."""
    assert FIREFOX is not None
    async with firefox_page(FIREFOX, tmp_path, h264=False) as page:
        await _open_camera(page, house)
        await page.wait_for("ha-alert", "does not support a codec that the intercom needs")
        await page.picture("firefox-without-h264")
    assert (await operator.calls())["offers"] == 0


async def test_firefox_and_chromium_watch_one_call(
    development: Development, running: Browser, session: aiohttp.ClientSession, page: Page
) -> None:
    """Through go2rtc, or rather what stands in for it."""
    await development.start("--configured", "--go2rtc")
    await _relay(development)
    operator = Operator(session, development.ready["operator"])
    await operator.do("rtc", view_seconds=600, audio_requires="sendrecv")
    await _open_camera(page, development)
    await _plays(page)
    _, player = await somebody(development, running)
    await player.open_from_device(PANEL)
    await player.plays()
    await _plays(page)
    await page.picture("firefox-relayed")
    await page.open("about:blank")
    await player.plays()
    calls = await operator.calls()
    assert (calls["offers"], calls["held_slots"]) == (1, 1)
    assert await operator.violations() == []
    assert development.logged_problems() == []


async def _relay(development: Development) -> None:
    """Choose the camera in the options."""
    async with development.owner() as owner:
        await owner.sign_in()
        (entry,) = await owner.entries()
        form = await owner.call("post", OPTIONS_FLOW, {"handler": entry["entry_id"]})
        fields = {field["name"]: field for field in form["data_schema"]}
        offered = fields["go2rtc_cameras"]["selector"]["select"]["options"]
        chosen = [each["value"] for each in offered if each["label"] == PANEL]
        options = {"go2rtc_cameras": chosen, "history": {}}
        await owner.call("post", f"{OPTIONS_FLOW}/{form['flow_id']}", options)


async def _sign_in(page: Page, house: Development) -> None:
    """From the bare address to the first page behind the login."""
    await page.open(house.ready["url"])
    await page.fill("input[name=username]", house.ready["user"])
    await page.fill("input[name=password]", house.ready["password"])
    await page.click("ha-button", "Log in")
    await page.wait_for("ha-sidebar")


async def _open_camera(page: Page, house: Development) -> None:
    """Sign in, and open the camera of a panel."""
    await _sign_in(page, house)
    await page.open(f"{house.ready['url']}{DASHBOARD}?more-info-entity-id={CAMERA}")


async def _talk(page: Page, operator: Operator) -> None:
    """Press the button: the intercom hears the tone, and the picture goes on."""
    await page.click("ha-button", "Start talking")
    await page.wait_for("ha-button", "Stop talking")
    await operator.wait_for_calls(hears_tone)
    await _plays(page)


async def _leave(page: Page, operator: Operator) -> dict[str, Any]:
    """Leave Home Assistant's page; return the calls once the last one has ended."""
    await page.open("about:blank")
    return await operator.wait_for_calls(lambda found: not found["held_slots"])


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
