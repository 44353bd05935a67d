"""The signaling socket with a scripted intercom: what a client gets, frame by frame."""

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator.caller import ABSENT, CANDIDATE, OFFER, calling
from tests.simulator.listener import listen

if TYPE_CHECKING:
    from tests.simulator.server import Simulator
    from tests.simulator.visitor import Visitor

BUSY = {"code": 1, "message": "Max number of peers reached"}


async def test_call_by_the_book(visitor: Visitor, sim: Simulator) -> None:
    """Offer, acknowledgement, answer, candidates, terminate: exactly what the record has."""
    async with calling(visitor) as caller:
        acknowledged = await caller.offer()
        answer, first, second = await caller.frames(3)
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
            said = await caller.of(ids, kind, **more)
            assert said == nothing | {"correlation_id": said["correlation_id"]}
    (session,) = sim.rtc.sessions.values()
    assert (session.state, session.ended_by, session.terminates) == ("ended", "client", 1)
    assert (session.sdp, session.candidates) == (OFFER, [CANDIDATE])
    assert session.panel_id == sim.house.panels()[0].id
    assert (sim.rtc.offers, sim.rtc.terminates, sim.rtc.held_slots, sim.rtc.peak) == (1, 1, 0, 1)
    assert sim.violations == []


async def test_scripted_answer_fits_the_offer(visitor: Visitor) -> None:
    """Its sections are the offer's, of which it takes what it knows; it waits to be called."""
    async with calling(visitor) as caller:
        _, answer = await caller.dial()
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
async def test_wrong_frames_are_refused_and_noted(
    visitor: Visitor, sim: Simulator, data: Any, fields: dict[str, Any]
) -> None:
    """Each with one note, and the call goes on."""
    async with calling(visitor) as caller:
        ids, _ = await caller.dial()
        if "offer" in str(data):
            ids = {}
        await caller.say(data, **(ids | fields))
        refused = await caller.frame()
    assert (refused["type"], refused["status"]) == ("ack", "error")
    assert refused["error"]["code"] == 21
    assert len(sim.violations) == 1
    assert len(sim.rtc.open) == 1


async def test_null_tag_gets_the_clouds_own_words(visitor: Visitor) -> None:
    """They are on record."""
    async with calling(visitor) as caller:
        ids, _ = await caller.dial()
        await caller.say({"type": "terminate"}, **(ids | {"tag_id": None}))
        assert (await caller.frame())["error"]["message"] == "data/tag_id must be string"


async def test_who_is_called(visitor: Visitor, sim: Simulator) -> None:
    """A panel, the bridge's own unit, or the first panel; nobody else."""
    bridge, second = sim.house.bridges()[0], sim.house.panels()[1]
    door = sim.house.doors()[0]
    sim.rtc.settings.slots = 9
    async with calling(visitor) as caller:
        for wanted in (second.id, bridge.id):
            await caller.dial(module_id=wanted)
        assert (await caller.offer(module_id=door.id))["error"]["code"] == 9
        caller.bridge = door.id
        assert (await caller.offer())["error"]["code"] == 9
    assert [each.panel_id for each in sim.rtc.sessions.values()] == [second.id, None]
    assert len(sim.violations) == 2


async def test_who_cannot_be_reached(visitor: Visitor, sim: Simulator) -> None:
    """A bridge without power, a panel that is lost: no fault of the client's."""
    panel = sim.house.panels()[1]
    async with calling(visitor) as caller:
        sim.set_reachable(panel, reachable=False)
        assert (await caller.offer(module_id=panel.id))["error"]["code"] == 41
        sim.unplug_bridge()
        assert (await caller.offer())["error"]["message"] == "Device is unreachable"
        sim.plug_bridge()
        sim.rtc.settings.refuse_offers = 11
        assert (await caller.offer())["error"]["code"] == 11
        sim.rtc.settings.refuse_offers = None
        assert (await caller.offer(kind="vod", video_id="v"))["error"]["code"] == 21
        await caller.dial()
    assert sim.violations == []


