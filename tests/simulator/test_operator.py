import re
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.simulator import Failure, SocketSettings
from tests.simulator.actions import ACTIONS
from tests.simulator.listener import listen
from tests.simulator.operator_api import PAGE, SCRIPTS
from tests.simulator.paths import HOMESDATA, PUSH, SETSTATE

if TYPE_CHECKING:
    from tests.simulator.server import Simulator
    from tests.simulator.visitor import Visitor


async def read(visitor: Visitor, path: str) -> Any:
    """Get one of the operator's documents."""
    async with visitor.session.get(f"{visitor.sim.url}/operator/{path}") as response:
        assert response.status == 200
        return await response.json()


async def test_state_shows_the_house(visitor: Visitor, sim: Simulator) -> None:
    """The operator sees doors, lights, bridge and account."""
    await visitor.command(sim.house.find("Portone"), lock=False)
    state = await read(visitor, "state")
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


async def test_journal_can_be_read_on(visitor: Visitor, sim: Simulator) -> None:
    """The journal can be read from a number on, or its end alone."""
    for _ in range(3):
        await visitor.api(HOMESDATA)
    entries = (await read(visitor, "journal"))["entries"]
    assert [entry["path"] for entry in entries] == [HOMESDATA] * 3
    after = entries[1]["number"]
    assert (await read(visitor, f"journal?after={after}"))["entries"] == entries[2:]
    assert (await read(visitor, "journal?last=2"))["entries"] == entries[1:]
    sim.journal.clear()
    assert (await read(visitor, "journal"))["entries"] == []
    async with visitor.session.get(f"{sim.url}/operator/journal?last=x") as response:
        assert response.status == 400


async def test_the_account(visitor: Visitor, sim: Simulator) -> None:
    """All that can happen to an account can be done over HTTP."""
    await visitor.operate("expire")
    assert (await visitor.api(HOMESDATA)).code == 3
    await visitor.operate("refuse")
    assert (await visitor.api(HOMESDATA)).code == 2
    await visitor.operate("revoke")
    assert (await visitor.renew()).json == {"error": "invalid_grant"}
    await visitor.operate("retire_client")
    assert (await visitor.sign_in()).json == {"error": "invalid_client"}
    await visitor.operate("restore_client")
    await visitor.operate("password", password="new")
    await visitor.operate("lifetime", seconds=60)
    assert (await visitor.sign_in(password="new")).json["expires_in"] == 60
    assert sim.account.logins == 2


async def test_the_cloud(visitor: Visitor, sim: Simulator) -> None:
    """All that can happen to the cloud can be done over HTTP."""
    assert (await visitor.operate("down", status=502)).json["cloud"]["down"]["status"] == 502
    assert (await visitor.api(HOMESDATA)).status == 502
    await visitor.operate("up")
    failing = await visitor.operate("fail", path=HOMESDATA, times=2, status=500, retry_after=5)
    assert failing.json["cloud"]["failures"] == {HOMESDATA: ["status=500, retry_after=5"] * 2}
    assert (await visitor.api(HOMESDATA)).headers["Retry-After"] == "5"
    await visitor.operate("clear_failures")
    assert (await visitor.api(HOMESDATA)).status == 200
    await visitor.operate("limit", requests=1)
    assert (await visitor.api(HOMESDATA)).status == 200
    assert (await visitor.api(HOMESDATA)).code == 26
    await visitor.operate("limit")
    assert (await visitor.api(HOMESDATA)).status == 200
    await visitor.operate("place", command_errors_at="top", unreachable_shown="errors")
    assert (sim.command_errors_at, sim.unreachable_shown) == ("top", "errors")
    await visitor.operate("pictures", size=9)
    assert sim.pictures.size == 9
    async with visitor.session.ws_connect(sim.push_url) as socket:
        await visitor.operate("drop_connections")
        await socket.receive()
        assert socket.closed


async def test_the_house(visitor: Visitor, sim: Simulator) -> None:
    """All that can happen in the house can be done over HTTP."""
    bridge = sim.house.bridges()[0]
    await visitor.operate("unplug", bridge=bridge.id)
    assert not sim.house.bridges()[0].reachable
    await visitor.operate("plug")
    assert sim.house.bridges()[0].reachable
    light = sim.house.lights()[0]
    await visitor.operate("light", id=light.id, on=True)
    assert sim.lights == {light.id: True}
    await visitor.operate("set_reachable", id=light.id, reachable=False)
    assert not light.reachable
    await visitor.operate("remove_module", id=light.id)
    assert sim.lights == {}
    await visitor.operate("add_module", name="Cantina", kind="BNDL")
    assert sim.house.find("Cantina") in sim.house.doors()
    await visitor.operate("house", name="easykit")
    assert sim.house.bridges()[0].type == "BDIY"


