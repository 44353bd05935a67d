"""The walk of a new owner, in a browser, from the login to a restart that signs nobody in."""

import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.development import expect_clean_end
from tests.e2e.operating import HOMESTATUS, SETSTATE, TOKEN, Operator
from tests.e2e.visitor import Visitor

if TYPE_CHECKING:
    import aiohttp
    from playwright.async_api import Page

    from tests.e2e.development import Development

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
]

CLOSED = {"Cancello": 0, "Portone": 0, "Box": 0}
WRONG = "not the password"
NEW = "casa-nuova"


async def test_walk_in_a_browser(
    development: Development, page: Page, session: aiohttp.ClientSession
) -> None:
    """A person who follows the README opens a door, and is asked once for a new password."""
    await development.start()
    operator = Operator(session, development.ready["operator"])
    visitor = Visitor(page, development)
    await visitor.sign_in()
    await _add_account(visitor, operator, development)
    await _open_from_device_page(visitor, operator)
    await _open_from_dashboard(visitor, operator)
    await _change_password(visitor, operator)
    await _sign_in_again(visitor, operator)
    await _restart(development, operator)
    assert await operator.violations() == []
    await expect_clean_end(development, signal.SIGINT)


async def _add_account(visitor: Visitor, operator: Operator, development: Development) -> None:
    email = development.ready["email"]
    await visitor.begin_to_add()
    await visitor.picture("sign-in")
    await visitor.submit(username=email, password=WRONG)
    await visitor.see("The e-mail address or the password is wrong.")
    await visitor.picture("sign-in-refused")
    await visitor.submit(password=development.ready["account_password"])
    await visitor.see("Lights or gates?")
    await visitor.picture("lights")
    await visitor.submit()
    await visitor.see("Name and assign")
    await visitor.picture("added")
    await visitor.click("Skip and finish")
    grants = [(entry["grant"], entry["status"]) for entry in await operator.journal(TOKEN)]
    assert grants == [("password", 400), ("password", 200)]


async def _open_from_device_page(visitor: Visitor, operator: Operator) -> None:
    await visitor.open_device("Cancello")
    await visitor.picture("device")
    await visitor.click("Press")
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


async def _change_password(visitor: Visitor, operator: Operator) -> None:
    await operator.do("password", password=NEW)
    await visitor.open_from_dashboard("Box")
    await visitor.see("The cloud no longer accepts the stored sign-in.")
    await visitor.picture("password-refused")
    assert (await operator.openings())["Box"] == 0


async def _sign_in_again(visitor: Visitor, operator: Operator) -> None:
    await visitor.open_integrations()
    await visitor.see("Reconfigure")
    await visitor.picture("asks-to-sign-in-again")
    await visitor.click("Reconfigure")
    await visitor.see("The cloud no longer accepts the stored sign-in of")
    await visitor.picture("sign-in-again")
    await visitor.submit(password=NEW)
    await visitor.see("successful")
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
