import re
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.simulator import Failure, SocketSettings
from tests.simulator.actions import ACTIONS
from tests.simulator.operator_api import PAGE, SCRIPTS
from tests.simulator.paths import HOMESDATA, PUSH, SETSTATE
from tests.simulator.socket_client import open_socket

if TYPE_CHECKING:
    from tests.simulator.http_client import HttpClient
    from tests.simulator.server import Simulator


async def read(client: HttpClient, path: str) -> Any:
    """Get one of the operator's JSON documents."""
    async with client.session.get(f"{client.sim.url}/operator/{path}") as response:
        assert response.status == 200
        return await response.json()


async def test_state(client: HttpClient, sim: Simulator) -> None:
    """The state has doors, lights, bridge and account."""
    await client.command(sim.house.find("Portone"), lock=False)
    state = await read(client, "state")
    shown = {module["name"]: module for module in state["homes"][0]["modules"]}
    assert shown["Portone"]["openings"] == 1
    assert shown["Portone"]["last_opened"] == sim.clock()
    assert shown["Cancello"] | {"openings": 0, "last_opened": None} == shown["Cancello"]
    assert shown["Luce scale"]["on"] is False
    assert shown["Classe 300X"]["wifi_strength"] == 64
    assert shown["Posto esterno strada"]["kind"] == "panel"
    assert state["account"]["email"] == sim.email
    assert state["account"]["logins"] == 1
    assert state["cloud"]["down"] is None
    assert state["house"] == "classe_300x"


async def test_journal(client: HttpClient, sim: Simulator) -> None:
    """The journal can be read from a number on, or only its end."""
    for _ in range(3):
        await client.api(HOMESDATA)
    entries = (await read(client, "journal"))["entries"]
    assert [entry["path"] for entry in entries] == [HOMESDATA] * 3
    after = entries[1]["number"]
    assert (await read(client, f"journal?after={after}"))["entries"] == entries[2:]
    assert (await read(client, "journal?last=2"))["entries"] == entries[1:]
    sim.journal.clear()
    assert (await read(client, "journal"))["entries"] == []
    async with client.session.get(f"{sim.url}/operator/journal?last=x") as response:
        assert response.status == 400


async def test_account_actions(client: HttpClient, sim: Simulator) -> None:
    """All controls of the account are actions."""
    await client.operate("expire")
    assert (await client.api(HOMESDATA)).code == 3
    await client.operate("refuse")
    assert (await client.api(HOMESDATA)).code == 2
    await client.operate("revoke")
    assert (await client.renew()).json == {"error": "invalid_grant"}
    await client.operate("retire_client")
    assert (await client.sign_in()).json == {"error": "invalid_client"}
    await client.operate("restore_client")
    await client.operate("password", password="new")
    await client.operate("lifetime", seconds=60)
    assert (await client.sign_in(password="new")).json["expires_in"] == 60
    assert sim.account.logins == 2


async def test_cloud_actions(client: HttpClient, sim: Simulator) -> None:
    """All controls of the cloud are actions."""
    assert (await client.operate("down", status=502)).json["cloud"]["down"]["status"] == 502
    assert (await client.api(HOMESDATA)).status == 502
    await client.operate("up")
    failing = await client.operate("fail", path=HOMESDATA, times=2, status=500, retry_after=5)
    assert failing.json["cloud"]["failures"] == {HOMESDATA: ["status=500, retry_after=5"] * 2}
    assert (await client.api(HOMESDATA)).headers["Retry-After"] == "5"
    await client.operate("clear_failures")
    assert (await client.api(HOMESDATA)).status == 200
    await client.operate("limit", requests=1)
    assert (await client.api(HOMESDATA)).status == 200
    assert (await client.api(HOMESDATA)).code == 26
    await client.operate("limit")
    assert (await client.api(HOMESDATA)).status == 200
    await client.operate("error_format", command_errors_at="top", unreachable_shown="errors")
    assert (sim.command_errors_at, sim.unreachable_shown) == ("top", "errors")
    await client.operate("error_format", commands_without_push="refused")
    assert sim.commands_without_push == "refused"
    await client.operate("error_format", lists_at="other", bridged_as="objects")
    assert (sim.lists_at, sim.bridged_as) == ("other", "objects")
    await client.operate("pictures", size=9)
    assert sim.pictures.size == 9
    async with client.session.ws_connect(sim.push_url) as socket:
        await client.operate("drop_connections")
        await socket.receive()
        assert socket.closed


async def test_house_actions(client: HttpClient, sim: Simulator) -> None:
    """All controls of the house are actions."""
    bridge = sim.house.bridges()[0]
    await client.operate("unplug", bridge=bridge.id)
    assert not sim.house.bridges()[0].reachable
    await client.operate("plug")
    assert sim.house.bridges()[0].reachable
    light = sim.house.lights()[0]
    await client.operate("light", id=light.id, on=True)
    assert sim.lights == {light.id: True}
    await client.operate("set_reachable", id=light.id, reachable=False)
    assert not light.reachable
    await client.operate("remove_module", id=light.id)
    assert sim.lights == {}
    await client.operate("add_module", name="Cantina", kind="BNDL")
    assert sim.house.find("Cantina") in sim.house.doors()
    await client.operate("house", name="easykit")
    assert sim.house.bridges()[0].type == "BDIY"


