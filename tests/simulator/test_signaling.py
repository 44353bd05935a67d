"""The signaling socket with a scripted peer, frame by frame."""

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator.signaling_client import ABSENT, CANDIDATE, OFFER, open_signaling
from tests.simulator.socket_client import open_socket

if TYPE_CHECKING:
    from tests.simulator.http_client import HttpClient
    from tests.simulator.server import Simulator

BUSY = {"code": 1, "message": "Max number of peers reached"}


async def test_regular_session(client: HttpClient, sim: Simulator) -> None:
    """Offer, ack, answer, candidates and terminate have exactly the documented fields."""
    async with open_signaling(client) as signaling:
        acknowledged = await signaling.offer()
        answer, first, second = await signaling.frames(3)
        number = acknowledged.pop("correlation_id")
        ids = {name: acknowledged.pop(name) for name in ("session_id", "tag_id")}
        assert acknowledged == {"type": "ack", "status": "ok"}
        assert isinstance(number, str)
        assert set(answer) == {"session_id", "data"}
        assert answer["session_id"] == ids["session_id"]
        assert answer["data"]["type"] == "answer"
        assert answer["data"]["session_description"]["type"] == "call"
        for found in (first, second):
            assert found["data"]["type"] == "candidate"
            assert set(found["data"]["ice_candidate"]) == set(CANDIDATE)
        nothing = {"type": "ack", "status": "ok", "session_id": None, "tag_id": None}
        for kind, more in (("candidate", {"ice_candidate": CANDIDATE}), ("terminate", {})):
            ack = await signaling.request(ids, kind, **more)
            assert ack == nothing | {"correlation_id": ack["correlation_id"]}
    (session,) = sim.rtc.sessions.values()
    assert (session.state, session.ended_by, session.terminates) == ("ended", "client", 1)
    assert (session.sdp, session.candidates) == (OFFER, [CANDIDATE])
    assert session.panel_id == sim.house.panels()[0].id
    assert (sim.rtc.offers, sim.rtc.terminates, sim.rtc.held_slots, sim.rtc.peak) == (1, 1, 0, 1)
    assert sim.violations == []


async def test_scripted_answer_matches_offer(client: HttpClient) -> None:
    """It has the offer's m-sections, rejects unknown ones, and is passive."""
    async with open_signaling(client) as signaling:
        _, answer = await signaling.dial()
    sdp = answer["data"]["session_description"]["sdp"]
    assert re.findall(r"m=(\S+ \d+) \S+ (\S+)", sdp) == [
        ("audio 9", "111"),
        ("video 9", "109"),
        ("application 0", "webrtc-datachannel"),
    ]
    assert re.findall(r"a=mid:(\S+)", sdp) == ["0", "1", "2"]
    assert re.findall(r"a=(sendrecv|sendonly|recvonly|inactive)", sdp) == [
        "sendrecv",
        "sendonly",
        "inactive",
    ]
    assert "a=group:BUNDLE 0 1\r\n" in sdp
    assert set(re.findall(r"a=setup:(\w+)", sdp)) == {"passive"}
    assert sdp.endswith("\r\n")


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        ({"type": "terminate"}, {"tag_id": None}),
        ({"type": "terminate"}, {"session_id": ABSENT}),
        ({"type": "terminate"}, {"correlation_id": 5}),
        ({"type": "terminate"}, {"device_id": 5}),
        ({"type": "terminate", "why": "so"}, {}),
        ({"type": "terminate"}, {"module_id": "x"}),
        ({"type": "terminate"}, {"tag_id": "another"}),
        ({"type": "wave"}, {}),
        ("terminate", {}),
        ({"type": "player", "value": "previous"}, {}),
        ({"type": "candidate", "ice_candidate": {"candidate": CANDIDATE["candidate"]}}, {}),
        ({"type": "candidate", "ice_candidate": CANDIDATE | {"candidate": "a=candidate"}}, {}),
        ({"type": "candidate", "ice_candidate": CANDIDATE | {"sdp_m_line_index": "0"}}, {}),
        ({"type": "offer", "session_description": {"type": "call", "sdp": "v=0"}}, {}),
        ({"type": "offer", "session_description": {"type": "wave", "sdp": OFFER}}, {}),
    ],
)
async def test_invalid_frames_are_violations(
    client: HttpClient, sim: Simulator, data: Any, fields: dict[str, Any]
) -> None:
    """Each one is refused, and the session goes on."""
    async with open_signaling(client) as signaling:
        ids, _ = await signaling.dial()
        if "offer" in str(data):
            ids = {}
        await signaling.send(data, **(ids | fields))
        refused = await signaling.frame()
    assert (refused["type"], refused["status"]) == ("ack", "error")
    assert refused["error"]["code"] == 21
    assert len(sim.violations) == 1
    assert len(sim.rtc.open) == 1