async def test_the_bell(visitor: Visitor, sim: Simulator) -> None:
    """A call can be begun and ended over HTTP, the newest if none is named."""
    ways = {"receivers": 2, "pictures": False, "expiry": 20, "late": 1.5, "status_first": True}
    answer = await visitor.operate("ring", panel="Posto esterno cortile", **ways)
    (call,) = answer.json["calls"]
    assert call["panel_id"] == sim.house.find("Posto esterno cortile").id
    assert call["name"] == "Posto esterno cortile"
    assert sim.calls[call["session_id"]].receivers == 2
    await visitor.operate("ring")
    answer = await visitor.operate("answer_elsewhere", session=call["session_id"])
    assert [each["answered"] for each in answer.json["calls"]] == [True, False]
    assert (await visitor.operate("miss")).json["calls"] == [call | {"answered": True}]
    assert (await visitor.operate("hang_up")).json["calls"] == []
    assert (await visitor.operate("hang_up")).status == 404
    await visitor.operate("ring")
    assert (await visitor.operate("end_silently")).json["calls"] == []
    assert (await visitor.operate("ring?brief")).json == {}
    assert len(sim.calls) == 1
    await visitor.operate("house", name="easykit")
    assert sim.calls == {}


async def test_the_sockets(visitor: Visitor, sim: Simulator) -> None:
    """The connections can be seen, spoken on, troubled and ended over HTTP."""
    async with listen(visitor, autoclose=False) as listener:
        await visitor.operate("push", frame={"push_type": "BNC1-new_user"}, home="h")
        assert (await listener.frame())["extra_params"] == {"home_id": "h"}
        await visitor.operate("push_raw", data="{")
        assert (await listener.socket.receive()).data == "{"
        await visitor.operate("journal_pushes", on=False)
        assert not sim.journal_pushes
        (connection,) = (await read(visitor, "state"))["connections"]
        assert (connection["path"], connection["hears"], connection["frames_sent"]) == (
            PUSH,
            True,
            3,
        )
        answer = await visitor.operate("sockets", silent=True, server_ping_every=20)
        assert answer.json["sockets"]["silent"]
        assert sim.sockets == SocketSettings(silent=True, server_ping_every=20)
        await visitor.operate("sockets", server_ping_every=None)
        assert sim.sockets == SocketSettings(silent=True)
        await visitor.operate("reset_sockets")
        assert sim.sockets == SocketSettings()
        await visitor.operate("close_connections", code=1012)
        assert await listener.ending() == (aiohttp.WSMsgType.CLOSE, 1012)
    async with listen(visitor):
        (connection,) = (await visitor.operate("stall_connections")).json["connections"]
        assert (connection["half_open"], connection["hears"]) == (True, False)


async def test_clearing(visitor: Visitor, sim: Simulator) -> None:
    """Journal and notes can be emptied."""
    await visitor.api(HOMESDATA, nonsense=1)
    await visitor.operate("clear_journal")
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
        ("place", {"command_errors_at": "nowhere"}, 400),
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
        ("sockets", {"silent": 1}, 400),
    ],
)
async def test_wrong_actions_say_why(
    visitor: Visitor, *, action: str, arguments: dict[str, Any], status: int
) -> None:
    """What cannot be done is refused with a reason."""
    answer = await visitor.operate(action, **arguments)
    assert answer.status == status
    assert answer.json["error"]


async def test_forms_of_other_sites_do_nothing(visitor: Visitor, sim: Simulator) -> None:
    """Only JSON moves anything, and the journal leaves the operator out."""
    for kind in ({"data": {"a": "b"}}, {"data": "{}", "headers": {"Content-Type": "text/plain"}}):
        assert (await visitor.post("/operator/revoke", **kind)).status == 400
    assert (await visitor.api(HOMESDATA)).status == 200
    assert sim.journal.count() == 1


async def test_operator_works_while_the_cloud_does_not(visitor: Visitor, sim: Simulator) -> None:
    """Outage and failures do not meet the operator."""
    sim.take_down()
    sim.fail("*", Failure(never=True))
    assert (await read(visitor, "state"))["cloud"]["down"] == {"status": 503, "html": True}
    assert sim.journal.count(SETSTATE) == 0


async def test_page_is_served_and_needs_nothing_else(visitor: Visitor, sim: Simulator) -> None:
    """The page loads nothing from anywhere."""
    async with visitor.session.get(sim.url) as response:
        assert response.url.path == "/operator/"
        assert response.content_type == "text/html"
        page = await response.text()
    for script in re.findall(r'src="([^"]+)"', page):
        async with visitor.session.get(sim.url + script) as response:
            page += await response.text()
    assert "showConnections" in page
    assert not re.findall(r"https?://|@import|url\(", page)


def test_page_knows_every_action() -> None:
    """Every button has its action, and nearly every action a button."""
    page = PAGE.read_text() + "".join(script.read_text() for script in SCRIPTS.values())
    named = set(re.findall(r'data-action="(\w+)"|\bact\("(\w+)"|, "(\w+)", \{', page))
    used = {name for names in named for name in names if name}
    assert used <= set(ACTIONS)
    assert set(ACTIONS) - used == {"lifetime", "push", "push_raw", "journal_pushes", "pictures"}
