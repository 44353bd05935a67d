"""Relays, such as go2rtc or Frigate: programs that watch for others, and how often they may."""

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

RELAY_VIEW_SECONDS: Final = 120.0
RELAY_PAUSE_SECONDS: Final = 10.0  # after a view
RELAY_FAILURE_PAUSE_SECONDS: Final = 60.0  # after a call that was not set up
RELAY_VIEWS_PER_HOUR: Final = 30
_HOUR: Final = 3600.0


class RelayLimits:
    """How often relays may call an intercom, so that they cannot keep it occupied.

    `clock` returns seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._views: defaultdict[str, deque[float]] = defaultdict(deque)
        self._paused_until: dict[str, float] = {}
        self.refused = 0

    def refusal(self, intercom_id: str, *, replaces: bool) -> str | None:
        """Return the translation key of why a relay may not call now; None: it may.

        There is no pause for a view that `replaces` the relay's own.
        """
        if len(self._recent(intercom_id)) >= RELAY_VIEWS_PER_HOUR:
            key = "call_relay_limit"
        elif not replaces and self._pause_left(intercom_id) > 0:
            key = "call_relay_pause"
        else:
            return None
        self.refused += 1
        return key

    def seconds_left(self, intercom_id: str) -> float:
        """Return the seconds until relays may call an intercom again."""
        views = self._recent(intercom_id)
        is_full = len(views) >= RELAY_VIEWS_PER_HOUR
        until_view = views[-RELAY_VIEWS_PER_HOUR] + _HOUR - self._clock() if is_full else 0.0
        return max(until_view, self._pause_left(intercom_id))

    def add_view(self, intercom_id: str) -> None:
        """Count a view that has begun."""
        self._recent(intercom_id).append(self._clock())

    def pause(self, intercom_id: str, *, has_failed: bool) -> None:
        """Start the pause after a call."""
        seconds = RELAY_FAILURE_PAUSE_SECONDS if has_failed else RELAY_PAUSE_SECONDS
        self._paused_until[intercom_id] = self._clock() + seconds

    @property
    def views(self) -> int:
        """The number of views in the last hour, of all intercoms."""
        return sum(len(self._recent(intercom_id)) for intercom_id in tuple(self._views))

    def _pause_left(self, intercom_id: str) -> float:
        return max(0.0, self._paused_until.get(intercom_id, 0.0) - self._clock())

    def _recent(self, intercom_id: str) -> deque[float]:
        views = self._views[intercom_id]
        while views and views[0] <= self._clock() - _HOUR:
            views.popleft()
        return views
