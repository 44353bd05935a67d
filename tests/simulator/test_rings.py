from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator.conftest import START, Clock
from tests.simulator.paths import BLOB, GETEVENTS
from tests.simulator.socket_client import open_socket

if TYPE_CHECKING:
    from tests.simulator.http_client import HttpClient
    from tests.simulator.server import Simulator

#: Integers above this are not exact as a double.
EXACT = 2**53


def kinds(frames: list[Any]) -> list[str]:
    """Return the kind of each push; of rtc pushes, the data type."""
    return [
        frame["extra_params"]["data"]["type"]
        if frame["push_type"].endswith("-rtc")
        else frame["push_type"]
        for frame in frames
    ]


async def events(client: HttpClient, size: int = 1) -> list[Any]:
    """Return the newest events of the first home."""
    home = client.sim.house.homes[0].id
    answer = await client.api(GETEVENTS, home_id=home, size=size)
    found: list[Any] = answer.json["body"]["home"]["events"]
    return found


async def test_offer_fields(client: HttpClient, sim: Simulator) -> None:
    """An offer has the panel, the doors, and a correlation id too large for a double."""
    sim.use_house("classe_100x")
    async with open_socket(client) as socket:
        call = sim.ring("Cancello", expiry=20)
        offer = await socket.frame()
    extra = offer["extra_params"]
    description = extra["data"]["session_description"]
    door = sim.house.doors()[0]
    assert (offer["type"], offer["push_type"], offer["category"]) == (
        "Websocket",
        "BNC1-rtc",
        "rtc",
    )
    assert (offer["voip_call"], offer["expiry"]) == (True, 20)
    assert extra["data"]["type"] == "offer"
    assert description["module_id"] == call.panel_id == sim.house.panels()[0].id
    assert description["modules"] == [{"type": "BNDL", "id": door.id, "name": "Porta"}]
    assert description["sdp"].startswith("v=0\r\n")
    assert extra["correlation_id"] > EXACT
    assert (extra["session_id"], extra["home_id"]) == (call.session_id, call.home_id)


async def test_status_fields(client: HttpClient, sim: Simulator) -> None:
    """A status has the time, the ids of the event and links to pictures, but no panel."""
    sim.use_house("classe_100x")
    async with open_socket(client) as socket:
        call = sim.ring(offer=False)
        status = await socket.frame()
    extra = status["extra_params"]
    assert (status["push_type"], status["category"]) == ("BNC1-incoming_call", "incoming_call")
    assert extra.pop("snapshot_url") != extra.pop("vignette_url")
    assert extra == {
        "event_type": "incoming_call",
        "device_id": call.bridge_id,
        "camera_id": call.bridge_id,
        "home_id": call.home_id,
        "home_name": "Casa",
        "timestamp": int(START),
        "event_id": call.event_id,
        "subevent_id": call.subevent_id,
        "session_id": call.session_id,
    }


@pytest.mark.parametrize(
    ("house", "pushed"),
    [
        ("classe_100x", ["offer", "BNC1-incoming_call"]),
        ("classe_300x", ["offer", "BNC3-incoming_call"]),
        ("three_panels", ["offer", "BNC3-incoming_call"]),
        ("classe_300eos", ["BNCX-incoming_call"]),
        ("easykit", ["BDIY-incoming_call"]),
        ("easykit_three_panels", ["BDIY-incoming_call"]),
        ("voice_only", ["offer"]),
    ],
)
async def test_pushes_of_each_model(
    client: HttpClient, sim: Simulator, house: str, pushed: list[str]
) -> None:
    """Each model sends exactly its own pushes."""
    sim.use_house(house)
    async with open_socket(client) as socket:
        call = sim.ring()
        frames = await socket.frames(len(pushed))
        assert await socket.nothing_pending()
    assert kinds(frames) == pushed
    assert call.panel_id == sim.house.panels()[0].id
    assert (call.panel_id in str(frames)) is ("offer" in pushed)


@pytest.mark.parametrize(
    ("how", "pushed"),
    [
        ({"status": False}, ["offer"]),
        ({"offer": False}, ["BNC3-incoming_call"]),
        ({"status_first": True}, ["BNC3-incoming_call", "offer"]),
        ({"receivers": 2}, ["offer", "offer", "BNC3-incoming_call", "BNC3-incoming_call"]),
        ({"offer": False, "status": False}, []),
    ],
)
async def test_overridden_pushes(
    client: HttpClient, sim: Simulator, how: dict[str, Any], pushed: list[str]
) -> None:
    """The arguments override the model's defaults; every push has its own id."""
    async with open_socket(client) as socket:
        sim.ring(**how)
        frames = await socket.frames(len(pushed))
        assert await socket.nothing_pending()
    assert kinds(frames) == pushed
    assert len({frame["_id"] for frame in frames}) == len(pushed)
    assert len({frame["extra_params"]["session_id"] for frame in frames}) == bool(pushed)


