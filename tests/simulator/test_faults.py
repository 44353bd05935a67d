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
    from tests.simulator.http_client import Answer, HttpClient


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
async def test_response_of_failure(
    client: HttpClient, sim: Simulator, *, failure: Failure, status: int, text: str
) -> None:
    """Each failure returns its status and body, once."""
    sim.fail(HOMESDATA, failure)
    answer = await client.api(HOMESDATA)
    assert answer.status == status
    assert answer.text.startswith(text)
    assert sim.journal[0].fault
    assert (await client.api(HOMESDATA)).json["body"]["homes"]


@pytest.mark.parametrize(("given", "sent"), [(30, "30"), ("soon", "soon"), (None, None)])
async def test_retry_after(
    client: HttpClient, sim: Simulator, given: Any, sent: str | None
) -> None:
    """Retry-After can be a number, invalid or absent."""
    sim.fail(HOMESDATA, too_many(retry_after=given))
    assert (await client.api(HOMESDATA)).headers.get("Retry-After") == sent


async def test_failures_are_used_in_order(client: HttpClient, sim: Simulator) -> None:
    """Failures of the path come first, then those of any path."""
    sim.fail("*", Failure(status=504))
    sim.fail(HOMESDATA, Failure(status=500), times=2)
    sim.fail(HOMESDATA, Failure(status=502))
    statuses = [(await client.api(HOMESDATA)).status for _ in range(5)]
    assert statuses == [500, 500, 502, 504, 200]


async def test_other_paths_are_not_affected(client: HttpClient, sim: Simulator) -> None:
    """A failure stays queued for its path until it is cleared."""
    sim.fail(HOMESTATUS, Failure(status=500))
    assert (await client.api(HOMESDATA)).status == 200
    assert (await client.operate("clear_failures")).status == 200
    assert "modules" in (await client.status())["home"]


async def test_delay_only(client: HttpClient, sim: Simulator) -> None:
    """A delay alone only delays the regular response."""
    sim.fail(SETSTATE, Failure(delay=0.05))
    started = time.monotonic()
    answer = await client.command(sim.house.doors()[0], lock=False)
    assert time.monotonic() - started >= 0.05
    assert answer.json["status"] == "ok"
    assert len(sim.openings) == 1


async def test_held_response(client: HttpClient, sim: Simulator) -> None:
    """A held response is sent when its event is set; `stop` drops the request."""
    release = asyncio.Event()
    sim.fail(SETSTATE, Failure(until=release))
    held = asyncio.create_task(client.command(sim.house.doors()[0], lock=False))
    await sim.journal.wait_for(SETSTATE)
    assert (await client.api(HOMESDATA)).status == 200
    assert sim.openings == []
    release.set()
    assert (await held).json["status"] == "ok"
    assert len(sim.openings) == 1
    sim.fail(SETSTATE, Failure(until=asyncio.Event()))
    held = asyncio.create_task(client.command(sim.house.doors()[0], lock=False))
    await sim.journal.wait_for(SETSTATE, count=2)
    await sim.stop()
    with pytest.raises(aiohttp.ClientError):
        await held


@pytest.mark.parametrize(
    "failure",
    [
        Failure(executed=True, status=500),
        Failure(executed=True, html=True, delay=0.01),
        Failure(executed=True, wrong_json=True),
        Failure(executed=True, code=3),
    ],
)
async def test_executed_with_bad_response(
    client: HttpClient, sim: Simulator, failure: Failure
) -> None:
    """With `executed` the door opens, whatever the response."""
    sim.fail(SETSTATE, failure)
    answer = await client.command(sim.house.doors()[0], lock=False)
    assert "time_server" not in answer.text
    assert len(sim.openings) == 1
    assert len(sim.journal.commands) == 1


async def test_not_executed(client: HttpClient, sim: Simulator) -> None:
    """Without `executed` no door opens; a request with a refused token is no command."""
    for failure in (Failure(status=500), Failure(code=3), Failure(cut=True), Failure(drop=True)):
        sim.fail(SETSTATE, failure)
        try:
            await client.command(sim.house.doors()[0], lock=False)
        except aiohttp.ClientError:
            continue
    assert sim.journal.count(SETSTATE) == 4
    assert sim.openings == []
    assert len(sim.journal.commands) == 3


@pytest.mark.parametrize("executed", [True, False])
async def test_cut(client: HttpClient, sim: Simulator, executed: bool) -> None:
    """Half of the response is sent, then the connection ends."""
    sim.fail(SETSTATE, Failure(cut=True, executed=executed))
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.command(sim.house.doors()[0], lock=False)
    assert len(sim.openings) == executed
    assert sim.journal[0].status == 200


async def test_drop(client: HttpClient, sim: Simulator) -> None:
    """The connection ends without a response."""
    sim.fail(SETSTATE, Failure(drop=True, executed=True))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await client.command(sim.house.doors()[0], lock=False)
    assert len(sim.openings) == 1
    assert sim.journal[0].status is None


async def test_refresh_with_lost_response(client: HttpClient, sim: Simulator) -> None:
    """The refresh token is used up nevertheless."""
    sim.fail(TOKEN, Failure(cut=True, executed=True))
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.renew()
    assert (await client.renew()).json == {"error": "invalid_grant"}


@pytest.mark.parametrize("failure", [Failure(never=True), Failure(delay=600)])
async def test_stop_with_hanging_request(
    client: HttpClient, sim: Simulator, failure: Failure
) -> None:
    """`stop` drops hanging requests, and delayed ones are not run."""
    sim.fail(SETSTATE, failure)
    hanging = asyncio.create_task(client.command(sim.house.doors()[0], lock=False))
    await sim.journal.wait_for(SETSTATE)
    async with asyncio.timeout(30):
        await sim.stop()
    with pytest.raises(aiohttp.ClientError):
        await hanging
    assert sim.openings == []
    assert sim.journal[0].status is None


async def test_executed_but_never_answered(client: HttpClient, sim: Simulator) -> None:
    """A command can be run without ever getting a response."""
    hangs = asyncio.Event()
    sim.on_hang = hangs.set
    sim.fail(SETSTATE, Failure(never=True, executed=True))
    hanging = asyncio.create_task(client.command(sim.house.doors()[0], lock=False))
    await hangs.wait()
    assert not hanging.done()
    await sim.stop()
    with pytest.raises(aiohttp.ClientError):
        await hanging
    assert len(sim.openings) == 1
    assert len(sim.journal.commands) == 1


@pytest.mark.parametrize(("html", "kind"), [(True, "text/html"), (False, "text/plain")])
async def test_cloud_down(client: HttpClient, sim: Simulator, html: bool, kind: str) -> None:
    """An outage affects every path, with or without an HTML page."""
    sim.take_down(502, html=html)
    answers: list[Answer] = [await client.api(HOMESDATA), await client.renew()]
    assert {answer.status for answer in answers} == {502}
    assert answers[0].headers["Content-Type"].startswith(kind)
    sim.bring_up()
    assert (await client.renew()).status == 200


async def test_restart(client: HttpClient, sim: Simulator) -> None:
    """A stopped simulator refuses connections and can start again on its port."""
    port = sim.port
    await sim.stop()
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.api(HOMESDATA)
    await sim.start(port=port)
    assert (await client.api(HOMESDATA)).status == 200
    with pytest.raises(OSError, match="in use"):
        await Simulator().start(port=port)


def test_failure_as_text() -> None:
    """Only fields that differ from the defaults are shown."""
    assert str(Failure(status=500, executed=True)) == "status=500, executed=True"
