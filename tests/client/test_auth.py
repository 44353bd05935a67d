"""AuthHandler as its specification describes it: parameters, attributes, sessions, tokens."""

import inspect
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from custom_components.bticino_classe.client.auth import AuthHandler
from custom_components.bticino_classe.client.const import (
    CLIENT_ID,
    CLIENT_SECRET,
    DEFAULT_APP_VERSION,
    DEFAULT_SCOPE,
    PRODUCTION,
)
from tests.simulator import Failure
from tests.simulator.paths import TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from custom_components.bticino_classe.client.const import Endpoints
    from tests.simulator import Simulator

HOUR = 3600.0


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class SavedTokens:
    """A callback that keeps the tokens it gets."""

    def __init__(self) -> None:
        self.tokens: list[dict[str, Any]] = []

    async def __call__(self, tokens: dict[str, Any]) -> None:
        """Take new tokens."""
        self.tokens.append(tokens)


@pytest.fixture
def clock() -> Clock:
    """The handler's clock; the cloud has its own."""
    return Clock()


@pytest.fixture
def saved() -> SavedTokens:
    """The callback of the handler."""
    return SavedTokens()


@pytest.fixture
async def auth(
    simulator: Simulator, endpoints: Endpoints, clock: Clock, saved: SavedTokens
) -> AsyncIterator[AuthHandler]:
    """A handler that has not signed in yet."""
    async with aiohttp.ClientSession() as session:
        yield AuthHandler(
            simulator.email,
            simulator.password,
            session=session,
            token_callback=saved,
            endpoints=endpoints,
            clock=clock,
        )


def grants(simulator: Simulator) -> list[str | None]:
    """Return the requested grants in order."""
    return [entry.grant for entry in simulator.journal.of(TOKEN)]


def parameters(method: str) -> list[inspect.Parameter]:
    """Return a method's parameters without `self`."""
    return list(inspect.signature(getattr(AuthHandler, method)).parameters.values())[1:]


def test_first_six_parameters_are_those_of_the_specification() -> None:
    """Names, order and defaults; all can be passed by position."""
    six = parameters("__init__")[:6]
    assert [(each.name, each.default) for each in six] == [
        ("username", inspect.Parameter.empty),
        ("password", inspect.Parameter.empty),
        ("scope", DEFAULT_SCOPE),
        ("app_version", DEFAULT_APP_VERSION),
        ("session", None),
        ("token_callback", None),
    ]
    assert {each.kind for each in six} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}


def test_further_parameters_are_optional_and_keyword_only() -> None:
    """They do not break positional calls."""
    later = parameters("__init__")[6:]
    assert later
    assert {each.kind for each in later} == {inspect.Parameter.KEYWORD_ONLY}
    assert inspect.Parameter.empty not in [each.default for each in later]


@pytest.mark.parametrize(
    ("method", "is_async", "expected"),
    [
        ("close_session", True, "() -> None"),
        ("get_access_token", True, "() -> str"),
        ("authenticate", True, "() -> None"),
        ("invalidate", False, "(access_token: str) -> None"),
        (
            "set_tokens",
            False,
            "(access_token: str, refresh_token: str, expires_at: float | None = None) -> None",
        ),
    ],
)
def test_signatures_of_the_methods(method: str, *, is_async: bool, expected: str) -> None:
    """They are those of the specification."""
    function = getattr(AuthHandler, method)
    signature = inspect.signature(function)
    assert str(signature.replace(parameters=parameters(method))) == expected
    assert inspect.iscoroutinefunction(function) is is_async


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_username", "a@example.org"),
        ("_password", "p"),
        ("_client_id", CLIENT_ID),
        ("_client_secret", CLIENT_SECRET),
        ("_scope", "some scope"),
        ("_app_version", "1.2"),
        ("app_version", "1.2"),
        ("_access_token", None),
        ("_refresh_token", None),
        ("_token_expires_at", None),
        ("_session", None),
        ("_managed_session", True),
        ("endpoints", PRODUCTION),
    ],
)
def test_initial_values_of_the_attributes(name: str, value: object) -> None:
    """Private names are part of the specification; no session exists before it is needed."""
    assert getattr(AuthHandler("a@example.org", "p", "some scope", "1.2"), name) == value


