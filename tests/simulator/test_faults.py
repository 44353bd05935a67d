import asyncio
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.simulator import (
    Failure,
    concurrency,
    empty_topology,
    maintenance,
    too_many,
    usage_limit,
)
from tests.simulator.paths import HOMESDATA, HOMESTATUS, SETSTATE, TOKEN
from tests.simulator.server import Simulator

if TYPE_CHECKING:
    from tests.simulator.visitor import Answer, Visitor


@pytest.mark.parametrize(
    ("failure", "status", "text"),
    [
        (Failure(status=500), 500, "{}"),
        (Failure(code=2), 403, '{"error": {"code": 2, "message": "Invalid access token"}}'),
        (Failure(code=2, status=500), 500, '{"error": {"code": 2, "message"'),
        (Failure(code=99), 400, '{"error": {"code": 99, "message": "Unknown error"}}'),
        (Failure(error="invalid_grant"), 400, '{"error": "invalid_grant"}'),
        (Failure(body={"a": 1}), 200, '{"a": 1}'),
        (Failure(body=[]), 200, "[]"),
        (Failure(body="nonsense"), 200, "nonsense"),
        (Failure(html=True), 200, "<!doctype html>"),
        (Failure(wrong_json=True), 200, '{"status": "ok", "body": {"home": '),
        (Failure(retry_after=7), 429, "{}"),
        (usage_limit(), 403, '{"error": {"code": 26, "message": "User usage reached"}}'),
        (usage_limit(status=429), 429, '{"error": {"code": 26'),
        (too_many(), 429, '{"error": "too_many_connections"}'),
        (concurrency(), 429, '{"error": {"code": 11'),
        (maintenance(), 503, "<!doctype html>"),
        (maintenance(502), 502, "<!doctype html>"),
        (empty_topology(), 200, '{"status": "ok", "body": {"homes": []}}'),
    ],
)
async def test_answers(
    visitor: Visitor, sim: Simulator, *, failure: Failure, status: int, text: str
) -> None:
    """Each failure gives its status and its body, once."""
    sim.fail(HOMESDATA, failure)
    answer = await visitor.api(HOMESDATA)
    assert answer.status == status
    assert answer.text.startswith(text)
    assert sim.journal[0].fault
    assert (await visitor.api(HOMESDATA)).json["body"]["homes"]


@pytest.mark.parametrize(("given", "sent"), [(30, "30"), ("soon", "soon"), (None, None)])
async def test_retry_after(visitor: Visitor, sim: Simulator, given: Any, sent: str | None) -> None:
    """Retry-After is a number, nonsense or absent."""
    sim.fail(HOMESDATA, too_many(retry_after=given))
    assert (await visitor.api(HOMESDATA)).headers.get("Retry-After") == sent


async def test_queue_is_used_up_in_order(visitor: Visitor, sim: Simulator) -> None:
    """A path's own failures come first, those of any path after them."""
    sim.fail("*", Failure(status=504))
    sim.fail(HOMESDATA, Failure(status=500), times=2)
    sim.fail(HOMESDATA, Failure(status=502))
    statuses = [(await visitor.api(HOMESDATA)).status for _ in range(5)]
    assert statuses == [500, 500, 502, 504, 200]


async def test_other_paths_are_left_alone(visitor: Visitor, sim: Simulator) -> None:
    """A failure waits for its path, until it is called off."""
    sim.fail(HOMESTATUS, Failure(status=500))
    assert (await visitor.api(HOMESDATA)).status == 200
    assert (await visitor.operate("clear_failures")).status == 200
    assert "modules" in (await visitor.status())["home"]


async def test_late_answer_is_right(visitor: Visitor, sim: Simulator) -> None:
    """A delay alone changes nothing but the time."""
    sim.fail(SETSTATE, Failure(delay=0.05))
    begun = time.monotonic()
    answer = await visitor.command(sim.house.doors()[0], lock=False)
    assert time.monotonic() - begun >= 0.05
    assert answer.json["status"] == "ok"
    assert len(sim.openings) == 1


@pytest.mark.parametrize(
    "failure",
    [
        Failure(executed=True, status=500),
        Failure(executed=True, html=True, delay=0.01),
        Failure(executed=True, wrong_json=True),
        Failure(executed=True, code=3),
    ],
)
async def test_carried_out_though_the_answer_is_bad(
    visitor: Visitor, sim: Simulator, failure: Failure
) -> None:
    """`executed` moves the door whatever is answered."""
    sim.fail(SETSTATE, failure)
    answer = await visitor.command(sim.house.doors()[0], lock=False)
    assert "time_server" not in answer.text
    assert len(sim.openings) == 1
    assert len(sim.journal.commands) == 1