@pytest.mark.parametrize("house", ["easykit_three_panels", "classe_300x"])
async def test_statuses_that_name_the_panel(client: HttpClient, sim: Simulator, house: str) -> None:
    """All of a call do, if the panel is known."""
    sim.use_house(house)
    panel, bridge = sim.house.panels()[1], sim.house.bridges()[0]
    async with open_socket(client) as socket:
        sim.miss(sim.ring(panel.id, offer=False, names_panel=True))
        sim.ring(bridge.id, offer=False, names_panel=True)
        *named, unknown = await socket.frames(3)
    assert [frame["extra_params"]["module_id"] for frame in named] == [panel.id] * 2
    assert "module_id" not in unknown["extra_params"]


async def test_late_ring(client: HttpClient, sim: Simulator) -> None:
    """A late push and its event are dated back."""
    async with open_socket(client) as socket:
        sim.ring(late=90, offer=False)
        frame = await socket.frame()
    assert frame["extra_params"]["timestamp"] == START - 90
    (event,) = await events(client)
    assert event["time"] == event["subevents"][0]["time"] == START - 90


async def test_ring_by_id_or_name(sim: Simulator) -> None:
    """A panel rings by id or name, a bridge without a panel, and nothing else."""
    second = sim.house.panels()[1]
    assert sim.ring(second.id).panel_id == sim.ring(second.name).panel_id == second.id
    assert sim.ring(sim.house.bridges()[0].id).panel_id is None
    with pytest.raises(KeyError):
        sim.ring("nobody")
    with pytest.raises(ValueError, match="cannot ring"):
        sim.ring("Portone")
    sim.use_house("empty")
    with pytest.raises(KeyError):
        sim.ring()


async def test_ring_without_panel(client: HttpClient, sim: Simulator) -> None:
    """An offer need not name a panel."""
    async with open_socket(client) as socket:
        sim.ring("Classe 300X")
        offer = await socket.frame()
    assert "module_id" not in offer["extra_params"]["data"]["session_description"]


@pytest.mark.parametrize(
    ("house", "do", "pushed"),
    [
        ("classe_100x", "answer_elsewhere", ["BNC1-accepted_call", "rescind"]),
        ("classe_100x", "hang_up", ["terminate"]),
        ("classe_100x", "miss", ["BNC1-missed_call"]),
        ("classe_100x", "end_silently", []),
        ("easykit", "answer_elsewhere", ["BDIY-accepted_call"]),
        ("easykit", "hang_up", []),
        ("classe_300eos", "miss", ["BNCX-missed_call"]),
    ],
)
async def test_end_pushes(
    client: HttpClient, sim: Simulator, *, house: str, do: str, pushed: list[str]
) -> None:
    """The end is pushed as the model does, to each receiver, with the session id."""
    sim.use_house(house)
    call = sim.ring(receivers=2)
    async with open_socket(client) as socket:
        getattr(sim, do)(call)
        frames = await socket.frames(2 * len(pushed))
        assert await socket.nothing_pending()
    assert kinds(frames) == [kind for kind in pushed for _ in range(2)]
    assert {frame["extra_params"]["session_id"] for frame in frames} <= {call.session_id}
    assert list(sim.calls.values()) == ([call] if do == "answer_elsewhere" else [])


async def test_end_fields(client: HttpClient, sim: Simulator) -> None:
    """Ids differ from the offer's, the correlation id is text, and there is no home."""
    async with open_socket(client) as socket:
        call = sim.ring(status=False)
        sim.hang_up(call)
        offer, end = (frame["extra_params"] for frame in await socket.frames(2))
    correlation = end.pop("correlation_id")
    assert isinstance(correlation, str)
    assert int(correlation) > offer["correlation_id"]
    assert end.pop("tag_id") != offer["tag_id"]
    assert end == {
        "session_id": call.session_id,
        "device_id": call.bridge_id,
        "data": {"type": "terminate"},
    }


