"""Why a connection ended, in fixed words, and what that means for the next one."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from ..errors import ApiError
from ..http import parse_retry_after

if TYPE_CHECKING:
    import aiohttp

    from ..errors import BticinoError

CREDENTIALS_REFUSED: Final = "credentials refused"
LONGEST_WAIT: Final = 3600.0  # seconds; more than that no Retry-After is believed
OVERLOADS: Final = (11, 26, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect:
    """Why a connection ended: fixed words, and the number that came with them."""

    reason: str
    code: int | str | None = None
    retry_after: float = 0.0

    @property
    def overloaded(self) -> bool:
        """Whether the cloud said itself that it has too much to do."""
        return self.code in OVERLOADS

    def __str__(self) -> str:
        return self.reason if self.code is None else f"{self.reason} ({self.code})"


class ConnectionEndedError(Exception):
    """A connection has ended, within the tasks that hold it."""

    def __init__(self, ending: Disconnect) -> None:
        super().__init__(str(ending))
        self.ending = ending


def first_ending(group: BaseExceptionGroup[ConnectionEndedError]) -> Disconnect:
    """Return why a connection ended; of two reasons at once the first."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, ConnectionEndedError)  # noqa: S101 - for the type checker
    return error.ending


def refused_handshake(err: aiohttp.WSServerHandshakeError) -> Disconnect:
    """Return the ending that a handshake's refusal is."""
    wanted = parse_retry_after(err.headers.get("Retry-After") if err.headers else None)
    return Disconnect(reason="handshake refused", code=err.status, retry_after=_pause_of(wanted))


def no_token(err: BticinoError) -> Disconnect:
    """Return the ending of a connection that got no token to subscribe with."""
    status = err.status if isinstance(err, ApiError) else None
    wanted = err.retry_after if isinstance(err, ApiError) else None
    return Disconnect(
        reason=f"no token: {type(err).__name__}", code=status, retry_after=_pause_of(wanted)
    )


def _pause_of(wanted: float | None) -> float:
    return min(wanted or 0.0, LONGEST_WAIT)