async def test_not_carried_out(visitor: Visitor, sim: Simulator) -> None:
    """Without `executed` nothing moves; a refused token is no command."""
    for failure in (Failure(status=500), Failure(code=3), Failure(cut=True), Failure(drop=True)):
        sim.fail(SETSTATE, failure)
        try:
            await visitor.command(sim.house.doors()[0], lock=False)
        except aiohttp.ClientError:
            continue
    assert sim.journal.count(SETSTATE) == 4
    assert sim.openings == []
    assert len(sim.journal.commands) == 3


@pytest.mark.parametrize("executed", [True, False])
async def test_cut_in_the_middle(visitor: Visitor, sim: Simulator, executed: bool) -> None:
    """Half of the answer comes, then the connection ends."""
    sim.fail(SETSTATE, Failure(cut=True, executed=executed))
    with pytest.raises(aiohttp.ClientPayloadError):
        await visitor.command(sim.house.doors()[0], lock=False)
    assert len(sim.openings) == executed
    assert sim.journal[0].status == 200


async def test_cut_without_an_answer(visitor: Visitor, sim: Simulator) -> None:
    """The connection ends and nothing was answered."""
    sim.fail(SETSTATE, Failure(drop=True, executed=True))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await visitor.command(sim.house.doors()[0], lock=False)
    assert len(sim.openings) == 1
    assert sim.journal[0].status is None


async def test_rotated_though_the_answer_is_lost(visitor: Visitor, sim: Simulator) -> None:
    """A refresh whose answer is lost has spent its token."""
    sim.fail(TOKEN, Failure(cut=True, executed=True))
    with pytest.raises(aiohttp.ClientPayloadError):
        await visitor.renew()
    assert (await visitor.renew()).json == {"error": "invalid_grant"}


@pytest.mark.parametrize("failure", [Failure(never=True), Failure(delay=600)])
async def test_stop_is_prompt_while_a_request_hangs(
    visitor: Visitor, sim: Simulator, failure: Failure
) -> None:
    """The end cuts what hangs, and what was late is not carried out."""
    sim.fail(SETSTATE, failure)
    hanging = asyncio.create_task(visitor.command(sim.house.doors()[0], lock=False))
    await sim.journal.wait_for(SETSTATE)
    begun = time.monotonic()
    await sim.stop()
    assert time.monotonic() - begun < 1
    with pytest.raises(aiohttp.ClientError):
        await hanging
    assert sim.openings == []
    assert sim.journal[0].status is None


async def test_never_answered_but_carried_out(visitor: Visitor, sim: Simulator) -> None:
    """A command may be carried out and never answered."""
    sim.fail(SETSTATE, Failure(never=True, executed=True))
    command = visitor.command(sim.house.doors()[0], lock=False)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(command, 0.1)
    assert len(sim.openings) == 1
    assert len(sim.journal.commands) == 1


@pytest.mark.parametrize(("html", "kind"), [(True, "text/html"), (False, "text/plain")])
async def test_cloud_down(visitor: Visitor, sim: Simulator, html: bool, kind: str) -> None:
    """An outage meets every path, with or without a web page."""
    sim.take_down(502, html=html)
    answers: list[Answer] = [await visitor.api(HOMESDATA), await visitor.renew()]
    assert {answer.status for answer in answers} == {502}
    assert answers[0].headers["Content-Type"].startswith(kind)
    sim.bring_up()
    assert (await visitor.renew()).status == 200


async def test_comes_back_where_it_was(visitor: Visitor, sim: Simulator) -> None:
    """A stopped simulator refuses connections and can start again."""
    port = sim.port
    await sim.stop()
    with pytest.raises(aiohttp.ClientConnectionError):
        await visitor.api(HOMESDATA)
    await sim.start(port=port)
    assert (await visitor.api(HOMESDATA)).status == 200
    with pytest.raises(OSError, match="in use"):
        await Simulator().start(port=port)


def test_a_failure_in_words() -> None:
    """Only what is wrong is said."""
    assert str(Failure(status=500, executed=True)) == "status=500, executed=True"
