"""Access tokens: sign-in, renewal and storage of new tokens by a callback."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from enum import StrEnum
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
from .error_codes import INVALID_GRANT, code_error, has_error, status_error
from .errors import (
    ApiError,
    AppClientRefusedError,
    AuthApiError,
    AuthConnectionError,
    AuthRateLimitError,
    AuthServerError,
    BticinoError,
    InvalidCredentialsError,
    NoAnswerError,
    RateLimitError,
    ServerError,
)
from .http import Answer, post
from .listeners import Listeners
from .rate_limiter import RateLimiter
from .traffic import TrafficTap
from .values import as_float

type TokenCallback = Callable[[dict[str, Any]], Awaitable[None]]

_LOGGER = logging.getLogger(__name__)

TOKEN_PATH: Final = "/oauth2/token"  # noqa: S105 - a path
_REFUSALS: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
# Errors of the token endpoint, by what its code or status means elsewhere; the first that fits.
_ERRORS: Final = (
    (AppClientRefusedError, AppClientRefusedError),
    (RateLimitError, AuthRateLimitError),
    (ServerError, AuthServerError),
)


class TokenEvent(StrEnum):
    """What happened to the access token.

    REFUSED: the cloud refused it. REPLACED: there is a new one. SIGNED_IN: `authenticate` has
    succeeded; follows REPLACED. CLIENT_REFUSED: there is no new one, because the cloud refused the
    app client.
    """

    REFUSED = "refused"
    REPLACED = "replaced"
    SIGNED_IN = "signed in"
    CLIENT_REFUSED = "client refused"


type TokenListener = Callable[[TokenEvent], None]


@dataclass(frozen=True, slots=True)
class _Result:
    """A task's result, hidden from asyncio's debug log."""

    access_token: str = field(repr=False)


class AuthHandler:
    """Holds the tokens of one account and renews them (OAuth2 password and refresh grant).

    A session that is passed in is never closed or replaced; without one, the handler creates its
    own on first use. `token_callback` is awaited after every change with `access_token`,
    `refresh_token` and `expires_at` (seconds since the epoch), before any caller gets the new
    token. `limiter` is shared by everything that talks to the cloud for this account. Without a
    password (None or empty), the handler never signs in; it works while the cloud accepts the
    tokens from `set_tokens`.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the founding document fixes the first six
        self,
        username: str,
        password: str | None,
        scope: str = DEFAULT_SCOPE,
        app_version: str = DEFAULT_APP_VERSION,
        session: aiohttp.ClientSession | None = None,
        token_callback: TokenCallback | None = None,
        *,
        endpoints: Endpoints = PRODUCTION,
        clock: Callable[[], float] = time.time,
        limiter: RateLimiter | None = None,
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
        self._tasks: dict[str, asyncio.Task[_Result]] = {}
        self._saving: asyncio.Task[Any] | None = None
        self._credentials_refused = False
        self._lock = asyncio.Lock()
        self.endpoints = endpoints
        self.limiter = limiter or RateLimiter()
        self.tap = TrafficTap()
        self.counters: Counter[str] = Counter()
        self._listeners = Listeners[TokenEvent]("token", self.counters)

    @property
    def app_version(self) -> str:
        """The app version sent with requests."""
        return self._app_version

    @property
    def seconds_left(self) -> float:
        """The seconds until the token has to be renewed; 0 without a token."""
        if self._token_expires_at is None:
            return 0.0
        return max(0.0, self._token_expires_at - self._margin - self._clock())

    @property
    def lifetime_left(self) -> float:
        """The seconds until the token ends; 0 without a token and after its refusal."""
        if self._token_expires_at is None:
            return 0.0
        return max(0.0, self._token_expires_at - self._clock())

    @property
    def session(self) -> aiohttp.ClientSession:
        """The session for requests; AuthConnectionError if one that was passed in is closed."""
        if self._session is not None and not self._session.closed:
            return self._session
        if not self._managed_session:
            raise AuthConnectionError(reason="session closed")
        self._session = aiohttp.ClientSession()
        return self._session

    async def close_session(self) -> None:
        """Wait for running token requests, then close the session if the handler created it."""
        await self.wait_idle()
        if self._managed_session and self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def wait_idle(self) -> None:
        """Wait until no token request is running."""
        while running := [task for task in self._tasks.values() if not task.done()]:
            await asyncio.wait(running)

    def set_tokens(
        self, access_token: str, refresh_token: str, expires_at: float | None = None
    ) -> None:
        """Restore stored tokens; without `expires_at`, the next use renews them."""
        self._access_token = access_token
        self._refresh_token = refresh_token
        self._token_expires_at = expires_at
        self._margin = REFRESH_MARGIN.total_seconds()
        self._credentials_refused = False
        self._listeners.notify(TokenEvent.REPLACED)

    def listen(self, listener: TokenListener) -> Callable[[], None]:
        """Call a listener with every token event; returns a function that removes it.

        It must return at once. Its exception is logged and does not affect others.
        """
        return self._listeners.add(listener)

    def invalidate(self, access_token: str) -> None:
        """Mark a token as refused by the cloud; ignored if it is not the current one."""
        if access_token == self._access_token and self._token_expires_at is not None:
            self._token_expires_at = None
            self._listeners.notify(TokenEvent.REFUSED)

    async def get_access_token(self) -> str:
        """Return a valid access token; renew it or sign in if necessary.

        Raises AuthError. It is InvalidCredentialsError only if the cloud refused e-mail and
        password, or the refresh token and there is no password; further calls then raise it without
        a request, until `authenticate` succeeds or `set_tokens` is called.
        """
        return self._valid_token() or await self._share("renew", self._renew)

    async def authenticate(self) -> None:
        """Sign in with e-mail and password; raises AuthError, which may also be an ApiError."""
        await self._share("login", self._login)

    async def _share(self, name: str, work: Callable[[], Coroutine[Any, Any, str]]) -> str:
        """Join the running task of that name or start it; cancelling a caller does not end it."""
        task = self._tasks.get(name)
        if task is None or task.done():
            task = asyncio.create_task(_hidden(work), name=f"bticino {name}")
            self._tasks[name] = task
            task.add_done_callback(_retrieve_exception)
        # Not shield(): after a caller's cancellation it would report the error to the loop.
        await asyncio.wait([task])
        return task.result().access_token

    async def _renew(self) -> str:
        async with self._lock:
            if (token := self._valid_token()) is not None:
                return token
            if wait := self.limiter.token_pause:
                raise AuthRateLimitError(retry_after=wait)
            return await self._refresh() or await self._sign_in_again()

    async def _login(self) -> str:
        async with self._lock:
            access = await self._sign_in()
            self.limiter.refused_tokens.reset()
            self._listeners.notify(TokenEvent.SIGNED_IN)
            return access

    async def _refresh(self) -> str | None:
        """Use the refresh token; None if there is none or the cloud refused it."""
        used = self._refresh_token
        if not used:
            return None
        self.counters["refreshes"] += 1
        answer = await self._request("refresh_token", {"refresh_token": used})
        _LOGGER.debug("Token refresh response received")
        if not answer.ok and _is_refusal(answer):
            _LOGGER.debug("The cloud refused the refresh token")
            self._refresh_token = None
            return None
        return await self._adopt(answer, refresh_token=used)

    async def _sign_in_again(self) -> str:
        """Sign in unless the cloud refused these credentials; failures may lock the account.

        After another failure, the error is raised again until the pause is over.
        """
        if self._credentials_refused or not self._password:
            raise InvalidCredentialsError
        if wait := self.limiter.sign_in.left:
            raise _repeated(self.limiter.sign_in.cause, wait)
        return await self._sign_in()

    async def _sign_in(self) -> str:
        """Sign in; a failure that does not concern the credentials starts a pause.

        The owner gets an e-mail for every sign-in that has reached the cloud.
        """
        try:
            access = await self._request_sign_in()
        except (AuthApiError, AuthConnectionError) as err:
            if isinstance(err, ApiError) or err.sent:
                self.limiter.sign_in.start(_repeated(err))
            raise
        self.limiter.sign_in.reset()
        return access

    async def _request_sign_in(self) -> str:
        if not self._password:
            raise InvalidCredentialsError
        self.counters["logins"] += 1
        answer = await self._request(
            "password",
            {
                "username": self._username,
                "password": self._password,
                "scope": self._scope,
                "app_version": self._app_version,
            },
        )
        _LOGGER.debug("Token response received")
        if not answer.ok and answer.code == INVALID_GRANT and _is_refusal(answer):
            self._credentials_refused = True
            raise InvalidCredentialsError
        access = await self._adopt(answer)
        self._credentials_refused = False
        return access

    async def _request(self, grant: str, fields: dict[str, str]) -> Answer:
        form = {
            "grant_type": grant,
            "client_id": self._client_id,
            "client_secret": self._client_secret,
            **fields,
        }
        url, timeout = f"{self.endpoints.api}{TOKEN_PATH}", self.endpoints.timeout
        try:
            return await post(self.session, url, timeout=timeout, form=form, tap=self.tap)
        except NoAnswerError as err:
            failure = AuthConnectionError(sent=err.sent, reason=err.reason)
        raise failure

    async def _adopt(self, answer: Answer, *, refresh_token: str | None = None) -> str:
        """Check the whole answer, store its tokens and return the access token."""
        body = answer.body
        if not answer.ok or body is None:
            raise self._error_of(answer)
        access = _token(body.get("access_token"))
        refresh = _token(body.get("refresh_token") or refresh_token)
        if not access or not refresh:
            raise AuthConnectionError(sent=True, reason="Missing tokens in the answer")
        lifetime = _lifetime(body)
        self._access_token, self._refresh_token = access, refresh
        self._token_expires_at = self._clock() + lifetime
        # With the full margin, a shorter-lived token would be renewed on every use.
        self._margin = min(REFRESH_MARGIN.total_seconds(), lifetime / 2)
        await self._save()
        self._listeners.notify(TokenEvent.REPLACED)
        return access

    def _error_of(self, answer: Answer) -> AuthConnectionError | AuthApiError:
        if answer.status == HTTPStatus.OK and answer.code is None:
            return AuthConnectionError(sent=True, reason="not readable")
        error = _error_class(answer)(
            status=answer.status, code=answer.code, retry_after=answer.retry_after
        )
        self.limiter.note(error)
        if isinstance(error, AppClientRefusedError):
            self._listeners.notify(TokenEvent.CLIENT_REFUSED)
        return error

    async def _save(self) -> None:
        """Await the callback; until it returns, only the callback itself gets the new token."""
        if self._token_callback is None:
            return
        tokens = {
            "access_token": self._access_token,
            "refresh_token": self._refresh_token,
            "expires_at": self._token_expires_at,
        }
        task = self._saving = asyncio.current_task()
        try:
            async with asyncio.timeout(self.endpoints.timeout):
                await self._token_callback(tokens)
        except asyncio.CancelledError as err:
            if task is None or task.cancelling():
                raise
            self._note_failed_save(err)  # something the callback awaited was cancelled
        except Exception as err:  # noqa: BLE001 - the callback is not ours
            self._note_failed_save(err)
        finally:
            self._saving = None

    def _note_failed_save(self, err: BaseException) -> None:
        """Log the failure without the error's text, which could contain the tokens."""
        self.counters["failed_saves"] += 1
        _LOGGER.error("The new tokens could not be saved: %s", type(err).__name__)

    def _is_token_expired(self) -> bool:
        """Return whether the token has to be renewed before its next use."""
        expires_at = self._token_expires_at
        return expires_at is None or self._clock() >= expires_at - self._margin

    def _valid_token(self) -> str | None:
        if self._is_token_expired():
            return None
        if self._saving is not None and self._saving is not asyncio.current_task():
            return None
        return self._access_token


