"""scripts/develop without a browser: what it promises at its start, its end and its restart."""

import asyncio
import json
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest

from dev.errors import DevelopError
from dev.owner import FLOW, Owner
from tests.e2e.development import Development, expect_clean_end
from tests.e2e.operating import HOMESTATUS, PAUSE, TIMEOUT, TOKEN, Operator

if TYPE_CHECKING:
    import aiohttp

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
]

NEW = "casa-nuova"


async def test_configured(development: Development, session: aiohttp.ClientSession) -> None:
    """Doors open once, a new password is asked for, and a restart of all signs nobody in."""
    await development.start("--configured")
    operator = Operator(session, development.ready["operator"])
    assert [entry["grant"] for entry in await operator.journal(TOKEN)] == ["password"]
    async with development.owner() as owner:
        await owner.sign_in()
        await _open_doors(owner, operator)
        assert development.logged_problems() == []
        await _renew_password(owner, operator)
    await _refuse_second_launcher(development)
    await _refuse_foreign_pages(development, session)
    assert await operator.violations() == []
    await expect_clean_end(development, signal.SIGTERM)
    _expect_helper_before_integration(development)
    await development.start("--configured")
    assert development.ready["account_password"] == NEW
    assert await operator.journal(HOMESTATUS) != []
    assert await operator.journal(TOKEN) == []
    assert development.logged_problems() == []
    await expect_clean_end(development, signal.SIGINT)


@pytest.mark.parametrize("which", ["--port", "--simulator-port"])
async def test_port_in_use(development: Development, which: str) -> None:
    """One sentence names the port and the option, and nothing is left running."""
    ports = {"--port": development.port, "--simulator-port": development.simulator_port}
    with socket.create_server(("127.0.0.1", ports[which])):
        await development.launch()
        code, output = await development.gone()
    assert code == 1
    assert output == (
        f"develop: port {ports[which]} is in use or not allowed: choose another with {which}.\n"
    )


async def _open_doors(owner: Owner, operator: Operator) -> None:
    assert [entry["state"] for entry in await owner.entries()] == ["loaded"]
    await owner.call("post", "api/services/lock/open", {"entity_id": "lock.cancello"})
    await owner.call("post", "api/services/button/press", {"entity_id": "button.portone_open"})
    assert await operator.openings() == {"Cancello": 1, "Portone": 1, "Box": 0}


async def _renew_password(owner: Owner, operator: Operator) -> None:
    await operator.do("password", password=NEW)
    polls = len(await operator.journal(HOMESTATUS))
    box = {"entity_id": "lock.box"}
    with pytest.raises(DevelopError):
        await owner.call("post", "api/services/lock/open", box)
    [flow] = await _flows(owner)
    assert flow["context"]["source"] == "reauth"
    result = await owner.call("post", f"{FLOW}/{flow['flow_id']}", {"password": NEW})
    assert result["reason"] == "reauth_successful"
    await operator.wait_for_requests(HOMESTATUS, polls + 1)  # the entry is set up again
    await _wait_for_state(owner, "lock.box", "locked")
    await owner.call("post", "api/services/lock/open", box)
    assert await operator.openings() == {"Cancello": 1, "Portone": 1, "Box": 1}


async def _wait_for_state(owner: Owner, entity_id: str, wanted: str) -> None:
    async with asyncio.timeout(TIMEOUT):
        state = await owner.call("get", f"api/states/{entity_id}")
        while state["state"] != wanted:
            await asyncio.sleep(PAUSE)
            state = await owner.call("get", f"api/states/{entity_id}")


async def _flows(owner: Owner) -> list[dict[str, Any]]:
    """The integration's dialogues that wait for a person."""
    flows = await owner.send_command("config_entries/flow/progress")
    return [flow for flow in flows if flow["handler"] == "bticino_classe"]


async def _refuse_second_launcher(development: Development) -> None:
    second = Development(development.state)
    await second.launch()
    code, output = await second.gone()
    assert code == 1
    assert output == f"develop: another scripts/develop is using {development.state}.\n"


async def _refuse_foreign_pages(development: Development, session: aiohttp.ClientSession) -> None:
    state = development.ready["operator"] + "state"
    for url in (development.ready["url"], state):
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            async with session.get(url, headers=headers) as answer:
                assert answer.status == 403


def _expect_helper_before_integration(development: Development) -> None:
    """Home Assistant sets nothing up whose dependency failed: no password leaves this machine."""
    components = development.state / "config" / "custom_components"
    manifest = json.loads((components / "bticino_classe" / "manifest.json").read_text())
    assert "bticino_classe_dev" in manifest["dependencies"]
