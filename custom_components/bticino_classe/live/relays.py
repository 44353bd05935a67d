"""Relays, such as go2rtc or Frigate: programs that watch for others, and how often they may."""

from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import (
    CONF_PAUSE_SECONDS,
    CONF_SHOWN_RINGS,
    CONF_STREAMS,
    CONF_VIEW_SECONDS,
    CONF_VIEWS_PER_HOUR,
    DEFAULT_PAUSE_SECONDS,
    DEFAULT_VIEW_SECONDS,
    DEFAULT_VIEWS_PER_HOUR,
    DOMAIN,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from homeassistant.config_entries import ConfigEntry

    from ..calls.events import CallEvents
    from ..client import Call, Module
    from .departures import Departures
    from .viewer_session import ViewerSession

RELAY_FAILURE_PAUSE_SECONDS: Final = 60.0  # after a call that was not set up
TAKEN_RINGS: Final = 64  # that are remembered
_HOUR: Final = 3600.0


# The user id of Home Assistant's go2rtc, which has its own secret; no user has this id.
GO2RTC_USER_ID: Final = "go2rtc"


def relay_id(user_id: str | None, module_id: str) -> str:
    """Return the identity of a user's relay at a camera."""
    return f"{user_id} {module_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayOptions:
    """The longest view, the pause after a view, and the number of views per hour.

    `shown_rings` are the cameras whose rings a relay answers for the picture.
    """

    view_seconds: float = DEFAULT_VIEW_SECONDS
    pause_seconds: float = DEFAULT_PAUSE_SECONDS
    views_per_hour: int = DEFAULT_VIEWS_PER_HOUR
    shown_rings: frozenset[str] = frozenset()

    @classmethod
    def of(cls, entry: ConfigEntry) -> RelayOptions:
        """Return the options of an account, or the defaults."""
        chosen = entry.options.get(CONF_STREAMS, {})
        return cls(
            view_seconds=float(chosen.get(CONF_VIEW_SECONDS, DEFAULT_VIEW_SECONDS)),
            pause_seconds=float(chosen.get(CONF_PAUSE_SECONDS, DEFAULT_PAUSE_SECONDS)),
            views_per_hour=int(chosen.get(CONF_VIEWS_PER_HOUR, DEFAULT_VIEWS_PER_HOUR)),
            shown_rings=frozenset(chosen.get(CONF_SHOWN_RINGS, ())),
        )


class RelayLimits:
    """How often relays may call an intercom, so that they cannot keep it occupied.

    `clock` returns seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.options = RelayOptions()
        self._clock = clock
        self._views: defaultdict[str, deque[float]] = defaultdict(deque)
        # When the last call ended, and whether it had failed.
        self._last_calls: dict[str, tuple[float, bool]] = {}
        self._refused: Counter[str] = Counter()

    def refusal(self, intercom_id: str, *, replaces: bool) -> str | None:
        """Return why a relay may not call now, as a translation key; None: it may.

        There is no pause for a view that `replaces` the relay's own.
        """
        if self._seconds_until_view(intercom_id) > 0:
            key = "call_relay_limit"
        elif not replaces and self._pause_left(intercom_id) > 0:
            key = "call_relay_pause"
        else:
            return None
        self._refused[intercom_id] += 1
        return key

    def seconds_left(self, intercom_id: str) -> float:
        """Return the seconds until relays may call an intercom again."""
        return max(self._seconds_until_view(intercom_id), self._pause_left(intercom_id))

    def add_view(self, intercom_id: str) -> None:
        """Count a view that has begun."""
        self._recent(intercom_id).append(self._clock())

    def add_end(self, intercom_id: str, *, has_failed: bool) -> None:
        """Start the pause after a call."""
        self._last_calls[intercom_id] = (self._clock(), has_failed)

    def views(self, intercom_id: str) -> int:
        """Return the number of views in the last hour."""
        return len(self._recent(intercom_id))

    def refused(self, intercom_id: str) -> int:
        """Return how many requests the limits have refused."""
        return self._refused[intercom_id]

    def seconds_until_change(self, intercom_id: str) -> float | None:
        """Return the seconds until a view is an hour ago, or a pause over; None: neither."""
        views = list(self._recent(intercom_id))[:1]
        waits = [view + _HOUR - self._clock() for view in views]
        waits.append(self.seconds_left(intercom_id))
        return min((wait for wait in waits if wait > 0), default=None)

    def _seconds_until_view(self, intercom_id: str) -> float:
        views, allowed = self._recent(intercom_id), self.options.views_per_hour
        return views[-allowed] + _HOUR - self._clock() if len(views) >= allowed else 0.0

    def _pause_left(self, intercom_id: str) -> float:
        if intercom_id not in self._last_calls:
            return 0.0
        ended_at, has_failed = self._last_calls[intercom_id]
        shortest = RELAY_FAILURE_PAUSE_SECONDS if has_failed else 0.0
        pause = max(self.options.pause_seconds, shortest)
        return max(0.0, ended_at + pause - self._clock())

    def _recent(self, intercom_id: str) -> deque[float]:
        views = self._views[intercom_id]
        while views and views[0] <= self._clock() - _HOUR:
            views.popleft()
        return views


# Kept over reloads, by entry: otherwise each would give relays another hour's views.
RELAY_LIMITS: Final[HassKey[dict[str, RelayLimits]]] = HassKey(f"{DOMAIN}_relay_limits")


@callback
def async_relay_limits(hass: HomeAssistant, entry: ConfigEntry) -> RelayLimits:
    """Return the limits of an account with its present options."""
    all_limits = hass.data.setdefault(RELAY_LIMITS, {})
    limits = all_limits.setdefault(entry.entry_id, RelayLimits(hass.loop.time))
    limits.options = RelayOptions.of(entry)
    return limits


class Relays:
    """The relays among the viewers of an account: they give way to people, and have limits.

    `viewers` returns all sessions; `notify` is called with the camera of a refused request.
    """

    def __init__(
        self,
        *,
        limits: RelayLimits,
        calls: CallEvents,
        departures: Departures,
        viewers: Callable[[], Iterable[ViewerSession]],
        notify: Callable[[Module], None],
    ) -> None:
        self._notify = notify
        self.limits = limits
        # By session and time: an intercom may use its session ids again.
        self._taken_rings: deque[tuple[str, float]] = deque(maxlen=TAKEN_RINGS)
        self._calls = calls
        self._departures = departures
        self._viewers = viewers

    def refusal(self, camera: Module, relay: str | None) -> str | None:
        """Return why a relay may not call now, as a translation key; None: it may, or is none."""
        if relay is None or self._ring_to_show(camera) is not None:
            return None
        replaces = any(viewer.relay == relay for viewer in self._viewers())
        return self._refusal(camera, replaces=replaces)

    def refusal_to_dial(self, viewer: ViewerSession) -> str | None:
        """Return why a relay that has waited may not call, as a translation key; None: it may.

        The intercom may have been called for another one since it came.
        """
        if viewer.replaces_own:
            return "call_busy" if self.is_line_taken(viewer.camera) else None
        return self._refusal(viewer.camera, replaces=False)

    def _refusal(self, camera: Module, *, replaces: bool) -> str | None:
        if self.is_line_taken(camera):
            return "call_busy"
        refusal = self.limits.refusal(camera.intercom_id, replaces=replaces)
        if refusal is not None:
            self._notify(camera)
        return refusal

    def refusal_of_person(self, camera: Module, *, may_control: bool) -> str | None:
        """Return why go2rtc may not call for a person, as a translation key; None: it may."""
        if not may_control:
            return self.refusal(camera, relay_id(GO2RTC_USER_ID, camera.id))
        may_return = self._departures.has(camera.intercom_id)
        return "call_busy" if self.is_line_taken(camera) and not may_return else None

    def is_line_taken(self, camera: Module) -> bool:
        """Whether an intercom rings, is in a conversation, or has a viewer who is no relay.

        A ring that a relay has answered only rings on in Home Assistant.
        """
        calls = [call for call in self._calls_at(camera) if not call.is_streamed]
        return bool(calls) or self._has_people(camera)

    def gives_way(self, viewer: ViewerSession, newer: ViewerSession) -> bool:
        """Whether a viewer is a relay that ends for a person, or for a new view of its own.

        A ring that it shows only ends for a person who may answer it.
        """
        if viewer.relay is None:
            return False
        may_answer = newer.access.may_control or viewer.answered_call is None
        return may_answer if newer.relay is None else newer.relay == viewer.relay

    def take_ring(self, viewer: ViewerSession) -> Call | None:
        """Return the ring that a relay answers for the picture, once for each ring."""
        ring = None if viewer.relay is None else self._ring_to_show(viewer.camera)
        if ring is not None:
            self._taken_rings.append((ring.session_id, ring.began_at))
        return ring

    def _ring_to_show(self, camera: Module) -> Call | None:
        """Return the ring at a camera that a relay may answer; None: there is none.

        It must be of this panel, and nobody else may be answering or talking.
        """
        ring = self._calls.ringing_at(camera)
        is_shown = camera.id in self.limits.options.shown_rings
        if not is_shown or ring is None or ring.offer is None or self._has_people(camera):
            return None
        is_taken = ring.is_streamed or (ring.session_id, ring.began_at) in self._taken_rings
        is_alone = self._calls_at(camera) == [ring] and not ring.simulated
        is_here = self._calls.location_of(ring) == camera.id
        return ring if is_here and is_alone and not is_taken else None

    def _calls_at(self, camera: Module) -> list[Call]:
        calls = self._calls.in_progress
        return [call for call in calls if self._calls.is_at(call, camera.intercom_id)]

    def _has_people(self, camera: Module) -> bool:
        """Whether an intercom has a viewer who is no relay, or one who may return."""
        line = camera.intercom_id
        people = [v for v in self._viewers() if v.relay is None and not v.call.may_be_over]
        is_watched = any(viewer.camera.intercom_id == line for viewer in people)
        return is_watched or self._departures.has(line)

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
        """Start a pause if the viewer is a relay that has called its intercom.

        A call that its relay replaces before it is set up counts as a view: the next one needs no
        pause.
        """
        if viewer.relay is None or viewer.is_in_line:
            return
        successors = [other for other in self._viewers() if other.relay == viewer.relay]
        for other in successors:
            other.replaces_own = True
        if successors and not viewer.was_connected:
            self.limits.add_view(viewer.camera.intercom_id)
        self.limits.add_end(viewer.camera.intercom_id, has_failed=not viewer.was_connected)