async def test_call_in_events(client: HttpClient, sim: Simulator, clock: Clock) -> None:
    """A call is an `outdoor` event; the newest call and the newest sub-event come first."""
    first, second = sim.ring(), sim.ring("Posto esterno cortile")
    clock.now += 30
    sim.miss(second)
    sim.answer_elsewhere(first)
    newest, older = await events(client, 2)
    assert [event["id"] for event in (newest, older)] == [second.event_id, first.event_id]
    assert {event["type"] for event in (newest, older)} == {"outdoor"}
    assert newest["module_id"] == second.bridge_id
    missed, incoming = newest["subevents"]
    assert (missed["type"], missed["time"]) == ("missed_call", int(START) + 30)
    assert (incoming["type"], incoming["id"]) == ("incoming_call", second.subevent_id)
    assert {each["session_id"] for each in newest["subevents"]} == {second.session_id}
    assert incoming["message"] == "Posto esterno cortile is calling"
    assert [each["type"] for each in older["subevents"]] == ["accepted_call", "incoming_call"]


async def test_picture_links_expire(client: HttpClient, sim: Simulator, clock: Clock) -> None:
    """A link expires, and getevents returns a new one; all downloads are in the journal."""
    async with open_socket(client) as socket:
        sim.ring(offer=False)
        extra = (await socket.frame())["extra_params"]
    snapshot, vignette = [
        await get(client, extra[f"{kind}_url"]) for kind in ("snapshot", "vignette")
    ]
    assert snapshot[0] == vignette[0] == 200
    assert snapshot[1].startswith(b"\xff\xd8\xff")
    assert snapshot[1].endswith(b"\xff\xd9")
    assert len({snapshot[1], vignette[1]}) == 2
    clock.now += sim.pictures.push_seconds
    assert (await get(client, extra["snapshot_url"]))[0] == 403
    (event,) = await events(client)
    picture = event["subevents"][0]["snapshot"]
    assert picture["expires_at"] == clock.now + sim.pictures.event_seconds
    assert await get(client, picture["url"]) == snapshot
    assert (await get(client, picture["url"].replace("se=", "se=9")))[0] == 403
    assert [entry.status for entry in sim.journal.of(BLOB)] == [200, 200, 403, 200, 403]
    assert sim.violations == []


async def get(client: HttpClient, url: str) -> tuple[int, bytes]:
    """Fetch a picture without credentials."""
    async with client.session.get(url) as response:
        return response.status, await response.read()


async def test_token_sent_to_picture_store_is_violation(client: HttpClient, sim: Simulator) -> None:
    """The picture store must not get the access token."""
    async with open_socket(client) as socket:
        sim.ring(offer=False)
        url = (await socket.frame())["extra_params"]["snapshot_url"]
    async with client.session.get(url, headers=client.bearer) as response:
        assert response.status == 200
    assert len(sim.violations) == 1


@pytest.mark.parametrize("house", ["classe_100x", "voice_only"])
async def test_no_pictures(client: HttpClient, sim: Simulator, house: str) -> None:
    """Voice-only panels have no pictures, and those of other panels can be left out."""
    sim.use_house(house)
    async with open_socket(client) as socket:
        sim.ring(offer=False, status=True, pictures=house == "voice_only")
        assert "_url" not in str(await socket.frame())
    (event,) = await events(client)
    assert not {"snapshot", "vignette"} & set(event["subevents"][0])
    assert "video_id" not in event


async def test_bridge_disconnects_and_connects(
    client: HttpClient, sim: Simulator, clock: Clock
) -> None:
    """Each change is pushed once and is an event."""
    bridge = sim.house.bridges()[0]
    async with open_socket(client) as socket:
        for _ in range(2):
            sim.unplug_bridge()
        clock.now += 60
        sim.plug_bridge(bridge.id)
        gone, back = await socket.frames(2)
        assert await socket.nothing_pending()
    assert (gone["push_type"], back["push_type"]) == ("BNC3-disconnection", "BNC3-connection")
    assert gone["extra_params"] | {"event_id": ""} == {
        "event_type": "disconnection",
        "device_id": bridge.id,
        "home_id": sim.house.homes[0].id,
        "home_name": "Casa",
        "timestamp": int(START),
        "event_id": "",
    }
    newest, older = await events(client, 2)
    assert (newest["type"], newest["time"]) == ("connection", int(START) + 60)
    assert (older["type"], older["id"]) == ("disconnection", gone["extra_params"]["event_id"])


async def test_module_becomes_unreachable(client: HttpClient, sim: Simulator) -> None:
    """The change is pushed once, with the type of the bridge."""
    door = sim.house.find("Portone")
    async with open_socket(client) as socket:
        sim.set_reachable("Portone", reachable=False)
        sim.set_reachable(door, reachable=False)
        frame = await socket.frame()
        assert await socket.nothing_pending()
    assert frame["push_type"] == "BNC3-reachable_module_event"
    assert frame["extra_params"]["module_id"] == door.id
    assert frame["extra_params"]["device_id"] == door.bridge
    assert frame["extra_params"]["reachable"] is False
    assert not door.reachable
