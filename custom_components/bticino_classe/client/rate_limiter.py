"""Keeps requests below the cloud's limits and respects the pauses that it asks for."""

from collections import Counter, deque
import random
import time
from typing import TYPE_CHECKING, Final

from .error_codes import Pause, meaning_of
from .errors import AuthError, RateLimitError
from .listeners import Listeners
from .pauses import GrowingPause, RefusedTokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from .errors import ApiError

# Published per user (protocol.md 3.3): number of requests and period in seconds.
LIMITS: Final = ((50, 10.0), (500, 3600.0))
ROUTINE_SHARE: Final = 0.8  # of each limit, for polling; the rest is for people
LONGEST_PAUSE: Final = 3600.0  # seconds; the longest period of a limit
SHORT_PAUSE: Final = 10.0  # seconds


def limited_pause(retry_after: float | None) -> float:
    """Return the seconds to wait after a Retry-After, at most LONGEST_PAUSE; 0 if there is none."""
    return min(retry_after or 0.0, LONGEST_PAUSE)


class RateLimiter:
    """Counts the requests of an account and records the pauses that the cloud asks for.

    Routine requests use 80 % of the limits and respect every pause. Requests that are `urgent`,
    because a person waits, use the whole limits and respect only a pause that the cloud named in
    Retry-After. Requests for tokens are not counted; they respect that one too, and the usage
    limit if it was their own. `sign_in` and `refused_tokens` grow with failures in a row.
    `usage_limit_since` is when, by `clock`, the cloud first reported the usage limit; None if it
    has accepted a request since.
    """

    def __init__(
        self,
        *,
        limits: tuple[tuple[int, float], ...] = LIMITS,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._wall_clock = wall_clock
        self._sent: deque[float] = deque(maxlen=max(count for count, _ in limits))
        self._named_until = self._assumed_until = self._tokens_until = float("-inf")
        self.sign_in = GrowingPause(clock=clock, draw=draw)
        self.refused_tokens = RefusedTokens(GrowingPause(clock=clock, draw=draw))
        self.usage_limit_since: float | None = None
        self.counters: Counter[str] = Counter()
        self._listeners = Listeners[float | None]("rate limiter", self.counters)

    @property
    def token_pause(self) -> float:
        """The seconds until a token may be requested."""
        return max(0.0, max(self._named_until, self._tokens_until) - self._clock())

    def listen(self, listener: Callable[[float | None], None]) -> Callable[[], None]:
        """Call a listener with each `usage_limit_since`; returns a function that removes it."""
        return self._listeners.add(listener)

    def admit(self, *, urgent: bool = False) -> None:
        """Count a request; RateLimitError with the seconds to wait if it must not be sent now."""
        now = self._clock()
        wait = max(self._pause_left(now, urgent=urgent), self._window_left(now, urgent=urgent))
        if wait > 0:
            raise RateLimitError(retry_after=wait)
        self._sent.append(now)

    def note(self, error: ApiError) -> None:
        """Record the pause that an error of the cloud asks for, if any.

        Errors of `admit` have no status and start no pause.
        """
        if error.status is None:
            return
        now = self._clock()
        is_usage_limit = meaning_of(error.code).pause is Pause.UNTIL_NEXT_HOUR
        if is_usage_limit and self.usage_limit_since is None:
            self._set_usage_limit(now)
        if error.retry_after is not None:
            self._named_until = max(self._named_until, now + limited_pause(error.retry_after))
        elif isinstance(error, RateLimitError):
            until = now + (self._to_next_hour if is_usage_limit else SHORT_PAUSE)
            self._assumed_until = max(self._assumed_until, until)
            if is_usage_limit and isinstance(error, AuthError):
                self._tokens_until = until

    def note_accepted(self) -> None:
        """Record that the cloud has accepted a request: the usage limit is over."""
        if self.usage_limit_since is not None:
            self._set_usage_limit(None)

    def skip_pauses(self) -> None:
        """Let an attempt pass the pauses that the cloud did not name: a person wants it."""
        self._tokens_until = float("-inf")
        self.sign_in.skip()
        self.refused_tokens.pause.skip()

    def _set_usage_limit(self, since: float | None) -> None:
        self.usage_limit_since = since
        self._listeners.notify(since)

    @property
    def _to_next_hour(self) -> float:
        return LONGEST_PAUSE - self._wall_clock() % LONGEST_PAUSE

    def _pause_left(self, now: float, *, urgent: bool) -> float:
        until = self._named_until if urgent else max(self._named_until, self._assumed_until)
        return until - now

    def _window_left(self, now: float, *, urgent: bool) -> float:
        share = 1.0 if urgent else ROUTINE_SHARE
        return max(
            self._left(max(1, int(count * share)), span, now) for count, span in self._limits
        )

    def _left(self, count: int, span: float, now: float) -> float:
        """Return the seconds until one more request fits into a limit."""
        return self._sent[-count] + span - now if len(self._sent) >= count else 0.0
