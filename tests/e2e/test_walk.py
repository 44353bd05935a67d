"""The walk of a new owner, in a browser, from the login to a restart that signs nobody in.

In two languages, on a desktop and on a phone; a screenshot of each page is in `artifacts/`.
"""

import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.development import expect_clean_end
from tests.e2e.operating import HOMESTATUS, SETSTATE, TOKEN, Operator
from tests.e2e.player import Player, new_page
from tests.e2e.visitor import CONFIG, Visitor

if TYPE_CHECKING:
    import aiohttp
    from playwright.async_api import Browser

    from tests.e2e.development import Development

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
]

CLOSED = {"Cancello": 0, "Portone": 0, "Box": 0}
WRONG = "not the password"
NEW = "casa-nuova"
STREET = "Posto esterno strada"
DEVICES = ("Classe 300X", STREET, "Luce scale")
INTEGRATIONS = f"{CONFIG}.integrations"
OUTCOMES = "entity.sensor.last_call.state"


@pytest.mark.parametrize("device", ["desktop", "phone"])
@pytest.mark.parametrize("language", ["en", "it"])
async def test_walk_in_a_browser(
    development: Development,
    running: Browser,
    session: aiohttp.ClientSession,
    language: str,
    device: str,
) -> None:
    """A person who follows the README opens a door, and is asked once for a new password."""
    development.language = language
    await development.start()
    operator = Operator(session, development.ready["operator"])
    page = await new_page(running, language=language, phone=device == "phone")
    visitor = Visitor(page, development, f"walk-{language}-{device}")
    await visitor.sign_in()
    await _add_account(visitor, operator, development)
    await _open_from_device_page(visitor, operator)
    await _open_from_dashboard(visitor, operator)
    await _answer_and_miss(visitor, operator)
    await _look_around(visitor)
    await _change_password(visitor, operator)
    await _sign_in_again(visitor, operator)
    if (language, device) == ("en", "desktop"):  # a restart shows no page
        await _restart(development, operator)
    assert await operator.violations() == []
    await expect_clean_end(development, signal.SIGINT)


async def _add_account(visitor: Visitor, operator: Operator, development: Development) -> None:
    await visitor.begin_to_add()
    await visitor.picture("sign-in")
    await visitor.submit(username=visitor.email, password=WRONG)
    await visitor.see(visitor.own("config.error.invalid_auth"))
    await visitor.picture("sign-in-refused")
    await visitor.submit(password=development.ready["account_password"])
    await visitor.see(visitor.own("config.step.lights.title"))
    await visitor.picture("lights")
    await visitor.submit()
    await visitor.see(await visitor.text(f"{INTEGRATIONS}.config_flow.device_created"))
    await visitor.picture("added")
    await visitor.click(await visitor.text(f"{INTEGRATIONS}.config_flow.finish_skip"))
    grants = [(entry["grant"], entry["status"]) for entry in await operator.journal(TOKEN)]
    assert grants == [("password", 400), ("password", 200)]


async def _open_from_device_page(visitor: Visitor, operator: Operator) -> None:
    await visitor.open_device("Cancello")
    await visitor.picture("device-door")
    await visitor.click(await visitor.text("ui.card.button.press"))
    await operator.wait_for_requests(SETSTATE, 1)
    assert await operator.openings() == {**CLOSED, "Cancello": 1}


async def _open_from_dashboard(visitor: Visitor, operator: Operator) -> None:
    await visitor.open_dashboard()
    await visitor.expect_locked("Portone", locked=True)
    await visitor.open_from_dashboard("Portone")
    await visitor.expect_locked("Portone", locked=False)
    await visitor.picture("dashboard")
    assert await operator.openings() == {**CLOSED, "Cancello": 1, "Portone": 1}
    assert len(await operator.journal(SETSTATE)) == 2


