"""The error table row by row, the retry after a refused token, the cloud's time."""

import asyncio
from contextlib import asynccontextmanager
import time
from typing import TYPE_CHECKING, Any

import pytest

from custom_components.bticino_classe.client import (
    Account,
    ApiError,
    AuthServerError,
    BticinoError,
    CloudClock,
    CommandRefusedError,
    ForbiddenError,
    InvalidRequestError,
    ModuleKind,
    NoAnswerError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitError,
    ServerError,
    TokenRefusedError,
    UnexpectedAnswerError,
    UnreachableError,
)
from custom_components.bticino_classe.client.clock import AGREEING_ANSWERS
from custom_components.bticino_classe.client.transport import Transport
from tests.client.signed_in import home_of, module_of, signed_in
from tests.simulator import Failure, concurrency, maintenance, too_many, usage_limit
from tests.simulator.paths import GETEVENTS, HOMESDATA, HOMESTATUS, SETSTATE, TOKEN, TURN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from custom_components.bticino_classe.client import Endpoints
    from tests.simulator import Simulator

type Row = tuple[Failure, type[ApiError], int, int | str | None, float | None]

TABLE: list[Row] = [
    (Failure(code=5), CommandRefusedError, 200, 5, None),
    (Failure(code=6), UnreachableError, 200, 6, None),
    (Failure(code=9), NotFoundError, 404, 9, None),
    (Failure(code=9, status=403), NotFoundError, 403, 9, None),
    (Failure(status=404), ServerError, 404, None, None),
    (concurrency(), RateLimitError, 429, 11, None),
    (Failure(code=11, status=500), RateLimitError, 500, 11, None),
    (Failure(code=13), ForbiddenError, 403, 13, None),
    (Failure(status=403), ServerError, 403, None, None),
    (Failure(status=403, html=True), ServerError, 403, None, None),
    (Failure(code=21), InvalidRequestError, 400, 21, None),
    (Failure(status=400), ServerError, 400, None, None),
    (Failure(code=99), InvalidRequestError, 400, 99, None),
    (Failure(code=99, status=200), UnexpectedAnswerError, 200, 99, None),
    (usage_limit(), RateLimitError, 403, 26, None),
    (usage_limit(status=429), RateLimitError, 429, 26, None),
    (usage_limit(status=429, retry_after=30), RateLimitError, 429, 26, 30.0),
    (too_many(), RateLimitError, 429, "too_many_connections", None),
    (too_many(retry_after=7), RateLimitError, 429, "too_many_connections", 7.0),
    (too_many(retry_after="soon"), RateLimitError, 429, "too_many_connections", None),
    (too_many(retry_after="inf"), RateLimitError, 429, "too_many_connections", None),
    (too_many(retry_after=-3), RateLimitError, 429, "too_many_connections", 0.0),
    (Failure(retry_after=1), RateLimitError, 429, None, 1.0),
    (
        too_many(retry_after="Thu, 01 Jan 1970 00:00:00 GMT"),
        RateLimitError,
        429,
        "too_many_connections",
        0.0,
    ),
    *[(maintenance(each), ServerError, each, None, None) for each in (500, 502, 503, 504)],
    *[(Failure(status=each), ServerError, each, None, None) for each in (500, 502, 503, 504)],
    (Failure(status=503, retry_after=9), ServerError, 503, None, 9.0),
    (Failure(code=99, status=500), ServerError, 500, 99, None),
    (Failure(error="invalid_request"), InvalidRequestError, 400, "invalid_request", None),
    (Failure(error="any text at all"), ServerError, 400, None, None),
    (Failure(html=True), UnexpectedAnswerError, 200, None, None),
    (Failure(wrong_json=True), UnexpectedAnswerError, 200, None, None),
    (Failure(body=""), UnexpectedAnswerError, 200, None, None),
    (Failure(body=[]), UnexpectedAnswerError, 200, None, None),
    (Failure(body="null"), UnexpectedAnswerError, 200, None, None),
    (Failure(body={"error": True}), UnexpectedAnswerError, 200, None, None),
    (Failure(body={"error": {"code": True}}), UnexpectedAnswerError, 200, None, None),
    (Failure(body={"error": {"code": [2]}}), UnexpectedAnswerError, 200, None, None),
    (Failure(body={"error": {"code": 2.0}}), UnexpectedAnswerError, 200, None, None),
    (Failure(body={"error": [2]}), UnexpectedAnswerError, 200, None, None),
    (Failure(status=418), UnexpectedAnswerError, 418, None, None),
    (Failure(status=204), UnexpectedAnswerError, 204, None, None),
]
UNCLEAR = (ServerError, UnexpectedAnswerError)
REFUSED_TOKENS = [
    Failure(code=2),
    Failure(code=2, status=401),
    Failure(code=2, status=500),
    Failure(code=3),
    Failure(code=3, status=401),
    Failure(status=401),
    Failure(status=401, html=True),
    Failure(status=401, error="invalid_token"),
    Failure(status=401, error="expired_token"),
    Failure(error="expired_token"),
]