async def test_lines_that_may_not_call(visitor: Visitor, sim: Simulator) -> None:
    """Without a subscription it is a fault, with a dead token it is not."""
    async with calling(visitor, subscribed=False) as caller:
        assert (await caller.offer())["error"]["code"] == 2
        assert len(sim.violations) == 1
        await caller.subscribe()
        sim.expire_access_tokens()
        assert (await caller.offer())["error"]["code"] == 3
        assert sim.journal[-1].bad_token
    assert len(sim.violations) == 1
    assert sim.rtc.offers == 0


async def test_places_are_taken_and_freed(visitor: Visitor, sim: Simulator) -> None:
    """Above them an offer is acknowledged and then terminated; they are free after a terminate."""
    async with calling(visitor) as caller:
        ids, _ = await caller.dial()
        assert (await caller.offer())["status"] == "ok"
        busy = await caller.frame()
        assert busy["data"] == {"type": "terminate", "error": BUSY}
        await caller.of(ids, "terminate")
        ids, _ = await caller.dial()
        sim.rtc.settings.slot_lingers = 0.02
        await caller.of(ids, "terminate")
        assert sim.rtc.held_slots == 1
        await sim.rtc.wait_for(lambda: sim.rtc.held_slots == 0)
    assert [each.error for each in sim.rtc.sessions.values()] == [None, 1, None]
    assert sim.rtc.peak == 1


async def test_second_terminate_is_noted(visitor: Visitor, sim: Simulator) -> None:
    """And so is that of a call that nobody knows; one that crosses the intercom's own is not."""
    async with calling(visitor) as caller:
        ids, _ = await caller.dial()
        sim.end_view(sim.rtc.open[0])
        assert (await caller.frame())["data"] == {"type": "terminate"}
        assert (await caller.of(ids, "terminate"))["status"] == "ok"
        assert sim.violations == []
        assert (await caller.of(ids, "terminate"))["error"]["code"] == 21
        assert (await caller.of(ids | {"session_id": "x"}, "terminate"))["error"]["code"] == 9
    assert len(sim.violations) == 2


async def test_intercom_ends_views(visitor: Visitor, sim: Simulator) -> None:
    """The intercom ends views: by time limit, with an error, or because of a rescind."""
    sim.rtc.settings.view_seconds = 0.05
    async with calling(visitor) as caller:
        await caller.dial()
        assert (await caller.frame())["data"] == {"type": "terminate"}
        await caller.dial()
    assert sim.rtc.held_slots == 1
    await sim.rtc.wait_for(lambda: not sim.rtc.held_slots)
    sim.rtc.settings.reset()
    async with calling(visitor) as caller:
        await caller.dial()
        sim.device_error(sim.rtc.open[0], 41)
        assert (await caller.frame())["data"]["error"]["message"] == "Device is unreachable"
        sim.rtc.settings.silent_answers = True
        await caller.offer()
        sim.rescind(sim.rtc.open[0])
        assert (await caller.frame())["data"] == {"type": "rescind"}
    enders = [each.ended_by for each in sim.rtc.sessions.values()]
    assert enders == ["limit", "limit", "device", "device"]


async def test_power_ends_calls_without_a_word(visitor: Visitor, sim: Simulator) -> None:
    """The next thing that comes is the next call's acknowledgement."""
    async with calling(visitor) as caller:
        await caller.dial()
        sim.unplug_bridge()
        sim.plug_bridge()
        await caller.dial()
    assert [each.ended_by for each in sim.rtc.sessions.values()] == ["power", None]


async def test_long_offer_makes_the_bridge_boot(visitor: Visitor, sim: Simulator) -> None:
    """It is acknowledged, never answered; the bridge goes, and comes back."""
    settings = sim.rtc.settings
    settings.reboot_delay, settings.reboot_seconds = 0, 0.02
    long = OFFER + "a=x-padding:" + "x" * settings.big_offer_bytes + "\r\n"
    async with calling(visitor) as caller, listen(visitor) as pushes:
        assert (await caller.offer(long))["status"] == "ok"
        assert (await pushes.frame())["push_type"] == "BNC3-disconnection"
        assert (await caller.offer())["error"]["code"] == 41
        assert (await pushes.frame())["push_type"] == "BNC3-connection"
        await caller.dial()
    assert len(sim.violations) == 1