async def _answer_and_miss(visitor: Visitor, operator: Operator) -> None:
    """Two rings: the camera answers one; the other one is missed."""
    await operator.do("ring", panel=STREET)
    await visitor.expect_tile("Strada", visitor.own("entity.binary_sensor.ringing.state.on"))
    await visitor.picture("ringing")
    player = Player(visitor)
    await visitor.page.locator("hui-picture-entity-card").first.click()
    await player.plays()
    await visitor.picture("camera", at_once=True)
    await player.close()
    await operator.do("ring", panel=STREET)
    await visitor.expect_tile("Strada", visitor.own("entity.binary_sensor.ringing.state.on"))
    await operator.do("miss")
    await visitor.expect_tile(visitor.own("entity.sensor.missed_calls.name"), "1")


async def _look_around(visitor: Visitor) -> None:
    """The pages that nothing is pressed on."""
    for name in DEVICES:
        await visitor.open_device(name)
        await visitor.picture(f"device-{name.lower().replace(' ', '-')}")
    await visitor.open_integration()
    await visitor.picture("integration")
    await visitor.open_entities()
    await visitor.picture("entities")
    await _look_at_the_options(visitor)
    await visitor.open_reconfigure()
    await visitor.picture("reconfigure")
    await visitor.close_dialog()
    latest = await visitor.browse_calls(visitor.own("common.latest"))
    await visitor.picture("latest")
    outcomes = [title.split(" · ")[1:] for title in latest[:2]]
    assert outcomes == [
        [visitor.own(f"{OUTCOMES}.missed"), STREET],
        [visitor.own(f"{OUTCOMES}.answered"), STREET],
    ]
    await visitor.open_calendar()
    await visitor.picture("calendar")
    await visitor.open_activity()
    await visitor.picture("activity")
    await visitor.open_overview()
    await visitor.picture("overview")


async def _look_at_the_options(visitor: Visitor) -> None:
    """All sections, and the steps that follow two of the options; nothing is changed."""
    await visitor.open_options()
    await visitor.section("history").click()
    await visitor.section("streams").click()
    await visitor.picture("options")
    await visitor.choose(visitor.own("options.step.init.sections.history.data.keep"))
    await visitor.submit()
    await visitor.see(visitor.own("options.step.delete_history.title"))
    await visitor.picture("options-delete-history")
    await visitor.close_dialog()
    await visitor.open_options()
    await visitor.choose("Box")
    await visitor.submit()
    await visitor.see(visitor.own("options.step.door_code.title"))
    await visitor.picture("options-door-code")
    await visitor.close_dialog()


async def _change_password(visitor: Visitor, operator: Operator) -> None:
    await operator.do("password", password=NEW)
    await visitor.open_dashboard()
    await visitor.open_from_dashboard("Box")
    await visitor.see(visitor.own("exceptions.command_invalid_auth.message", name="Box"))
    await visitor.picture("password-refused", at_once=True)
    assert (await operator.openings())["Box"] == 0


async def _sign_in_again(visitor: Visitor, operator: Operator) -> None:
    await visitor.open_integrations()
    reconfigure = await visitor.text(f"{INTEGRATIONS}.reconfigure")
    await visitor.see(reconfigure)
    await visitor.picture("asks-to-sign-in-again")
    await visitor.click(reconfigure)
    text = visitor.own("config.step.reauth_confirm.description", username=visitor.email)
    await visitor.see(text)
    await visitor.picture("sign-in-again")
    await visitor.submit(password=NEW)
    await visitor.see(visitor.own("config.abort.reauth_successful"))
    await visitor.picture("signed-in-again")
    await visitor.open_dashboard()
    await visitor.open_from_dashboard("Box")
    await visitor.expect_locked("Box", locked=False)
    assert await operator.openings() == dict.fromkeys(CLOSED, 1)


async def _restart(development: Development, operator: Operator) -> None:
    tokens = await operator.journal(TOKEN)
    status = await operator.journal(HOMESTATUS)
    async with development.owner() as owner:
        await owner.sign_in()
        await owner.call("post", "api/services/homeassistant/restart", {})
    await operator.wait_for_requests(HOMESTATUS, len(status) + 1)
    assert await operator.journal(TOKEN) == tokens