@pytest.fixture
async def account(simulator: Simulator, endpoints: Endpoints) -> AsyncIterator[Account]:
    """An account that is signed in."""
    async with signed_in(simulator, endpoints) as account:
        yield account


async def request_to(account: Account, path: str, simulator: Simulator) -> object:
    """Send a request to a path."""
    home = home_of(simulator)
    match path:
        case str() if path == HOMESDATA:
            return await account.topology()
        case str() if path == HOMESTATUS:
            return await account.states(home.id)
        case str() if path == GETEVENTS:
            return await account.events(home.id)
        case str() if path == TURN:
            return await account.ice_servers()
    await account.unlock(home, module_of(home, ModuleKind.DOOR))
    return None


def fields_of(error: BticinoError | None) -> tuple[object, ...]:
    """Return the class and fields of an error."""
    assert isinstance(error, ApiError)
    return (type(error), error.status, error.code, error.retry_after)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: str(row[0]))
async def test_error_of_a_read(account: Account, simulator: Simulator, row: Row) -> None:
    """Class, status, code and pause are those of the table; one request, counted."""
    failure, kind, *details = row
    simulator.fail(HOMESDATA, failure)
    with pytest.raises(ApiError) as caught:
        await account.topology()
    assert fields_of(caught.value) == (kind, *details)
    assert simulator.journal.count() == 1
    assert account.transport.counters == {"requests": 1, kind.__name__: 1}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: str(row[0]))
async def test_error_of_a_command(account: Account, simulator: Simulator, row: Row) -> None:
    """The same, but the outcome is unknown if the door may have moved; the cause is kept."""
    failure, kind, *details = row
    simulator.fail(SETSTATE, failure)
    with pytest.raises(BticinoError) as caught:
        await request_to(account, SETSTATE, simulator)
    error: BaseException | None = caught.value
    if kind in UNCLEAR:
        assert type(error) is OutcomeUnknownError
        error = error.__cause__
    assert isinstance(error, BticinoError)
    assert fields_of(error) == (kind, *details)
    assert len(simulator.journal.commands) == 1


@pytest.mark.parametrize("path", [HOMESTATUS, GETEVENTS, TURN])
async def test_error_of_every_other_read(account: Account, simulator: Simulator, path: str) -> None:
    """All use the same table."""
    simulator.fail(path, Failure(code=13))
    with pytest.raises(ForbiddenError):
        await request_to(account, path, simulator)
    assert simulator.journal.count() == 1


@pytest.mark.parametrize("path", [HOMESDATA, HOMESTATUS, GETEVENTS, TURN])
@pytest.mark.parametrize("body", [{}, {"status": "ok"}, {"body": None}, {"body": {"home": []}}])
async def test_empty_success_is_no_empty_home(
    account: Account, simulator: Simulator, path: str, body: dict[str, object]
) -> None:
    """It is an unexpected answer."""
    simulator.fail(path, Failure(body=body))
    with pytest.raises(UnexpectedAnswerError) as caught:
        await request_to(account, path, simulator)
    assert fields_of(caught.value)[1:] == (None, None, None)


@pytest.mark.parametrize("path", [HOMESDATA, SETSTATE])
@pytest.mark.parametrize("failure", REFUSED_TOKENS, ids=str)
async def test_refused_token_is_renewed_and_the_request_repeated(
    account: Account, simulator: Simulator, failure: Failure, path: str
) -> None:
    """One renewal, one retry, no sign-in, no error."""
    simulator.fail(path, failure)
    await request_to(account, path, simulator)
    assert [entry.path for entry in simulator.journal] == [path, TOKEN, path]
    assert simulator.journal[1].grant == "refresh_token"
    assert account.transport.counters == {"requests": 2}


@pytest.mark.parametrize("path", [HOMESDATA, SETSTATE])
@pytest.mark.parametrize("failure", REFUSED_TOKENS, ids=str)
async def test_second_refusal_is_an_error(
    account: Account, simulator: Simulator, failure: Failure, path: str
) -> None:
    """No third request, no second renewal."""
    simulator.fail(path, failure, times=3)
    with pytest.raises(TokenRefusedError):
        await request_to(account, path, simulator)
    assert [entry.path for entry in simulator.journal] == [path, TOKEN, path]
    assert account.transport.counters == {"requests": 2, "TokenRefusedError": 1}
    assert simulator.openings == []


