"""A cloud that repeats what was sent: no secret reaches a log, an error or a repr."""

from dataclasses import replace
import inspect
from itertools import count
import json
import logging
import re
import traceback
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from custom_components.bticino_classe.client import (
    Account,
    ApiError,
    BticinoError,
    IceServer,
    ModuleKind,
    ModuleState,
    NoAnswerError,
    Picture,
    RateLimiter,
    RateLimitError,
    errors,
)
from custom_components.bticino_classe.client.http import Answer
from tests.client.signed_in import home_of, module_of, signed_in
from tests.simulator import Failure
from tests.simulator.paths import HOMESDATA, SETSTATE, TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from custom_components.bticino_classe.client import Endpoints
    from tests.simulator import Simulator

ERRORS = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, BticinoError)
]
ECHOES: list[Any] = [
    lambda secret: {"error": {"code": 13, "message": secret}},
    lambda secret: {"error": {"code": 2, "message": secret}},
    lambda secret: {"error": {"code": secret}},
    lambda secret: {"error": {secret: secret}},
    lambda secret: {"error": secret},
    lambda secret: {"error": "invalid_grant", "error_description": secret},
    lambda secret: {"error": "server_error", "error_description": secret},
    lambda secret: {secret: secret},
    lambda secret: {"status": secret, "errors": [{"code": secret, "message": secret}]},
    lambda secret: {"body": {"errors": [secret], "homes": secret}},
    lambda secret: {"access_token": f"{secret}\n", "refresh_token": secret},
    lambda secret: [secret],
    lambda secret: secret,
]
HELD = st.sampled_from(("_password", "_client_secret", "_access_token", "_refresh_token"))
FAILURES = st.builds(
    Failure,
    status=st.sampled_from((200, 302, 400, 401, 403, 404, 429, 500, 503)),
    retry_after=st.none() | st.just(30),
    cut=st.booleans(),
)


@pytest.fixture
async def account(
    simulator: Simulator, endpoints: Endpoints, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Account]:
    """An account, with every logger at debug."""
    caplog.set_level(logging.DEBUG)
    # Every pause is over at once, every window empty.
    limiter = RateLimiter(clock=count(step=86_400).__next__)
    async with signed_in(simulator, endpoints, limiter=limiter) as account:
        yield account


def texts_of(error: BaseException | None) -> Iterator[str]:
    """Yield every text of an error and of those that caused it."""
    while error is not None:
        yield from (str(error), repr(error), repr(error.args), repr(vars(error)))
        yield "".join(traceback.format_exception(error))
        if error.__cause__ is not error.__context__:
            yield from texts_of(error.__cause__)
        error = error.__context__


async def error_of(account: Account, simulator: Simulator, path: str) -> BticinoError | None:
    """Return the error of a request to a path."""
    home = home_of(simulator)
    try:
        match path:
            case str() if path == SETSTATE:
                await account.unlock(home, module_of(home, ModuleKind.DOOR))
            case str() if path == HOMESDATA:
                await account.topology(urgent=True)
            case _:
                account.auth.invalidate(await account.auth.get_access_token())
                await account.auth.get_access_token()
    except BticinoError as error:
        return error
    return None


def secrets_of(account: Account, simulator: Simulator) -> set[str]:
    """Return what must not appear anywhere."""
    auth = account.auth
    tokens = [auth._access_token, auth._refresh_token]
    return {
        simulator.password,
        auth._client_secret,
        *(part for token in tokens if token for part in (token, token.partition("|")[2])),
    }