async def test_null_tag_id_gets_the_original_message(client: HttpClient) -> None:
    """The message of the real cloud is known."""
    async with open_signaling(client) as signaling:
        ids, _ = await signaling.dial()
        await signaling.send({"type": "terminate"}, **(ids | {"tag_id": None}))
        assert (await signaling.frame())["error"]["message"] == "data/tag_id must be string"


async def test_target_of_offer(client: HttpClient, sim: Simulator) -> None:
    """An offer can call a panel, the indoor unit or, by default, the first panel."""
    bridge, second = sim.house.bridges()[0], sim.house.panels()[1]
    door = sim.house.doors()[0]
    sim.rtc.settings.slots = 9
    async with open_signaling(client) as signaling:
        for wanted in (second.id, bridge.id):
            await signaling.dial(module_id=wanted)
        assert (await signaling.offer(module_id=door.id))["error"]["code"] == 9
        signaling.bridge = door.id
        assert (await signaling.offer())["error"]["code"] == 9
    assert [each.panel_id for each in sim.rtc.sessions.values()] == [second.id, None]
    assert len(sim.violations) == 2


async def test_refused_offers(client: HttpClient, sim: Simulator) -> None:
    """Unreachable devices and refused offers are no violations."""
    panel = sim.house.panels()[1]
    async with open_signaling(client) as signaling:
        sim.set_reachable(panel, reachable=False)
        assert (await signaling.offer(module_id=panel.id))["error"]["code"] == 41
        sim.unplug_bridge()
        assert (await signaling.offer())["error"]["message"] == "Device is unreachable"
        sim.plug_bridge()
        sim.rtc.settings.refuse_offers = 11
        assert (await signaling.offer())["error"]["code"] == 11
        sim.rtc.settings.refuse_offers = None
        assert (await signaling.offer(kind="vod", video_id="v"))["error"]["code"] == 21
        await signaling.dial()
    assert sim.violations == []


async def test_offer_requires_subscription(client: HttpClient, sim: Simulator) -> None:
    """A missing subscription is a violation, an expired token is not."""
    async with open_signaling(client, subscribed=False) as signaling:
        assert (await signaling.offer())["error"]["code"] == 2
        assert len(sim.violations) == 1
        await signaling.subscribe()
        sim.expire_access_tokens()
        assert (await signaling.offer())["error"]["code"] == 3
        assert sim.journal[-1].bad_token
    assert len(sim.violations) == 1
    assert sim.rtc.offers == 0


async def test_slots(client: HttpClient, sim: Simulator) -> None:
    """An offer without a free slot is acknowledged and terminated; a terminate frees the slot."""
    async with open_signaling(client) as signaling:
        ids, _ = await signaling.dial()
        assert (await signaling.offer())["status"] == "ok"
        busy = await signaling.frame()
        assert busy["data"] == {"type": "terminate", "error": BUSY}
        await signaling.request(ids, "terminate")
        ids, _ = await signaling.dial()
        sim.rtc.settings.slot_release_delay = 60
        await signaling.request(ids, "terminate")
        assert sim.rtc.held_slots == 1
        sim.rtc.settings.slots, sim.rtc.settings.slot_release_delay = 2, 0.01
        ids, _ = await signaling.dial()
        assert sim.rtc.held_slots == 2
        await signaling.request(ids, "terminate")
        await sim.rtc.wait_for(lambda: sim.rtc.held_slots == 1)
    assert [each.error for each in sim.rtc.sessions.values()] == [None, 1, None, None]
    assert sim.rtc.peak == 2