async def test_own_session_is_created_on_first_use_and_closed(
    simulator: Simulator, endpoints: Endpoints
) -> None:
    """After closing, the next use creates another one."""
    auth = AuthHandler(simulator.email, simulator.password, endpoints=endpoints)
    await auth.close_session()
    before = auth._session
    await auth.authenticate()
    first = auth._session
    assert before is None
    assert first is not None
    await auth.close_session()
    assert first.closed
    await auth.authenticate()
    assert auth._session not in (None, first)
    await auth.close_session()


async def test_passed_session_is_neither_closed_nor_replaced(auth: AuthHandler) -> None:
    """It is used for requests."""
    given = auth._session
    assert given is not None
    await auth.authenticate()
    await auth.close_session()
    assert (auth._managed_session, auth._session, given.closed) == (False, given, False)


async def test_without_tokens_the_first_use_signs_in(
    auth: AuthHandler, simulator: Simulator
) -> None:
    """The cloud accepts the token."""
    assert simulator.account.token_error(await auth.get_access_token()) is None
    assert grants(simulator) == ["password"]
    assert simulator.violations == []


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, ["refresh_token"]),
        (-HOUR, ["refresh_token"]),
        (59, ["refresh_token"]),
        (60, ["refresh_token"]),
        (60.5, []),
        (HOUR, []),
    ],
)
async def test_stored_tokens(
    auth: AuthHandler,
    simulator: Simulator,
    clock: Clock,
    seconds: float | None,
    expected: list[str],
) -> None:
    """Without an expiry or with less than a minute left they are renewed, else used."""
    pair = simulator.account.log_in()
    auth.set_tokens(
        str(pair["access_token"]),
        str(pair["refresh_token"]),
        expires_at=None if seconds is None else clock.now + seconds,
    )
    token = await auth.get_access_token()
    assert grants(simulator) == expected
    assert (token == pair["access_token"]) is not bool(expected)
    assert simulator.account.token_error(token) is None
    assert simulator.violations == []


async def test_sign_in_sends_scope_and_version(simulator: Simulator, endpoints: Endpoints) -> None:
    """Those passed to the constructor."""
    auth = AuthHandler(simulator.email, simulator.password, app_version="9.9", endpoints=endpoints)
    await auth.authenticate()
    await auth.close_session()
    body = simulator.journal[0].body
    assert isinstance(body, dict)
    sent = {name: body[name] for name in ("username", "scope", "app_version", "client_id")}
    assert sent == {
        "username": simulator.email,
        "scope": DEFAULT_SCOPE,
        "app_version": "9.9",
        "client_id": CLIENT_ID,
    }


@pytest.mark.parametrize("change", ["login", "refresh"])
async def test_callback_gets_every_change(
    auth: AuthHandler, clock: Clock, saved: SavedTokens, change: str
) -> None:
    """It gets both tokens and the expiry in seconds since 1970, nothing else."""
    await auth.authenticate()
    if change == "refresh":
        saved.tokens.clear()
        clock.now += 3 * HOUR
        await auth.get_access_token()
    assert saved.tokens == [
        {
            "access_token": auth._access_token,
            "refresh_token": auth._refresh_token,
            "expires_at": clock.now + 3 * HOUR,
        }
    ]


async def test_restored_tokens_do_not_call_the_callback(
    auth: AuthHandler, saved: SavedTokens
) -> None:
    """Restoring stored tokens is not a change."""
    auth.set_tokens("a", "b", time.time() + HOUR)
    await auth.get_access_token()
    assert saved.tokens == []