async def test_next_panel(visitor: Visitor, sim: Simulator) -> None:
    """It goes round."""
    first, second = sim.house.panels()
    async with calling(visitor) as caller:
        ids, _ = await caller.dial()
        (session,) = sim.rtc.open
        for panel in (second, first):
            assert (await caller.of(ids, "player", value="next_module"))["status"] == "ok"
            assert session.panel_id == panel.id
    assert session.next_modules == 2


@pytest.mark.parametrize(("echo", "number"), [("null", None), ("absent", "nothing")])
async def test_acknowledgements_without_a_number(
    visitor: Visitor, sim: Simulator, echo: Any, number: Any
) -> None:
    """Observers differ on whether it comes back."""
    sim.rtc.settings.ack_echo = echo
    async with calling(visitor) as caller:
        assert (await caller.offer()).get("correlation_id", "nothing") == number


async def test_ways_to_answer(visitor: Visitor, sim: Simulator) -> None:
    """Twice, candidates first, with frames of others in between, late, or not at all."""
    settings = sim.rtc.settings
    settings.slots = 9
    settings.answer_twice = settings.candidates_before_answer = settings.foreign_frames = True
    settings.ack_delay = settings.answer_delay = 0.01
    async with calling(visitor) as caller:
        own = (await caller.offer())["session_id"]
        frames = await caller.frames(7)
        kinds = [frame["data"]["type"] for frame in frames]
        assert kinds[:3] == ["answer", "candidate", "terminate"]
        assert kinds[3:] == ["candidate", "candidate", "answer", "answer"]
        assert [frame["session_id"] == own for frame in frames] == [False] * 3 + [True] * 4
        settings.reset()
        settings.slots = 9
        settings.silent_answers = True
        await caller.offer()
        settings.silent_acks, settings.silent_answers = True, False
        await caller.say({"type": "offer", "session_description": {"type": "call", "sdp": OFFER}})
        assert (await caller.frame())["data"]["type"] == "answer"


async def test_frames_go_to_the_line_of_the_call(visitor: Visitor, sim: Simulator) -> None:
    """Or to all connections; a call moves to the connection that speaks of it."""
    sim.rtc.settings.slots = 9
    async with calling(visitor) as one, calling(visitor) as two:
        ids, _ = await one.dial()
        await two.of(ids, "candidate", ice_candidate=CANDIDATE)
        sim.end_view(sim.rtc.sessions[ids["session_id"]])
        assert (await two.frame())["data"]["type"] == "terminate"
        sim.rtc.settings.frames_to_all = True
        await one.dial()
        assert (await two.frame())["data"]["type"] == "answer"
    told = [entry.body for entry in sim.journal if entry.method == "DEVICE"]
    assert [each["connections"] for each in told if isinstance(each, dict)] == [1, 1, 1, 1, 2, 2, 2]


async def test_another_house_knows_nothing_of_it(visitor: Visitor, sim: Simulator) -> None:
    """Calls and rings are gone with the house."""
    async with calling(visitor) as caller:
        ids, _ = await caller.dial()
        sim.use_house("classe_100x")
        assert sim.rtc.sessions == {}
        assert (await caller.of(ids, "terminate"))["error"]["code"] == 9


async def test_the_calls_over_http(visitor: Visitor, sim: Simulator) -> None:
    """Settings can be made, and calls seen and ended, by an operator."""
    assert (await visitor.operate("end_view")).status == 404
    answer = await visitor.operate("rtc", slots=4, ack_echo="null", view_seconds=5.5)
    assert answer.json["rtc"]["settings"]["slots"] == 4
    async with calling(visitor) as caller:
        ends: tuple[tuple[str, dict[str, Any]], ...] = (
            ("end_view", {}),
            ("device_error", {"code": 7, "message": "No"}),
            ("rescind", {}),
        )
        for action, given in ends:
            await caller.dial()
            shown = (await visitor.operate(action, **given)).json["rtc"]["sessions"][-1]
            data = (await caller.frame())["data"]
            assert data["type"] == ("rescind" if action == "rescind" else "terminate")
            assert shown["state"] == ("answered" if action == "rescind" else "ended")
    for wrong in ({"slots": -1}, {"ack_echo": "loud"}, {"slots": 1.5}, {"peer": "human"}):
        assert (await visitor.operate("rtc", **wrong)).status == 400
    await visitor.operate("reset_rtc")
    assert sim.rtc.settings.slots == 1