async def test_second_terminate_is_violation(client: HttpClient, sim: Simulator) -> None:
    """So is one of an unknown session, but not one that crosses the intercom's own."""
    async with open_signaling(client) as signaling:
        ids, _ = await signaling.dial()
        sim.end_view(sim.rtc.open[0])
        assert (await signaling.frame())["data"] == {"type": "terminate"}
        assert (await signaling.request(ids, "terminate"))["status"] == "ok"
        assert sim.violations == []
        assert (await signaling.request(ids, "terminate"))["error"]["code"] == 21
        assert (await signaling.request(ids | {"session_id": "x"}, "terminate"))["error"][
            "code"
        ] == 9
    assert len(sim.violations) == 2


async def test_intercom_ends_views(client: HttpClient, sim: Simulator) -> None:
    """The intercom ends views: by time limit, with an error, or because of a rescind."""
    sim.rtc.settings.view_seconds = 0.05
    async with open_signaling(client) as signaling:
        await signaling.dial()
        assert (await signaling.frame())["data"] == {"type": "terminate"}
        sim.rtc.settings.view_seconds = 60
        await signaling.dial()
    assert sim.rtc.held_slots == 1
    sim.rtc.set_time_limit(sim.rtc.open[0], 0.01)
    await sim.rtc.wait_for(lambda: not sim.rtc.held_slots)
    sim.rtc.settings.reset()
    async with open_signaling(client) as signaling:
        await signaling.dial()
        sim.device_error(sim.rtc.open[0], 41)
        assert (await signaling.frame())["data"]["error"]["message"] == "Device is unreachable"
        sim.rtc.settings.silent_answers = True
        await signaling.offer()
        sim.rescind(sim.rtc.open[0])
        assert (await signaling.frame())["data"] == {"type": "rescind"}
    enders = [each.ended_by for each in sim.rtc.sessions.values()]
    assert enders == ["limit", "limit", "device", "device"]


async def test_power_loss_ends_sessions_silently(client: HttpClient, sim: Simulator) -> None:
    """The next frame is the acknowledgement of the next offer."""
    async with open_signaling(client) as signaling:
        await signaling.dial()
        sim.unplug_bridge()
        sim.plug_bridge()
        await signaling.dial()
    assert [each.ended_by for each in sim.rtc.sessions.values()] == ["power", None]


async def test_long_offer_reboots_bridge(client: HttpClient, sim: Simulator) -> None:
    """It is acknowledged but never answered; the bridge disconnects and comes back."""
    settings = sim.rtc.settings
    settings.reboot_delay, settings.reboot_seconds = 0, 60
    long = OFFER + "a=x-padding:" + "x" * settings.big_offer_bytes + "\r\n"
    async with open_signaling(client) as signaling, open_socket(client) as pushes:
        assert (await signaling.offer(long))["status"] == "ok"
        assert (await pushes.frame())["push_type"] == "BNC3-disconnection"
        assert (await signaling.offer())["error"]["code"] == 41
        sim.plug_bridge()
        assert (await pushes.frame())["push_type"] == "BNC3-connection"
        settings.reboot_seconds, settings.slots = 0.01, 2
        await signaling.offer(long)
        back = [frame["push_type"] for frame in await pushes.frames(2)]
        assert back == ["BNC3-disconnection", "BNC3-connection"]
        await signaling.dial()
    assert len(sim.violations) == 2


async def test_next_panel(client: HttpClient, sim: Simulator) -> None:
    """The player frame cycles through the panels."""
    first, second = sim.house.panels()
    async with open_signaling(client) as signaling:
        ids, _ = await signaling.dial()
        (session,) = sim.rtc.open
        for panel in (second, first):
            assert (await signaling.request(ids, "player", value="next_module"))["status"] == "ok"
            assert session.panel_id == panel.id
    assert session.next_modules == 2