async def test_call_actions(client: HttpClient, sim: Simulator) -> None:
    """A call can be started and ended, by default the newest."""
    ways = {"receivers": 2, "pictures": False, "expiry": 20, "late": 1.5, "status_first": True}
    names = {"names_panel": True}
    answer = await client.operate("ring", panel="Posto esterno cortile", **ways, **names)
    (call,) = answer.json["calls"]
    assert call["panel_id"] == sim.house.find("Posto esterno cortile").id
    assert call["name"] == "Posto esterno cortile"
    assert sim.calls[call["session_id"]].receivers == 2
    assert sim.calls[call["session_id"]].names_panel
    await client.operate("ring")
    answer = await client.operate("answer_elsewhere", session=call["session_id"])
    assert [each["answered"] for each in answer.json["calls"]] == [True, False]
    assert (await client.operate("miss")).json["calls"] == [call | {"answered": True}]
    assert (await client.operate("hang_up")).json["calls"] == []
    assert (await client.operate("hang_up")).status == 404
    await client.operate("ring")
    assert (await client.operate("end_silently")).json["calls"] == []
    assert (await client.operate("ring?brief")).json == {}
    assert len(sim.calls) == 1
    await client.operate("house", name="easykit")
    assert sim.calls == {}


async def test_socket_actions(client: HttpClient, sim: Simulator) -> None:
    """Connections can be inspected, pushed to, disturbed and closed."""
    async with open_socket(client, autoclose=False) as socket:
        await client.operate("push", frame={"push_type": "BNC1-new_user"}, home="h")
        assert (await socket.frame())["extra_params"] == {"home_id": "h"}
        await client.operate("push_raw", data="{")
        assert (await socket.ws.receive()).data == "{"
        await client.operate("journal_pushes", on=False)
        assert not sim.journal_pushes
        (connection,) = (await read(client, "state"))["connections"]
        assert (connection["path"], connection["receives_pushes"], connection["frames_sent"]) == (
            PUSH,
            True,
            3,
        )
        answer = await client.operate("sockets", ignore_subscriptions=True, server_ping_every=20)
        assert answer.json["sockets"]["ignore_subscriptions"]
        assert sim.sockets == SocketSettings(ignore_subscriptions=True, server_ping_every=20)
        await client.operate("sockets", server_ping_every=None)
        assert sim.sockets == SocketSettings(ignore_subscriptions=True)
        await client.operate("reset_sockets")
        assert sim.sockets == SocketSettings()
        await client.operate("close_connections", code=1012)
        assert await socket.last_message() == (aiohttp.WSMsgType.CLOSE, 1012)
    async with open_socket(client):
        (connection,) = (await client.operate("stall_connections")).json["connections"]
        assert (connection["half_open"], connection["receives_pushes"]) == (True, False)


async def test_clear_journal(client: HttpClient, sim: Simulator) -> None:
    """Clearing the journal also clears the violations."""
    await client.api(HOMESDATA, nonsense=1)
    await client.operate("clear_journal")
    assert not list(sim.journal)
    assert not sim.violations


@pytest.mark.parametrize(
    ("action", "arguments", "status"),
    [
        ("explode", {}, 404),
        ("password", {}, 400),
        ("password", {"password": 5}, 400),
        ("expire", {"now": True}, 400),
        ("house", {"name": "castle"}, 400),
        ("unplug", {"bridge": "nothing"}, 404),
        ("light", {"id": "Portone", "on": True}, 400),
        ("set_reachable", {"id": "nothing", "reachable": True}, 404),
        ("error_format", {"command_errors_at": "nowhere"}, 400),
        ("fail", {"status": 500}, 400),
        ("fail", {"path": "*", "executed": 1}, 400),
        ("remove_module", {"id": "nothing"}, 404),
        ("ring", {"panel": "nobody"}, 404),
        ("ring", {"panel": "Portone"}, 400),
        ("miss", {}, 404),
        ("push", {}, 400),
        ("sockets", {"accept_then_close": "later"}, 400),
        ("sockets", {"server_ping_every": 0}, 400),
        ("sockets", {"handshake_delay": -1}, 400),
        ("sockets", {"ignore_subscriptions": 1}, 400),
    ],
)
async def test_invalid_action(
    client: HttpClient, *, action: str, arguments: dict[str, Any], status: int
) -> None:
    """An action that cannot be run returns an error message."""
    answer = await client.operate(action, **arguments)
    assert answer.status == status
    assert answer.json["error"]


async def test_action_requires_json(client: HttpClient, sim: Simulator) -> None:
    """Other content types are refused, and the journal leaves out the operator."""
    for kind in ({"data": {"a": "b"}}, {"data": "{}", "headers": {"Content-Type": "text/plain"}}):
        assert (await client.post("/operator/revoke", **kind)).status == 400
    assert (await client.api(HOMESDATA)).status == 200
    assert sim.journal.count() == 1


async def test_operator_during_outage(client: HttpClient, sim: Simulator) -> None:
    """Outages and failures do not affect the operator."""
    sim.take_down()
    sim.fail("*", Failure(never=True))
    assert (await read(client, "state"))["cloud"]["down"] == {"status": 503, "html": True}
    assert sim.journal.count(SETSTATE) == 0


async def test_page_loads_nothing_external(client: HttpClient, sim: Simulator) -> None:
    """The page has no references to other hosts."""
    async with client.session.get(sim.url) as response:
        assert response.url.path == "/operator/"
        assert response.content_type == "text/html"
        page = await response.text()
    for script in re.findall(r'src="([^"]+)"', page):
        async with client.session.get(sim.url + script) as response:
            page += await response.text()
    assert "showConnections" in page
    assert not re.findall(r"https?://|@import|url\(", page)


def test_page_has_every_action() -> None:
    """Every button has an action, and nearly every action a button."""
    page = PAGE.read_text() + "".join(script.read_text() for script in SCRIPTS.values())
    named = set(re.findall(r'data-action="(\w+)"|\bact\("(\w+)"|, "(\w+)", \{', page))
    used = {name for names in named for name in names if name}
    assert used <= set(ACTIONS)
    assert set(ACTIONS) - used == {"lifetime", "push", "push_raw", "journal_pushes", "pictures"}