async def _hidden(work: Callable[[], Coroutine[Any, Any, str]]) -> _Result:
    return _Result(await work())


def _retrieve_exception(task: asyncio.Task[_Result]) -> None:
    """Mark the exception as retrieved; all callers may have been cancelled."""
    if not task.cancelled():
        task.exception()


def _is_refusal(answer: Answer) -> bool:
    """Return whether the cloud refused the credentials or the refresh token themselves."""
    if answer.status not in _REFUSALS or not has_error(answer.body or {}):
        return False
    return _error_class(answer) is AuthApiError


def _error_class(answer: Answer) -> type[AuthApiError]:
    by_status = status_error(answer.status)
    meanings = (code_error(answer.code) or by_status, by_status)
    for general, error in _ERRORS:
        if any(issubclass(meaning, general) for meaning in meanings):
            return error
    return AuthApiError


def _repeated(error: BticinoError | None, retry_after: float | None = None) -> BticinoError:
    """Return a copy of a sign-in's error, for which nothing was sent."""
    if isinstance(error, AuthApiError):
        return type(error)(status=error.status, code=error.code, retry_after=retry_after)
    return AuthConnectionError(reason="pause after a failed sign-in")


def _token(value: object) -> str | None:
    """Return the value if it is valid in an HTTP header."""
    return value if isinstance(value, str) and value.isascii() and value.isprintable() else None


def _lifetime(body: dict[str, Any]) -> float:
    """Return the token's lifetime in seconds; one hour if the answer has no valid one."""
    for name in ("expires_in", "expire_in"):
        seconds = as_float(body.get(name))
        if seconds is not None and seconds > 0:
            return seconds
    return ASSUMED_LIFETIME.total_seconds()
