"""Relays, such as go2rtc or Frigate: programs that watch for others, and how often they may."""

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Final

from homeassistant.core import callback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..calls.events import CallEvents
    from ..client import Call, Module
    from .departures import Departures
    from .viewer_session import ViewerSession

RELAY_VIEW_SECONDS: Final = 120.0
RELAY_PAUSE_SECONDS: Final = 10.0  # after a view
RELAY_FAILURE_PAUSE_SECONDS: Final = 60.0  # after a call that was not set up
RELAY_VIEWS_PER_HOUR: Final = 30
_HOUR: Final = 3600.0


# Who relays with a secret that only Home Assistant's go2rtc gets; no user has this id.
GO2RTC_USER_ID: Final = "go2rtc"


def relay_id(user_id: str | None, module_id: str) -> str:
    """Return the identity of a user's relay at a camera."""
    return f"{user_id} {module_id}"


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


class Relays:
    """The relays among the viewers of an account: they give way to people, and have limits.

    `viewers` returns all sessions.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        calls: CallEvents,
        departures: Departures,
        viewers: Callable[[], Iterable[ViewerSession]],
    ) -> None:
        self.limits = RelayLimits(clock)
        self._calls = calls
        self._departures = departures
        self._viewers = viewers

    def refusal(self, camera: Module, relay: str | None) -> str | None:
        """Return the translation key of why a relay may not call now; None: it may, or is none."""
        if relay is None:
            return None
        if self.is_line_taken(camera):
            return "call_busy"
        replaces = any(viewer.relay == relay for viewer in self._viewers())
        return self.limits.refusal(camera.intercom_id, replaces=replaces)

    def refusal_of_person(self, camera: Module, *, may_control: bool) -> str | None:
        """Return the translation key of why go2rtc may not call for a person; None: it may."""
        if not may_control:
            return self.refusal(camera, relay_id(GO2RTC_USER_ID, camera.id))
        may_return = self._departures.has(camera.intercom_id)
        return "call_busy" if self.is_line_taken(camera) and not may_return else None

    def is_line_taken(self, camera: Module) -> bool:
        """Whether an intercom rings, is in a conversation, or has a viewer who is no relay."""
        line = camera.intercom_id
        people = [v for v in self._viewers() if v.relay is None and not v.call.may_be_over]
        return (
            any(viewer.camera.intercom_id == line for viewer in people)
            or self._departures.has(line)
            or any(self._calls.is_at(call, line) for call in self._calls.in_progress)
        )

    def gives_way(self, viewer: ViewerSession, newer: ViewerSession) -> bool:
        """Whether a viewer is a relay that ends for a person, or for a new view of its own."""
        return viewer.relay is not None and newer.relay in {None, viewer.relay}

    @callback
    def async_end(self, relay: str) -> None:
        """End the sessions of a relay."""
        for viewer in self._viewers():
            if viewer.relay == relay:
                viewer.end("call_hung_up")

    @callback
    def async_end_at(self, call: Call) -> None:
        """End the sessions of all relays at the intercom of a call."""
        for viewer in self._viewers():
            if viewer.relay is not None and self._calls.is_at(call, viewer.camera.intercom_id):
                viewer.end("call_busy")

    @callback
    def async_connected(self, viewer: ViewerSession) -> None:
        """Count the view if the viewer is a relay."""
        if viewer.relay is not None:
            self.limits.add_view(viewer.camera.intercom_id)

    @callback
    def async_over(self, viewer: ViewerSession) -> None:
        """Start a pause if the viewer is a relay that has called its intercom."""
        if viewer.relay is not None and not viewer.is_in_line:
            self.limits.pause(viewer.camera.intercom_id, has_failed=not viewer.was_connected)
