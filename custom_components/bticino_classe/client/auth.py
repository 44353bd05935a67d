"""Access tokens: got once, renewed in time, never lost, never shown."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from http import HTTPStatus
import logging
import time
from typing import Any, Final

import aiohttp

from .const import (
    ASSUMED_LIFETIME,
    CLIENT_ID,
    CLIENT_SECRET,
    DEFAULT_APP_VERSION,
    DEFAULT_SCOPE,
    PRODUCTION,
    REFRESH_MARGIN,
    Endpoints,
)
from .decode import as_float
from .errors import (
    AppClientRefusedError,
    AuthApiError,
    AuthConnectionError,
    AuthRateLimitError,
    AuthServerError,
    InvalidCredentialsError,
    NoAnswerError,
)
from .http import Answer, post

type TokenCallback = Callable[[dict[str, Any]], Awaitable[None]]

_LOGGER = logging.getLogger(__name__)

TOKEN_PATH: Final = "/oauth2/token"  # noqa: S105 - a path
_REFUSALS: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_CLIENT_REFUSED: Final = ("invalid_client", "unauthorized_client")
_BUSY: Final = (11, 26, "too_many_connections")
_ILL: Final = ("server_error", "temporarily_unavailable")


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a flight brought; asyncio's debug log shows the result of a task."""

    access_token: str = field(repr=False)


class AuthHandler:
    """Holds the tokens of one account and renews them (OAuth2 password and refresh grant).

    A session that is passed in is used as it is, never closed and never replaced; without one, an
    own session is made on first use. `token_callback` is awaited after every change with
    `access_token`, `refresh_token` and `expires_at` (seconds since the epoch), before any caller
    gets the new token.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the founding document fixes the first six
        self,
        username: str,
        password: str,
        scope: str = DEFAULT_SCOPE,
        app_version: str = DEFAULT_APP_VERSION,
        session: aiohttp.ClientSession | None = None,
        token_callback: TokenCallback | None = None,
        *,
        endpoints: Endpoints = PRODUCTION,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._username = username
        self._password = password
        self._client_id = CLIENT_ID
        self._client_secret = CLIENT_SECRET
        self._scope = scope
        self._app_version = app_version
        self._access_token: str | None = None
        self._refresh_token: str | None = None
        self._token_expires_at: float | None = None
        self._session = session
        self._managed_session = session is None
        self._token_callback = token_callback
        self._clock = clock
        self._margin = REFRESH_MARGIN.total_seconds()
        self._flights: dict[str, asyncio.Task[_Outcome]] = {}
        self._saving: asyncio.Task[Any] | None = None
        self._credentials_refused = False
        self._lock = asyncio.Lock()
        self.endpoints = endpoints
        self.counters: Counter[str] = Counter()

    @property
    def app_version(self) -> str:
        """The app version that requests name."""
        return self._app_version

    @property
    def seconds_left(self) -> float:
        """How long the token may be used before it is due to be renewed; 0 if there is none."""
        if self._token_expires_at is None:
            return 0.0
        return max(0.0, self._token_expires_at - self._margin - self._clock())

    @property
    def session(self) -> aiohttp.ClientSession:
        """The session to send with; raises AuthConnectionError if a foreign one is closed."""
        if self._session is not None and not self._session.closed:
            return self._session
        if not self._managed_session:
            raise AuthConnectionError(reason="session closed")
        self._session = aiohttp.ClientSession()
        return self._session

    async def close_session(self) -> None:
        """Close the session if it is our own, once a running renewal has ended."""
        await self.wait_idle()
        if self._managed_session and self._session is not None:
            await self._session.close()

    async def wait_idle(self) -> None:
        """Wait until no token request is under way, whatever its outcome."""
        while flights := [task for task in self._flights.values() if not task.done()]:
            await asyncio.wait(flights)

    def set_tokens(
        self, access_token: str, refresh_token: str, expires_at: float | None = None
    ) -> None:
        """Take over stored tokens; without `expires_at` the next use renews them."""
        self._access_token = access_token
        self._refresh_token = refresh_token
        self._token_expires_at = expires_at
        self._margin = REFRESH_MARGIN.total_seconds()
        self._credentials_refused = False

    def invalidate(self, access_token: str) -> None:
        """Take note that the cloud refused this token; ignored once a newer one is held."""
        if access_token == self._access_token:
            self._token_expires_at = None

    async def get_access_token(self) -> str:
        """Return a valid access token, renewed or signed in for where necessary.

        Raises AuthError: InvalidCredentialsError only where the cloud refused e-mail and password,
        and from then on without asking, until `authenticate` succeeds or `set_tokens` is called.
        """
        return self._valid_token() or await self._share("renew", self._renew)

    async def authenticate(self) -> None:
        """Sign in with e-mail and password; raises AuthError, which may be an ApiError as well."""
        await self._share("login", self._login)

    async def _share(self, name: str, work: Callable[[], Coroutine[Any, Any, str]]) -> str:
        """Join the flight of that name or start it; a caller's cancellation does not end it."""
        flight = self._flights.get(name)
        if flight is None or flight.done():
            flight = asyncio.create_task(_outcome_of(work), name=f"bticino {name}")
            self._flights[name] = flight
            flight.add_done_callback(_retrieve)
        # Not shield(): once a caller was cancelled, it has the loop report the flight's failure.
        await asyncio.wait([flight])
        return flight.result().access_token

    async def _renew(self) -> str:
        async with self._lock:
            return self._valid_token() or await self._refresh() or await self._sign_in_again()

    async def _login(self) -> str:
        async with self._lock:
            return await self._sign_in()

    async def _refresh(self) -> str | None:
        """Spend the refresh token; None if there is none or the cloud refused it."""
        spent = self._refresh_token
        if not spent:
            return None
        self.counters["refreshes"] += 1
        answer = await self._ask("refresh_token", {"refresh_token": spent})
        if not answer.ok and _is_refusal(answer):
            _LOGGER.debug("The cloud refused the refresh token")
            self._refresh_token = None
            return None
        return await self._keep(answer, refresh_token=spent)

    async def _sign_in_again(self) -> str:
        """Sign in, unless the cloud refused these credentials: many tries may lock an account."""
        if self._credentials_refused:
            raise InvalidCredentialsError
        return await self._sign_in()

    async def _sign_in(self) -> str:
        self.counters["logins"] += 1
        answer = await self._ask(
            "password",
            {
                "username": self._username,
                "password": self._password,
                "scope": self._scope,
                "app_version": self._app_version,
            },
        )
        if not answer.ok and answer.code == "invalid_grant" and _is_refusal(answer):
            self._credentials_refused = True
            raise InvalidCredentialsError
        access = await self._keep(answer)
        self._credentials_refused = False
        return access

    async def _ask(self, grant: str, fields: dict[str, str]) -> Answer:
        form = {
            "grant_type": grant,
            "client_id": self._client_id,
            "client_secret": self._client_secret,
            **fields,
        }
        url, timeout = f"{self.endpoints.api}{TOKEN_PATH}", self.endpoints.timeout
        try:
            return await post(self.session, url, timeout=timeout, form=form)
        except NoAnswerError as err:
            failure = AuthConnectionError(sent=err.sent, reason=err.reason)
        raise failure

    async def _keep(self, answer: Answer, *, refresh_token: str | None = None) -> str:
        """Check the whole answer, keep its tokens, have them saved, return the access token."""
        body = answer.body
        if not answer.ok or body is None:
            raise _error_of(answer)
        access = _token(body.get("access_token"))
        refresh = _token(body.get("refresh_token") or refresh_token)
        if not access or not refresh:
            raise AuthConnectionError(sent=True, reason="no tokens in the answer")
        lifetime = _lifetime(body)
        self._access_token, self._refresh_token = access, refresh
        self._token_expires_at = self._clock() + lifetime
        # A token that lives shorter than two margins would be renewed on every use.
        self._margin = min(REFRESH_MARGIN.total_seconds(), lifetime / 2)
        await self._save()
        return access

    async def _save(self) -> None:
        """Await the callback; until it has ended, nobody but itself is given the new token."""
        if self._token_callback is None:
            return
        tokens = {
            "access_token": self._access_token,
            "refresh_token": self._refresh_token,
            "expires_at": self._token_expires_at,
        }
        flight = self._saving = asyncio.current_task()
        try:
            async with asyncio.timeout(self.endpoints.timeout):
                await self._token_callback(tokens)
        except asyncio.CancelledError as err:
            if flight is None or flight.cancelling():
                raise
            self._note_failed_save(err)  # something that the callback waited for was cancelled
        except Exception as err:  # noqa: BLE001 - foreign code
            self._note_failed_save(err)
        finally:
            self._saving = None

    def _note_failed_save(self, err: BaseException) -> None:
        """Say so without the error's text, which might hold the tokens."""
        self.counters["failed_saves"] += 1
        _LOGGER.error("The new tokens could not be saved: %s", type(err).__name__)

    def _valid_token(self) -> str | None:
        if self._token_expires_at is None or self._clock() >= self._token_expires_at - self._margin:
            return None
        if self._saving is not None and self._saving is not asyncio.current_task():
            return None
        return self._access_token