@pytest.mark.parametrize(("echo", "number"), [("null", None), ("absent", "nothing")])
async def test_acks_without_correlation_id(
    client: HttpClient, sim: Simulator, echo: Any, number: Any
) -> None:
    """Observers disagree on whether the real cloud repeats it."""
    sim.rtc.settings.ack_echo = echo
    async with open_signaling(client) as signaling:
        assert (await signaling.offer()).get("correlation_id", "nothing") == number


async def test_answer_variants(client: HttpClient, sim: Simulator) -> None:
    """Twice, after the candidates, with frames of other sessions, late, or not at all."""
    settings = sim.rtc.settings
    settings.slots = 9
    settings.answer_twice = settings.candidates_before_answer = settings.foreign_frames = True
    settings.ack_delay = settings.answer_delay = 0.01
    async with open_signaling(client) as signaling:
        own = (await signaling.offer())["session_id"]
        frames = await signaling.frames(7)
        kinds = [frame["data"]["type"] for frame in frames]
        assert kinds[:3] == ["answer", "candidate", "terminate"]
        assert kinds[3:] == ["candidate", "candidate", "answer", "answer"]
        assert [frame["session_id"] == own for frame in frames] == [False] * 3 + [True] * 4
        settings.reset()
        settings.slots = 9
        settings.silent_answers = True
        await signaling.offer()
        settings.silent_acks, settings.silent_answers = True, False
        await signaling.send(
            {"type": "offer", "session_description": {"type": "call", "sdp": OFFER}}
        )
        assert (await signaling.frame())["data"]["type"] == "answer"


async def test_frames_go_to_the_session_connection(client: HttpClient, sim: Simulator) -> None:
    """A session moves to the connection that last sent its frame; broadcasting is optional."""
    sim.rtc.settings.slots = 9
    async with open_signaling(client) as one, open_signaling(client) as two:
        ids, _ = await one.dial()
        await two.request(ids, "candidate", ice_candidate=CANDIDATE)
        sim.end_view(sim.rtc.sessions[ids["session_id"]])
        assert (await two.frame())["data"]["type"] == "terminate"
        sim.rtc.settings.broadcast_frames = True
        await one.dial()
        assert (await two.frame())["data"]["type"] == "answer"
    bodies = [entry.body for entry in sim.journal if entry.method == "DEVICE"]
    assert [each["connections"] for each in bodies if isinstance(each, dict)] == [
        1,
        1,
        1,
        1,
        2,
        2,
        2,
    ]


async def test_new_house_has_no_sessions(client: HttpClient, sim: Simulator) -> None:
    """Sessions and rings end with the house."""
    async with open_signaling(client) as signaling:
        ids, _ = await signaling.dial()
        sim.use_house("classe_100x")
        assert sim.rtc.sessions == {}
        assert (await signaling.request(ids, "terminate"))["error"]["code"] == 9


async def test_session_actions(client: HttpClient, sim: Simulator) -> None:
    """An operator can change settings, and see and end sessions."""
    assert (await client.operate("end_view")).status == 404
    answer = await client.operate("rtc", slots=4, ack_echo="null", view_seconds=5.5)
    assert answer.json["rtc"]["settings"]["slots"] == 4
    async with open_signaling(client) as signaling:
        ends: tuple[tuple[str, dict[str, Any]], ...] = (
            ("end_view", {}),
            ("device_error", {"code": 7, "message": "No"}),
            ("rescind", {}),
        )
        for action, given in ends:
            await signaling.dial()
            shown = (await client.operate(action, **given)).json["rtc"]["sessions"][-1]
            data = (await signaling.frame())["data"]
            assert data["type"] == ("rescind" if action == "rescind" else "terminate")
            assert shown["state"] == ("answered" if action == "rescind" else "ended")
    for wrong in ({"slots": -1}, {"ack_echo": "loud"}, {"slots": 1.5}, {"peer": "human"}):
        assert (await client.operate("rtc", **wrong)).status == 400
    await client.operate("reset_rtc")
    assert sim.rtc.settings.slots == 1