@pytest.mark.parametrize("path", [HOMESDATA, SETSTATE, TOKEN])
@given(data=st.data())
@settings(
    max_examples=40,
    deadline=None,
    # Log and cloud are emptied for each example.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_echoed_secret_appears_nowhere(
    account: Account,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
    *,
    path: str,
    data: st.DataObject,
) -> None:
    """Neither in the debug log, nor in an error, nor in its causes."""
    caplog.clear()
    hidden = secrets_of(account, simulator)
    secret = getattr(account.auth, data.draw(HELD)) or simulator.password
    body = json.dumps(data.draw(st.sampled_from(ECHOES))(secret))
    simulator.clear_failures()
    simulator.fail(path, replace(data.draw(FAILURES), body=body), times=2)
    text = "\n".join(texts_of(await error_of(account, simulator, path)))
    hidden |= secrets_of(account, simulator)
    assert [each for each in hidden if each in text] == []
    assert [each for each in hidden if each in caplog.text] == []


@pytest.mark.parametrize("path", [HOMESDATA, SETSTATE, TOKEN])
@pytest.mark.parametrize("failure", [Failure(never=True), Failure(drop=True)], ids=str)
async def test_lost_answer_reveals_nothing(
    account: Account,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
    *,
    path: str,
    failure: Failure,
) -> None:
    """Aiohttp's errors contain the request with its headers; they are not part of the context."""
    hidden = secrets_of(account, simulator)
    simulator.fail(path, failure, times=3)
    error = await error_of(account, simulator, path)
    assert error is not None
    text = "\n".join([*texts_of(error), caplog.text])
    assert [each for each in hidden if each in text] == []


async def test_retry_after_with_a_secret(
    account: Account, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Headers reveal nothing either."""
    simulator.fail(HOMESDATA, Failure(status=429, retry_after=simulator.password))
    error = await error_of(account, simulator, HOMESDATA)
    assert isinstance(error, RateLimitError)
    assert error.retry_after is None
    assert simulator.password not in "\n".join([*texts_of(error), caplog.text])


async def test_success_reveals_nothing(
    account: Account, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Everything works, every logger is at debug, every result is checked."""
    hidden = secrets_of(account, simulator)
    home = home_of(simulator)
    simulator.refuse_access_tokens()
    relays = await account.ice_servers()
    results = (await account.topology(), await account.states(home.id), relays)
    await account.unlock(home, module_of(home, ModuleKind.DOOR))
    hidden |= secrets_of(account, simulator) | {str(relays[0].credential), "192.0.2.20"}
    seen = [repr(results), repr(account), repr(account.auth), repr(account.transport)]
    text = "\n".join([*seen, str(account.transport.counters), caplog.text])
    assert [each for each in hidden if each in text] == []


@pytest.mark.parametrize(
    "value",
    [
        Picture(url="s3cret"),
        IceServer(urls=("turn:a",), username="s3cret", credential="s3cret"),
        ModuleState(id="1", local_address="s3cret"),
        Answer(status=200, body={"access_token": "s3cret"}),
    ],
)
def test_repr_of_data_with_a_secret(value: object) -> None:
    """Links, credentials and local addresses."""
    assert "s3cret" not in repr(value)
    assert "s3cret" not in str(value)


@pytest.mark.parametrize("kind", ERRORS)
def test_message_of_an_error(kind: type[BticinoError]) -> None:
    """A sentence of its own, without a full stop and without placeholders."""
    text = str(kind())
    assert re.fullmatch(r"[A-Z][A-Za-z',: -]{10,90}", text)
    assert [other for other in ERRORS if str(other()) == text] == [kind]


@pytest.mark.parametrize("kind", [kind for kind in ERRORS if issubclass(kind, ApiError)])
def test_details_of_an_error(kind: type[ApiError]) -> None:
    """Status, code and pause are shown if known."""
    assert str(kind(status=429, code=26)) == f"{kind.message} (status 429, code 26)"
    assert str(kind(retry_after=7.5)) == f"{kind.message} (retry after 7.5)"


@pytest.mark.parametrize("kind", [kind for kind in ERRORS if issubclass(kind, NoAnswerError)])
def test_reason_of_a_missing_answer(kind: type[NoAnswerError]) -> None:
    """It is a class name; by default nothing was sent."""
    assert str(kind(reason="TimeoutError")) == f"{kind.message} (TimeoutError)"
    assert (kind().sent, kind().reason) == (False, None)
