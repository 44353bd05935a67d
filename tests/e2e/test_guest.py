"""A guest who may only see one camera: in the media browser, in the player, and around them."""

import json
import signal
from typing import TYPE_CHECKING, Any, Final

from playwright.async_api import expect
import pytest

from tests.e2e.development import expect_clean_end
from tests.e2e.operating import Operator
from tests.e2e.player import Player, new_page
from tests.e2e.test_view import until_state
from tests.e2e.visitor import TIMEOUT_MS, Visitor

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp
    from playwright.async_api import Browser

    from tests.e2e.development import Development

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
]

STREET, YARD = "Posto esterno strada", "Posto esterno cortile"
CAMERA, YARD_CAMERA = "camera.posto_esterno_strada", "camera.posto_esterno_cortile"
RINGING = "binary_sensor.posto_esterno_strada_bell"
PUSH = "binary_sensor.classe_300x_bell_connection"
GUEST: Final = {"username": "guest", "password": "a password of a guest"}
GROUP: Final = "guests"
MEDIA: Final = "media-browser/browser/app%2Cmedia-source%3A%2F%2Fbticino_classe"
MORE_INFO: Final = """
  entityId => document.querySelector("home-assistant").dispatchEvent(
    new CustomEvent("hass-more-info", {detail: {entityId}, bubbles: true, composed: true}))
"""
# What a changed page could send: an offer for any camera; returns the last message.
OFFER: Final = """
  entity_id => new Promise(resolve => {
    const page = document.querySelector("home-assistant").hass;
    page.connection.subscribeMessage(
      message => message.type === "session" || resolve(message),
      {type: "camera/webrtc/offer", entity_id, offer: "v=0\\r\\n"},
    ).catch(resolve);
  })
"""
CALL: Final = """
  ([domain, service, data]) => document.querySelector("home-assistant").hass
    .callService(domain, service, data, undefined, false).then(() => "done", error => error.code)
"""


async def test_guest(
    development: Development, running: Browser, session: aiohttp.ClientSession
) -> None:
    """Sees one panel and its calls; cannot answer its ring, open a door or watch another panel."""
    await development.start("--configured")
    await _add_guest(development)
    operator = Operator(session, development.ready["operator"])
    visitor = Visitor(await new_page(running), development)
    async with development.owner() as owner:
        await owner.sign_in()
        await until_state(owner, PUSH, "on")
        for panel in (STREET, YARD):
            await operator.do("ring", panel=panel)
            await operator.do("miss")
        await _sign_in(visitor)
        await _see_one_panel(visitor)
        await _watch(visitor, operator)
        await operator.do("ring", panel=STREET)
        await until_state(owner, RINGING, "on")
        await _cannot_answer(visitor, operator)
        await until_state(owner, RINGING, "on")
        await _cannot_do_more(visitor, operator)
        await operator.do("miss")
    assert await operator.violations() == []
    problems = development.logged_problems()
    # Home Assistant logs what a changed page was refused.
    assert [each for each in problems if not each.endswith(": Unauthorized")] == []
    await expect_clean_end(development, signal.SIGINT)


async def _add_guest(development: Development) -> None:
    """Add a user, and restrict it to one camera, which only the file of the users can say."""
    async with development.owner() as owner:
        await owner.sign_in()
        await owner.wait_until_running()
        created = await owner.send_command("config/auth/create", name="Guest", local_only=False)
        user_id = created["user"]["id"]
        command = "config/auth_provider/homeassistant/create"
        assert await owner.send_command(command, user_id=user_id, **GUEST) is None
    await development.end(signal.SIGINT)
    _restrict(development.state / "config" / ".storage" / "auth", user_id)
    await development.start("--configured")


def _restrict(path: Path, user_id: str) -> None:
    stored = json.loads(path.read_text())
    policy = {"entities": {"entity_ids": {CAMERA: {"read": True}}}}
    stored["data"]["groups"].append({"id": GROUP, "name": "Guests", "policy": policy})
    (user,) = [each for each in stored["data"]["users"] if each["id"] == user_id]
    user["group_ids"] = [GROUP]
    path.write_text(json.dumps(stored))


async def _sign_in(visitor: Visitor) -> None:
    page = visitor.page
    await page.goto(visitor.url)
    for field, text in GUEST.items():
        await page.locator(f"input[name={field}]").fill(text)
    await page.get_by_role("button", name="Log in").click()
    await page.locator("ha-sidebar").wait_for()


async def _see_one_panel(visitor: Visitor) -> None:
    await visitor.page.goto(visitor.url + MEDIA)
    items = visitor.page.locator("ha-media-player-browse .child")
    await items.filter(has_text="Latest").click()
    await items.filter(has_text=STREET).first.wait_for()
    await expect(items.filter(has_not_text=STREET)).to_have_count(0, timeout=TIMEOUT_MS)
    await visitor.picture("guest-media")


async def _open(visitor: Visitor, entity_id: str) -> None:
    await visitor.page.evaluate(MORE_INFO, entity_id)
    await visitor.page.locator("ha-web-rtc-player").wait_for()


async def _watch(visitor: Visitor, operator: Operator) -> None:
    player = Player(visitor)
    await _open(visitor, CAMERA)
    await player.plays()
    await visitor.picture("guest-view")
    await player.close()
    await operator.wait_for_calls(lambda found: found["terminates"] == 1)


async def _cannot_answer(visitor: Visitor, operator: Operator) -> None:
    await operator.count_calls_from_now()
    player = Player(visitor)
    await _open(visitor, CAMERA)
    await player.says("you do not have permission to answer here")
    await visitor.picture("guest-ring")
    await player.close()
    calls = await operator.calls()
    assert (calls["offers"], calls["answers"]) == (0, 0)


async def _cannot_do_more(visitor: Visitor, operator: Operator) -> None:
    before = await operator.openings()
    refused: dict[str, Any] = await visitor.page.evaluate(OFFER, YARD_CAMERA)
    assert refused["code"] == "call_watch_not_allowed"
    for action in (
        ["lock", "open", {"entity_id": "lock.cancello"}],
        ["bticino_classe", "decline_ring", {"entity_id": CAMERA}],
        ["bticino_classe", "reset_missed_calls", {}],
    ):
        assert await visitor.page.evaluate(CALL, action) != "done"
    assert await operator.openings() == before
    assert (await operator.calls())["offers"] == 0
