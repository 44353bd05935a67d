"""Rings, answered and declined on the signaling socket, with a scripted intercom."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator.caller import OFFER, calling
from tests.simulator.listener import listen

if TYPE_CHECKING:
    from tests.simulator.server import Simulator
    from tests.simulator.visitor import Visitor

BUSY = {"code": 1, "message": "Max number of peers reached"}


async def ring(sim: Simulator, pushes: Any, **kind: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """Ring, and return the ids that an answer needs, and what was pushed."""
    sim.ring(**kind)
    extra = (await pushes.frames(2))[0]["extra_params"]
    ids = {name: extra[name] for name in ("session_id", "tag_id")}
    return ids | {"correlation_id": str(extra["correlation_id"])}, extra


def device_answer_for_viewer(offer: str) -> dict[str, Any]:
    """Return the description of an answer that takes all of an offer."""
    return {"type": "call", "sdp": offer.replace("actpass", "active")}


async def test_ring_is_answered(visitor: Visitor, sim: Simulator) -> None:
    """The call is joined; our own push socket hears that it was taken, and then of its end."""
    async with calling(visitor) as caller, listen(visitor) as pushes:
        ids, extra = await ring(sim, pushes)
        offer = extra["data"]["session_description"]["sdp"]
        said = await caller.of(ids, "answer", session_description=device_answer_for_viewer(offer))
        assert (said["status"], said["session_id"]) == ("ok", None)
        taken, rescinded = await pushes.frames(2)
        assert taken["push_type"] == "BNC3-accepted_call"
        assert rescinded["extra_params"]["data"] == {"type": "rescind"}
        (session,) = sim.rtc.open
        assert (session.rang, session.state, session.holds_slot) == (True, "answered", True)
        assert sim.calls[ids["session_id"]].answered
        del ids["correlation_id"]
        await caller.of(ids, "terminate")
        assert (await pushes.frame())["extra_params"]["data"] == {"type": "terminate"}
    assert (sim.rtc.answers, sim.rtc.offers, sim.rtc.held_slots) == (1, 0, 0)
    assert sim.calls == {}
    assert sim.violations == []


async def test_rescind_can_be_for_others_only(visitor: Visitor, sim: Simulator) -> None:
    """Nobody knows whether the own answer is told to oneself."""
    sim.rtc.settings.rescind_own = False
    async with calling(visitor) as caller, listen(visitor) as pushes:
        ids, extra = await ring(sim, pushes)
        offer = extra["data"]["session_description"]["sdp"]
        await caller.of(ids, "answer", session_description=device_answer_for_viewer(offer))
        assert (await pushes.frame())["push_type"] == "BNC3-accepted_call"
        sim.hang_up(sim.calls[ids["session_id"]])
        assert (await pushes.frame())["extra_params"]["data"] == {"type": "terminate"}
        assert (await caller.frame())["data"] == {"type": "terminate"}
    assert [each.ended_by for each in sim.rtc.sessions.values()] == ["operator"]


async def test_ring_is_declined(visitor: Visitor, sim: Simulator) -> None:
    """That ends the call."""
    async with calling(visitor) as caller, listen(visitor) as pushes:
        ids, _ = await ring(sim, pushes)
        del ids["correlation_id"]
        assert (await caller.of(ids, "terminate"))["status"] == "ok"
        assert (await pushes.frame())["extra_params"]["data"] == {"type": "terminate"}
    (session,) = sim.rtc.sessions.values()
    assert (session.rang, session.terminates, session.ended_by) == (True, 1, "client")
    assert sim.calls == {}
    assert sim.violations == []


async def test_ringing_bridge_is_busy(visitor: Visitor, sim: Simulator) -> None:
    """It wants an answer, not an offer."""
    async with calling(visitor) as caller:
        call = sim.ring()
        await caller.offer()
        assert (await caller.frame())["data"]["error"] == BUSY
        sim.miss(call)
        await caller.dial()


@pytest.mark.parametrize(
    ("how", "error"), [("over", None), ("expired", None), ("elsewhere", BUSY), ("taken", BUSY)]
)
async def test_answer_that_comes_too_late(
    visitor: Visitor, sim: Simulator, clock: Any, how: str, error: Any
) -> None:
    """It is acknowledged, and then ended; the client could not know."""
    async with calling(visitor) as caller, listen(visitor) as pushes:
        if how == "taken":
            await caller.dial()
        ids, extra = await ring(sim, pushes)
        offer = extra["data"]["session_description"]["sdp"]
        call = sim.calls[ids["session_id"]]
        if how == "over":
            sim.hang_up(call)
        elif how == "expired":
            clock.now += call.expiry
        elif how == "elsewhere":
            sim.answer_elsewhere(call)
        said = await caller.of(ids, "answer", session_description=device_answer_for_viewer(offer))
        assert said["status"] == "ok"
        ended = (await caller.frame())["data"]
        assert (ended["type"], ended.get("error")) == ("terminate", error)
    assert sim.violations == []


@pytest.mark.parametrize(
    "change",
    [
        {"correlation_id": "9223372036800000000"},
        {"tag_id": "another"},
        {"session_id": "another"},
        {"sdp": "v=0\r\n"},
        {"sdp": OFFER},
        {"sdp": ""},
    ],
)
async def test_wrong_answers_to_a_ring(
    visitor: Visitor, sim: Simulator, change: dict[str, str]
) -> None:
    """They are refused and noted, and it goes on ringing."""
    async with calling(visitor) as caller, listen(visitor) as pushes:
        ids, extra = await ring(sim, pushes)
        sdp = change.pop("sdp", None)
        offer = extra["data"]["session_description"]["sdp"]
        described = device_answer_for_viewer(offer) if sdp is None else {"type": "call", "sdp": sdp}
        said = await caller.of(ids | change, "answer", session_description=described)
        assert said["status"] == "error"
    assert len(sim.violations) == 1
    assert sim.rtc.sessions == {}
    assert not sim.calls[ids["session_id"]].answered
