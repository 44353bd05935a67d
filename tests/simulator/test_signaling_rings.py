"""Rings answered and declined on the signaling socket, with a scripted peer."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator.signaling_client import OFFER, open_signaling
from tests.simulator.socket_client import open_socket

if TYPE_CHECKING:
    from tests.simulator.http_client import HttpClient
    from tests.simulator.server import Simulator

BUSY = {"code": 1, "message": "Max number of peers reached"}


async def ring(sim: Simulator, pushes: Any, **kind: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """Ring; return the ids for an answer, and the fields of the push."""
    sim.ring(**kind)
    extra = (await pushes.frames(2))[0]["extra_params"]
    ids = {name: extra[name] for name in ("session_id", "tag_id")}
    return ids | {"correlation_id": str(extra["correlation_id"])}, extra


def accepting(offer: str) -> dict[str, Any]:
    """Return the description of an answer that accepts all of an offer."""
    return {"type": "call", "sdp": offer.replace("actpass", "active")}


async def test_ring_is_answered(client: HttpClient, sim: Simulator) -> None:
    """The session is answered; the push socket gets `accepted_call`, `rescind` and the end."""
    async with open_signaling(client) as signaling, open_socket(client) as pushes:
        ids, extra = await ring(sim, pushes)
        offer = extra["data"]["session_description"]["sdp"]
        ack = await signaling.request(ids, "answer", session_description=accepting(offer))
        assert (ack["status"], ack["session_id"]) == ("ok", None)
        taken, rescinded = await pushes.frames(2)
        assert taken["push_type"] == "BNC3-accepted_call"
        assert rescinded["extra_params"]["data"] == {"type": "rescind"}
        (session,) = sim.rtc.open
        assert (session.from_ring, session.state, session.holds_slot) == (True, "answered", True)
        assert sim.calls[ids["session_id"]].answered
        del ids["correlation_id"]
        await signaling.request(ids, "terminate")
        assert (await pushes.frame())["extra_params"]["data"] == {"type": "terminate"}
    assert (sim.rtc.answers, sim.rtc.offers, sim.rtc.held_slots) == (1, 0, 0)
    assert sim.calls == {}
    assert sim.violations == []


async def test_no_rescind_for_own_answer(client: HttpClient, sim: Simulator) -> None:
    """It is unknown whether the real cloud sends it to the answering client."""
    sim.rtc.settings.rescind_own = False
    async with open_signaling(client) as signaling, open_socket(client) as pushes:
        ids, extra = await ring(sim, pushes)
        offer = extra["data"]["session_description"]["sdp"]
        await signaling.request(ids, "answer", session_description=accepting(offer))
        assert (await pushes.frame())["push_type"] == "BNC3-accepted_call"
        sim.hang_up(sim.calls[ids["session_id"]])
        assert (await pushes.frame())["extra_params"]["data"] == {"type": "terminate"}
        assert (await signaling.frame())["data"] == {"type": "terminate"}
    assert [each.ended_by for each in sim.rtc.sessions.values()] == ["operator"]


async def test_ring_is_declined(client: HttpClient, sim: Simulator) -> None:
    """A terminate ends the call."""
    async with open_signaling(client) as signaling, open_socket(client) as pushes:
        ids, _ = await ring(sim, pushes)
        del ids["correlation_id"]
        assert (await signaling.request(ids, "terminate"))["status"] == "ok"
        assert (await pushes.frame())["extra_params"]["data"] == {"type": "terminate"}
    (session,) = sim.rtc.sessions.values()
    assert (session.from_ring, session.terminates, session.ended_by) == (True, 1, "client")
    assert sim.calls == {}
    assert sim.violations == []


async def test_ringing_bridge_is_busy(client: HttpClient, sim: Simulator) -> None:
    """An offer to a ringing bridge gets a busy error."""
    async with open_signaling(client) as signaling:
        call = sim.ring()
        await signaling.offer()
        assert (await signaling.frame())["data"]["error"] == BUSY
        sim.miss(call)
        await signaling.dial()


@pytest.mark.parametrize("house", ["easykit", "classe_300eos", "classe_300x"])
async def test_bridge_that_rings_without_an_offer(
    client: HttpClient, sim: Simulator, clock: Any, house: str
) -> None:
    """It is busy until the call is over, if it is set so."""
    sim.use_house(house)
    async with open_signaling(client) as signaling:
        call = sim.ring(offer=False)
        await signaling.dial()
        sim.rtc.end(sim.rtc.open[0], "operator")
        sim.rtc.settings.busy_while_ringing = True
        await signaling.offer()
        assert (await signaling.frame())["data"]["error"] == BUSY
        sim.answer_elsewhere(call)
        clock.now += call.expiry
        await signaling.offer()
        assert (await signaling.frame())["data"]["error"] == BUSY
        sim.end_silently(call)
        await signaling.dial()
        sim.rtc.end(sim.rtc.open[0], "operator")
        late = sim.ring(offer=False)
        clock.now += late.expiry
        await signaling.dial()


@pytest.mark.parametrize(
    ("how", "error"), [("over", None), ("expired", None), ("elsewhere", BUSY), ("taken", BUSY)]
)
async def test_late_answer(
    client: HttpClient, sim: Simulator, clock: Any, how: str, error: Any
) -> None:
    """It is acknowledged and then terminated, without a violation."""
    async with open_signaling(client) as signaling, open_socket(client) as pushes:
        if how == "taken":
            await signaling.dial()
        ids, extra = await ring(sim, pushes)
        offer = extra["data"]["session_description"]["sdp"]
        call = sim.calls[ids["session_id"]]
        if how == "over":
            sim.hang_up(call)
        elif how == "expired":
            clock.now += call.expiry
        elif how == "elsewhere":
            sim.answer_elsewhere(call)
        ack = await signaling.request(ids, "answer", session_description=accepting(offer))
        assert ack["status"] == "ok"
        ended = (await signaling.frame())["data"]
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
async def test_invalid_answer(client: HttpClient, sim: Simulator, change: dict[str, str]) -> None:
    """It is refused as a violation, and the ring goes on."""
    async with open_signaling(client) as signaling, open_socket(client) as pushes:
        ids, extra = await ring(sim, pushes)
        sdp = change.pop("sdp", None)
        offer = extra["data"]["session_description"]["sdp"]
        described = accepting(offer) if sdp is None else {"type": "call", "sdp": sdp}
        ack = await signaling.request(ids | change, "answer", session_description=described)
        assert ack["status"] == "error"
    assert len(sim.violations) == 1
    assert sim.rtc.sessions == {}
    assert not sim.calls[ids["session_id"]].answered