async def _outcome_of(work: Callable[[], Coroutine[Any, Any, str]]) -> _Outcome:
    return _Outcome(await work())


def _retrieve(flight: asyncio.Task[_Outcome]) -> None:
    """Look at a flight's outcome, so that one whose callers have all gone is no loose end."""
    if not flight.cancelled():
        flight.exception()


def _is_refusal(answer: Answer) -> bool:
    """Whether the cloud refused what was presented, rather than being busy or ill itself."""
    if answer.status not in _REFUSALS or answer.body is None or "error" not in answer.body:
        return False
    return answer.code not in (*_CLIENT_REFUSED, *_BUSY, *_ILL)


def _error_of(answer: Answer) -> AuthConnectionError | AuthApiError:
    if answer.status == HTTPStatus.OK and answer.code is None:
        return AuthConnectionError(sent=True, reason="not readable")
    kind = AuthApiError
    if answer.code in _CLIENT_REFUSED:
        kind = AppClientRefusedError
    elif answer.code in _BUSY or answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        kind = AuthRateLimitError
    elif answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.code in _ILL:
        kind = AuthServerError
    return kind(status=answer.status, code=answer.code, retry_after=answer.retry_after)


def _token(value: object) -> str | None:
    """Return the value if it can travel in a header."""
    return value if isinstance(value, str) and value.isascii() and value.isprintable() else None


def _lifetime(body: dict[str, Any]) -> float:
    """Seconds that the token lives; what names none, or nonsense, is taken as one hour."""
    for name in ("expires_in", "expire_in"):
        seconds = as_float(body.get(name))
        if seconds is not None and seconds > 0:
            return seconds
    return ASSUMED_LIFETIME.total_seconds()