@pytest.mark.parametrize("trouble", ["expire_access_tokens", "refuse_access_tokens"])
async def test_refused_token_opens_the_door_once(
    account: Account, simulator: Simulator, trouble: str
) -> None:
    """The refused command is sent again and carried out once."""
    getattr(simulator, trouble)()
    await request_to(account, SETSTATE, simulator)
    assert len(simulator.openings) == 1
    assert len(simulator.journal.commands) == 1


async def test_token_is_renewed_once_for_all_requests(
    account: Account, simulator: Simulator
) -> None:
    """Several requests with the same refused token cause one renewal."""
    simulator.refuse_access_tokens()
    await asyncio.gather(*(account.topology() for _ in range(5)))
    assert simulator.journal.count(TOKEN) == 1


async def test_error_of_the_retry_is_raised(account: Account, simulator: Simulator) -> None:
    """It is not retried."""
    simulator.fail(HOMESDATA, Failure(code=3))
    simulator.fail(HOMESDATA, Failure(code=13), times=2)
    with pytest.raises(ForbiddenError):
        await account.topology()
    assert simulator.journal.count(HOMESDATA) == 2


async def test_failed_sign_in_sends_no_request(account: Account, simulator: Simulator) -> None:
    """The error is that of the sign-in."""
    account.auth.invalidate(await account.auth.get_access_token())
    simulator.fail(TOKEN, maintenance(), times=2)
    with pytest.raises(AuthServerError):
        await account.topology()
    assert {entry.path for entry in simulator.journal} == {TOKEN}
    assert account.transport.counters == {"AuthServerError": 1}


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (Failure(never=True), "TimeoutError"),
        (Failure(drop=True), "ServerDisconnectedError"),
        (Failure(cut=True), "ClientPayloadError"),
    ],
    ids=str,
)
async def test_no_answer_to_a_read(
    account: Account, simulator: Simulator, failure: Failure, reason: str
) -> None:
    """It was sent once, and the error says so."""
    simulator.fail(HOMESDATA, failure, times=2)
    with pytest.raises(NoAnswerError) as caught:
        await account.topology()
    assert (caught.value.sent, caught.value.reason) == (True, reason)
    assert simulator.journal.count() == 1
    assert account.transport.counters == {"requests": 1, "NoAnswerError": 1}


@asynccontextmanager
async def answering(head: str) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Run a server that sends this answer, which aiohttp's server would not send."""
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(
            f"HTTP/1.1 {head}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode()
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api", seen


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_is_not_followed(
    account: Account, simulator: Simulator, status: int
) -> None:
    """Neither token nor command is sent to another host."""
    head = f"{status} Elsewhere\r\nLocation: {simulator.url}{HOMESDATA}"
    async with answering(head) as (url, seen):
        with pytest.raises(UnexpectedAnswerError) as caught:
            await account.transport.request(url, {})
    assert fields_of(caught.value) == (UnexpectedAnswerError, status, None, None)
    assert len(seen) == 1
    assert len(simulator.journal) == 0


async def test_cloud_time_follows_the_cloud(account: Account, simulator: Simulator) -> None:
    """Independent of this machine's clock, and also between answers."""
    ours, passed = [1000.0], [0.0]
    transport = Transport(
        account.auth, clock=CloudClock(wall_clock=lambda: ours[0], monotonic=lambda: passed[0])
    )
    assert transport.clock.now() == 1000.0
    before = int(time.time())
    fields: dict[str, Any] = {"client_type": "user"}
    for _ in range(AGREEING_ANSWERS):
        await transport.request(f"{simulator.url}{TURN}", fields)
    cloud_time = transport.clock.now()
    assert before <= cloud_time <= time.time()
    passed[0] += 60
    assert transport.clock.now() == cloud_time + 60
    ours[0] -= 7200  # the machine's clock is put right
    assert transport.clock.now() == cloud_time + 60


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Date: Thu, 01 Jan 2026 00:00:00 GMT", 1_767_225_600.0),
        ("Date: yesterday", 1000.0),
        ("X-No: date", 1000.0),
    ],
)
async def test_invalid_date_is_ignored(account: Account, date: str, expected: float) -> None:
    """Without a date of the cloud, this machine's clock is used."""
    transport = Transport(
        account.auth, clock=CloudClock(wall_clock=lambda: 1000.0, monotonic=lambda: 5.0)
    )
    async with answering(f"200 OK\r\n{date}") as (url, _):
        for _ in range(AGREEING_ANSWERS):
            assert await transport.request(url, {}) == {}
    assert transport.clock.now() == expected