async def test_refused_token_is_renewed_by_the_next_use(
    auth: AuthHandler, simulator: Simulator
) -> None:
    """Once, with the refresh token."""
    first = await auth.get_access_token()
    auth.invalidate(first)
    second = await auth.get_access_token()
    assert await auth.get_access_token() == second != first
    assert grants(simulator) == ["password", "refresh_token"]


async def test_refusal_of_an_older_token_is_ignored(
    auth: AuthHandler, simulator: Simulator
) -> None:
    """Several requests can report the same refused token after it was renewed."""
    first = await auth.get_access_token()
    auth.invalidate(first)
    await auth.get_access_token()
    auth.invalidate(first)
    auth.invalidate("never held")
    await auth.get_access_token()
    assert grants(simulator) == ["password", "refresh_token"]


@pytest.mark.parametrize("jump", [10 * 365 * 24 * HOUR, -10 * 365 * 24 * HOUR])
async def test_jumping_clock_causes_no_storm(
    auth: AuthHandler, simulator: Simulator, clock: Clock, jump: float
) -> None:
    """A jump costs at most one refresh and never a sign-in."""
    await auth.authenticate()
    for step in range(6):
        clock.now += jump if step % 2 == 0 else -jump
        for _ in range(20):
            await auth.get_access_token()
    assert simulator.journal.count(TOKEN, grant="password") == 1
    assert simulator.journal.count(TOKEN, grant="refresh_token") <= 6


@pytest.mark.parametrize(
    ("named", "seconds"),
    [
        ({}, HOUR),
        ({"expires_in": 0}, HOUR),
        ({"expires_in": -5}, HOUR),
        ({"expires_in": "10800"}, HOUR),
        ({"expires_in": True}, HOUR),
        ({"expires_in": None}, HOUR),
        ({"expires_in": 10**30}, 1e30),
        ({"expires_in": 7200}, 7200.0),
        ({"expires_in": 0.5}, 0.5),
        ({"expire_in": 7200}, 7200.0),
        ({"expires_in": 0, "expire_in": 7200}, 7200.0),
        ({"expires_in": 1800, "expire_in": 7200}, 1800.0),
    ],
)
async def test_lifetime(
    auth: AuthHandler, simulator: Simulator, clock: Clock, named: dict[str, object], seconds: float
) -> None:
    """A missing or invalid lifetime counts as one hour."""
    simulator.fail(TOKEN, Failure(body={"access_token": "a", "refresh_token": "b", **named}))
    await auth.authenticate()
    assert auth._token_expires_at == clock.now + seconds
    assert await auth.get_access_token() == "a"


async def test_short_lived_token_is_renewed_after_half_its_life(
    auth: AuthHandler, simulator: Simulator, clock: Clock
) -> None:
    """Otherwise every use would renew it."""
    simulator.account.token_lifetime = 2
    await auth.authenticate()
    for _ in range(20):
        clock.now += 0.25
        await auth.get_access_token()
    assert grants(simulator) == ["password", *["refresh_token"] * 5]


async def test_seconds_left(auth: AuthHandler, simulator: Simulator, clock: Clock) -> None:
    """They count to a minute, or half its lifetime, before the expiry, and are never negative."""
    simulator.account.token_lifetime = 2
    assert auth.seconds_left == 0
    await auth.authenticate()
    assert auth.seconds_left == pytest.approx(1)
    auth.set_tokens("a", "b", clock.now + HOUR)
    assert auth.seconds_left == pytest.approx(HOUR - 60)
    clock.now += 2 * HOUR
    assert auth.seconds_left == 0


async def test_lifetime_left(auth: AuthHandler, clock: Clock) -> None:
    """It counts to the end of the token, and is 0 without one and after a refusal."""
    assert auth.lifetime_left == 0
    auth.set_tokens("a", "b", clock.now + HOUR)
    assert auth.lifetime_left == pytest.approx(HOUR)
    clock.now += 2 * HOUR
    assert auth.lifetime_left == 0
    auth.set_tokens("a", "b", clock.now + HOUR)
    auth.invalidate("a")
    assert auth.lifetime_left == 0
